"""What a client and a history tell of their connections and addresses, for the status page. No I/O."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

__all__ = ["AddressStatistics", "ConnectionStatistics", "without_credentials"]


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


def without_credentials(url: str) -> str:
    """Return an address without user name, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not an address)"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
