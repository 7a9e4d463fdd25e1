"""The messages of `/ws/markets`, protocol 1: parse, validate, encode. No I/O.

Every message is one JSON object in one text frame. `docs/ws-markets.md` is its manual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from livemarkets.errors import ClientMessageError
from livemarkets.models import TRADES, ExchangeStatus, Gap, StreamKey, TradeTick
from livemarkets.symbols import normalise

__all__ = [
    "CLIENT_MESSAGE_TYPES",
    "CLOSE_CODES",
    "ERROR_CODES",
    "PROTOCOL",
    "SERVER_MESSAGE_TYPES",
    "ListRequest",
    "PingRequest",
    "Request",
    "SubscribeRequest",
    "UnsubscribeRequest",
    "encode_error",
    "encode_gap",
    "encode_heartbeat",
    "encode_list",
    "encode_pong",
    "encode_results",
    "encode_snapshots",
    "encode_status",
    "encode_trade",
    "encode_welcome",
    "parse_request",
]

PROTOCOL = 1
SNAPSHOT_TRADES = 500
"""A longer snapshot is sent as several messages."""

CLIENT_MESSAGE_TYPES = ("subscribe", "unsubscribe", "list", "ping")
SERVER_MESSAGE_TYPES = (
    "welcome",
    "subscribed",
    "snapshot",
    "trade",
    "status",
    "gap",
    "unsubscribed",
    "subscriptions",
    "pong",
    "heartbeat",
    "error",
)
ERROR_CODES = {
    "invalid_json": "the frame is not JSON",
    "invalid_message": "it is JSON, but not a message of this protocol",
    "unknown_type": "the type is not one that a client may send",
    "unknown_exchange": "there is no such exchange here",
    "unknown_channel": "there is no such channel",
    "unknown_symbol": "the exchange does not list this symbol",
    "symbol_limit": "more symbols than one client may subscribe; nothing was changed",
    "rate_limited": "more messages than a client may send; this one was ignored",
    "message_too_big": "longer than a client's message may be; it was ignored",
    "internal": "our own defect; the connection goes on",
}
CLOSE_CODES = {
    1000: "normal",
    1008: "policy: the client floods",
    1009: "message too big",
    1012: "restarting: reconnect",
    1013: "too slow: reconnect later",
}

RequestId = int | str | None


class SubscribeRequest(msgspec.Struct, frozen=True):
    """Wish for the trades of some symbols."""

    id: RequestId
    exchange: str
    symbols: tuple[str, ...]
    snapshot: int


class UnsubscribeRequest(msgspec.Struct, frozen=True):
    """The end of that wish."""

    id: RequestId
    exchange: str
    symbols: tuple[str, ...]


class ListRequest(msgspec.Struct, frozen=True):
    """Ask what this connection is subscribed to."""

    id: RequestId


class PingRequest(msgspec.Struct, frozen=True):
    """Ask for a sign of life."""

    id: RequestId


Request = SubscribeRequest | UnsubscribeRequest | ListRequest | PingRequest


class _Streams(msgspec.Struct):
    """The fields of subscribe and unsubscribe, as they stand on the wire. Unknown ones are ignored."""

    exchange: str
    channel: str
    symbol: str | None = None
    symbols: list[str] | None = None
    snapshot: int = 1
    mode: str = "all"


_decode = msgspec.json.Decoder().decode
_encoder = msgspec.json.Encoder(decimal_format="number")
_encode = _encoder.encode


def parse_request(raw: str | bytes, exchanges: Sequence[str], *, snapshot_limit: int) -> Request:
    """Read a client's message.

    Args:
        raw: the frame's text.
        exchanges: the exchanges that exist here.
        snapshot_limit: the largest `snapshot` allowed, in trades.

    Raises:
        ClientMessageError: with a code of :data:`ERROR_CODES`, and the message's `id` where it had one.

    """
    message = _parse_object(raw)
    request_id = _parse_id(message.get("id"))
    try:
        return _parse_message(message, request_id, exchanges, snapshot_limit)
    except ClientMessageError as error:
        error.request_id = request_id
        raise


def _parse_object(raw: str | bytes) -> dict[str, Any]:
    try:
        message = _decode(raw)
    except msgspec.ValidationError as error:  # JSON, but a number beyond all reason
        raise ClientMessageError("invalid_message", str(error)) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ClientMessageError("invalid_json", str(error)) from None
    except RecursionError:
        raise ClientMessageError("invalid_json", "nested too deeply") from None
    if not isinstance(message, dict):
        raise ClientMessageError("invalid_message", 'a message is a JSON object, such as {"type":"ping"}')
    return message


def _parse_id(value: object) -> RequestId:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and len(value) <= 64:
        return value
    raise ClientMessageError("invalid_message", "id is an integer or a string of at most 64 characters")


def _parse_message(
    message: dict[str, Any], request_id: RequestId, exchanges: Sequence[str], snapshot_limit: int
) -> Request:
    kind = message.get("type")
    if kind == "ping":
        return PingRequest(request_id)
    if kind == "list":
        return ListRequest(request_id)
    if kind not in CLIENT_MESSAGE_TYPES:
        if not isinstance(kind, str):
            raise ClientMessageError("invalid_message", "type is missing or not a string")
        raise ClientMessageError(
            "unknown_type", f"type is one of {', '.join(CLIENT_MESSAGE_TYPES)}, not {_quote(kind)}"
        )
    streams = _parse_streams(message, exchanges)
    symbols = _parse_symbols(streams)
    if kind == "unsubscribe":
        return UnsubscribeRequest(request_id, streams.exchange, symbols)
    if not 0 <= streams.snapshot <= snapshot_limit:
        raise ClientMessageError(
            "invalid_message", f"snapshot is 0 to {snapshot_limit}, not {streams.snapshot}"
        )
    _refuse_later_features(message, streams)
    return SubscribeRequest(request_id, streams.exchange, symbols, streams.snapshot)


def _parse_streams(message: dict[str, Any], exchanges: Sequence[str]) -> _Streams:
    try:
        streams = msgspec.convert(message, _Streams)
    except msgspec.ValidationError as error:
        raise ClientMessageError("invalid_message", str(error)) from None
    if streams.exchange not in exchanges:
        raise ClientMessageError(
            "unknown_exchange", f"exchange is one of {', '.join(exchanges)}, not {_quote(streams.exchange)}"
        )
    if streams.channel != TRADES:
        raise ClientMessageError("unknown_channel", f"channel is {TRADES}, not {_quote(streams.channel)}")
    return streams


def _parse_symbols(streams: _Streams) -> tuple[str, ...]:
    named = list(streams.symbols or ())
    if streams.symbol is not None:
        named.insert(0, streams.symbol)
    if not named:
        raise ClientMessageError("invalid_message", "symbol or symbols is missing, or symbols is empty")
    symbols = tuple(dict.fromkeys(normalise(symbol) for symbol in named))
    for symbol in symbols:
        if not _could_be_symbol(symbol):
            raise ClientMessageError(
                "unknown_symbol",
                f"{_quote(symbol)} cannot be a symbol: those are letters and digits, such as BTCUSDT",
            )
    return symbols


def _could_be_symbol(symbol: str) -> bool:
    """Let misspellings through, such as BTC/USDT: they get a verdict of their own, with a suggestion."""
    return 0 < len(symbol) <= 30 and symbol.isascii() and symbol.translate(_SEPARATORS).isalnum()


_SEPARATORS = str.maketrans("", "", "/-_:. ")


def _refuse_later_features(message: dict[str, Any], streams: _Streams) -> None:
    if streams.mode != "all":
        raise ClientMessageError("invalid_message", f"mode is all, not {_quote(streams.mode)}")
    if message.get("after") is not None:
        raise ClientMessageError("invalid_message", "after is not supported by this server yet")


def _quote(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "…")


# what the server says


def encode_welcome(
    client_id: str,
    server: str,
    heartbeat_seconds: float,
    exchanges: Mapping[str, str],
    limits: Mapping[str, int],
) -> bytes:
    """Return the first message of every connection."""
    return _encode(
        {
            "type": "welcome",
            "protocol": PROTOCOL,
            "client_id": client_id,
            "server": server,
            "heartbeat_seconds": heartbeat_seconds,
            "exchanges": exchanges,
            "limits": limits,
        }
    )


def encode_results(
    kind: Literal["subscribed", "unsubscribed"],
    request: SubscribeRequest | UnsubscribeRequest,
    results: Sequence[Mapping[str, Any]],
    subscriptions: Iterable[StreamKey],
) -> bytes:
    """Return the verdict on every symbol of a request, and what is subscribed now on that exchange."""
    return _encode(
        {
            "type": kind,
            **_with_id(request.id),
            "exchange": request.exchange,
            "channel": TRADES,
            "results": results,
            "subscriptions": [key.symbol for key in subscriptions if key.exchange == request.exchange],
        }
    )


def encode_snapshots(key: StreamKey, ticks: Sequence[TradeTick]) -> list[bytes]:
    """Return the recent trades of a stream, oldest first, as one message or, when long, several."""
    parts = [ticks[start : start + SNAPSHOT_TRADES] for start in range(0, len(ticks), SNAPSHOT_TRADES)] or [
        ()
    ]
    head = b'{"type":"snapshot",' + _encode(key._asdict())[1:-1] + b',"data":['
    return [head + b",".join(map(encode_tick, part)) + b"]}" for part in parts]


def encode_trade(tick: TradeTick) -> bytes:
    """Return a live trade. The hot path: encoded once, sent to everybody."""
    return b'{"type":"trade",' + encode_tick(tick)[1:]


def encode_tick(tick: TradeTick) -> bytes:
    """Return a tick as a JSON object whose price and size are numbers with the exchange's digits."""
    encoded = _encode(tick)
    if (
        b"E-" in encoded or b"E+" in encoded
    ):  # a Decimal below 1e-6 prints as 1.0E-7; symbols have no sign in them
        return _encode_plain(tick)
    return encoded


