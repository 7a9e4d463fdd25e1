"""What a client asked for when it subscribed: mode, order and levels."""

from __future__ import annotations

import msgspec

from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.channels import DEPTH
from livemarkets.market.models import StreamKey
from livemarkets.protocol.requests import SubscribeRequest

__all__ = ["Terms", "depth_name"]


def depth_name(key: StreamKey, levels: int) -> StreamKey:
    """Return the name under which the updates of a stream of depth are delivered with so many levels."""
    return StreamKey(key.exchange, key.channel, key.symbol, str(levels))


class Terms(msgspec.Struct, frozen=True):
    """How a client wants to read a stream."""

    feed: ExchangeFeed
    """Where the stream comes from."""
    order: str
    """`id` or `arrival`."""
    interval_seconds: float | None
    """At most one message in this time, in `mode: latest`; `None` for everything."""
    levels: int
    """How many price levels of each side, in the channel `depth`."""

    @classmethod
    def of(cls, request: SubscribeRequest, feed: ExchangeFeed) -> Terms:
        """Return the terms of a request."""
        interval = None if request.interval_ms is None else request.interval_ms / 1000
        return cls(feed, request.order, interval, request.levels)

    @property
    def mode(self) -> str:
        """`all` or `latest`."""
        return "all" if self.interval_seconds is None else "latest"

    @property
    def wants_all_arrivals(self) -> bool:
        """Whether every trade is sent when it arrives."""
        return self.order == "arrival" and self.interval_seconds is None

    @property
    def reads_arrivals(self) -> bool:
        """Whether no trade waits behind a hole: in order of arrival, and whenever only the latest counts."""
        return self.order == "arrival" or self.interval_seconds is not None

    def name(self, key: StreamKey) -> StreamKey:
        """Return the name under which the updates of a stream are delivered."""
        return depth_name(key, self.levels) if key.channel == DEPTH else key
