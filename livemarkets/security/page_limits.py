"""What pages may cost: those of one address, and the socket of each."""

from __future__ import annotations

import msgspec

__all__ = ["PageLimits", "PageSocketLimits"]


class PageLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of pages per address.

    A page is built, and kept in memory for up to 70 seconds, before it is known whether a browser opens it.
    """

    burst: float = 100
    """Page requests at once."""
    per_second: float = 1.0
    """Page requests per second on average."""
    sockets: int = 500
    """Open pages, counted by their sockets."""


class PageSocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one page's socket."""

    events_per_second: float = 20.0
    burst: float = 100.0
    """Events at once: somebody types fast, or a page with many elements opens."""
    bytes_per_event: int = 1024
    """A longer message costs as much as several events."""
    busy_seconds_per_event: float = 0.001
    """CPU time. An event that takes longer costs as much as several: a pick with 200 rows takes 8 ms."""
    stuck_seconds: float = 20.0
    """A page that reads nothing for this time is disconnected. A browser connects again by itself."""
