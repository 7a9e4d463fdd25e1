"""The closed candles of one stream that are in memory. No I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter

from livemarkets.market.candles import Candle

__all__ = ["CandleMemory"]

_open_of = attrgetter("open_ts")


class CandleMemory:
    """The newest closed candles of one stream, oldest first, with none missing between them.

    Args:
        kept: how many.

    """

    __slots__ = ("_kept", "_start", "candles", "has_oldest")

    def __init__(self, kept: int) -> None:
        self.candles: list[Candle] = []
        self.has_oldest = False
        """Whether the exchange has nothing before them."""
        self._kept = kept
        self._start: int | None = None  # everything that opened later is here

    def start_at(self, open_ts: int) -> None:
        """Note that what opens from this time on will be here, if nothing is here yet."""
        if self._start is None:
            self._start = open_ts - 1

    def reaches(self, open_ts: int) -> bool:
        """Return whether every closed candle that opened later than a time is here."""
        return self.has_oldest or (self._start is not None and open_ts >= self._start)

    def after(self, open_ts: int) -> list[Candle]:
        """Return the candles that opened later than a time, oldest first."""
        return self.candles[bisect_left(self.candles, open_ts + 1, key=_open_of) :]

    def place(self, open_ts: int) -> int | None:
        """Return the index of the candle that opened at a time; `None` if it is not here."""
        at = bisect_left(self.candles, open_ts, key=_open_of)
        return at if at < len(self.candles) and self.candles[at].open_ts == open_ts else None

    def append(self, candle: Candle) -> None:
        """Add the next candle. Remove the oldest ones, many at a time."""
        self.candles.append(candle)
        self.start_at(candle.open_ts)
        if len(self.candles) > self._kept + self._kept // 10:
            del self.candles[: -self._kept]
            self.has_oldest = False
            self._start = self.candles[0].open_ts - 1

    def prepend(self, candles: Sequence[Candle]) -> None:
        """Add those that were directly before, as far as there is room."""
        room = max(0, self._kept - len(self.candles))
        added = candles[max(0, len(candles) - room) :]
        self.candles[:0] = added
        if added:
            self._start = added[0].open_ts - 1

    def clear(self, open_ts: int) -> None:
        """Forget everything. What opens later than a time will be here."""
        self.candles.clear()
        self.has_oldest = False
        self._start = open_ts
