"""The exchange's limits with Binance's documented values, and the counters that enforce them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["ExchangeLimits", "SlidingWindow", "WeightMeter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeLimits:
    """Limits of a client. Every default is Binance's value.

    Sources: web-socket-streams.md (General WSS information, WebSocket Limits) and rest-api.md (IP Limits).

    Args:
        messages_per_second: incoming frames per connection in any second, including pings and pongs.
        streams_per_connection: subscriptions per connection.
        connects_per_window: connection attempts per address in `connect_window_seconds`.
        connect_window_seconds: length of that window.
        ping_interval_seconds: interval of the exchange's pings.
        ping_timeout_seconds: time limit for the answer to a ping.
        max_age_seconds: age at which a connection is closed.
        rest_weight_per_minute: request weight per address.
        refusals_before_ban: REST calls of one address that are refused in one minute before it is banned.
        ban_seconds: how long it is banned (at Binance from 2 minutes to 3 days).
        send_buffer_bytes: a client with more unread bytes is disconnected.

    """

    messages_per_second: int = 5
    streams_per_connection: int = 1024
    connects_per_window: int = 300
    connect_window_seconds: float = 300.0
    ping_interval_seconds: float = 20.0
    ping_timeout_seconds: float = 60.0
    max_age_seconds: float = 86_400.0
    rest_weight_per_minute: int = 6000
    refusals_before_ban: int = 20
    ban_seconds: float = 120.0
    send_buffer_bytes: int = 16 * 2**20


class SlidingWindow:
    """Limits events in a sliding window.

    Args:
        limit: how many events are allowed in one window.
        seconds: the length of the window.

    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._times: deque[float] = deque()

    def admit(self, now_seconds: float) -> bool:
        """Count an event and return whether it is allowed. A refused event is not counted."""
        while self._times and self._times[0] <= now_seconds - self._seconds:
            self._times.popleft()
        if len(self._times) >= self._limit:
            return False
        self._times.append(now_seconds)
        return True

    def retry_after_seconds(self, now_seconds: float) -> float:
        """Return the time until the next event is allowed, in seconds."""
        return max(self._times[0] + self._seconds - now_seconds, 0.0) if self._times else 0.0


class WeightMeter:
    """Request weight used by one address in the present minute. Who goes on after refusals is banned.

    Args:
        limits: the allowed weight per minute, and when a ban follows.

    """

    def __init__(self, limits: ExchangeLimits) -> None:
        self._limits = limits
        self._minute = -1
        self._refused = 0
        self.banned_until_ms = 0.0
        self.used = 0

    def use(self, weight: int, now_ms: float) -> bool:
        """Count a request and return whether it is allowed. A refused request is counted too."""
        self._begin_minute(now_ms)
        self.used += weight
        if now_ms < self.banned_until_ms:
            return False
        if self.used <= self._limits.rest_weight_per_minute:
            return True
        self._refused += 1
        if self._refused > self._limits.refusals_before_ban:
            self.banned_until_ms = now_ms + self._limits.ban_seconds * 1000.0
        return False

    def _begin_minute(self, now_ms: float) -> None:
        minute = int(now_ms // 60_000)
        if minute != self._minute:
            self._minute, self.used, self._refused = minute, 0, 0

    @staticmethod
    def retry_after_seconds(now_ms: float) -> int:
        """Return the seconds until the next minute begins, at least 1."""
        return int(60 - now_ms / 1000 % 60) + 1
