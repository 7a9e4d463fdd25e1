"""The exchange's limits, kept for the whole process, and the delays between attempts. No I/O.

Source: Binance spot API documents, `web-socket-streams.md` ("WebSocket Limits": 300 connections per
attempt every 5 minutes per IP) and `rest-api.md` ("LIMITS": request weight per minute, Retry-After).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator

__all__ = ["ConnectBudget", "WeightBudget", "backoff"]


def backoff(
    *,
    initial_seconds: float = 0.5,
    cap_seconds: float = 30.0,
    uniform: Callable[[float, float], float] = random.uniform,
) -> Iterator[float]:
    """Yield ever longer delays with full jitter: uniform between 0 and the doubled, capped delay.

    Full jitter spreads many clients that lost the same exchange at the same moment.
    Start a new iterator only after good data, never after a mere handshake: an exchange that accepts
    and closes would otherwise be dialled without pause.
    """
    ceiling = initial_seconds
    while True:
        yield uniform(0, ceiling)
        ceiling = min(cap_seconds, ceiling * 2)


class ConnectBudget:
    """At most `limit` connection attempts in any `window_seconds`, whoever makes them.

    The default stays below the exchange's 300, since others behind the same address connect too.
    """

    def __init__(self, *, limit: int = 270, window_seconds: float = 300.0) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self._attempts: deque[float] = deque()

    def delay(self, now: float) -> float:
        """Return how many seconds to wait before the next attempt; 0 when it may be made now."""
        self._forget(now)
        if len(self._attempts) < self.limit:
            return 0.0
        return self._attempts[0] + self.window_seconds - now

    def spend(self, now: float) -> None:
        """Note that an attempt is made now."""
        self._forget(now)
        self._attempts.append(now)

    def used(self, now: float) -> int:
        """Count the attempts of the window that ends now."""
        self._forget(now)
        return len(self._attempts)

    def _forget(self, now: float) -> None:
        while self._attempts and self._attempts[0] <= now - self.window_seconds:
            self._attempts.popleft()


class WeightBudget:
    """Request weight spent per minute, and pauses that the exchange asked for."""

    def __init__(self, *, limit: int = 3000, window_seconds: float = 60.0) -> None:
        self.limit = limit
        """Half of the 6,000 a minute that the exchange grants an address: others may use it too."""
        self.window_seconds = window_seconds
        self._spent: deque[tuple[float, int]] = deque()
        self._paused_until = 0.0

    def delay(self, weight: int, now: float) -> float:
        """Return how many seconds to wait before a call of `weight`; 0 when it may be made now."""
        self._forget(now)
        pause = max(0.0, self._paused_until - now)
        excess = sum(spent for _, spent in self._spent) + weight - self.limit
        for at, spent in self._spent:
            if excess <= 0:
                break
            excess -= spent
            pause = max(pause, at + self.window_seconds - now)
        return pause

    def spend(self, weight: int, now: float) -> None:
        """Note that a call of `weight` is made now."""
        self._spent.append((now, weight))

    def pause(self, seconds: float, now: float) -> None:
        """Make no call for `seconds` (HTTP 429 and 418 with Retry-After)."""
        self._paused_until = max(self._paused_until, now + seconds)

    def used(self, now: float) -> int:
        """Return the weight spent in the window that ends now."""
        self._forget(now)
        return sum(spent for _, spent in self._spent)

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - self.window_seconds:
            self._spent.popleft()
