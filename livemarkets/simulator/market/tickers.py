"""Periodic streams: tickers and klines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.statistics import bars_of, summary_of
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
        self._next_ms = 0.0
        self._turn = 0

    def want(self, wanted: Sequence[tuple[str, str, str]], now_ms: float) -> None:
        """Set the streams to make, each as (stream, symbol, kind)."""
        if wanted and not self._wanted:
            self._next_ms = now_ms + _INTERVAL_MS
        self._wanted = list(wanted)

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
            payload = None if slow and self._turn % 2 else self._payload(symbol, kind, now_ms, event_ms)
            if payload is not None:
                prefix = prefix_of(stream)
                events.append(StreamEvent(stream, prefix + payload + b"}", len(prefix)))
        return events

    def _payload(self, symbol: str, kind: str, now_ms: float, event_ms: int) -> bytes | None:
        trades = self._market.history(symbol, now_ms).trades
        if kind.startswith("kline"):
            interval = kind.removeprefix("kline_")
            bars = bars_of(trades[-5000:], interval)
            return kline_payload(symbol, interval, bars[-1], event_ms) if bars else None
        day = summary_of(trades)
        if day is None:
            return None
        if kind == "miniTicker":
            return mini_ticker_payload(symbol, day, event_ms)
        return ticker_payload(symbol, day, self._market.quote(symbol), event_ms)
