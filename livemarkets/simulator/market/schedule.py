"""When periodic events are due: at whole multiples of a period, so that klines end on time."""

from __future__ import annotations

__all__ = ["Schedule"]


class Schedule:
    """The due times of one period.

    Args:
        period_ms: the period.

    """

    def __init__(self, period_ms: int) -> None:
        self.period_ms = period_ms
        self.next_ms: float | None = None
        """When the next event is due; `None` while nothing is wanted."""

    def set_wanted(self, wanted: bool, now_ms: float) -> None:
        """Start or stop. What already runs goes on."""
        if not wanted:
            self.next_ms = None
        elif self.next_ms is None:
            self.next_ms = self._after(now_ms)

    def is_due(self, now_ms: float) -> bool:
        """Return whether an event is due, and if so, wait for the next one."""
        if self.next_ms is None or now_ms < self.next_ms:
            return False
        self.next_ms = self._after(now_ms)
        return True

    def _after(self, now_ms: float) -> float:
        return (now_ms // self.period_ms + 1) * self.period_ms
