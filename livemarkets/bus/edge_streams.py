"""The streams that an edge hears: each decodes its messages and passes on what is in them. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from livemarkets.bus.messages import Batch, TradeRow, decode, tick_of
from livemarkets.exchanges.base import ExchangeEvents
from livemarkets.market.candles import Candle
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, CANDLES, DEPTH, TICKERS
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.updates import BookUpdate, DepthUpdate, TickersDelta, TickerUpdate

__all__ = ["CarriedStream", "StreamOwner", "TradesStream", "UpdatesStream"]

_TRADES = msgspec.msgpack.Decoder(Batch[TradeRow])
_UPDATES: dict[str, msgspec.msgpack.Decoder[Any]] = {
    TICKERS: msgspec.msgpack.Decoder(Batch[TickerUpdate]),
    BOOK: msgspec.msgpack.Decoder(Batch[BookUpdate]),
    DEPTH: msgspec.msgpack.Decoder(Batch[DepthUpdate]),
    CANDLES: msgspec.msgpack.Decoder(Batch[Candle]),
    ALL_SYMBOLS: msgspec.msgpack.Decoder(Batch[TickersDelta]),
}


class StreamOwner(Protocol):
    """The client that a stream belongs to."""

    counts: Counter[str]
    first: Counter[str]
    leader: str | None


class CarriedStream(ABC):
    """One stream on the bus.

    Args:
        key: its name.
        owner: counts, and says whose data counts.
        events: receives what arrives.

    """

    __slots__ = ("_decoder", "_events", "_numbers", "_owner", "acknowledged", "key", "newest_id", "rejection")

    def __init__(self, key: StreamKey, owner: StreamOwner, events: ExchangeEvents) -> None:
        self.key = key
        self.acknowledged: dict[str, float] = {}
        """The ingests that have the stream from the exchange, and since when; monotonic seconds."""
        self.rejection: str | None = None
        self.newest_id = -1
        """The newest trade id that was read."""
        self._owner = owner
        self._events = events
        self._numbers: dict[str, int] = {}
        self._decoder = _TRADES

    def acknowledge(self, node: str, now: float) -> None:
        """Note that an ingest has the stream."""
        self.acknowledged.setdefault(node, now)

    def handle(self, data: bytes, subject: bytes, reply: bytes) -> None:
        """Process a message of the bus."""
        batch: Batch[Any] | None = decode(data, self._decoder)
        owner = self._owner
        if batch is None or not batch.items:
            owner.counts["malformed"] += 1
            return
        node, number = batch.node, batch.number
        if owner.leader is not None and owner.leader != node:
            return
        before = self._numbers.get(node, number)
        if number > before + 1:
            owner.counts["lost"] += number - before - 1
        self._numbers[node] = number
        self._take(node, batch.items)

    @abstractmethod
    def _take(self, node: str, items: Sequence[Any]) -> None:
        """Pass on what a message brought."""


class TradesStream(CarriedStream):
    """A stream of trades."""

    __slots__ = ("_waiting",)

    def __init__(self, key: StreamKey, owner: StreamOwner, events: ExchangeEvents) -> None:
        super().__init__(key, owner, events)
        self._waiting: list[TradeTick] | None = []  # until :meth:`end_join`

    def end_join(self) -> None:
        """Pass on the trades that came meanwhile. Idempotent."""
        waiting, self._waiting = self._waiting, None
        if waiting:
            self._events.on_trades(self.key, waiting)

    def _take(self, node: str, items: Sequence[TradeRow]) -> None:
        exchange, _, symbol, _ = self.key
        ticks = [tick_of(exchange, symbol, row) for row in items]
        newest_id = items[-1][0]
        if newest_id > self.newest_id:
            self.newest_id = newest_id
            self._owner.first[node] += len(items)
        if self._waiting is not None:
            self._waiting += ticks
        else:
            self._events.on_trades(self.key, ticks)


class UpdatesStream(CarriedStream):
    """A stream of updates or candles."""

    __slots__ = ()

    def __init__(self, key: StreamKey, owner: StreamOwner, events: ExchangeEvents) -> None:
        super().__init__(key, owner, events)
        self._decoder = _UPDATES[ALL_SYMBOLS if key.symbol == ALL_SYMBOLS else key.channel]

    def _take(self, node: str, items: Sequence[Any]) -> None:
        for update in items:
            if isinstance(update, Candle) and update.revised:
                update = replace(update, revised=False)  # whether it was told before is known here
            self._events.on_update(self.key, update)
