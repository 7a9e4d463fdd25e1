"""The port through which a feed publishes trades and gaps. A package that serves readers implements it."""

from __future__ import annotations

from typing import Protocol

from livemarkets.market.models import Gap, StreamKey, TradeTick

__all__ = ["TradePublisher"]


class TradePublisher(Protocol):
    """Publishes trades and gaps to the readers of a stream. Called synchronously; must not raise."""

    def publish_trade(self, key: StreamKey, tick: TradeTick) -> None:
        """Publish the next trade of a stream. Ids rise by 1, or a gap was published in between."""

    def publish_gap(self, gap: Gap) -> None:
        """Publish a gap: ids that will not be delivered."""
