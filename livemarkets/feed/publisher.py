"""Where a feed's results go: the port that whoever serves readers implements."""

from __future__ import annotations

from typing import Protocol

from livemarkets.market.models import Gap, StreamKey, TradeTick

__all__ = ["TradePublisher"]


class TradePublisher(Protocol):
    """Brings trades and holes to the readers of a stream. Called synchronously; must not raise."""

    def publish_trade(self, key: StreamKey, tick: TradeTick) -> None:
        """Deliver the next trade of a stream: ids rise by 1, or a hole was published before."""

    def publish_gap(self, gap: Gap) -> None:
        """Declare a hole."""
