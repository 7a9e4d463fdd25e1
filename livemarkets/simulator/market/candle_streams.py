"""The kline streams: what runs, and every kline once more when it has ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from livemarkets.simulator.market.candles import Candles
from livemarkets.simulator.market.pieces import FIRST, Pieces
from livemarkets.simulator.market.schedule import Schedule
from livemarkets.simulator.market.streams import StreamEvent, kline_payload, prefix_of

__all__ = ["CandleStreams"]

_KIND = re.compile(r"kline_(\w+?)(@\+08:00)?")
_EIGHT_HOURS_MS = 28_800_000
_PERIOD_MS = 1000
_USUAL_PERIOD_MS = 2000
"""Update intervals: of `1s`, and of the other klines (web-socket-streams.md)."""
_MOST_ENDED = 1000
"""Klines of a stream that are sent at once, such as after the clock was changed."""


class CandleSource(Protocol):
    """The market, as these streams need it."""

    skew_ms: int

    def is_ready(self, symbol: str) -> bool:
        """Return whether a wanted symbol has been made."""

    def candles_of(self, symbol: str, now_ms: float) -> Candles:
        """Return all klines of a listed symbol, brought up to now."""


class _Wanted(msgspec.Struct):
    stream: str
    prefix: bytes
    symbol: str
    interval: str
    offset_ms: int
    next_ms: float = 0.0
    shown: tuple[int, int] = (-1, -1)  # open and close time of the kline that was sent last


class CandleStreams:
    """Makes the kline streams of a market.

    Args:
        market: the source of the klines.

    """

    def __init__(self, market: CandleSource) -> None:
        self._market = market
        self._wanted: dict[str, _Wanted] = {}
        self._schedule = Schedule(_PERIOD_MS)
        self._due: Pieces[_Wanted] = Pieces()

    def want(self, wanted: Sequence[tuple[str, str, str]], now_ms: float) -> None:
        """Set the streams to make, each as (stream, symbol, kind)."""
        before, self._wanted = self._wanted, {}
        for stream, symbol, kind in wanted:
            if stream in before:
                self._wanted[stream] = before[stream]
            elif (parts := _KIND.fullmatch(kind)) is not None:
                offset_ms = _EIGHT_HOURS_MS if parts[2] else 0
                self._wanted[stream] = _Wanted(stream, prefix_of(stream), symbol, parts[1], offset_ms)
        self._schedule.set_wanted(bool(self._wanted), now_ms)
        self._due.keep(lambda one: self._wanted.get(one.stream) is one)

    def next_ms(self) -> float | None:
        """Return when the next update is due; `None` without streams."""
        return 0.0 if self._due else self._schedule.next_ms

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return updates that are due: for each stream what ended since the last one, then what runs."""
        if self._schedule.is_due(now_ms) and not self._due:
            self._due.begin(self._wanted.values())
        events: list[StreamEvent] = []
        if self._due:
            event_ms = int(now_ms) + self._market.skew_ms
            self._due.do_some(lambda one: self._update(one, now_ms, event_ms, events))
        return events

    def _update(self, wanted: _Wanted, now_ms: float, event_ms: int, events: list[StreamEvent]) -> int:
        opened_ms, closes_ms = wanted.shown
        is_early = event_ms < opened_ms or (now_ms < wanted.next_ms and event_ms <= closes_ms)
        if is_early or not self._market.is_ready(wanted.symbol):
            return 1
        period_ms = _PERIOD_MS if wanted.interval == "1s" else _USUAL_PERIOD_MS
        wanted.next_ms = now_ms // _PERIOD_MS * _PERIOD_MS + period_ms
        candles = self._market.candles_of(wanted.symbol, now_ms)
        from_ms = opened_ms if opened_ms >= 0 else event_ms
        symbol, prefix = wanted.symbol, wanted.prefix
        for bar in candles.running(wanted.interval, wanted.offset_ms, from_ms, event_ms, _MOST_ENDED):
            payload = kline_payload(symbol, wanted.interval, bar, event_ms)
            events.append(StreamEvent(wanted.stream, prefix + payload + b"}", len(prefix)))
            wanted.shown = (bar.open_ms, bar.close_ms)
        return 1 if opened_ms >= 0 else FIRST
