"""Counts the lines of the log, so that somebody notices when there are very many."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["LogVolume"]

_REMEMBERED_SECONDS = 60


class LogVolume:
    """The lines of the last minute.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds: deque[list[int]] = deque(maxlen=_REMEMBERED_SECONDS)  # [second, lines in it]

    def note(self) -> None:
        """Count a line."""
        second = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0])
        self._seconds[-1][1] += 1

    def last_minute(self) -> int:
        """Return how many lines there were in the last minute."""
        oldest = int(self._clock()) - _REMEMBERED_SECONDS
        return sum(lines for second, lines in self._seconds if second > oldest)
