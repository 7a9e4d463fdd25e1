"""Budgets for an exchange's rate limits, shared by the whole process, and the reconnect backoff. No I/O.

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
    """Yield delays in seconds, with exponential backoff and full jitter.

    Each delay is uniform between 0 and an upper limit, which doubles up to `cap_seconds`. Full jitter spreads
    the attempts of clients that lost the same exchange at the same moment.

    Start a new iterator after good data, not after a handshake. Otherwise an exchange that accepts and then
    closes would be dialled without a delay.
    """
    ceiling = initial_seconds
    while True:
        yield uniform(0, ceiling)
        ceiling = min(cap_seconds, ceiling * 2)


class ConnectBudget:
    """Allows at most `limit` connection attempts in any `window_seconds`.

    The default is below the exchange's limit of 300, because other programs may use the same IP address.
    """

    def __init__(self, *, limit: int = 270, window_seconds: float = 300.0) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self._attempts: deque[float] = deque()

    def delay(self, now: float) -> float:
        """Return the delay before the next attempt in seconds; 0 when it is allowed now."""
        self._forget(now)
        if len(self._attempts) < self.limit:
            return 0.0
        return self._attempts[0] + self.window_seconds - now

    def spend(self, now: float) -> None:
        """Count an attempt."""
        self._forget(now)
        self._attempts.append(now)

    def used(self, now: float) -> int:
        """Return how many attempts were made in the window that ends now."""
        self._forget(now)
        return len(self._attempts)

    def _forget(self, now: float) -> None:
        while self._attempts and self._attempts[0] <= now - self.window_seconds:
            self._attempts.popleft()


class WeightBudget:
    """Request weight used per minute, and pauses requested by the exchange."""

    def __init__(self, *, limit: int = 3000, window_seconds: float = 60.0) -> None:
        self.limit = limit
        """Half of the exchange's limit of 6,000 per minute and IP address, which other programs may share."""
        self.window_seconds = window_seconds
        self._spent: deque[tuple[float, int]] = deque()
        self._paused_until = 0.0

    def delay(self, weight: int, now: float) -> float:
        """Return the delay before a call of `weight` in seconds; 0 when it is allowed now."""
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
        """Count a call of `weight`."""
        self._spent.append((now, weight))

    def pause(self, seconds: float, now: float) -> None:
        """Allow no call for `seconds` (after HTTP 429 or 418 with Retry-After)."""
        self._paused_until = max(self._paused_until, now + seconds)

    def used(self, now: float) -> int:
        """Return the weight spent in the window that ends now."""
        self._forget(now)
        return sum(spent for _, spent in self._spent)

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - self.window_seconds:
            self._spent.popleft()
