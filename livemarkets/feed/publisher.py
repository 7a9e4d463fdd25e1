"""The ports through which a feed publishes to readers. A package that serves readers implements them.

A stream has two orders. In order of ids, a trade behind a hole waits until the hole is closed or declared. In
order of arrival nothing waits, and the ids of a hole are *pending*. Without a hole both are the same.
"""

from __future__ import annotations

from typing import Protocol

from livemarkets.market.candles import Candle, CandleGap
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.market.updates import Update

__all__ = ["CandlePublisher", "Publisher", "TradePublisher", "UpdatePublisher"]


class TradePublisher(Protocol):
    """Publishes trades and gaps to the readers of a stream. Called synchronously; must not raise."""

    def publish_trade(self, key: StreamKey, tick: TradeTick) -> None:
        """Publish a trade that arrives in its turn, in both orders.

        In order of ids, ids rise by 1, or a gap was published in between.
        """

    def publish_arrival(self, key: StreamKey, tick: TradeTick, *, is_newest: bool) -> None:
        """Publish a trade that arrives out of its turn, in order of arrival only.

        Args:
            key: the stream.
            tick: the trade. Ids that it passes over are pending. A trade that was published is ignored.
            is_newest: whether it is the latest trade. A trade that was fetched late is not.

        """

    def publish_released(self, key: StreamKey, tick: TradeTick) -> None:
        """Publish the next trade in order of ids; in order of arrival only if it was not published there."""

    def publish_pending(self, key: StreamKey, newest_id: int) -> None:
        """Publish in order of arrival that ids up to this one are pending: the exchange has them."""

    def publish_retraction(self, key: StreamKey, trade_id: int) -> None:
        """Publish in order of arrival that a trade was false: its id is pending again."""

    def publish_gap(self, gap: Gap) -> None:
        """Publish a gap in both orders: ids that will not be delivered."""


class UpdatePublisher(Protocol):
    """Publishes updates of which the newest wins. Called synchronously; must not raise."""

    def publish_update(self, key: StreamKey, update: Update) -> None:
        """Publish an update, which replaces the one before."""


class CandlePublisher(Protocol):
    """Publishes candles to the readers of a stream. Called synchronously; must not raise.

    They come in the order of their open times. After a closed candle, only later ones come, or a closed one
    again with `revised`. After a gap, only candles that opened after it come.
    """

    def publish_candle(self, key: StreamKey, candle: Candle) -> None:
        """Publish a running candle, which replaces the one before, or a closed one."""

    def publish_candle_gap(self, gap: CandleGap) -> None:
        """Publish which candles will not be delivered."""


class Publisher(TradePublisher, UpdatePublisher, CandlePublisher, Protocol):
    """Publishes everything that a feed has."""
