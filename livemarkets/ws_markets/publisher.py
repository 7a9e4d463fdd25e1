"""Encodes a feed's trades and updates once, and passes them with its gaps to the fan-out of `/ws/markets`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from livemarkets.delivery.fanout import Fanout
from livemarkets.market.candles import Candle, CandleGap
from livemarkets.market.channels import DEPTH_LEVELS
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.market.updates import DepthUpdate, TickersDelta, Update
from livemarkets.protocol.candles import encode_candle, encode_candle_gap
from livemarkets.protocol.encoding import encode_gap, encode_lagged, encode_trade
from livemarkets.protocol.updates import encode_depth, encode_row, encode_rows, encode_update
from livemarkets.ws_markets.terms import depth_name

__all__ = ["MarketsPublisher", "new_fanout"]


def new_fanout(clock: Callable[[], float]) -> Fanout:
    """Return a fan-out that writes in the event loop that runs, with the encoders of protocol 1."""
    return Fanout(
        lambda callback: asyncio.get_running_loop().call_soon(callback),
        lambda seconds, callback: asyncio.get_running_loop().call_later(seconds, callback),
        clock,
        os.write,
        encode_lagged,
        encode_gap,
        encode_rows,
    )


class MarketsPublisher:
    """The :class:`livemarkets.feed.publisher.Publisher` of `/ws/markets`.

    Without readers, nothing is encoded.
    """

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    def publish_trade(self, key: StreamKey, tick: TradeTick) -> None:
        """Publish a trade in both orders."""
        if self._fanout.has_readers(key):
            self._fanout.publish(key, encode_trade(tick), tick.id)

    def publish_arrival(self, key: StreamKey, tick: TradeTick, *, is_newest: bool) -> None:
        """Publish a trade in order of arrival."""
        if self._fanout.is_new_arrival(key, tick.id):
            self._fanout.publish_arrival(key, encode_trade(tick), tick.id, is_newest=is_newest)

    def publish_released(self, key: StreamKey, tick: TradeTick) -> None:
        """Publish a trade in order of ids, and in order of arrival if it is new there."""
        if self._fanout.has_readers_in_order(key) or self._fanout.is_new_arrival(key, tick.id):
            self._fanout.publish(key, encode_trade(tick), tick.id)

    def publish_pending(self, key: StreamKey, newest_id: int) -> None:
        """Publish in order of arrival that ids are pending."""
        self._fanout.expect(key, newest_id)

    def publish_retraction(self, key: StreamKey, trade_id: int) -> None:
        """Publish in order of arrival that a trade was false."""
        self._fanout.retract(key, trade_id)

    def publish_update(self, key: StreamKey, update: Update) -> None:
        """Publish an update of which the newest wins."""
        newest = self._fanout.newest
        if isinstance(update, TickersDelta):
            if newest.has_readers(key):
                newest.publish_rows(key, {row.symbol: encode_row(row) for row in update.rows})
        elif isinstance(update, DepthUpdate):
            for levels in DEPTH_LEVELS:
                name = depth_name(key, levels)
                if newest.has_readers(name):
                    newest.publish(name, encode_depth(update, levels))
        elif newest.has_readers(key):
            newest.publish(key, encode_update(update))

    def publish_candle(self, key: StreamKey, candle: Candle) -> None:
        """Publish a running candle, or one that was closed."""
        candles = self._fanout.candles
        if not candles.has_readers(key):
            return
        if candle.revised:
            candles.publish_revised(key, encode_candle(candle), candle.open_ts)
        elif candle.closed:
            candles.publish_closed(key, encode_candle(candle), candle.open_ts)
        else:
            candles.publish_running(key, encode_candle(candle), candle.open_ts)

    def publish_candle_gap(self, gap: CandleGap) -> None:
        """Publish which candles are missing."""
        if self._fanout.candles.has_readers(gap.key):
            self._fanout.candles.publish_gap(gap.key, encode_candle_gap(gap), gap.to_open_ts)

    def publish_gap(self, gap: Gap) -> None:
        """Publish a gap in both orders."""
        self._fanout.publish_gap(gap)
