"""Control messages: what is understood, and the documented answer to what is not."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.simulator.protocol.control_messages import (
    Request,
    RequestError,
    encode_error,
    encode_result,
    parse_request,
)

METHODS = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"


def refused(text: str | bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_request(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (
            '{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth"],"id":1}',
            Request("SUBSCRIBE", 1, ("btcusdt@aggTrade", "btcusdt@depth")),
        ),
        (
            '{"method":"UNSUBSCRIBE","params":["btcusdt@depth"],"id":"a1B2"}',
            Request("UNSUBSCRIBE", "a1B2", ("btcusdt@depth",)),
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":"b7915e2e-b9c1-4910-a1fd-ca93d9a230c7"}',
            Request("LIST_SUBSCRIPTIONS", "b7915e2e-b9c1-4910-a1fd-ca93d9a230c7"),
        ),
        ('{"method":"LIST_SUBSCRIPTIONS","id":null}', Request("LIST_SUBSCRIPTIONS", None)),
        ('{"method":"LIST_SUBSCRIPTIONS","params":[],"id":-5}', Request("LIST_SUBSCRIPTIONS", -5)),
        (
            '{"method":"SET_PROPERTY","params":["combined",true],"id":5}',
            Request("SET_PROPERTY", 5, combined=True),
        ),
        ('{"method":"GET_PROPERTY","params":["combined"],"id":2}', Request("GET_PROPERTY", 2)),
        (
            '{"id":9223372036854775807,"method":"LIST_SUBSCRIPTIONS","extra":{}}',
            Request("LIST_SUBSCRIPTIONS", 2**63 - 1),
        ),
        (
            '{"method":"SUBSCRIBE","params":["币安人生usdt@trade"],"id":1}',
            Request("SUBSCRIBE", 1, ("币安人生usdt@trade",)),
        ),
    ],
)
def test_requests_are_understood(text: str, request_: Request) -> None:
    assert parse_request(text) == request_
    assert parse_request(text.encode()) == request_


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ('{"method":"SET_PROPERTY","params":["other",true],"id":1}', 0, "Unknown property"),
        ('{"method":"GET_PROPERTY","params":["other"],"id":1}', 0, "Unknown property"),
        (
            '{"method":"SET_PROPERTY","params":["combined",1],"id":1}',
            1,
            "Invalid value type: expected Boolean",
        ),
        ('{"method":"SET_PROPERTY","params":["combined"],"id":1}', 1, "Invalid value type: expected Boolean"),
        (
            '{"method":"GET_PROPERTY","params":[7],"id":1}',
            2,
            "Invalid request: property name must be a string",
        ),
        (
            '{"method":"GET_PROPERTY","params":[],"id":1}',
            2,
            "Invalid request: property name must be a string",
        ),
        ('{"method":"LIST_SUBSCRIPTIONS"}', 2, "Invalid request: request ID must be an unsigned integer"),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":1.5}',
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":true}',
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":"a_b"}',
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":"' + "a" * 37 + '"}',
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":9223372036854775808}',
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"method":"SUBSCRIBEX","params":[],"id":1}',
            2,
            f"Invalid request: unknown variant `SUBSCRIBEX`, expected one of {METHODS} at line 1 column 22",
        ),
        (
            '{"method":5,"id":1}',
            2,
            f"Invalid request: unknown variant of a wrong type, expected one of {METHODS} "
            f"at line 1 column 11",
        ),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["x"],"id":1}', 2, "Invalid request: too many parameters"),
        (
            '{"method":"GET_PROPERTY","params":["combined",true],"id":1}',
            2,
            "Invalid request: too many parameters",
        ),
        (
            '{"method":"SET_PROPERTY","params":["combined",true,1],"id":1}',
            2,
            "Invalid request: too many parameters",
        ),
        (
            '{"params":["btcusdt@trade"],"id":1}',
            2,
            "Invalid request: missing field `method` at line 1 column 35",
        ),
        (
            '{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}',
            2,
            "Invalid request: params must be an array",
        ),
        ('{"method":"SUBSCRIBE","params":[],"id":1}', 2, "Invalid request: invalid stream"),
        ('{"method":"SUBSCRIBE","params":["btcusdt"],"id":1}', 2, "Invalid request: invalid stream"),
        ('{"method":"SUBSCRIBE","params":["btcusdt@nothing"],"id":1}', 2, "Invalid request: invalid stream"),
        ('{"method":"SUBSCRIBE","params":["btc usdt@trade"],"id":1}', 2, "Invalid request: invalid stream"),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "Invalid request: invalid stream"),
        ("[]", 2, "Invalid request: invalid type, expected a map at line 1 column 2"),
        ("", 3, "Invalid JSON: expected value at line 1 column 1"),
        ("hello", 3, "Invalid JSON: expected value at line 1 column 1"),
        ('{"method":\n  ?}', 3, "Invalid JSON: expected value at line 2 column 3"),
        ("[" * 5000, 3, "Invalid JSON: expected value at line 1 column 5001"),
        (b"\xff\xfe", 3, "Invalid JSON: expected value at line 1 column 1"),
    ],
)
def test_everything_else_gets_the_documented_error(text: str | bytes, code: int, message: str) -> None:
    error = refused(text)
    assert (error.code, error.message) == (code, message)


def test_the_id_comes_back_with_an_error() -> None:
    assert refused('{"method":"SUBSCRIBE","params":[],"id":"x7"}').request_id == "x7"
    assert refused('{"params":[],"id":12}').request_id == 12


@pytest.mark.parametrize(
    ("error", "shape", "text"),
    [
        (RequestError(0, "Unknown property", 1), "flat", b'{"code":0,"msg":"Unknown property","id":1}'),
        (RequestError(3, "Invalid JSON"), "flat", b'{"code":3,"msg":"Invalid JSON"}'),
        (RequestError(2, "No", 2), "nested", b'{"error":{"code":2,"msg":"No"},"id":2}'),
        (RequestError(2, "No"), "nested", b'{"error":{"code":2,"msg":"No"},"id":null}'),
    ],
)
def test_errors_have_two_shapes(error: RequestError, shape: Any, text: bytes) -> None:
    assert encode_error(error, shape) == text


def test_results_look_as_documented() -> None:
    assert encode_result(None, 312) == b'{"result":null,"id":312}'
    assert encode_result(["btcusdt@aggTrade"], "a") == b'{"result":["btcusdt@aggTrade"],"id":"a"}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
MESSAGES = st.dictionaries(st.sampled_from(["method", "params", "id", "other"]), JSON).map(
    msgspec.json.encode
)


@given(st.binary() | st.text() | MESSAGES | JSON.map(msgspec.json.encode))
def test_whatever_is_sent_is_a_request_or_an_error(text: str | bytes) -> None:
    try:
        assert isinstance(parse_request(text), Request)
    except RequestError as error:
        reply = msgspec.json.decode(encode_error(error, "flat"))
        assert reply["code"] in (0, 1, 2, 3)


@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff\\ud800", "\\u0000"])
def test_half_a_surrogate_pair_is_no_trouble(escape: str) -> None:
    error = refused('{"method":"' + escape + '","id":1}')
    assert msgspec.json.decode(encode_error(error, "flat"))["code"] in (2, 3)
