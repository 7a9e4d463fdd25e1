"""The klines of trades as they come in: seconds, and sums of them, each kept for a time of its own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from copy import copy

from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.past import LEVELS_MS
from livemarkets.simulator.market.statistics import Bar
from livemarkets.simulator.market.symbols import UNIT

__all__ = ["Bars"]

_KEPT = (7_200, 10_080, 40_000, 20_000, 10_000)
"""Klines with trades that are kept of each length: at least two hours of seconds, a week of minutes."""


class _Level:
    """The klines of one length, oldest first. There is none where nothing traded."""

    def __init__(self, length_ms: int, kept: int) -> None:
        self.length_ms = length_ms
        self.bars: list[Bar] = []
        self.opens: list[int] = []
        self.forgotten_until_ms = 0
        self._kept = kept

    def add(self, second: Bar) -> None:
        """Add the trades of a second to the kline that contains it."""
        bars = self.bars
        if bars and second.open_ms <= bars[-1].close_ms:
            bars[-1].merge(second)
            return
        bar = copy(second)
        bar.open_ms = second.open_ms // self.length_ms * self.length_ms
        bar.close_ms = bar.open_ms + self.length_ms - 1
        bars.append(bar)
        self.opens.append(bar.open_ms)
        if len(bars) > self._kept + self._kept // 4:
            old = len(bars) - self._kept
            self.forgotten_until_ms = bars[old].open_ms
            del bars[:old], self.opens[:old]


class Bars:
    """The klines of one symbol's trades."""

    def __init__(self) -> None:
        self._levels = [_Level(*level) for level in zip(LEVELS_MS, _KEPT, strict=True)]
        self._second: Bar | None = None  # the one that runs; the levels have only those that ended

    @property
    def last_ms(self) -> int:
        """When the second of the last trade ends; 0 without a trade."""
        return self._second.close_ms if self._second is not None else 0

    @property
    def first_ms(self) -> int | None:
        """When the second of the first trade began, as far as that is known."""
        days = self._levels[-1].bars
        seconds = self._levels[0].bars
        if seconds and not self._levels[0].forgotten_until_ms:
            return seconds[0].open_ms
        if days:
            return days[0].open_ms
        return self._second.open_ms if self._second is not None else None

    @property
    def last_close(self) -> int | None:
        """Price of the last trade."""
        return self._second.close if self._second is not None else None

    def forgotten_until_ms(self, step_ms: int) -> int:
        """Return from when on spans are known that begin and end at multiples of `step_ms`."""
        return self._levels[_level_of(step_ms)].forgotten_until_ms

    def add(self, trades: Sequence[Trade]) -> None:
        """Add trades in their order. A time before the last trade's second counts as that second."""
        second = self._second
        ends_ms = second.close_ms if second is not None else -1
        for trade in trades:
            price, size = trade.price, trade.size
            quote = price * size // UNIT
            if second is None or trade.time_ms > ends_ms:
                if second is not None:
                    self._close(second)
                open_ms = trade.time_ms // 1000 * 1000
                ends_ms = open_ms + 999
                second = Bar(
                    open=price,
                    high=price,
                    low=price,
                    close=price,
                    last_size=size,
                    first_id=trade.id,
                    last_id=trade.id,
                    open_ms=open_ms,
                    close_ms=ends_ms,
                )
            elif price > second.high:
                second.high = price
            elif price < second.low:
                second.low = price
            second.close = price
            second.last_size = size
            second.last_id = trade.id
            second.volume += size
            second.quote_volume += quote
            second.count += 1
            if not trade.buyer_is_maker:
                second.bought += size
                second.quote_bought += quote
        self._second = second

    def add_sum(self, bar: Bar) -> None:
        """Add the sum of some trades of one second."""
        second = self._second
        if second is not None and bar.open_ms <= second.open_ms:
            second.merge(bar)
            return
        if second is not None:
            self._close(second)
        self._second = copy(bar)

    def between(self, from_ms: int, to_ms: int) -> Bar | None:
        """Return the kline of a span, the end excluded; `None` when nothing traded.

        Both times must be whole seconds. What is forgotten is left out.
        """
        second = self._second
        if second is None or from_ms > second.open_ms:
            return None
        whole: Bar | None = None
        if to_ms > second.open_ms:
            # Nothing is later, so the end can be that of a whole day, which takes the fewest steps.
            until_ms = max(to_ms, second.open_ms + 1000)
            until_ms = -(-until_ms // LEVELS_MS[-1]) * LEVELS_MS[-1]
        else:
            until_ms = to_ms
        at_ms = from_ms
        while at_ms < until_ms:
            level = len(LEVELS_MS) - 1
            while level and (at_ms % LEVELS_MS[level] or at_ms + LEVELS_MS[level] > until_ms):
                level -= 1
            # All spans of this length up to the next border of a longer one, or to the end.
            length_ms = LEVELS_MS[level]
            end_ms = until_ms // length_ms * length_ms
            if level + 1 < len(LEVELS_MS):
                above_ms = LEVELS_MS[level + 1]
                end_ms = min(end_ms, (at_ms // above_ms + 1) * above_ms)
            rows = self._levels[level]
            first = bisect_left(rows.opens, at_ms)
            for bar in rows.bars[first : bisect_left(rows.opens, end_ms)]:
                if whole is None:
                    whole = copy(bar)
                else:
                    whole.merge(bar)
            at_ms = end_ms
        if to_ms > second.open_ms:
            if whole is None:
                whole = copy(second)
            else:
                whole.merge(second)
        return whole

    def close_before(self, time_ms: int) -> int | None:
        """Return the price of the last trade before a time (a whole second); `None` without one."""
        if self._second is not None and self._second.open_ms < time_ms:
            return self._second.close
        for level in self._levels:
            at = bisect_left(level.opens, time_ms)
            if at and level.bars[at - 1].close_ms < time_ms:
                return level.bars[at - 1].close
        return None

    def _close(self, second: Bar) -> None:
        for level in self._levels:
            level.add(second)


def _level_of(step_ms: int) -> int:
    level = len(LEVELS_MS) - 1
    while level and step_ms % LEVELS_MS[level]:
        level -= 1
    return level
