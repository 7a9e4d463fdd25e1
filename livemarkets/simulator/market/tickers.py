"""Periodic streams: tickers of one symbol and of all, average prices, klines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.statistics import bars_between
from livemarkets.simulator.market.streams import (
    StreamEvent,
    average_payload,
    kline_payload,
    mini_ticker_payload,
    prefix_of,
    ticker_payload,
    window_payload,
)

__all__ = ["TICKER_KINDS", "Tickers"]

TICKER_KINDS = re.compile(r"miniTicker|ticker(_(1h|4h|1d))?|avgPrice|kline_(1s|1m|3m|5m)")
"""The periodic streams of one symbol: statistics, and klines that fit into the stored trades."""

_LONGEST_BREAK_MS = 60_000
"""Klines that ended longer ago than this are not sent, such as after the clock was changed."""
_WINDOWS_MS = {"1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000}
_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_AVERAGE_MS = 300_000
_INTERVAL_MS = 1000
"""Update interval of tickers. Klines other than `1s` are sent half as often (web-socket-streams.md)."""


class Tickers:
    """Makes the periodic streams of a market.

    Args:
        market: the source of the trades.

    """

    def __init__(self, market: Source) -> None:
        self._market = market
        self._wanted: list[tuple[str, str, str]] = []
        self._open_ms: dict[str, int] = {}  # of the kline that each stream showed last
        self._last_ids: dict[str, dict[str, int]] = {}  # that each stream of all symbols showed
        self._next_ms = 0.0
        self._turn = 0

    def want(self, wanted: Sequence[tuple[str, str, str]], now_ms: float) -> None:
        """Set the streams to make, each as (stream, symbol, kind); without a symbol for all symbols."""
        if wanted and not self._wanted:
            self._next_ms = now_ms + _INTERVAL_MS
        self._wanted = list(wanted)
        streams = {stream for stream, _, _ in wanted}
        self._open_ms = {stream: at_ms for stream, at_ms in self._open_ms.items() if stream in streams}
        self._last_ids = {stream: ids for stream, ids in self._last_ids.items() if stream in streams}

    def next_ms(self) -> float | None:
        """Return when the next update is due; `None` without streams."""
        return self._next_ms if self._wanted else None

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return one update of every stream, if it is due."""
        if not self._wanted or now_ms < self._next_ms:
            return []
        self._next_ms = max(self._next_ms + _INTERVAL_MS, now_ms)
        self._turn += 1
        event_ms = int(now_ms) + self._market.skew_ms
        events = []
        for stream, symbol, kind in self._wanted:
            slow = kind.startswith("kline") and kind != "kline_1s"
            if slow and self._turn % 2:
                continue
            prefix = prefix_of(stream)
            for payload in self._payloads(stream, symbol, kind, now_ms, event_ms):
                events.append(StreamEvent(stream, prefix + payload + b"}", len(prefix)))
        return events

    def _payloads(self, stream: str, symbol: str, kind: str, now_ms: float, event_ms: int) -> list[bytes]:
        if not symbol:
            changed = self._changed(stream, kind, now_ms, event_ms)
            return [b"[%b]" % b",".join(changed)] if changed else []
        if kind.startswith("kline"):
            trades = self._market.history(symbol, now_ms).trades
            return self._klines(stream, symbol, kind.removeprefix("kline_"), trades[-5000:], event_ms)
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
            return None if window is None else window_payload(symbol, size, window, start_ms, event_ms)
        start_ms = (event_ms - _DAY_MS) // _MINUTE_MS * _MINUTE_MS
        day = self._market.summary(symbol, start_ms, now_ms)
        if day is None:
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

    def _klines(
        self, stream: str, symbol: str, interval: str, trades: Sequence[Trade], event_ms: int
    ) -> list[bytes]:
        """Return the end of every kline that ended since the last update, then the present one."""
        from_ms = max(self._open_ms.get(stream, event_ms), event_ms - _LONGEST_BREAK_MS)
        bars = bars_between(trades, interval, from_ms, event_ms)
        if bars:
            self._open_ms[stream] = bars[-1].open_ms
        return [kline_payload(symbol, interval, bar, event_ms) for bar in bars]
