"""The kline streams: what runs, and every kline once more when it has ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from livemarkets.simulator.market.candles import Candles
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

    def next_ms(self) -> float | None:
        """Return when the next update is due; `None` without streams."""
        return self._schedule.next_ms

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return the updates that are due: for each stream what ended since the last one, then what runs."""
        if not self._schedule.is_due(now_ms):
            return []
        event_ms = int(now_ms) + self._market.skew_ms
        events: list[StreamEvent] = []
        for wanted in self._wanted.values():
            opened_ms, closes_ms = wanted.shown
            if event_ms < opened_ms or (now_ms < wanted.next_ms and event_ms <= closes_ms):
                continue
            period_ms = _PERIOD_MS if wanted.interval == "1s" else _USUAL_PERIOD_MS
            wanted.next_ms = now_ms // _PERIOD_MS * _PERIOD_MS + period_ms
            candles = self._market.candles_of(wanted.symbol, now_ms)
            from_ms = opened_ms if opened_ms >= 0 else event_ms
            symbol, prefix = wanted.symbol, wanted.prefix
            for bar in candles.running(wanted.interval, wanted.offset_ms, from_ms, event_ms, _MOST_ENDED):
                payload = kline_payload(symbol, wanted.interval, bar, event_ms)
                events.append(StreamEvent(wanted.stream, prefix + payload + b"}", len(prefix)))
                wanted.shown = (bar.open_ms, bar.close_ms)
        return events
