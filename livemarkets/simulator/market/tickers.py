"""Periodic streams: tickers of one symbol and of all, and average prices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, Protocol

from livemarkets.simulator.market.pieces import FIRST, Pieces
from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.streams import (
    StreamEvent,
    average_payload,
    mini_ticker_payload,
    prefix_of,
    ticker_payload,
    window_payload,
)

__all__ = ["TICKER_KINDS", "Tickers"]

TICKER_KINDS = re.compile(r"miniTicker|ticker(_(1h|4h|1d))?|avgPrice")
"""The periodic streams of one symbol."""

_WINDOWS_MS = {"1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000}
_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_AVERAGE_MS = 300_000
_INTERVAL_MS = 1000
"""Update interval (web-socket-streams.md)."""


class TickerSource(Source, Protocol):
    """The market, as these streams need it."""

    def is_ready(self, symbol: str) -> bool:
        """Return whether a wanted symbol has been made."""


class _Step(NamedTuple):
    symbol: str  # none at the end of a stream of all symbols
    streams: tuple[tuple[str, str], ...]
    """Each as (stream, kind). Those of one symbol are one step, so that they bear the same time."""
    is_of_all: bool = False


class Tickers:
    """Makes the periodic streams of a market.

    Args:
        market: the source of the trades.

    """

    def __init__(self, market: TickerSource) -> None:
        self._market = market
        self._wanted: list[tuple[str, str, str]] = []
        self._last_ids: dict[str, dict[str, int]] = {}  # that each stream of all symbols showed
        self._changed: dict[str, list[bytes]] = {}  # payloads of a stream of all symbols, not sent yet
        self._computed: set[str] = set()  # symbols whose day has been summed up
        self._due: Pieces[_Step] = Pieces()
        self._next_ms = 0.0

    def want(self, wanted: Sequence[tuple[str, str, str]], now_ms: float) -> None:
        """Set the streams to make, each as (stream, symbol, kind); without a symbol for all symbols."""
        if wanted and not self._wanted:
            self._next_ms = now_ms + _INTERVAL_MS
        self._wanted = list(wanted)
        streams = {stream for stream, _, _ in wanted}
        self._last_ids = {stream: ids for stream, ids in self._last_ids.items() if stream in streams}
        self._changed = {stream: rows for stream, rows in self._changed.items() if stream in streams}
        self._due.keep(lambda step: any(stream in streams for stream, _ in step.streams))

    def next_ms(self) -> float | None:
        """Return when the next update is due; `None` without streams."""
        if self._due:
            return 0.0
        return self._next_ms if self._wanted else None

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return updates that are due, one of every stream in each interval."""
        if self._wanted and now_ms >= self._next_ms and not self._due:
            self._next_ms = max(self._next_ms + _INTERVAL_MS, now_ms)
            self._due.begin(self._steps())
        events: list[StreamEvent] = []
        if self._due:
            event_ms = int(now_ms) + self._market.skew_ms
            self._due.do_some(lambda step: self._do(step, now_ms, event_ms, events))
        return events

    def _steps(self) -> Iterator[_Step]:
        for symbol, streams in groupby(self._wanted, key=lambda wanted: wanted[1]):
            named = tuple((stream, kind) for stream, _, kind in streams)
            if symbol:
                yield _Step(symbol, named)
                continue
            for stream, kind in named:
                of_one = ((stream, kind.removeprefix("!").partition("@")[0]),)
                for each in self._market.rules:
                    yield _Step(each, of_one, is_of_all=True)
                yield _Step("", of_one)

    def _do(self, step: _Step, now_ms: float, event_ms: int, events: list[StreamEvent]) -> int:
        """Do a step and return its cost."""
        symbol = step.symbol
        if not symbol:
            for stream, _ in step.streams:
                if rows := self._changed.pop(stream, []):
                    events.append(_event(stream, b"[%b]" % b",".join(rows)))
            return 1
        if symbol not in self._market.rules or not self._market.is_ready(symbol):
            return 1
        if step.is_of_all:
            return self._note_changed(symbol, *step.streams[0], now_ms, event_ms)
        for stream, kind in step.streams:
            if payload := self._ticker(symbol, kind, now_ms, event_ms):
                events.append(_event(stream, payload))
        return len(step.streams) - 1 + self._cost(symbol)

    def _note_changed(self, symbol: str, stream: str, kind: str, now_ms: float, event_ms: int) -> int:
        """Add a symbol to the next event of a stream of all symbols, if it traded since the last one."""
        shown = self._last_ids.setdefault(stream, {})
        last = self._market.history(symbol, now_ms).recent(1)
        if not last or shown.get(symbol) == last[-1].id:
            return 1
        shown[symbol] = last[-1].id
        if payload := self._ticker(symbol, kind, now_ms, event_ms):
            self._changed.setdefault(stream, []).append(payload)
        return self._cost(symbol)

    def _cost(self, symbol: str) -> int:
        cost = 1 if symbol in self._computed else FIRST
        self._computed.add(symbol)
        return cost

    def _ticker(self, symbol: str, kind: str, now_ms: float, event_ms: int) -> bytes | None:
        if kind == "avgPrice":
            return self._average(symbol, now_ms, event_ms)
        size = kind.removeprefix("ticker_")
        if size in _WINDOWS_MS:
            start_ms = (event_ms - _WINDOWS_MS[size]) // _MINUTE_MS * _MINUTE_MS
            window = self._market.summary(symbol, start_ms, now_ms)
            if window is None or not window.count:
                return None
            return window_payload(symbol, size, window, start_ms, event_ms)
        start_ms = (event_ms - _DAY_MS) // _MINUTE_MS * _MINUTE_MS
        day = self._market.summary(symbol, start_ms, now_ms)
        if day is None or not day.count:
            return None
        if kind == "miniTicker":
            return mini_ticker_payload(symbol, day, event_ms)
        return ticker_payload(symbol, day, self._market.quote(symbol), start_ms, event_ms)

    def _average(self, symbol: str, now_ms: float, event_ms: int) -> bytes | None:
        last = self._market.history(symbol, now_ms).recent(1)
        if not last:
            return None
        recent = self._market.summary(symbol, event_ms - _AVERAGE_MS, now_ms)
        price = last[-1].price if recent is None else recent.average
        return average_payload(symbol, price, last[-1].time_ms, event_ms)


def _event(stream: str, payload: bytes) -> StreamEvent:
    prefix = prefix_of(stream)
    return StreamEvent(stream, prefix + payload + b"}", len(prefix))
