"""The messages of the bus: MessagePack, as arrays. `docs/cluster.md` describes each. No I/O.

The version is in every subject, and stands first in every message. Whoever reads another version ignores the
message. A field may be added at the end of a message; readers ignore what they do not know.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

from livemarkets.market.models import ExchangeName, Side, StreamKey, TradeTick

__all__ = [
    "VERSION",
    "AskWants",
    "Batch",
    "Beat",
    "ExchangeBeat",
    "Name",
    "StreamRow",
    "Streams",
    "TradeRow",
    "Wants",
    "decode",
    "encode",
    "key_of",
    "name_of",
    "row_of",
    "tick_of",
]

VERSION = 1

T = TypeVar("T")

Name = tuple[str, str, str, str | None]
"""The name of a stream: exchange, channel, symbol, and the channel's parameter."""

TradeRow = tuple[int, Decimal, Decimal, Side, int, int, bool]
"""A trade: id, price, size, side, when it was executed and when the ingest read it (ms since the epoch), and
whether it was fetched over REST."""


class Batch(msgspec.Struct, Generic[T], array_like=True, frozen=True, gc=False):
    """What one turn of an ingest's event loop brought of one stream."""

    version: int
    node: str
    """Who publishes: the name of the ingest's process. A new process has a new name."""
    number: int
    """Counts the batches that this ingest has published of this stream, from 1. A jump shows a loss."""
    previous_id: int
    """The newest id that it published of this stream before; -1 if none. Of trades alone."""
    items: list[T]
    """Trades in order of arrival, or updates of which the last is the newest."""


class ExchangeBeat(msgspec.Struct, array_like=True, frozen=True):
    """One exchange as an ingest sees it."""

    exchange: ExchangeName
    state: str
    reason: str | None
    retry_seconds: float | None
    """In how many seconds the next attempt is due; `None` if none is waiting."""
    is_private: bool
    """Whether its trades are this ingest's alone, as those of an embedded exchange are: no other ingest has
    the same ones."""


class Beat(msgspec.Struct, array_like=True, frozen=True):
    """An ingest is there. It comes every half second."""

    version: int
    node: str
    started_ms: int
    exchanges: list[ExchangeBeat]
    edges: list[tuple[str, int]]
    """The edges that it hears, and how many streams each wants. So every process knows all others."""


StreamRow = tuple[Name, bool, int | None, str | None]
"""A stream of an ingest: its name, whether the exchange has confirmed it, its newest trade id, and why the
exchange refuses it."""


class Streams(msgspec.Struct, array_like=True, frozen=True):
    """Streams that an ingest has. It comes with each beat, in parts of some hundred streams."""

    version: int
    node: str
    rows: list[StreamRow]


class Wants(msgspec.Struct, array_like=True, frozen=True):
    """What an edge wants. It comes on every change, and each second without one: then it renews the lease."""

    version: int
    node: str
    revision: int
    """Counts the changes of what is wanted."""
    base: int
    """The revision that the names are added to and removed from; -1: these are all, and the first part
    replaces what was known. Equal to `revision` if nothing changed."""
    count: int
    """How many names the edge wants at this revision. Another number shows that a part was lost."""
    is_first: bool
    is_last: bool
    """Whether other parts of the same revision come before or after it."""
    added: list[Name]
    removed: list[Name]


class AskWants(msgspec.Struct, array_like=True, frozen=True):
    """An ingest asks an edge to say all that it wants."""

    version: int
    node: str
    """Who asks."""
    edge: str
    """Who is asked; empty: every edge."""


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode


def decode(data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
    """Return a message; `None` if it is malformed or has another version."""
    try:
        message = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return message if getattr(message, "version", VERSION) == VERSION else None


def name_of(key: StreamKey) -> Name:
    """Return the name of a stream for a message."""
    return (key.exchange, key.channel, key.symbol, key.parameter)


def key_of(name: Name) -> StreamKey:
    """Return the key of a stream in a message."""
    return StreamKey(*name)


def row_of(tick: TradeTick) -> TradeRow:
    """Return a trade for a message."""
    return (tick.id, tick.price, tick.size, tick.side, tick.ts, tick.recv_ts, tick.backfilled)


def tick_of(exchange: ExchangeName, symbol: str, row: TradeRow) -> TradeTick:
    """Return the trade of a row."""
    trade_id, price, size, side, ts, recv_ts, backfilled = row
    return TradeTick(exchange, symbol, price, size, side, ts, trade_id, recv_ts, backfilled)
