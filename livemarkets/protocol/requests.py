"""Parses the messages of `/ws/markets` clients into immutable requests. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from livemarkets.errors import ClientMessageError
from livemarkets.market.channels import (
    ALL_SYMBOLS,
    CANDLE_INTERVALS,
    CANDLES,
    CHANNELS,
    DEPTH,
    DEPTH_LEVELS,
    MOST_PAST_CANDLES,
    TICKERS,
    TRADES,
)
from livemarkets.market.symbols import MAX_SYMBOL_LENGTH, normalise
from livemarkets.protocol.dialects import right_message
from livemarkets.protocol.fields import (
    invalid,
    quote,
    read_choice,
    read_flag,
    read_integer,
    read_list,
    read_numbers,
    show,
)
from livemarkets.protocol.messages import CLIENT_MESSAGE_TYPES, MODES, ORDERS, RequestId

__all__ = [
    "ListRequest",
    "PingRequest",
    "RefusedName",
    "Request",
    "SubscribeRequest",
    "UnsubscribeRequest",
    "parse_request",
]

DEFAULT_INTERVAL_MS = 250
DEFAULT_LEVELS = 20
_DELIVERY_FIELDS = frozenset({"snapshot", "mode", "interval_ms", "order", "levels", "after"})
"""Fields of `subscribe` that say how a stream is delivered. With one of them, the stream is started again."""
_FIELDS_OF = {"order": (TRADES,), "after": (TRADES, CANDLES), "levels": (DEPTH,), "interval": (CANDLES,)}
"""Fields of `subscribe` that only some channels have."""
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
    """In the order of the message, without repeats. In the channel `tickers`, `*` is a name too."""
    snapshot: int
    """How many past trades or candles come first. Elsewhere: whether the newest update comes first."""
    after: dict[str, int]
    """Symbol → the last trade id that the client has, or the open time of the last closed candle. Those
    symbols are resumed."""
    interval_ms: int | None
    """At most one message per symbol in this time, in `mode: latest`; `None` in `mode: all`."""
    order: str = "id"
    """One of :data:`ORDERS`: in order of ids, a trade behind a hole waits until the hole is closed."""
    quality: bool | None = None
    """Whether the client wants `quality` about these streams; `None` leaves it as it was."""
    is_quality_alone: bool = False
    """The message says nothing else about the streams. Those that are subscribed go on as they are; without
    any name, it is about all streams of the channel that are subscribed."""
    levels: int = DEFAULT_LEVELS
    """In the channel `depth`: how many price levels of each side."""
    interval: str | None = None
    """In the channel `candles`: a part of the name of each stream."""


class UnsubscribeRequest(msgspec.Struct, frozen=True):
    """An unsubscribe request."""

    id: RequestId
    exchange: str
    channel: str
    symbols: tuple[str | RefusedName, ...]
    interval: str | None = None


class ListRequest(msgspec.Struct, frozen=True):
    """A request for the subscriptions of this connection."""

    id: RequestId


class PingRequest(msgspec.Struct, frozen=True):
    """A request for a pong."""

    id: RequestId


Request = SubscribeRequest | UnsubscribeRequest | ListRequest | PingRequest


_decode = msgspec.json.Decoder().decode
_BYTE = re.compile(r"\(byte ([0-9]+)\)$")


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
    except msgspec.ValidationError:
        raise invalid("a number is out of range") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ClientMessageError("invalid_json", _why_not_json(error)) from None
    if not isinstance(message, dict):
        raise invalid('a message must be a JSON object, such as {"type":"ping"}')
    return message


def _why_not_json(error: Exception) -> str:
    """Return what is wrong in our own words. Those of the library may change, and name its internals."""
    if isinstance(error, UnicodeError):
        return "the message is not UTF-8"
    if isinstance(error, RecursionError):
        return "the message is nested too deeply"
    place = _BYTE.search(str(error))
    where = f"it is malformed at byte {place[1]}" if place else "it ends too early"
    return f"the message is not JSON: {where}"


def _parse_id(value: object) -> RequestId:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and len(value) <= 64:
        return value
    raise invalid("id must be a whole number or a string of at most 64 characters")


def _parse_message(
    message: dict[str, Any], request_id: RequestId, exchanges: Sequence[str], snapshot_limit: int
) -> Request:
    kind = message.get("type")
    if not isinstance(kind, str):
        raise invalid(
            f"type must be one of {', '.join(CLIENT_MESSAGE_TYPES)}"
            f"{', not ' + show(kind) if 'type' in message else ''}; "
            f"send instead {right_message(message, exchanges)}"
        )
    kind = read_choice(message, "type", CLIENT_MESSAGE_TYPES, "", code="unknown_type")
    if kind == "ping":
        return PingRequest(request_id)
    if kind == "list":
        return ListRequest(request_id)
    for name in ("exchange", "channel"):
        if name not in message:
            raise invalid(f"{name} is missing; send instead {right_message(message, exchanges)}")
    exchange = read_choice(message, "exchange", exchanges, "", code="unknown_exchange")
    channel = read_choice(message, "channel", CHANNELS, "", code="unknown_channel")
    quality, named = read_flag(message, "quality"), _named(message)
    is_quality_alone = kind == "subscribe" and quality is not None and not _DELIVERY_FIELDS & message.keys()
    if not named and not is_quality_alone:
        raise invalid(
            "symbol or symbols is missing, or symbols is empty; "
            f"send instead {right_message(message, exchanges)}"
        )
    symbols = tuple(dict.fromkeys(_parse_symbol(entry, channel) for entry in named))
    interval = _parse_interval(message) if channel == CANDLES else None
    if kind == "unsubscribe":
        return UnsubscribeRequest(request_id, exchange, channel, symbols, interval)
    for name, channels in _FIELDS_OF.items():
        if message.get(name) is not None and channel not in channels:
            theirs = f"the channel{'s' * (len(channels) > 1)} {' and '.join(channels)}"
            raise invalid(f"{name} is a field of {theirs}, not of {channel}")
    return SubscribeRequest(
        request_id,
        exchange,
        channel,
        symbols,
        read_integer(message, "snapshot", 0, MOST_PAST_CANDLES if interval else snapshot_limit, 1),
        _parse_after(message, named, "open_ts" if interval else "trade id"),
        _parse_mode(message),
        order=read_choice(message, "order", ORDERS, "id"),
        quality=quality,
        is_quality_alone=is_quality_alone,
        levels=_parse_levels(message),
        interval=interval,
    )


def _named(message: dict[str, Any]) -> list[Any]:
    """Return the entries of `symbol` and `symbols`, whatever they are. `"symbols":"*"` is one entry."""
    named = [ALL_SYMBOLS] if message.get("symbols") == ALL_SYMBOLS else read_list(message, "symbols")
    return named if message.get("symbol") is None else [message["symbol"], *named]


def _parse_symbol(value: object, channel: str) -> str | RefusedName:
    """Parse one entry. Misspelt symbols such as BTC/USDT pass: the list of symbols is not known here."""
    if isinstance(value, (list, dict)):
        return RefusedName("[…]" if isinstance(value, list) else "{…}", "a symbol must be a string")
    if not isinstance(value, str):
        return RefusedName(_cut(msgspec.json.encode(value).decode()), "a symbol must be a string")
    symbol = normalise(value)
    if not symbol:
        return RefusedName("", "a symbol must not be empty")
    if symbol == ALL_SYMBOLS and channel != TICKERS:
        return RefusedName(symbol, f"only the channel {TICKERS} has all symbols under one name")
    if len(symbol) > MAX_SYMBOL_LENGTH:
        return RefusedName(_cut(symbol), f"a symbol must have at most {MAX_SYMBOL_LENGTH} characters")
    return symbol


def _parse_mode(message: dict[str, Any]) -> int | None:
    mode = read_choice(message, "mode", MODES, "all")
    interval_ms = read_integer(
        message, "interval_ms", LEAST_INTERVAL_MS, MOST_INTERVAL_MS, DEFAULT_INTERVAL_MS
    )
    return interval_ms if mode == "latest" else None


def _parse_levels(message: dict[str, Any]) -> int:
    levels = message.get("levels")
    if levels is None:
        return DEFAULT_LEVELS
    if isinstance(levels, bool) or levels not in DEPTH_LEVELS:
        raise invalid(f"levels must be one of {', '.join(map(str, DEPTH_LEVELS))}, not {show(levels)}")
    return int(levels)


def _parse_interval(message: dict[str, Any]) -> str:
    """Return the interval of candles. Its case counts: `1m` is a minute, `1M` a month."""
    interval = message.get("interval")
    if interval is None:
        raise invalid(f"interval is missing: one of {', '.join(CANDLE_INTERVALS)}")
    if not isinstance(interval, str) or interval not in CANDLE_INTERVALS:
        raise invalid(f"interval must be one of {', '.join(CANDLE_INTERVALS)}, not {show(interval)}")
    return interval


def _parse_after(message: dict[str, Any], named: Sequence[Any], what: str) -> dict[str, int]:
    after = {normalise(symbol): number for symbol, number in read_numbers(message, "after", what).items()}
    names = {normalise(symbol) for symbol in named if isinstance(symbol, str)}
    for symbol in after:
        if symbol not in names:
            raise invalid(f"after names {quote(symbol)}, which is not a symbol of this message")
    return after


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SYMBOL_LENGTH else text[:MAX_SYMBOL_LENGTH] + "…"
