"""The history of a symbol: raw trades and aggregates, bounded, searchable by id and by time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

import msgspec

__all__ = ["Aggregate", "History", "Trade"]


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One raw trade; price and size in 10⁻⁸, time in ms since the epoch."""

    id: int
    price: int
    size: int
    time_ms: int
    buyer_is_maker: bool


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    """Consecutive trades of one taker order at one price (REST `aggTrades`, stream `@aggTrade`)."""

    id: int
    price: int
    size: int
    first_id: int
    last_id: int
    time_ms: int
    buyer_is_maker: bool


_BY_ID = attrgetter("id")
_BY_TIME = attrgetter("time_ms")


class History:
    """The trades of one symbol, oldest first.

    Ids rise, but not always by 1: the exchange may skip ids.

    Args:
        capacity: how many trades are kept. Up to a quarter more may be kept for a while.
        reader: gets every trade once, in order: before it is deleted, or with :meth:`hand_on`.

    """

    def __init__(self, capacity: int, reader: Callable[[Sequence[Trade]], None] | None = None) -> None:
        self.capacity = capacity
        self._reader = reader
        self._handed_on = 0  # how many of the kept trades the reader has had
        self.trades: list[Trade] = []
        self.aggregates: list[Aggregate] = []
        self._next_aggregate_id = 0

    def extend(self, trades: Sequence[Trade]) -> list[Aggregate]:
        """Add the trades of one taker order. Return their aggregates."""
        self.trades.extend(trades)
        made = self._aggregate(trades)
        self.aggregates.extend(made)
        self._trim()
        return made

    def add(self, trade: Trade | None, aggregate: Aggregate | None) -> None:
        """Add a trade, an aggregate or both from a recording."""
        if trade is not None:
            self.trades.append(trade)
        if aggregate is not None:
            self.aggregates.append(aggregate)
        self._trim()

    def hand_on(self) -> None:
        """Give the reader the trades that it has not had yet."""
        if self._reader is not None and self._handed_on < len(self.trades):
            self._reader(self.trades[self._handed_on :])
        self._handed_on = len(self.trades)

    def restart(self, reader: Callable[[Sequence[Trade]], None] | None = None) -> None:
        """Delete everything, because the symbol is listed again and its ids restart; set a new reader."""
        self._reader = reader
        self._handed_on = 0
        self.trades.clear()
        self.aggregates.clear()
        self._next_aggregate_id = 0

    def recent(self, limit: int) -> list[Trade]:
        """Return the newest `limit` trades, oldest first."""
        return self.trades[-limit:]

    def until(self, time_ms: float, limit: int) -> list[Trade]:
        """Return the newest `limit` trades until a time, oldest first."""
        end = bisect_right(self.trades, time_ms, key=_BY_TIME)
        return self.trades[max(end - limit, 0) : end]

    def since(self, from_id: int, limit: int) -> list[Trade]:
        """Return the oldest kept trades whose id is `from_id` or greater."""
        at = bisect_left(self.trades, from_id, key=_BY_ID)
        return self.trades[at : at + limit]

    def aggregates_since(self, from_id: int, limit: int) -> list[Aggregate]:
        """Return the oldest kept aggregates whose own id is `from_id` or greater."""
        at = bisect_left(self.aggregates, from_id, key=_BY_ID)
        return self.aggregates[at : at + limit]

    def aggregates_between(self, start_ms: int | None, end_ms: int | None, limit: int) -> list[Aggregate]:
        """Return the aggregates of a span of time, both ends included.

        The oldest come first and, when only an end is given, the limit keeps the newest
        (rest-api.md, General API Information).
        """
        low = 0 if start_ms is None else bisect_left(self.aggregates, start_ms, key=_BY_TIME)
        high = (
            len(self.aggregates) if end_ms is None else bisect_left(self.aggregates, end_ms + 1, key=_BY_TIME)
        )
        if start_ms is None:
            low = max(low, high - limit)
        return self.aggregates[low : min(high, low + limit)]

    def _aggregate(self, trades: Iterable[Trade]) -> list[Aggregate]:
        made: list[Aggregate] = []
        run: list[Trade] = []
        for trade in trades:
            if run and (trade.price != run[0].price or trade.id != run[-1].id + 1):
                made.append(self._close(run))
                run = []
            run.append(trade)
        if run:
            made.append(self._close(run))
        return made

    def _close(self, run: Sequence[Trade]) -> Aggregate:
        first = run[0]
        if self._next_aggregate_id == 0:
            # Aggregate ids of real symbols are roughly a third of their trade ids.
            self._next_aggregate_id = first.id // 3
        aggregate = Aggregate(
            id=self._next_aggregate_id,
            price=first.price,
            size=sum(trade.size for trade in run),
            first_id=first.id,
            last_id=run[-1].id,
            time_ms=first.time_ms,
            buyer_is_maker=first.buyer_is_maker,
        )
        self._next_aggregate_id += 1
        return aggregate

    def _trim(self) -> None:
        slack = self.capacity // 4
        if len(self.trades) > self.capacity + slack:
            self.hand_on()
            self._handed_on = self.capacity
            del self.trades[: len(self.trades) - self.capacity]
        if len(self.aggregates) > self.capacity + slack:
            del self.aggregates[: len(self.aggregates) - self.capacity]
