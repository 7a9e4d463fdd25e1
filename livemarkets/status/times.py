"""Monotonic times as times of day, the same for the same moment in every report."""

from __future__ import annotations

from livemarkets.market.clock import Clock

__all__ = ["Times"]

_SAME_MS = 50


class Times:
    """Converts monotonic seconds to ms since the epoch.

    The two clocks are read one after the other, so their difference trembles. It is kept until the time was
    set, so that a time that did not change is not sent anew to every page.

    Args:
        clock: source of both.

    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = 0
        self.now = 0.0
        """Monotonic seconds."""
        self.renew()

    def renew(self) -> None:
        """Begin a new report."""
        self.now = self._clock.monotonic()
        offset_ms = self._clock.now_ms() - int(self.now * 1000)
        if abs(offset_ms - self._offset_ms) > _SAME_MS:
            self._offset_ms = offset_ms

    def ts(self, at: float) -> int:
        """Return a monotonic time as ms since the epoch."""
        return int(at * 1000) + self._offset_ms

    def until(self, seconds: float) -> int | None:
        """Return when so many seconds from now are over, in whole seconds; `None` if they are 0."""
        return round(self.ts(self.now + seconds), -3) if seconds > 0 else None
