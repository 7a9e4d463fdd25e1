"""The budget of connection attempts to an exchange, and the reconnect backoff. No I/O.

All clients of an exchange share its budget: the exchange counts attempts, and forbids them, per IP address.

Source: Binance spot API documents, `web-socket-streams.md` ("WebSocket Limits": 300 connections per
attempt every 5 minutes per IP).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator

__all__ = ["ConnectBudget", "backoff"]


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
        self.banned_until = 0.0
        """Until when the exchange forbids every attempt from here, monotonic seconds."""
        self._attempts: deque[float] = deque()

    def delay(self, now: float) -> float:
        """Return the delay before the next attempt in seconds; 0 when it is allowed now."""
        self._forget(now)
        ban = max(0.0, self.banned_until - now)
        if len(self._attempts) < self.limit:
            return ban
        return max(ban, self._attempts[0] + self.window_seconds - now)

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
