"""One symbol of the simulated market: its arrivals, its book, its trades, its klines."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from livemarkets.simulator.market.arrivals import MEAN_FILLS, Arrivals, fills_of_an_order
from livemarkets.simulator.market.bars import Bars
from livemarkets.simulator.market.book import Book
from livemarkets.simulator.market.candles import Candles, NoPast
from livemarkets.simulator.market.history import Aggregate, History, Trade
from livemarkets.simulator.market.past import LEAST_RATE, Past
from livemarkets.simulator.market.symbols import SymbolRules

__all__ = ["CATCH_UP_TRADES", "TradedSymbol"]

_LEAST_IDS_PER_SECOND = 0.05
"""Ids of a symbol that rarely trades grow at least so fast from start to start: none is used again."""
CATCH_UP_TRADES = 20_000
"""Approximate limit of trades that are simulated afterwards for a symbol that was not in use."""
_CATCH_UP_MS = 600_000.0
_ABSENCE_ORDERS = 1_000
"""Orders in a longer time without use, so that its klines are not empty."""
_MOST_ORDERS_PER_SECOND = 500.0


class TradedSymbol:
    """The state of one symbol, from its first use on.

    Args:
        rules: the symbol.
        seed: the seed of the market.
        start_ms: from when its trades are simulated, ms since the epoch; klines go back to the listing.
        per_second: trades per second.
        constant: whether they come evenly.
        history_length: trades kept for REST.
        fills_usd: values of fills (:func:`~livemarkets.simulator.market.book.draw_fills`).

    """

    def __init__(
        self,
        rules: SymbolRules,
        seed: int,
        start_ms: float,
        *,
        per_second: float,
        constant: bool,
        history_length: int,
        fills_usd: Sequence[float],
    ) -> None:
        self.name = rules.symbol
        self.encoded = rules.symbol.encode()
        self._per_second = per_second
        self._constant = constant
        wanted = per_second / MEAN_FILLS
        self._scale = max(wanted / _MOST_ORDERS_PER_SECOND, 1.0)
        past = Past(rules, seed, start_ms)
        price, last_id = past.end()
        spare = max(_LEAST_IDS_PER_SECOND - rules.trades_per_second, 0.0) * (start_ms - past.begin_ms) / 1000
        self.random = Random(f"{seed}:{rules.symbol}")
        self.book = Book(rules, self.random, last_id + 1 + int(spare), price, fills_usd)
        self._arrivals = Arrivals(self.random, max(min(wanted, _MOST_ORDERS_PER_SECOND), 1e-6), start_ms)
        self.next_order_ms = self._arrivals.next_ms()
        self._last_time_ms = 0
        self._orders = 0
        self._bars = Bars()
        self.history = History(history_length, self._bars.add)
        # A symbol that is made to have no trades has none in its past either.
        has_past = rules.trades_per_second >= LEAST_RATE
        self._candles = Candles(past if has_past else NoPast(), self._bars)
        self.kinds: dict[str, tuple[str, bytes]] = {}
        """The subscribed streams of single events: kind → name and beginning of a frame."""

    @property
    def candles(self) -> Candles:
        """The klines, with all trades until now."""
        self.history.hand_on()
        return self._candles

    def order(self, skew_ms: int) -> tuple[Sequence[Trade], Sequence[Aggregate]]:
        """Carry out the next order. Return its trades and their aggregates."""
        at_ms = self.next_order_ms
        if self._constant:
            # Evenly spaced orders, at most one per millisecond, with as many fills as the rate requires.
            per_order = max(1.0, self._per_second / 1000.0)
            self.next_order_ms = at_ms + 1000.0 * per_order / self._per_second
            fills = int((self._orders + 1) * per_order) - int(self._orders * per_order)
            self._orders += 1
        else:
            self.next_order_ms = self._arrivals.next_ms()
            fills = max(int(fills_of_an_order(self.random) * self._scale), 1)
        return self.fill(fills, at_ms, skew_ms)

    def fill(self, fills: int, at_ms: float, skew_ms: int) -> tuple[Sequence[Trade], Sequence[Aggregate]]:
        """Carry out an order with so many fills now. Return its trades and their aggregates."""
        # Two orders never have the same millisecond, so an aggregate (same time, side and price) is complete
        # as soon as its order is filled.
        self._last_time_ms = max(int(at_ms), self._last_time_ms + 1)
        trades = self.book.take(fills, self._last_time_ms + skew_ms)
        return trades, self.history.extend(trades)

    def rest_until(self, now_ms: float) -> None:
        """Let the time pass without orders."""
        self._arrivals.skip_to(now_ms)
        self.next_order_ms = now_ms + 1.0

    def catch_up(self, now_ms: float, history_seconds: float, skew_ms: int) -> None:
        """Simulate the time since the last use: a long absence in few orders, its end as if watched."""
        span_ms = min(1000 * CATCH_UP_TRADES / self._per_second, _CATCH_UP_MS + 1000 * history_seconds)
        watched_ms = now_ms - span_ms
        if self.next_order_ms < watched_ms:
            usual_ms = 1000 * MEAN_FILLS * self._scale / self._per_second
            step_ms = max((watched_ms - self.next_order_ms) / _ABSENCE_ORDERS, usual_ms)
            at_ms = self.next_order_ms
            while at_ms < watched_ms:
                self.fill(fills_of_an_order(self.random), at_ms, skew_ms)
                at_ms += step_ms * self.random.uniform(0.5, 1.5)
            self._arrivals.skip_to(watched_ms)
            self.next_order_ms = max(watched_ms, at_ms - step_ms)
        while self.next_order_ms <= now_ms:
            self.order(skew_ms)

    def relist(self, first_id: int) -> None:
        """Restart the ids, and delete all older trades and klines."""
        self.book.next_id = first_id
        self._bars = Bars()
        self._candles = Candles(NoPast(), self._bars)
        self.history.restart(self._bars.add)
