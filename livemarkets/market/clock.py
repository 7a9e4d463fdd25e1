"""The two clocks of the program, as one value: tests pass others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Clock", "system_clock"]


class Clock(NamedTuple):
    """Where time comes from."""

    monotonic: Callable[[], float]
    """Seconds that never go back; for everything that waits or measures."""
    now_ms: Callable[[], int]
    """Milliseconds since the epoch, UTC; for everything that is told to somebody."""


def system_clock() -> Clock:
    """Return the clocks of this machine."""
    return Clock(time.monotonic, lambda: time.time_ns() // 1_000_000)
