"""The contract for machines: what it says, that it is served, and that a changed message fails it."""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from livemarkets import app as composition
from livemarkets.config.settings import Settings
from livemarkets.http_api.asyncapi import asyncapi_template, read_examples
from livemarkets.http_api.contract_routes import contract_router
from livemarkets.http_api.health import health_router
from livemarkets.http_api.openapi import openapi_template
from livemarkets.http_api.operations import OPERATIONS, Operation
from livemarkets.http_api.routes import http_router
from livemarkets.protocol import messages as protocol
from livemarkets.simulator import Simulator
from livemarkets.status import bus_report, exchange_report, report
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.contract import answer_checks, hold_answer_to_contract, what_is_wrong
from tests.support.helpers import PROJECT_ROOT, WITHOUT_TLS

MAY_BE_ABSENT = {
    ("subscribe", "id quality snapshot mode interval_ms order after levels"),
    ("unsubscribe list ping", "id"),
    ("subscribed unsubscribed subscriptions pong error", "id"),
    ("results", "did_you_mean"),
    ("trade snapshot", "backfilled"),
    ("trade ticker tickers book depth candle", "skipped"),
    ("candle", "revised"),
    ("lagged", "mode"),
}
"""Messages, and the fields that some of them lack."""


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange)) as app:
        yield app


# a changed message fails


def fields_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each named field in a message, at any depth; of a list, those of its first entry."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield (*path, name)
            yield from fields_of(each, (*path, name))
    elif isinstance(value, list) and value:
        yield from fields_of(value[0], (*path, 0))


def changed(message: dict[str, Any], path: tuple[Any, ...]) -> tuple[dict[str, Any], Any]:
    """A copy of a message, and the object in it that has the field."""
    whole = copy.deepcopy(message)
    owner: Any = whole
    for step in path[:-1]:
        owner = owner[step]
    return whole, owner


def of_another_type(value: Any) -> Any:
    return {"?": 1} if not isinstance(value, dict) else 7.5


def may_be_absent(message: dict[str, Any], path: tuple[Any, ...]) -> bool:
    if path == ("symbol",) and "quality" in message and message["type"] == "subscribe":
        return True  # then it is about the whole channel
    owner = "results" if path[0] == "results" and len(path) > 1 else message["type"]
    return any(owner in owners.split() and path[-1] in names.split() for owners, names in MAY_BE_ABSENT)


def is_keyed_by_name(path: tuple[Any, ...]) -> bool:
    """Whether the field is an entry of an object whose names are data."""
    return len(path) == 2 and path[0] in ("limits", "exchanges", "after")


def assert_each_change_is_refused(message: dict[str, Any]) -> None:
    assert what_is_wrong(message) == ""
    for path in fields_of(message):
        retyped, owner = changed(message, path)
        owner[path[-1]] = of_another_type(owner[path[-1]])
        assert what_is_wrong(retyped), f"{path} with another type: {retyped}"
        if is_keyed_by_name(path):
            continue
        renamed, owner = changed(message, path)
        owner[f"{path[-1]}x"] = owner.pop(path[-1])
        assert what_is_wrong(renamed), f"{path} with another name: {renamed}"
        if not may_be_absent(message, path):
            dropped, owner = changed(message, path)
            del owner[path[-1]]
            assert what_is_wrong(dropped), f"without {path}: {dropped}"


@pytest.mark.parametrize(
    "message", read_examples("message_examples.jsonl"), ids=lambda message: message["type"]
)
def test_an_example_is_right_and_each_change_of_it_is_not(message: dict[str, Any]) -> None:
    assert_each_change_is_refused(message)


def test_the_examples_show_every_message_and_shape() -> None:
    components = asyncapi_template()["components"]
    shown = {example["type"] for example in read_examples("message_examples.jsonl")}
    assert shown == set(components["messages"])
    assert shown == {*protocol.CLIENT_MESSAGE_TYPES, *protocol.SERVER_MESSAGE_TYPES}
    channels = {
        (example["type"], example["channel"])
        for example in read_examples("message_examples.jsonl")
        if "channel" in example
    }
    assert {("gap", "trades"), ("gap", "candles"), ("lagged", "trades"), ("lagged", "candles")} <= channels
    assert {channel for kind, channel in channels if kind == "subscribe"} == {
        "trades",
        "tickers",
        "book",
        "depth",
        "candles",
    }


@pytest.fixture
async def busy_app() -> AsyncIterator[RunningApp]:
    """An app whose exchange trades by itself."""
    async with running_exchange() as exchange, running_app(settings_for(exchange)) as app:
        yield app


