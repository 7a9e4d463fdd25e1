"""What the contract lets a client send is what the server takes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livemarkets.errors import ClientMessageError
from livemarkets.http_api.asyncapi import asyncapi_template, read_examples
from livemarkets.market.symbols import normalise
from livemarkets.protocol.messages import CLIENT_MESSAGE_TYPES
from livemarkets.protocol.requests import parse_request
from tests.protocol.test_protocol import EXCHANGES, REFUSED
from tests.support.contract import what_is_wrong

SCHEMAS = asyncapi_template()["components"]["schemas"]
MESSAGES = asyncapi_template()["components"]["messages"]


def shapes_of(kind: str) -> list[dict[str, Any]]:
    payload = MESSAGES[kind]["payload"]
    return [SCHEMAS[each["$ref"].rpartition("/")[2]] for each in payload.get("oneOf", [payload])]


def values_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any value that the schema allows; symbols are few, so that fields about them meet."""
    if "anyOf" in schema and "properties" not in schema:
        return st.one_of([values_of(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object" if "additionalProperties" in schema:
            return st.dictionaries(SYMBOLS, values_of(schema["additionalProperties"]), max_size=2)
        case "object":
            return objects_of(schema)
        case "array":
            return st.lists(values_of(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)
        case "integer":
            return st.integers(schema.get("minimum", -(2**63)), schema.get("maximum", 2**53))
        case "boolean":
            return st.booleans()
        case "string" if "maxLength" in schema:
            return st.text(max_size=schema["maxLength"])
        case kind:
            assert kind == "string"
            return SYMBOLS


SYMBOLS = st.sampled_from(["BTCUSDT", "ethusdt", "币安人生USDT", "BTC/USDT", ""])


def objects_of(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: values_of(each) for name, each in schema["properties"].items()}
    if "exchange" in fields:
        fields["exchange"] = st.sampled_from(EXCHANGES)
    needed = {name: each for name, each in fields.items() if name in schema["required"]}
    return st.fixed_dictionaries(
        needed, optional={name: each for name, each in fields.items() if name not in needed}
    )


def is_taken(message: object) -> str:
    """What the server answers to a message; empty if it takes it."""
    try:
        parse_request(json.dumps(message), EXCHANGES, snapshot_limit=10**30)
    except ClientMessageError as error:
        return error.message
    return ""


def names_what_it_resumes(message: dict[str, Any]) -> bool:
    """The one rule that only the text of the contract tells."""
    symbols = message.get("symbols", [])
    named = {normalise(each) for each in (*symbols, *filter(None, [message.get("symbol")]))}
    return all(normalise(each) in named for each in message.get("after", {}))


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.sampled_from(CLIENT_MESSAGE_TYPES).flatmap(
        lambda kind: st.one_of([values_of(each) for each in shapes_of(kind)])
    )
)
def test_the_server_takes_what_the_contract_allows_and_nothing_that_only_its_rules_refuse(
    message: dict[str, Any],
) -> None:
    wrong = what_is_wrong(message)
    if not names_what_it_resumes(message):
        assert is_taken(message)
    elif not wrong:
        assert is_taken(message) == ""
    else:  # a rule between fields refuses it, such as a missing symbol
        harmless = message["channel"] != "candles" and "interval" in message  # it is not read
        assert is_taken(message) or harmless, wrong


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (name, message)
        for name, message, code in REFUSED
        if code != "invalid_json" and name not in ("id huge", "id 1e400")  # no decoder takes such numbers
    ],
)
def test_the_contract_refuses_what_the_server_refuses(name: str, message: object) -> None:
    if isinstance(message, str):
        message = msgspec.json.decode(message)
    allowed = {
        *("exchange unknown", "exchange empty"),  # each server offers its own
        *("snapshot too much", "snapshot huge", "snapshot beyond reason"),  # LIVE_FEED_LENGTH
        "after another symbol",
    }
    assert bool(what_is_wrong(message)) == (name not in allowed)


@pytest.mark.parametrize(
    "message",
    [each for each in read_examples("message_examples.jsonl") if each["type"] in CLIENT_MESSAGE_TYPES],
    ids=lambda message: message["type"],
)
def test_the_server_takes_each_example(message: dict[str, Any]) -> None:
    assert is_taken(message) == ""
