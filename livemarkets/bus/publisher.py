"""The publisher of an ingest: what one turn of the event loop brought of a stream is one message.

Trades are published in the order of their arrival, since an edge has a ledger of its own: it keeps order,
finds what is missing, and drops what another ingest brought before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livemarkets.bus import subjects
from livemarkets.bus.link import Link
from livemarkets.bus.messages import VERSION, Batch, encode, row_of
from livemarkets.market.candles import Candle, CandleGap
from livemarkets.market.models import Gap, StreamKey, TradeTick
from livemarkets.market.updates import TickersDelta, Update

__all__ = ["BusPublisher"]

_TRADES_AT_ONCE = 1000
"""Trades in one message: about 80 KB."""
_ROWS_AT_ONCE = 300
"""Rows of tickers in one message: about 100 KB."""


class _Outgoing:
    """One stream, and what this turn brought of it."""

    __slots__ = ("items", "newest_id", "number", "subject")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.number = 0
        self.newest_id = -1
        self.items: list[Any] = []


class BusPublisher:
    """The :class:`livemarkets.feed.publisher.Publisher` of an ingest.

    Args:
        node: the name of this process.
        link: the connection to the bus.
        call_soon: calls a function in the next turn of the event loop.

    """

    def __init__(self, node: str, link: Link, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self.trades = self.updates = self.batches = 0
        """What was published since the start, and in how many messages."""
        self._node = node
        self._link = link
        self._call_soon = call_soon
        self._streams: dict[StreamKey, _Outgoing] = {}
        self._waiting: list[_Outgoing] = []

    def forget(self, key: StreamKey) -> None:
        """Forget a stream that nobody wants any more."""
        self._streams.pop(key, None)

    # trades

    def publish_trade(self, key: StreamKey, tick: TradeTick) -> None:
        """Publish a trade that arrived in its turn. The hot path."""
        outgoing = self._streams.get(key) or self._begin(key)
        items = outgoing.items
        if not items:
            self._wait(outgoing)
        items.append(row_of(tick))

    def publish_arrival(self, key: StreamKey, tick: TradeTick, *, is_newest: bool) -> None:
        """Publish a trade that arrived out of its turn."""
        self.publish_trade(key, tick)

    def publish_released(self, key: StreamKey, tick: TradeTick) -> None:
        """Do nothing: it was published when it arrived."""

    def publish_pending(self, key: StreamKey, newest_id: int) -> None:
        """Do nothing: the edge finds the same hole."""

    def publish_retraction(self, key: StreamKey, trade_id: int) -> None:
        """Do nothing: the edge finds the same contradiction."""

    def publish_gap(self, gap: Gap) -> None:
        """Do nothing: the edge waits as long as this process does, and asks for what is missing."""

    # the other channels

    def publish_update(self, key: StreamKey, update: Update) -> None:
        """Publish an update, which replaces the one of the same turn."""
        if isinstance(update, TickersDelta):
            for start in range(0, len(update.rows), _ROWS_AT_ONCE):
                rows = update.rows[start : start + _ROWS_AT_ONCE]
                self._add(key, TickersDelta(update.exchange, rows, update.recv_ts))
                self._flush()
        else:
            outgoing = self._streams.get(key)
            if outgoing is not None and outgoing.items:
                outgoing.items[-1] = update
            else:
                self._add(key, update)

    def publish_candle(self, key: StreamKey, candle: Candle) -> None:
        """Publish a candle, which replaces a running one of the same turn."""
        outgoing = self._streams.get(key)
        if outgoing is not None and outgoing.items and not outgoing.items[-1].closed:
            outgoing.items[-1] = candle
        else:
            self._add(key, candle)

    def publish_candle_gap(self, gap: CandleGap) -> None:
        """Do nothing: the edge finds the same gap."""

    # sending

    def _begin(self, key: StreamKey) -> _Outgoing:
        outgoing = self._streams[key] = _Outgoing(subjects.data(key))
        return outgoing

    def _add(self, key: StreamKey, update: Update | Candle) -> None:
        outgoing = self._streams.get(key) or self._begin(key)
        if not outgoing.items:
            self._wait(outgoing)
        outgoing.items.append(update)

    def _wait(self, outgoing: _Outgoing) -> None:
        """Send what this turn brings of a stream in the next one."""
        if not self._waiting:
            self._call_soon(self._flush)
        self._waiting.append(outgoing)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for outgoing in waiting:
            items, outgoing.items = outgoing.items, []
            for start in range(0, len(items), _TRADES_AT_ONCE):
                self._send(outgoing, items[start : start + _TRADES_AT_ONCE])

    def _send(self, outgoing: _Outgoing, items: list[Any]) -> None:
        outgoing.number += 1
        batch = Batch(VERSION, self._node, outgoing.number, outgoing.newest_id, items)
        self._link.publish(outgoing.subject, encode(batch))
        self.batches += 1
        if isinstance(items[0], tuple):
            self.trades += len(items)
            outgoing.newest_id = max(outgoing.newest_id, items[-1][0])
        else:
            self.updates += len(items)