async def test_real_messages_are_right_and_each_change_of_them_is_not(busy_app: RunningApp) -> None:
    client = await busy_app.connect(greet=False)
    seen: dict[tuple[str, str], dict[str, Any]] = {}

    async def read_until(kind: str, **fields: Any) -> None:
        message, before = await client.until(kind, 20, **fields)
        for each in (*before, message):
            if each.get("data") != []:
                seen.setdefault((each["type"], each.get("channel", "")), each)

    await read_until("welcome")
    names: dict[str, Any] = {"exchange": "binance", "symbols": ["BTCUSDT", "NOPE"], "id": 1}
    for channel, fields in (
        ("trades", {"quality": True}),
        ("book", {}),
        ("depth", {"levels": 5}),
        ("candles", {"interval": "1s", "snapshot": 3}),
        ("tickers", {}),
        ("tickers", {"symbols": "*"}),
    ):
        await client.send(type="subscribe", channel=channel, **names | fields)
        await read_until("subscribed", channel=channel)
    for kind in ("quality", "trade", "tickers", "ticker", "candle", "book", "depth"):
        if not any(each == kind for each, _ in seen):
            await read_until(kind)
    await client.send(type="list", id="two")
    await read_until("subscriptions")
    await client.send(type="ping", id=3)
    await read_until("pong")
    await client.send(type="unsubscribe", channel="candles", interval="1s", **names)
    await read_until("unsubscribed")
    await client.send(type="nonsense", id=4)
    await read_until("error")
    kinds = {kind for kind, _ in seen}
    assert kinds >= {"welcome", "subscribed", "status", "quality", "trade", "ticker", "tickers", "candle"}
    assert kinds >= {"book", "depth"}
    assert kinds >= {"subscriptions", "pong", "unsubscribed", "error", "snapshot"}
    for message in seen.values():
        assert_each_change_is_refused(message)


@pytest.mark.parametrize("line", read_examples("answer_examples.jsonl"), ids=lambda line: next(iter(line)))
def test_a_changed_answer_over_http_is_refused(line: dict[str, Any]) -> None:
    ((path, answer),) = line.items()
    _, checks = answer_checks()
    check = checks[path, "200"]
    assert check(answer) == ""
    for field in fields_of(answer):
        for change in ("retyped", "renamed", "dropped"):
            whole, owner = changed(answer, field)
            value = owner.pop(field[-1])
            if change == "retyped":
                owner[field[-1]] = of_another_type(value)
            elif change == "renamed":
                owner[f"{field[-1]}x"] = value
            elif path == "/readyz" and field != ("ready",):
                continue
            assert check(whole), f"{field} {change}"


def test_an_answer_with_other_columns_or_an_undocumented_status_fails() -> None:
    body = b"exchange,symbol,price,size,side,ts,id,recv_ts\n"
    hold_answer_to_contract("/api/trades", 200, "text/csv; charset=utf-8", body)
    with pytest.raises(AssertionError, match="other columns"):
        hold_answer_to_contract("/api/trades", 200, "text/csv", body.replace(b"size", b"amount"))
    with pytest.raises(AssertionError, match="has no 418"):
        hold_answer_to_contract("/api/trades", 418, "text/plain", b"")


# what is served


async def test_the_contract_is_served_with_the_address_of_the_server(app: RunningApp) -> None:
    asyncapi = (await app.get("/asyncapi.json")).json()
    assert asyncapi["asyncapi"] == "3.0.0"
    assert asyncapi["servers"]["this"]["host"] == f"127.0.0.1:{app.port}"
    assert "security" not in asyncapi["servers"]["this"]
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "markets.test",
        "X-Forwarded-Prefix": "/live",
    }
    proxied = (await app.ask("GET", "/asyncapi.json", headers)).json()
    assert proxied["servers"]["this"] == {
        "host": "markets.test",
        "pathname": "/live",
        "protocol": "wss",
        "description": "This server.",
    }
    assert proxied["channels"] == asyncapi["channels"]
    openapi = (await app.ask("GET", "/openapi.json", headers)).json()
    assert openapi["openapi"] == "3.1.0"
    assert openapi["servers"] == [{"url": "https://markets.test/live"}]
    assert openapi["security"] == []
    head = await app.ask("HEAD", "/asyncapi.json")
    assert (head.status_code, head.content) == (200, b"")


async def test_numbers_in_examples_keep_their_digits(app: RunningApp) -> None:
    assert '"price":61837.63000000,' in (await app.get("/asyncapi.json")).text
    assert '"price":61837.63000000,' in (await app.get("/openapi.json")).text


async def test_with_the_feature_off_there_is_only_the_contract_of_what_is_left() -> None:
    async with running_app(Settings(stream_enabled=False)) as app:
        assert (await app.get("/asyncapi.json")).status_code == 404
        paths = (await app.get("/openapi.json")).json()["paths"]
        assert sorted(paths) == ["/healthz", "/metrics", "/openapi.json", "/readyz"]


