"""Encodes a feed's trades and gaps once, and passes them to the fan-out of `/ws/markets`."""

from __future__ import annotations

from livemarkets.delivery.fanout import Fanout
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.protocol.encoding import encode_gap, encode_trade

__all__ = ["MarketsPublisher"]


class MarketsPublisher:
    """The :class:`livemarkets.feed.publisher.TradePublisher` of `/ws/markets`."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    def publish_trade(self, key: StreamKey, tick: TradeTick) -> None:
        """Publish a trade. Without readers of the stream, nothing is encoded."""
        if self._fanout.has_readers(key):
            self._fanout.publish(key, encode_trade(tick), tick.id)

    def publish_gap(self, gap: Gap) -> None:
        """Publish a gap."""
        self._fanout.publish_gap(gap.key, encode_gap(gap), gap.from_id, gap.to_id)
