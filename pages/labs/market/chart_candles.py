"""Which candles the browser lacks. No I/O.

Memory is sampled: a candle that is another object than the one sent may have changed, whether it is the
running one, one that was closed late, or one that was revised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from livemarkets.market.candles import Candle, same_figures
from livemarkets.market.models import TradeTick
from pages.ports import CandleView

__all__ = ["CandleNews", "ChartCandles", "followed"]


class CandleNews(NamedTuple):
    """What the browser lacks."""

    candles: Sequence[Candle]
    """Oldest first."""
    is_whole: bool
    """Whether they replace all that the browser has."""


class ChartCandles:
    """The candles that the browser has of one stream.

    Args:
        most: how many it keeps.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._sent: dict[int, Candle] = {}  # by open time, oldest first
        self._told: Candle | None = None  # the running candle, as the exchange told it
        self._running: Candle | None = None  # the same with the trades since then
        self._is_over = False
        self._after_holes: set[int] = set()
        self._before_holes: set[int] = set()

    @property
    def after_holes(self) -> list[int]:
        """The open times of the candles that the browser has, and those before them not: they were lost."""
        return sorted(open_ts for open_ts in self._after_holes if open_ts in self._sent)

    @property
    def unfinished(self) -> list[int]:
        """The open times of the candles whose end was lost too: some of their trades are missing."""
        return [open_ts for open_ts in self._before_holes if not self._sent[open_ts].closed]

    @property
    def sent(self) -> Sequence[Candle]:
        """The candles that the browser has, oldest first."""
        return list(self._sent.values())

    def forget(self) -> None:
        """Begin anew: the browser has nothing."""
        self._sent.clear()
        self._after_holes.clear()
        self._before_holes.clear()
        self._told = self._running = None

    def news(self, view: CandleView, trades_after: Callable[[int], Sequence[TradeTick]]) -> CandleNews:
        """Return what the browser lacks, and note it as sent.

        Args:
            view: the stream's candles in memory.
            trades_after: returns the trades of the symbol after an id, oldest first.
        """
        candles = list(view.closed[-self._most + 1 :])
        if view.running is not None:
            candles.append(self._follow(view.running, trades_after))
        changed = [candle for candle in candles if self._is_news(candle)]
        if not changed:
            return CandleNews((), is_whole=False)
        newest = next(reversed(self._sent), None)
        if newest is not None and view.running is not None and view.running.open_ts < newest:
            self._sent.clear()  # the exchange's time was set back
            self._after_holes.clear()
            self._before_holes.clear()
            newest, changed = None, candles
        is_in_place = all(
            candle.open_ts in self._sent or newest is None or candle.open_ts > newest for candle in changed
        )
        is_whole = newest is None or not is_in_place
        self._note_hole(newest, candles[0].open_ts)
        self._sent.update((candle.open_ts, candle) for candle in changed)
        if not is_in_place:
            self._sent = dict(sorted(self._sent.items()))
        for open_ts in list(self._sent)[: -self._most]:
            del self._sent[open_ts]
            self._before_holes.discard(open_ts)
        return CandleNews(self.sent if is_whole else changed, is_whole)

    def _note_hole(self, newest: int | None, first: int) -> None:
        """Note whether candles are missing between those of before and those in memory, which miss none."""
        self._after_holes = {open_ts for open_ts in self._after_holes if open_ts <= first}
        if newest is not None and self._sent[newest].close_ts + 1 < first:
            self._after_holes.add(first)
            self._before_holes.add(newest)

    def _is_news(self, candle: Candle) -> bool:
        sent = self._sent.get(candle.open_ts)
        if sent is candle:
            return False
        if sent is None or sent.closed is not candle.closed or not same_figures(sent, candle):
            return True
        self._sent[candle.open_ts] = candle
        return False

    def _follow(self, told: Candle, trades_after: Callable[[int], Sequence[TradeTick]]) -> Candle:
        """Return the running candle with the trades that came since the exchange told it."""
        if told is not self._told or self._running is None:
            self._told = self._running = told
            self._is_over = False
        running = self._running
        if running.last_id is None or self._is_over:
            return running  # nobody knows which trades it has; or a later one is about to come
        ticks = trades_after(running.last_id)
        self._running = followed(running, ticks)
        self._is_over = bool(ticks) and ticks[-1].ts > running.close_ts
        return self._running


def followed(candle: Candle, ticks: Sequence[TradeTick]) -> Candle:
    """Return a running candle with further trades, as far as they fall into it."""
    inside = [tick for tick in ticks if candle.open_ts <= tick.ts <= candle.close_ts]
    if not inside:
        return candle
    prices = [tick.price for tick in inside]
    return replace(
        candle,
        high=max(candle.high, *prices),
        low=min(candle.low, *prices),
        close=prices[-1],
        volume=sum((tick.size for tick in inside), candle.volume),
        trades=candle.trades + len(inside),
        last_id=inside[-1].id,
    )
