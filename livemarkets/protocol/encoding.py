"""Encodes the server's messages of `/ws/markets`, protocol 1. No I/O.

Prices and sizes are JSON numbers with all digits of the exchange. Trades and snapshots are the hot path and
are composed from bytes; a test compares them with the types of :mod:`livemarkets.protocol.messages`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec
from msgspec import UNSET, UnsetType

from livemarkets.errors import ClientMessageError
from livemarkets.market.models import ExchangeStatus, Gap, Skipped, StreamKey, TradeTick
from livemarkets.protocol.messages import (
    PROTOCOL,
    ErrorMessage,
    GapMessage,
    Heartbeat,
    Lagged,
    Pong,
    RequestId,
    Snapshot,
    StatusMessage,
    Subscribed,
    Subscription,
    Subscriptions,
    SymbolResult,
    Unsubscribed,
    Welcome,
)
from livemarkets.protocol.requests import SubscribeRequest, UnsubscribeRequest

__all__ = [
    "encode_error",
    "encode_gap",
    "encode_heartbeat",
    "encode_lagged",
    "encode_list",
    "encode_pong",
    "encode_released",
    "encode_results",
    "encode_snapshots",
    "encode_status",
    "encode_tick",
    "encode_trade",
    "encode_welcome",
]

SNAPSHOT_TRADES = 500
"""The most trades of one `snapshot` message. A longer snapshot is sent as several messages."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def encode_welcome(
    client_id: str,
    server: str,
    heartbeat_seconds: float,
    exchanges: Mapping[str, str],
    channels: Iterable[str],
    limits: Mapping[str, int],
) -> bytes:
    """Encode the first message of every connection."""
    return _encode(
        Welcome(PROTOCOL, client_id, server, heartbeat_seconds, dict(exchanges), list(channels), dict(limits))
    )


def encode_results(
    kind: type[Subscribed] | type[Unsubscribed],
    request: SubscribeRequest | UnsubscribeRequest,
    results: Sequence[SymbolResult],
    subscriptions: Iterable[StreamKey],
) -> bytes:
    """Encode `subscribed` or `unsubscribed`: a result per symbol, and the present subscriptions."""
    return _encode(
        kind(
            id=_optional(request.id),
            exchange=request.exchange,
            channel=request.channel,
            interval=request.interval or UNSET,
            results=list(results),
            subscriptions=[
                key.symbol
                for key in subscriptions
                if (key.exchange, key.channel, key.parameter)
                == (request.exchange, request.channel, request.interval)
            ],
        )
    )


def encode_snapshots(key: StreamKey, ticks: Sequence[TradeTick]) -> list[bytes]:
    """Encode recent trades of a stream, oldest first, as one or more `snapshot` messages."""
    parts = [ticks[start : start + SNAPSHOT_TRADES] for start in range(0, len(ticks), SNAPSHOT_TRADES)] or [
        ()
    ]
    head = _encode(Snapshot(key.exchange, key.channel, key.symbol, []))[:-2]
    return [head + b",".join(map(encode_tick, part)) + b"]}" for part in parts]


def encode_released(key: StreamKey, parts: Sequence[TradeTick | Gap]) -> list[bytes]:
    """Encode trades and gaps in their order, as `snapshot` and `gap` messages."""
    payloads: list[bytes] = []
    for is_gap, run in groupby(parts, key=lambda part: isinstance(part, Gap)):
        if is_gap:
            payloads += [encode_gap(gap) for gap in run if isinstance(gap, Gap)]
        else:
            payloads += encode_snapshots(key, [tick for tick in run if isinstance(tick, TradeTick)])
    return payloads


def encode_trade(tick: TradeTick) -> bytes:
    """Encode a live trade. The hot path: it is encoded once for all readers."""
    return b'{"type":"trade",' + encode_tick(tick)[1:]


_BEFORE_SYMBOL = len('{"exchange":"simulator","symbol":"')
"""With a shorter name, the search begins a little behind the symbol; with a longer one, an E at the end of
the symbol costs a second encoding, and nothing else."""


def encode_tick(tick: TradeTick) -> bytes:
    """Encode a tick as a JSON object. Price and size are numbers with the exchange's digits."""
    encoded = _encode(tick)
    # A Decimal below 1e-6 is written as 1.0E-7. After the symbol, a capital E occurs nowhere else.
    if encoded.find(b"E", _BEFORE_SYMBOL + len(tick.symbol)) < 0:
        return encoded
    return _encode_plain(tick)


def _encode_plain(tick: TradeTick) -> bytes:
    fields = msgspec.to_builtins(tick, builtin_types=(type(tick.price),))
    for name in ("price", "size"):
        fields[name] = msgspec.Raw(f"{fields[name]:f}".encode())
    return _encode(fields)


def encode_gap(gap: Gap, complete_to: int | None = None) -> bytes:
    """Encode a gap. `to_id` below `from_id` means that the exchange restarted its numbering after `to_id`.

    Args:
        gap: the gap.
        complete_to: the id up to which nothing is open for the reader; `None` where that is the gap's
            `to_id`, as in order of ids.

    """
    key, from_id, to_id = gap.key, gap.from_id, gap.to_id
    complete_to = to_id if complete_to is None else complete_to
    return _encode(GapMessage(key.exchange, key.channel, key.symbol, from_id, to_id, gap.cause, complete_to))


def encode_lagged(key: StreamKey, skipped: Skipped) -> bytes:
    """Encode `lagged`: the trades that were skipped for a slow reader. The newest trade follows."""
    return _encode(
        Lagged(key.exchange, key.channel, key.symbol, skipped.count, skipped.first_id, skipped.last_id)
    )


def encode_status(status: ExchangeStatus) -> bytes:
    """Encode the status of an exchange."""
    return _encode(StatusMessage(status.exchange, status.state.value, status.reason, status.ts))


def encode_list(request_id: RequestId, subscriptions: Iterable[Subscription]) -> bytes:
    """Encode the subscriptions of a connection."""
    return _encode(Subscriptions(id=_optional(request_id), subscriptions=list(subscriptions)))


def encode_pong(request_id: RequestId, ts: int) -> bytes:
    """Encode the answer to a ping."""
    return _encode(Pong(id=_optional(request_id), ts=ts))


def encode_heartbeat(ts: int) -> bytes:
    """Encode a heartbeat, which is sent when nothing else was sent."""
    return _encode(Heartbeat(ts))


def encode_error(error: ClientMessageError) -> bytes:
    """Encode the error in a client's message."""
    return _encode(ErrorMessage(id=_optional(error.request_id), code=error.code, message=error.message))


def _optional(request_id: RequestId) -> int | str | UnsetType:
    return UNSET if request_id is None else request_id
