"""Measures how late the event loop is: whatever holds it delays everybody."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable

__all__ = ["BOUNDS_SECONDS", "LoopDelay"]

BOUNDS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_INTERVAL_SECONDS = 0.05
_REMEMBERED_SECONDS = 60


class LoopDelay:
    """How late a timer was that fires every 50 ms. Half a millisecond of it is the precision of timers.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        """How many delays were at most each of :data:`BOUNDS_SECONDS` and above the one before; the last
        number is of those above all."""
        self.total_seconds = 0.0
        self._clock = clock
        self._longest: deque[tuple[int, float]] = deque()  # (second, the longest delay in it)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = self._clock() + _INTERVAL_SECONDS
            await asyncio.sleep(_INTERVAL_SECONDS)
            self.note(max(self._clock() - due, 0.0))

    def note(self, delay_seconds: float) -> None:
        """Count a delay that ends now."""
        self.counts[bisect_left(BOUNDS_SECONDS, delay_seconds)] += 1
        self.total_seconds += delay_seconds
        second, longest = int(self._clock()), self._longest
        if longest and longest[-1][0] == second:
            delay_seconds = max(longest.pop()[1], delay_seconds)
        longest.append((second, delay_seconds))
        self._forget(second)

    def longest_seconds(self) -> float:
        """Return the longest delay of the last minute."""
        self._forget(int(self._clock()))
        return max((delay for _, delay in self._longest), default=0.0)

    def _forget(self, second: int) -> None:
        while self._longest and self._longest[0][0] <= second - _REMEMBERED_SECONDS:
            self._longest.popleft()
