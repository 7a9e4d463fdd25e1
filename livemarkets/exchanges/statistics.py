"""What a client and a history tell of their connections and addresses, for the status page. No I/O."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from livemarkets.market.models import ExchangeState
from livemarkets.server.histogram import Histogram

__all__ = ["AddressStatistics", "ConnectionStatistics", "LegStatistics", "without_credentials"]


class ConnectionStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One connection to an exchange. Times are monotonic seconds."""

    name: str
    shard: str
    """The name of the shard that it belongs to."""
    url: str
    """The address, without user name and password."""
    is_standby: bool
    """Whether it will replace another connection."""
    streams: int
    """How many streams its shard carries."""
    acknowledged: int
    """How many of them the exchange has confirmed on this connection."""
    opened_at: float | None
    """`None` while it is opening."""
    expires_at: float
    """When it is replaced at the latest."""
    round_trip_seconds: float | None
    """How long the answer to the last ping took; `None` before the first answer."""


class AddressStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One base address of an exchange."""

    url: str
    """Without user name and password."""
    failures: int
    """Consecutive failures; 0 after it served what was asked."""
    rest_seconds: float
    """How long it is passed over from now on; 0 if it is used."""
    proxy: str | None
    """The proxy on the way, without user name and password, or why none can be used; `None` for none."""


class LegStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One of several clients that bring the same streams. Counters since the start."""

    number: int
    """From 1 on."""
    state: ExchangeState
    """That of its client, or `STALE` while a stream is mute on it that comes on another leg."""
    reason: str | None
    since: float
    """When the state began, monotonic seconds."""
    urls: tuple[str, ...]
    """The addresses of its open connections, without user name and password."""
    brought: int
    """Trades read, repeats included."""
    first: int
    """Trades that it brought before every other leg."""
    missed: int
    """Trades that it skipped. What it missed while it was away counts when it has been back for a moment."""
    disagreed: int
    """Sampled trades that differ from what the first leg brought under the same id."""
    lead: Histogram
    """How many seconds it was ahead of the next leg, by a sample of the trades that it brought first."""
    lead_p50_ms: float | None
    """Of the last minute; `None` without a sample."""
    lead_p99_ms: float | None


def without_credentials(url: str) -> str:
    """Return an address without user name, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not an address)"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
