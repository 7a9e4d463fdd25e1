"""When trades of a symbol are missing. No I/O.

A gap has ids and no times: it lasts from the trade before it to the trade after it, while memory has them.
"""

from __future__ import annotations

from collections.abc import Iterable

from livemarkets.market.candles import Candle
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.market.stores import RecentTrades

__all__ = ["MissingTrades"]

_STRETCHES_KEPT = 100


class MissingTrades:
    """The stretches of time in which trades of one symbol are missing."""

    def __init__(self) -> None:
        self._stretches: dict[tuple[int, int], tuple[int, int]] = {}  # ids -> times, both ends included

    def forget(self) -> None:
        """Begin anew, for another symbol."""
        self._stretches.clear()

    def note(self, key: StreamKey, trades: RecentTrades) -> None:
        """Look for gaps that are not known yet."""
        for gap in trades.gaps(key):
            ids = (gap.from_id, gap.to_id)
            if ids not in self._stretches and _is_loss(gap):
                before = trades.after(key, gap.from_id - 2, limit=1)
                after = trades.after(key, gap.to_id, limit=1)
                if after:
                    self._stretches[ids] = _start(gap, before, after[0]), after[0].ts
        while len(self._stretches) > _STRETCHES_KEPT:
            del self._stretches[next(iter(self._stretches))]

    def among(self, candles: Iterable[Candle]) -> list[int]:
        """Return the open times of the candles in which trades are missing."""
        stretches = self._stretches.values()
        if not stretches:
            return []
        return [
            candle.open_ts
            for candle in candles
            if any(start <= candle.close_ts and end >= candle.open_ts for start, end in stretches)
        ]


def _is_loss(gap: Gap) -> bool:
    return gap.cause != "venue" and gap.to_id >= gap.from_id


def _start(gap: Gap, before: list[TradeTick], after: TradeTick) -> int:
    """Return when the trade before a gap happened; when memory lacks it, that of the trade after the gap."""
    return before[0].ts if before and before[0].id < gap.from_id else after.ts
