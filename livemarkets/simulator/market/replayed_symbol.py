"""What REST serves of one symbol of a recording: the trades, klines and order book that have been played."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from livemarkets.simulator.market.bars import Bars
from livemarkets.simulator.market.candles import Candles, NoPast
from livemarkets.simulator.market.history import Aggregate, History, Trade
from livemarkets.simulator.market.order_book import Depth, OrderBook, Side
from livemarkets.simulator.market.statistics import Bar, Summary
from livemarkets.simulator.market.streams import Quote, StreamEvent
from livemarkets.simulator.market.symbols import UNIT, SymbolRules, to_units

__all__ = ["ReplayedSymbol"]


class _Changes(msgspec.Struct):
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Snapshot(msgspec.Struct):
    lastUpdateId: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Best(msgspec.Struct):
    u: int
    b: str
    B: str
    a: str
    A: str


class _Kline(msgspec.Struct):
    t: int
    T: int
    i: str
    f: int
    L: int
    o: str
    c: str
    h: str
    l: str  # noqa: E741 (the exchange's own name)
    v: str
    n: int
    q: str
    V: str
    Q: str


class _KlineEvent(msgspec.Struct):
    k: _Kline


class ReplayedSymbol:
    """One symbol of a recording.

    Frames are decoded when somebody asks for what they say, so that a fast replay does not wait for it.

    Args:
        rules: the symbol.
        capacity: how many trades are kept.
        has_trades: whether the recording has its single trades; else aggregates count as trades.

    """

    def __init__(self, rules: SymbolRules, capacity: int, *, has_trades: bool) -> None:
        self.rules = rules
        self._has_trades = has_trades
        self._bars = Bars()
        self.history = History(capacity, self._bars.add)
        self._candles = Candles(NoPast(), self._bars)
        self._book = OrderBook(0)
        self._best: Quote | None = None
        self._klines: dict[str, dict[int, Bar]] = {}
        self._unread: list[tuple[str, StreamEvent]] = []
        self._has_changes = False

    def play(self, event: StreamEvent, trade: Trade | None, aggregate: Aggregate | None) -> None:
        """Take a frame that has been played, with its trade and its aggregate."""
        if trade is not None or aggregate is not None:
            self.history.add(trade, aggregate)
            if aggregate is not None and not self._has_trades:
                self._bars.add_sum(_summary(aggregate))
            return
        kind = event.stream.partition("@")[2]
        if kind.startswith(("depth", "kline_")) or kind == "bookTicker":
            self._unread.append((kind, event))

    def depth(self, limit: int) -> Depth:
        """Return the levels that the recording has told so far."""
        self._read()
        if self._has_changes or self._best is None:
            return self._book.depth(limit)
        best = self._best
        return Depth(best.update_id, [(best.bid, best.bid_size)], [(best.ask, best.ask_size)])

    def quote(self) -> Quote:
        """Return best bid and ask: the last recorded, else those of the book, else next to the last price."""
        self._read()
        if self._best is not None:
            return self._best
        top = self._book.depth(1)
        if top.bids and top.asks:
            return Quote(top.update_id, *top.bids[0], *top.asks[0])
        price = self._bars_now().last_close or 0
        return Quote(
            update_id=top.update_id, bid=price, bid_size=UNIT, ask=price + self.rules.tick, ask_size=UNIT
        )

    def candles(
        self, interval: str, start_ms: int | None, end_ms: int | None, limit: int, offset_ms: int
    ) -> list[Bar]:
        """Return klines: as they were recorded, others from the trades, until the last trade."""
        self._read()
        recorded = {} if offset_ms else self._klines.get(interval, {})
        if not recorded:
            now_ms = self._bars_now().last_ms
            return self._candles.rows(interval, start_ms, end_ms, limit, now_ms, offset_ms)
        now_ms = max(self._bars_now().last_ms, max(recorded))
        made = self._candles.rows(interval, None, None, 1_000_000, now_ms)
        known = {bar.open_ms: bar for bar in made} | recorded
        rows = [
            known[open_ms]
            for open_ms in sorted(known)
            if (start_ms is None or open_ms >= start_ms) and (end_ms is None or open_ms <= end_ms)
        ]
        return rows[-limit:] if start_ms is None else rows[:limit]

    def summary(self, length_ms: int) -> Summary | None:
        """Return a summary of the trades of the last `length_ms` before the last trade."""
        now_ms = self._bars_now().last_ms
        return self._candles.summary(max(now_ms - length_ms, 0), now_ms)

    def _bars_now(self) -> Bars:
        self.history.hand_on()
        return self._bars

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for kind, event in unread:
            data = event.raw()
            if kind == "bookTicker":
                best = msgspec.json.decode(data, type=_Best)
                amounts = (to_units(text) for text in (best.b, best.B, best.a, best.A))
                self._best = Quote(best.u, *amounts)
            elif kind.startswith("kline_"):
                kline = msgspec.json.decode(data, type=_KlineEvent).k
                self._klines.setdefault(kline.i, {})[kline.t] = _bar(kline)
            elif kind.startswith(("depth5", "depth10", "depth20")):
                snapshot = msgspec.json.decode(data, type=_Snapshot)
                if snapshot.lastUpdateId > self._book.update_id:
                    self._book = OrderBook(0)
                    self._change(snapshot.lastUpdateId, snapshot.bids, snapshot.asks)
            else:
                changes = msgspec.json.decode(data, type=_Changes)
                if changes.u > self._book.update_id:
                    self._change(changes.u, changes.b, changes.a)

    def _change(
        self, update_id: int, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]
    ) -> None:
        book = self._book
        self._has_changes = True
        for side, levels in ((book.bids, bids), (book.asks, asks)):
            for price, size in levels:
                book.put(side, to_units(price) * side.sign, to_units(size))
        # A level that was never told to be gone cannot stay where the other side is now.
        _clear(book, book.asks, bids)
        _clear(book, book.bids, asks)
        book.update_id = update_id


def _clear(book: OrderBook, side: Side, newer: Sequence[tuple[str, str]]) -> None:
    for price, size in newer:
        if to_units(size):
            while side.keys and side.best * side.sign >= to_units(price) * side.sign:
                book.pop(side)


def _bar(kline: _Kline) -> Bar:
    return Bar(
        open=to_units(kline.o),
        high=to_units(kline.h),
        low=to_units(kline.l),
        close=to_units(kline.c),
        last_size=0,
        first_id=kline.f,
        last_id=kline.L,
        volume=to_units(kline.v),
        quote_volume=to_units(kline.q),
        bought=to_units(kline.V),
        quote_bought=to_units(kline.Q),
        count=kline.n,
        open_ms=kline.t,
        close_ms=kline.T,
    )


def _summary(aggregate: Aggregate) -> Bar:
    quote = aggregate.price * aggregate.size // UNIT
    taken = not aggregate.buyer_is_maker
    open_ms = aggregate.time_ms // 1000 * 1000
    return Bar(
        **dict.fromkeys(("open", "high", "low", "close"), aggregate.price),
        last_size=aggregate.size,
        first_id=aggregate.first_id,
        last_id=aggregate.last_id,
        volume=aggregate.size,
        quote_volume=quote,
        bought=aggregate.size if taken else 0,
        quote_bought=quote if taken else 0,
        count=aggregate.last_id - aggregate.first_id + 1,
        open_ms=open_ms,
        close_ms=open_ms + 999,
    )
