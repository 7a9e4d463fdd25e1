"""Periodic streams: tickers of one symbol and of all, and average prices."""

from __future__ import annotations

import re
from collections.abc import Sequence

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


class Tickers:
    """Makes the periodic streams of a market.

    Args:
        market: the source of the trades.

    """

    def __init__(self, market: Source) -> None:
        self._market = market
        self._wanted: list[tuple[str, str, str]] = []
        self._last_ids: dict[str, dict[str, int]] = {}  # that each stream of all symbols showed
        self._next_ms = 0.0

    def want(self, wanted: Sequence[tuple[str, str, str]], now_ms: float) -> None:
        """Set the streams to make, each as (stream, symbol, kind); without a symbol for all symbols."""
        if wanted and not self._wanted:
            self._next_ms = now_ms + _INTERVAL_MS
        self._wanted = list(wanted)
        streams = {stream for stream, _, _ in wanted}
        self._last_ids = {stream: ids for stream, ids in self._last_ids.items() if stream in streams}

    def next_ms(self) -> float | None:
        """Return when the next update is due; `None` without streams."""
        return self._next_ms if self._wanted else None

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return one update of every stream, if it is due."""
        if not self._wanted or now_ms < self._next_ms:
            return []
        self._next_ms = max(self._next_ms + _INTERVAL_MS, now_ms)
        event_ms = int(now_ms) + self._market.skew_ms
        events = []
        for stream, symbol, kind in self._wanted:
            prefix = prefix_of(stream)
            for payload in self._payloads(stream, symbol, kind, now_ms, event_ms):
                events.append(StreamEvent(stream, prefix + payload + b"}", len(prefix)))
        return events

    def _payloads(self, stream: str, symbol: str, kind: str, now_ms: float, event_ms: int) -> list[bytes]:
        if not symbol:
            changed = self._changed(stream, kind, now_ms, event_ms)
            return [b"[%b]" % b",".join(changed)] if changed else []
        payload = self._ticker(symbol, kind, now_ms, event_ms)
        return [payload] if payload else []

    def _changed(self, stream: str, kind: str, now_ms: float, event_ms: int) -> list[bytes]:
        """Return the tickers of all symbols that have traded since the stream's last update."""
        shown = self._last_ids.setdefault(stream, {})
        kind = kind.removeprefix("!").partition("@")[0]
        payloads = []
        for symbol in self._market.rules:
            last = self._market.history(symbol, now_ms).recent(1)
            if last and shown.get(symbol) != last[-1].id:
                shown[symbol] = last[-1].id
                payloads.append(self._ticker(symbol, kind, now_ms, event_ms))
        return [payload for payload in payloads if payload]

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
