"""What each asker used of an exchange's rate limit. No I/O.

An asker is a reader for whom calls are made, such as its address. It is remembered for ten minutes, so that a
reader that connects again has no new share.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Askers"]

_REMEMBERED_SECONDS = 600.0
_ASKERS_KEPT = 10_000


class _Used:
    """What one asker used, in steps of a second."""

    __slots__ = ("steps", "total")

    def __init__(self) -> None:
        self.steps: deque[list[float]] = deque()  # [second, weight]
        self.total = 0.0


class Askers:
    """The weight of each asker's calls of the last ten minutes. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._used: dict[str, _Used] = {}

    def spend(self, asker: str | None, weight: int, now: float) -> None:
        """Count a call, or take it back with a negative weight. `None`, everybody, is not counted."""
        if asker is None:
            return
        used = self._used.pop(asker, None) or _Used()
        self._used[asker] = used  # the one that asked last is at the end
        if used.steps and used.steps[-1][0] == int(now):
            used.steps[-1][1] += weight
        else:
            used.steps.append([int(now), weight])
        used.total += weight
        self._forget(now)

    def in_minute(self, asker: str | None, now: float) -> float:
        """Return what an asker used in the minute that ends now."""
        used = self._used.get(asker) if asker is not None else None
        if used is None:
            return 0.0
        total = 0.0
        for second, weight in reversed(used.steps):
            if second <= now - 60.0:
                break
            total += weight
        return total

    def lately(self, asker: str | None, now: float) -> float:
        """Return what an asker used in the ten minutes that end now."""
        used = self._used.get(asker) if asker is not None else None
        if used is None:
            return 0.0
        while used.steps and used.steps[0][0] <= now - _REMEMBERED_SECONDS:
            used.total -= used.steps.popleft()[1]
        return used.total

    def _forget(self, now: float) -> None:
        while self._used:
            oldest = next(iter(self._used))
            steps = self._used[oldest].steps
            if steps[-1][0] > now - _REMEMBERED_SECONDS and len(self._used) <= _ASKERS_KEPT:
                break
            del self._used[oldest]
