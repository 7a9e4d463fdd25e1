"""Control messages of the market streams: parses requests, encodes replies. No I/O.

Source: web-socket-streams.md, Live Subscribing/Unsubscribing to streams.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from livemarkets.simulator.market.streams import is_well_formed

__all__ = ["ErrorShape", "Request", "RequestError", "encode_error", "encode_result", "parse_request"]

ErrorShape = Literal["flat", "nested"]
"""`flat`: `{"code":…,"msg":…,"id":…}`, as documented. `nested`: `{"error":{…},"id":…}`, as observed."""

RequestId = int | str | None

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID = re.compile(r"[0-9A-Za-z-]{1,36}")
"""The documents say "alphanumeric strings; max length 36". Binance's own client sends UUIDs, with dashes."""


class Request(msgspec.Struct, frozen=True):
    """A valid control message.

    Args:
        method: one of the five methods.
        id: repeated in the reply.
        streams: the streams of SUBSCRIBE and UNSUBSCRIBE.
        combined: the value of SET_PROPERTY.

    """

    method: str
    id: RequestId
    streams: Sequence[str] = ()
    combined: bool = False


class RequestError(Exception):
    """A control message is invalid and gets an error reply.

    Args:
        code: Binance's error code.
        message: Binance's text.
        request_id: the id for the reply; `None` also when none could be read.

    """

    def __init__(self, code: int, message: str, request_id: RequestId = None) -> None:
        self.code = code
        self.message = message
        self.request_id = request_id
        super().__init__(message)


def parse_request(text: str | bytes) -> Request:
    """Parse one control message.

    Raises:
        RequestError: the message is invalid. It has the code and text of the documented reply.

    """
    message = _decode(text)
    size = len(text)
    if not isinstance(message, dict):
        raise RequestError(2, f"Invalid request: invalid type, expected a map at line 1 column {size}")
    request_id = _id_of(message)
    if "method" not in message:
        raise RequestError(2, f"Invalid request: missing field `method` at line 1 column {size}", request_id)
    method = message["method"]
    if not isinstance(method, str) or method not in _METHODS:
        names = ", ".join(f"`{name}`" for name in _METHODS)
        column = _column_after(text, method)
        raise RequestError(
            2,
            f"Invalid request: unknown variant {_shown(method)}, expected one of {names} "
            f"at line 1 column {column}",
            request_id,
        )
    return _with_parameters(method, request_id, message.get("params"))


def encode_result(result: Any, request_id: RequestId) -> bytes:
    """Encode the reply to a successful request."""
    return msgspec.json.encode({"result": result, "id": request_id})


def encode_error(error: RequestError, shape: ErrorShape) -> bytes:
    """Encode an error reply. In the flat shape, an unknown id is left out."""
    inner: dict[str, Any] = {"code": error.code, "msg": error.message}
    if shape == "nested":
        return msgspec.json.encode({"error": inner, "id": error.request_id})
    if error.request_id is not None:
        inner["id"] = error.request_id
    return msgspec.json.encode(inner)


def _decode(text: str | bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        line, column = _position_of_the_error(text)
        raise RequestError(3, f"Invalid JSON: expected value at line {line} column {column}") from None


def _position_of_the_error(text: str | bytes) -> tuple[int, int]:
    at = len(text)
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        words = str(error).rstrip(")").split()
        if words and words[-1].isdigit():
            at = int(words[-1])
    before = text.encode()[:at] if isinstance(text, str) else text[:at]
    return before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1


def _id_of(message: dict[str, Any]) -> RequestId:
    value = message.get("id", msgspec.UNSET)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise RequestError(2, "Invalid request: request ID must be an unsigned integer")


def _with_parameters(method: str, request_id: RequestId, params: Any) -> Request:
    if method == "LIST_SUBSCRIPTIONS":
        if params:
            raise RequestError(2, "Invalid request: too many parameters", request_id)
        return Request(method, request_id)
    if not isinstance(params, list):
        raise RequestError(2, "Invalid request: params must be an array", request_id)
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        return Request(method, request_id, _streams(params, request_id))
    return _property(method, request_id, params)


def _streams(params: list[Any], request_id: RequestId) -> tuple[str, ...]:
    if not params or not all(isinstance(name, str) and is_well_formed(name) for name in params):
        raise RequestError(2, "Invalid request: invalid stream", request_id)
    return tuple(params)


def _property(method: str, request_id: RequestId, params: list[Any]) -> Request:
    if not params or not isinstance(params[0], str):
        raise RequestError(2, "Invalid request: property name must be a string", request_id)
    if len(params) > (2 if method == "SET_PROPERTY" else 1):
        raise RequestError(2, "Invalid request: too many parameters", request_id)
    if params[0] != "combined":
        raise RequestError(0, "Unknown property", request_id)
    if method == "GET_PROPERTY":
        return Request(method, request_id)
    if len(params) < 2 or not isinstance(params[1], bool):
        raise RequestError(1, "Invalid value type: expected Boolean", request_id)
    return Request(method, request_id, combined=params[1])


def _shown(method: Any) -> str:
    return f"`{method[:64]}`" if isinstance(method, str) else "of a wrong type"


def _column_after(text: str | bytes, method: Any) -> int:
    data = text.encode(errors="replace") if isinstance(text, str) else text
    needle = msgspec.json.encode(method)
    at = data.find(needle)
    return at + len(needle) if at >= 0 else len(data)
