"""Periodic streams: tickers and klines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.statistics import bars_between, summary_of
from livemarkets.simulator.market.streams import (
    StreamEvent,
    kline_payload,
    mini_ticker_payload,
    prefix_of,
    ticker_payload,
)

__all__ = ["TICKER_KINDS", "Tickers"]

TICKER_KINDS = re.compile(r"miniTicker|ticker|kline_(1s|1m|3m|5m)")
"""The supported periodic streams: day statistics, and klines that fit into the stored trades."""

_LONGEST_BREAK_MS = 60_000
"""Klines that ended longer ago than this are not sent, such as after the clock was changed."""
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
        self._next_ms = 0.0
        self._turn = 0

    def want(self, wanted: Sequence[tuple[str, str, str]], now_ms: float) -> None:
        """Set the streams to make, each as (stream, symbol, kind)."""
        if wanted and not self._wanted:
            self._next_ms = now_ms + _INTERVAL_MS
        self._wanted = list(wanted)
        streams = {stream for stream, _, _ in wanted}
        self._open_ms = {stream: at_ms for stream, at_ms in self._open_ms.items() if stream in streams}

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
        trades = self._market.history(symbol, now_ms).trades
        if kind.startswith("kline"):
            return self._klines(stream, symbol, kind.removeprefix("kline_"), trades[-5000:], event_ms)
        day = summary_of(trades)
        if day is None:
            return []
        if kind == "miniTicker":
            return [mini_ticker_payload(symbol, day, event_ms)]
        return [ticker_payload(symbol, day, self._market.quote(symbol), event_ms)]

    def _klines(
        self, stream: str, symbol: str, interval: str, trades: Sequence[Trade], event_ms: int
    ) -> list[bytes]:
        """Return the end of every kline that ended since the last update, then the present one."""
        from_ms = max(self._open_ms.get(stream, event_ms), event_ms - _LONGEST_BREAK_MS)
        bars = bars_between(trades, interval, from_ms, event_ms)
        if bars:
            self._open_ms[stream] = bars[-1].open_ms
        return [kline_payload(symbol, interval, bar, event_ms) for bar in bars]
