"""How many of something there were in the last hour, to the minute. No I/O."""

from __future__ import annotations

from collections import deque

__all__ = ["HourCount"]

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000


class HourCount:
    """Counts in the last hour. Times are ms since the epoch. It keeps one entry a minute at most."""

    __slots__ = ("_steps", "_total")

    def __init__(self) -> None:
        self._steps: deque[tuple[int, int]] | None = None  # (when, how many); most counts stay empty
        self._total = 0  # of a counter that was noted

    def add(self, count: int, now_ms: int) -> None:
        """Count what happened now."""
        if self._steps is None:
            self._steps = deque()
        steps = self._steps
        if steps and steps[-1][0] // _MINUTE_MS == now_ms // _MINUTE_MS:
            count += steps.pop()[1]
        steps.append((now_ms, count))

    def note_total(self, total: int, now_ms: int) -> None:
        """Count by how much a counter has risen since it was noted last."""
        if total > self._total:
            self.add(total - self._total, now_ms)
        self._total = total

    def in_hour(self, now_ms: int) -> int:
        """Return how many there were in the hour that ends now."""
        steps = self._steps
        if steps is None:
            return 0
        while steps and now_ms - steps[0][0] >= _HOUR_MS:
            steps.popleft()
        return sum(count for _, count in steps)

    def __len__(self) -> int:
        """Return how many entries are kept."""
        return len(self._steps or ())

    @property
    def newest_ts(self) -> int | None:
        """When the newest that is kept was counted; `None` if there is none."""
        return self._steps[-1][0] if self._steps else None
