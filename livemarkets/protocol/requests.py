"""Parses the messages of `/ws/markets` clients into immutable requests. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from livemarkets.errors import ClientMessageError
from livemarkets.market.models import TRADES
from livemarkets.market.symbols import MAX_SYMBOL_LENGTH, normalise
from livemarkets.protocol.messages import CLIENT_MESSAGE_TYPES, RequestId

__all__ = [
    "ListRequest",
    "PingRequest",
    "RefusedName",
    "Request",
    "SubscribeRequest",
    "UnsubscribeRequest",
    "parse_request",
]

MODES = ("all", "latest")
ORDERS = ("id", "arrival")
DEFAULT_INTERVAL_MS = 250
_DELIVERY_FIELDS = frozenset({"snapshot", "mode", "interval_ms", "order", "levels", "after"})
"""Fields of `subscribe` that say how a stream is delivered. With one of them, the stream is started again."""
LEAST_INTERVAL_MS, MOST_INTERVAL_MS = 20, 60_000


class RefusedName(msgspec.Struct, frozen=True):
    """An entry that cannot be a symbol. It gets its own result; the other entries are processed."""

    shown: str
    """The entry, shortened."""
    reason: str
    """For the client's developer."""


class SubscribeRequest(msgspec.Struct, frozen=True):
    """A subscribe request."""

    id: RequestId
    exchange: str
    channel: str
    symbols: tuple[str | RefusedName, ...]
    """In the order of the message, without repeats."""
    snapshot: int
    after: dict[str, int]
    """Symbol → the last trade id that the client has. Those symbols are resumed."""
    interval_ms: int | None
    """At most one trade per symbol in this time, in `mode: latest`; `None` in `mode: all`."""
    order: str = "id"
    """One of :data:`ORDERS`: in order of ids, a trade behind a hole waits until the hole is closed."""
    quality: bool | None = None
    """Whether the client wants `quality` about these streams; `None` leaves it as it was."""
    is_quality_alone: bool = False
    """The message says nothing else about the streams. Those that are subscribed go on as they are; without
    any name, it is about all streams of the channel that are subscribed."""


class UnsubscribeRequest(msgspec.Struct, frozen=True):
    """An unsubscribe request."""

    id: RequestId
    exchange: str
    channel: str
    symbols: tuple[str | RefusedName, ...]


class ListRequest(msgspec.Struct, frozen=True):
    """A request for the subscriptions of this connection."""

    id: RequestId


class PingRequest(msgspec.Struct, frozen=True):
    """A request for a pong."""

    id: RequestId


Request = SubscribeRequest | UnsubscribeRequest | ListRequest | PingRequest


class _Streams(msgspec.Struct):
    """The fields of subscribe and unsubscribe messages. Unknown fields are ignored."""

    exchange: str
    channel: str
    symbol: str | None = None
    symbols: list[Any] | None = None
    snapshot: int = 1
    mode: str = "all"
    interval_ms: int = DEFAULT_INTERVAL_MS
    order: str = "id"
    after: dict[str, int] | None = None
    quality: bool | None = None


_decode = msgspec.json.Decoder().decode