def _encode_plain(tick: TradeTick) -> bytes:
    fields = msgspec.to_builtins(tick, builtin_types=(type(tick.price),))
    for name in ("price", "size"):
        fields[name] = msgspec.Raw(f"{fields[name]:f}".encode())
    return _encode(fields)


def encode_gap(gap: Gap) -> bytes:
    """Return a declared hole. `to_id` below `from_id` says that the exchange numbers anew after `to_id`."""
    return _encode(
        {
            "type": "gap",
            **gap.key._asdict(),
            "from_id": gap.from_id,
            "to_id": gap.to_id,
            "cause": gap.cause,
        }
    )


def encode_status(status: ExchangeStatus) -> bytes:
    """Return how an exchange is."""
    return _encode(
        {
            "type": "status",
            "exchange": status.exchange,
            "state": status.state.value,
            "reason": status.reason,
            "ts": status.ts,
        }
    )


def encode_list(request_id: RequestId, subscriptions: Iterable[tuple[StreamKey, int | None]]) -> bytes:
    """Return all that a connection is subscribed to, with the last trade id of each stream."""
    return _encode(
        {
            "type": "subscriptions",
            **_with_id(request_id),
            "subscriptions": [
                {**key._asdict(), "mode": "all", "last_id": last_id} for key, last_id in subscriptions
            ],
        }
    )


def encode_pong(request_id: RequestId, ts: int) -> bytes:
    """Return the answer to a ping."""
    return _encode({"type": "pong", **_with_id(request_id), "ts": ts})


def encode_heartbeat(ts: int) -> bytes:
    """Return what is sent when nothing else was."""
    return _encode({"type": "heartbeat", "ts": ts})


def encode_error(error: ClientMessageError) -> bytes:
    """Return what was wrong with a client's message."""
    return _encode(
        {"type": "error", **_with_id(error.request_id), "code": error.code, "message": error.message}
    )


def _with_id(request_id: RequestId) -> dict[str, int | str]:
    return {} if request_id is None else {"id": request_id}