async def test_with_a_token_the_contract_needs_it_and_says_so(exchange: Simulator) -> None:
    token = "a-token-of-sixteen"
    async with running_app(settings_for(exchange, access_token=token)) as app:
        for path in ("/asyncapi.json", "/openapi.json"):
            assert (await app.ask("GET", path)).status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        asyncapi = (await app.ask("GET", "/asyncapi.json", headers)).json()
        assert asyncapi["servers"]["this"]["security"] == [{"$ref": "#/components/securitySchemes/token"}]
        openapi = (await app.ask("GET", "/openapi.json", headers)).json()
        assert openapi["security"] == [{"token": []}]
        assert [path for path, each in openapi["paths"].items() if each["get"].get("security") == []] == [
            "/healthz",
            "/readyz",
        ]


async def test_every_route_is_in_the_contract_and_no_other() -> None:
    services = composition.build(Settings(stream_enabled=True))
    routers = (health_router(services), http_router(services), contract_router(services))
    routes = {route.path for each in routers for route in each.routes if isinstance(route, APIRoute)}
    await services.stop()
    assert set(openapi_template(is_enabled=True)["paths"]) == routes | {"/ws/markets"}


OF_THE_REPORT = {
    name
    for names in (
        ["Diagnostics", "HopStatistics"],
        report.__all__,
        exchange_report.__all__,
        bus_report.__all__,
    )
    for name in names
}
"""What the status page shows."""


def references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        for each in document.values():
            yield from references(each)
    elif isinstance(document, list):
        for each in document:
            yield from references(each)


@pytest.mark.parametrize("document", [asyncapi_template(), openapi_template(is_enabled=True)])
def test_every_reference_leads_somewhere_and_every_field_is_described(document: dict[str, Any]) -> None:
    for reference in set(references(document)):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        for field, each in schema["properties"].items():
            is_told = "description" in each or "$ref" in str(each)
            assert is_told or field == "type" or "anyOf" in each, f"{name}.{field}"


def test_each_field_of_the_report_has_the_meaning_that_stands_under_it() -> None:
    schemas = openapi_template(is_enabled=True)["components"]["schemas"]
    assert schemas.keys() >= OF_THE_REPORT
    untold = [
        f"{name}.{field}"
        for name in sorted(OF_THE_REPORT)
        for field, each in schemas[name]["properties"].items()
        if not each.get("description")
    ]
    assert untold == []
    told = schemas["ConnectionReport"]["properties"]["opened_ts"]["description"]
    assert told == "When it opened; `null` while it is opening."


# parameters


def test_every_parameter_that_a_route_reads_is_in_the_contract() -> None:
    folder = PROJECT_ROOT / "livemarkets" / "http_api"
    read = {"exchange", "q", "format"}  # these readers know their names
    for path in folder.glob("*.py"):
        read |= set(re.findall(r"read_\w+\(request, \"(\w+)\"", path.read_text()))
    assert read == {parameter.name for each in OPERATIONS for parameter in each.parameters}


async def test_the_routes_take_what_the_contract_says_and_nothing_beyond(app: RunningApp) -> None:
    async with httpx.AsyncClient(
        verify=WITHOUT_TLS, base_url=app.http_url, trust_env=False, timeout=10
    ) as client:
        for operation in OPERATIONS:
            for name, value, is_right in cases_of(operation):
                good = {each.name: each.example for each in operation.parameters if each.is_required}
                query = good | {"exchange": "binance"} | {name: value}
                query = {name: each for name, each in query.items() if each is not None}
                status = (await client.get(operation.path, params=query)).status_code
                assert (status != 400) == is_right, f"{operation.path} {name}={value!r:.80}: {status}"


def cases_of(operation: Operation) -> Iterator[tuple[str, Any, bool]]:
    """A parameter, a value of it, and whether the contract takes it. `None`: it is absent."""
    if any(parameter.name == "exchange" for parameter in operation.parameters):
        yield "exchange", "nowhere", False
    for parameter in operation.parameters:
        name, schema = parameter.name, parameter.schema
        if parameter.is_required:
            yield name, None, False
        if "maximum" in schema:
            for value in (schema["minimum"], schema["maximum"]):
                yield name, value, True
            for value in (schema["minimum"] - 1, schema["maximum"] + 1):
                yield name, value, False
        if "enum" in schema:
            for word in (schema["enum"][0], schema["enum"][-1]):
                yield name, word, True
            yield name, "other", False
        if "maxLength" in schema:
            yield name, "b".ljust(schema["maxLength"]), True
            yield name, "b".ljust(schema["maxLength"] + 1), False
        if most := re.search(r"at most (\d+) names", parameter.meaning):
            many = [f"S{number}" for number in range(int(most[1]) + 1)]
            yield name, ",".join(many[1:]), True
            yield name, ",".join(many), False
