"""What the exchange's history proves about the candles of one stream. No I/O.

The history comes from a database that lags the stream, and whose copies may differ for a moment. So it is
believed when it repeats what it said, or when the time in which it lags is over.
"""

from __future__ import annotations

from collections.abc import Sequence

from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.market.candles import Candle, same_figures

__all__ = ["CandleProof"]

_DRAFTS_KEPT = 2000


class CandleProof:
    """What was said once about candles and their neighbours.

    Args:
        limits: time limits (:class:`CandleLimits`).

    """

    def __init__(self, limits: CandleLimits) -> None:
        self._limits = limits
        self._drafts: dict[int, tuple[Candle, float]] = {}
        self._absence: tuple[int, int, float] | None = None
        self._neighbours: tuple[int, int] | None = None
        self._oblivion: tuple[int, float] | None = None

    def clear(self) -> None:
        """Forget everything."""
        self._drafts.clear()
        self._absence = self._neighbours = self._oblivion = None

    def forget(self, open_ts: int) -> None:
        """Forget what was said about a candle."""
        self._drafts.pop(open_ts, None)

    def is_final(self, candle: Candle, now: float, now_ms: int) -> bool:
        """Return whether the figures of a fetched candle with a successor are believed."""
        return self.is_old(candle, now_ms) or self.is_repeated(candle, now)

    def is_repeated(self, candle: Candle, now: float) -> bool:
        """Return whether an earlier answer had the same figures. Note these."""
        draft = self._drafts.get(candle.open_ts)
        if draft is not None and same_figures(draft[0], candle):
            return now - draft[1] >= self._limits.confirm_seconds
        self._drafts[candle.open_ts] = candle, now
        if len(self._drafts) > _DRAFTS_KEPT:
            del self._drafts[next(iter(self._drafts))]
        return False

    def is_old(self, candle: Candle, now_ms: int) -> bool:
        """Return whether a candle ended so long ago that the history no longer changes it."""
        return now_ms - candle.close_ts >= self._limits.final_ms

    def is_ended(self, candle: Candle, now_ms: int) -> bool:
        """Return whether a candle ended so long ago that it is closed, though none follows it."""
        return now_ms - candle.close_ts >= self._limits.patience_seconds * 1000

    def note_neighbours(self, last_ts: int, next_ts: int, found: Sequence[Candle], now: float) -> None:
        """Note whether an answer has nothing between two candles, of which it has both."""
        opens = [candle.open_ts for candle in found if candle.open_ts >= last_ts]
        if opens[:2] != [last_ts, next_ts]:
            return
        if self._absence is None or self._absence[:2] != (last_ts, next_ts):
            self._absence = last_ts, next_ts, now
        elif now - self._absence[2] >= self._limits.absent_seconds:
            self._neighbours = last_ts, next_ts

    def is_forgotten(self, last_ts: int, found: Sequence[Candle], now: float) -> bool:
        """Return whether two answers that begin with a later candle show that the history ends before it.

        The exchange deletes the candles of a symbol that it lists anew.
        """
        if not found or any(candle.open_ts <= last_ts for candle in found):
            self._oblivion = None
        elif self._oblivion is None or self._oblivion[0] != last_ts:
            self._oblivion = last_ts, now
        return self._oblivion is not None and now - self._oblivion[1] >= self._limits.absent_seconds

    def are_neighbours(self, last_ts: int, next_ts: int) -> bool:
        """Return whether it is proved that nothing is between two candles."""
        return self._neighbours == (last_ts, next_ts)
