"""The two clocks of the program as one value, so that tests can replace them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Clock", "system_clock"]


class Clock(NamedTuple):
    """A source of the time."""

    monotonic: Callable[[], float]
    """Seconds that never go backwards; for delays and measurements."""
    now_ms: Callable[[], int]
    """Milliseconds since the epoch, UTC; for times that are shown or sent."""


def system_clock() -> Clock:
    """Return the clocks of this machine."""
    return Clock(time.monotonic, lambda: time.time_ns() // 1_000_000)
