"""The streams of the order book: its best levels, and its changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from livemarkets.simulator.market.book import Book
from livemarkets.simulator.market.order_book import Changes, Depth
from livemarkets.simulator.market.schedule import Schedule
from livemarkets.simulator.market.streams import StreamEvent, prefix_of
from livemarkets.simulator.market.symbols import UNIT

__all__ = ["DepthStreams", "depth_payload", "partial_depth_payload"]

_KIND = re.compile(r"depth(5|10|20)?(?:@(100|1000)ms)?")
_PERIODS_MS = (100, 1000)
"""Update intervals; 1000 ms without a suffix (web-socket-streams.md, Diff. Depth Stream)."""


class BookSource(Protocol):
    """The market, as these streams need it."""

    skew_ms: int

    def is_ready(self, symbol: str) -> bool:
        """Return whether a wanted symbol has been made."""

    def book_of(self, symbol: str, now_ms: float) -> Book:
        """Return the order book of a listed symbol, brought up to now."""


class _Wanted(msgspec.Struct):
    stream: str
    prefix: bytes
    symbol: str
    levels: int  # 0: the changes
    book: Book | None = None  # until its symbol is ready
    changes: Changes | None = None


class DepthStreams:
    """Makes the depth streams of a market. A book records its changes only for these.

    Args:
        market: the source of the order books.

    """

    def __init__(self, market: BookSource) -> None:
        self._market = market
        self._wanted: dict[int, dict[str, _Wanted]] = {period_ms: {} for period_ms in _PERIODS_MS}
        self._schedules = {period_ms: Schedule(period_ms) for period_ms in _PERIODS_MS}

    def want(self, wanted: Sequence[tuple[str, str, str]], now_ms: float) -> None:
        """Set the streams to make, each as (stream, symbol, kind)."""
        before = {stream: one for group in self._wanted.values() for stream, one in group.items()}
        self._wanted = {period_ms: {} for period_ms in _PERIODS_MS}
        for stream, symbol, kind in wanted:
            parts = _KIND.fullmatch(kind)
            if parts is None:
                continue
            one = before.pop(stream, None)
            if one is None:
                one = _Wanted(stream, prefix_of(stream), symbol, int(parts[1] or 0))
                self._follow(one, now_ms)
            self._wanted[int(parts[2] or 1000)][stream] = one
        for one in before.values():
            if one.book is not None and one.changes is not None:
                one.book.orders.unfollow(one.changes)
        for period_ms, schedule in self._schedules.items():
            schedule.set_wanted(bool(self._wanted[period_ms]), now_ms)

    def next_ms(self) -> float | None:
        """Return when the next update is due; `None` without streams."""
        times = [one.next_ms for one in self._schedules.values() if one.next_ms is not None]
        return min(times, default=None)

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return the updates that are due."""
        events: list[StreamEvent] = []
        for period_ms, schedule in self._schedules.items():
            if schedule.is_due(now_ms):
                event_ms = int(now_ms) + self._market.skew_ms
                for one in self._wanted[period_ms].values():
                    payload = self._payload(one, now_ms, event_ms)
                    if payload is not None:
                        text = one.prefix + payload + b"}"
                        events.append(StreamEvent(one.stream, text, len(one.prefix)))
        return events

    def _follow(self, one: _Wanted, now_ms: float) -> None:
        if one.book is None and self._market.is_ready(one.symbol):
            one.book = self._market.book_of(one.symbol, now_ms)
            one.changes = None if one.levels else one.book.orders.follow()

    def _payload(self, one: _Wanted, now_ms: float, event_ms: int) -> bytes | None:
        self._follow(one, now_ms)
        if one.book is None:
            return None
        book = self._market.book_of(one.symbol, now_ms)
        if one.changes is None:
            return partial_depth_payload(book.depth(one.levels))
        changed = book.orders.take(one.changes)
        if changed is None:
            return None
        first_id, _, depth = changed
        return depth_payload(one.symbol.encode(), first_id, book.in_units(depth), event_ms)


def depth_payload(symbol: bytes, first_id: int, depth: Depth, event_ms: int) -> bytes:
    """Encode a `@depth` event: the changed levels of the updates from `first_id` on."""
    return b'{"e":"depthUpdate","E":%d,"s":"%b","U":%d,"u":%d,"b":[%b],"a":[%b]}' % (
        event_ms,
        symbol,
        first_id,
        depth.update_id,
        _levels(depth.bids),
        _levels(depth.asks),
    )


def partial_depth_payload(depth: Depth) -> bytes:
    """Encode a `@depth<levels>` event."""
    return b'{"lastUpdateId":%d,"bids":[%b],"asks":[%b]}' % (
        depth.update_id,
        _levels(depth.bids),
        _levels(depth.asks),
    )


def _levels(levels: Iterable[tuple[int, int]]) -> bytes:
    return b",".join(
        [
            b'["%d.%08d","%d.%08d"]' % (price // UNIT, price % UNIT, size // UNIT, size % UNIT)
            for price, size in levels
        ]
    )
