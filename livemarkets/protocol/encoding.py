"""What the server says on `/ws/markets`, protocol 1, as bytes. No I/O.

Prices and sizes are JSON numbers with every digit of the exchange's. Trades and snapshots, the hot path, are
put together by hand; a test holds them equal to the types of :mod:`livemarkets.protocol.messages`.
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
"""A longer snapshot is sent as several messages."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def encode_welcome(
    client_id: str,
    server: str,
    heartbeat_seconds: float,
    exchanges: Mapping[str, str],
    limits: Mapping[str, int],
) -> bytes:
    """Return the first message of every connection."""
    return _encode(Welcome(PROTOCOL, client_id, server, heartbeat_seconds, dict(exchanges), dict(limits)))


def encode_results(
    kind: type[Subscribed] | type[Unsubscribed],
    request: SubscribeRequest | UnsubscribeRequest,
    results: Sequence[SymbolResult],
    subscriptions: Iterable[StreamKey],
) -> bytes:
    """Return the verdict on every symbol of a request, and what is held now on that exchange and channel."""
    return _encode(
        kind(
            id=_optional(request.id),
            exchange=request.exchange,
            channel=request.channel,
            results=list(results),
            subscriptions=[
                key.symbol
                for key in subscriptions
                if (key.exchange, key.channel) == (request.exchange, request.channel)
            ],
        )
    )


def encode_snapshots(key: StreamKey, ticks: Sequence[TradeTick]) -> list[bytes]:
    """Return the recent trades of a stream, oldest first, as one message or, when long, several."""
    parts = [ticks[start : start + SNAPSHOT_TRADES] for start in range(0, len(ticks), SNAPSHOT_TRADES)] or [
        ()
    ]
    head = _encode(Snapshot(key.exchange, key.channel, key.symbol, []))[:-2]
    return [head + b",".join(map(encode_tick, part)) + b"]}" for part in parts]


def encode_released(key: StreamKey, parts: Sequence[TradeTick | Gap]) -> list[bytes]:
    """Return trades and declared holes in their order, as snapshots with gaps between them."""
    payloads: list[bytes] = []
    for is_gap, run in groupby(parts, key=lambda part: isinstance(part, Gap)):
        if is_gap:
            payloads += [encode_gap(gap) for gap in run if isinstance(gap, Gap)]
        else:
            payloads += encode_snapshots(key, [tick for tick in run if isinstance(tick, TradeTick)])
    return payloads


def encode_trade(tick: TradeTick) -> bytes:
    """Return a live trade. The hot path: encoded once, sent to everybody."""
    return b'{"type":"trade",' + encode_tick(tick)[1:]


_BEFORE_SYMBOL = len('{"exchange":"simulator","symbol":"')
"""With a shorter name, the search begins a little behind the symbol; with a longer one, an E at the end of
the symbol costs a second encoding, and nothing else."""


def encode_tick(tick: TradeTick) -> bytes:
    """Return a tick as a JSON object whose price and size are numbers with the exchange's digits."""
    encoded = _encode(tick)
    # A Decimal below 1e-6 prints as 1.0E-7. Behind the symbol, no capital E stands anywhere else.
    if encoded.find(b"E", _BEFORE_SYMBOL + len(tick.symbol)) < 0:
        return encoded
    return _encode_plain(tick)


def _encode_plain(tick: TradeTick) -> bytes:
    fields = msgspec.to_builtins(tick, builtin_types=(type(tick.price),))
    for name in ("price", "size"):
        fields[name] = msgspec.Raw(f"{fields[name]:f}".encode())
    return _encode(fields)


def encode_gap(gap: Gap) -> bytes:
    """Return a declared hole. `to_id` below `from_id` says that the exchange numbers anew after `to_id`."""
    key = gap.key
    return _encode(GapMessage(key.exchange, key.channel, key.symbol, gap.from_id, gap.to_id, gap.cause))


def encode_lagged(key: StreamKey, skipped: Skipped) -> bytes:
    """Return what a reader that was too slow was not sent: the newest trade follows."""
    return _encode(
        Lagged(key.exchange, key.channel, key.symbol, skipped.count, skipped.first_id, skipped.last_id)
    )


def encode_status(status: ExchangeStatus) -> bytes:
    """Return how an exchange is."""
    return _encode(StatusMessage(status.exchange, status.state.value, status.reason, status.ts))


def encode_list(request_id: RequestId, subscriptions: Iterable[tuple[StreamKey, str, int | None]]) -> bytes:
    """Return all that a connection is subscribed to, with the mode and the last trade id of each stream."""
    held = [
        Subscription(key.exchange, key.channel, key.symbol, mode, last_id)
        for key, mode, last_id in subscriptions
    ]
    return _encode(Subscriptions(id=_optional(request_id), subscriptions=held))


def encode_pong(request_id: RequestId, ts: int) -> bytes:
    """Return the answer to a ping."""
    return _encode(Pong(id=_optional(request_id), ts=ts))


def encode_heartbeat(ts: int) -> bytes:
    """Return what is sent when nothing else was."""
    return _encode(Heartbeat(ts))


def encode_error(error: ClientMessageError) -> bytes:
    """Return what was wrong with a client's message."""
    return _encode(ErrorMessage(id=_optional(error.request_id), code=error.code, message=error.message))


def _optional(request_id: RequestId) -> int | str | UnsetType:
    return UNSET if request_id is None else request_id