def parse_request(raw: str | bytes, exchanges: Sequence[str], *, snapshot_limit: int) -> Request:
    """Parse a client's message.

    Args:
        raw: the frame's text.
        exchanges: the names of the offered exchanges.
        snapshot_limit: the largest allowed `snapshot`, in trades.

    Raises:
        ClientMessageError: the message is invalid. It has a code of
            :data:`livemarkets.protocol.messages.ERROR_CODES`, and the message's `id` if there is one.

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
    except msgspec.ValidationError as error:  # JSON, but with a number out of range
        raise ClientMessageError("invalid_message", str(error)) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ClientMessageError("invalid_json", str(error)) from None
    except RecursionError:
        raise ClientMessageError("invalid_json", "nested too deeply") from None
    if not isinstance(message, dict):
        raise ClientMessageError(
            "invalid_message", 'a message must be a JSON object, such as {"type":"ping"}'
        )
    return message


def _parse_id(value: object) -> RequestId:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and len(value) <= 64:
        return value
    raise ClientMessageError("invalid_message", "id must be an integer or a string of at most 64 characters")


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
            "unknown_type", f"type must be one of {', '.join(CLIENT_MESSAGE_TYPES)}, not {_quote(kind)}"
        )
    streams = _parse_streams(message, exchanges)
    is_quality_alone = (
        kind == "subscribe" and streams.quality is not None and not _DELIVERY_FIELDS & message.keys()
    )
    symbols = () if is_quality_alone and not _named(streams) else _parse_symbols(streams)
    if kind == "unsubscribe":
        return UnsubscribeRequest(request_id, streams.exchange, streams.channel, symbols)
    if not 0 <= streams.snapshot <= snapshot_limit:
        raise ClientMessageError(
            "invalid_message", f"snapshot must be 0 to {snapshot_limit}, not {_quote(str(streams.snapshot))}"
        )
    return SubscribeRequest(
        request_id,
        streams.exchange,
        streams.channel,
        symbols,
        streams.snapshot,
        _parse_after(streams),
        _parse_mode(streams),
        order=_parse_order(streams),
        quality=streams.quality,
        is_quality_alone=is_quality_alone,
    )


def _parse_streams(message: dict[str, Any], exchanges: Sequence[str]) -> _Streams:
    try:
        streams = msgspec.convert(message, _Streams)
    except msgspec.ValidationError as error:
        raise ClientMessageError("invalid_message", str(error)) from None
    if streams.exchange not in exchanges:
        raise ClientMessageError(
            "unknown_exchange",
            f"exchange must be one of {', '.join(exchanges)}, not {_quote(streams.exchange)}",
        )
    if streams.channel != TRADES:
        raise ClientMessageError(
            "unknown_channel", f"channel must be {TRADES}, not {_quote(streams.channel)}"
        )
    return streams


def _named(streams: _Streams) -> list[Any]:
    named = list(streams.symbols or ())
    if streams.symbol is not None:
        named.insert(0, streams.symbol)
    return named


def _parse_symbols(streams: _Streams) -> tuple[str | RefusedName, ...]:
    named = _named(streams)
    if not named:
        raise ClientMessageError("invalid_message", "symbol or symbols is missing, or symbols is empty")
    return tuple(dict.fromkeys(map(_parse_symbol, named)))


def _parse_symbol(value: object) -> str | RefusedName:
    """Parse one entry. Misspelt symbols such as BTC/USDT pass: the list of symbols is not known here."""
    if isinstance(value, (list, dict)):
        return RefusedName("[…]" if isinstance(value, list) else "{…}", "a symbol must be a string")
    if not isinstance(value, str):
        return RefusedName(_cut(msgspec.json.encode(value).decode()), "a symbol must be a string")
    symbol = normalise(value)
    if not symbol:
        return RefusedName("", "a symbol must not be empty")
    if len(symbol) > MAX_SYMBOL_LENGTH:
        return RefusedName(_cut(symbol), f"a symbol must have at most {MAX_SYMBOL_LENGTH} characters")
    return symbol


def _parse_mode(streams: _Streams) -> int | None:
    if streams.mode not in MODES:
        raise ClientMessageError(
            "invalid_message", f"mode must be one of {', '.join(MODES)}, not {_quote(streams.mode)}"
        )
    if not LEAST_INTERVAL_MS <= streams.interval_ms <= MOST_INTERVAL_MS:
        raise ClientMessageError(
            "invalid_message", f"interval_ms must be {LEAST_INTERVAL_MS} to {MOST_INTERVAL_MS}"
        )
    return streams.interval_ms if streams.mode == "latest" else None


def _parse_order(streams: _Streams) -> str:
    if streams.order not in ORDERS:
        raise ClientMessageError(
            "invalid_message", f"order must be one of {', '.join(ORDERS)}, not {_quote(streams.order)}"
        )
    return streams.order


def _parse_after(streams: _Streams) -> dict[str, int]:
    after = {normalise(symbol): trade_id for symbol, trade_id in (streams.after or {}).items()}
    named = {normalise(symbol) for symbol in _named(streams) if isinstance(symbol, str)}
    for symbol, trade_id in after.items():
        if symbol not in named:
            raise ClientMessageError(
                "invalid_message", f"after names {_quote(symbol)}, which is not a symbol of this message"
            )
        if trade_id < 0:
            raise ClientMessageError(
                "invalid_message", f"after must hold trade ids, not {_quote(str(trade_id))}"
            )
    return after


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SYMBOL_LENGTH else text[:MAX_SYMBOL_LENGTH] + "…"


def _quote(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "…")
