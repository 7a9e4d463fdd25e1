"""Periodic streams: tickers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.streams import (
    StreamEvent,
    mini_ticker_payload,
    prefix_of,
    ticker_payload,
)

__all__ = ["TICKER_KINDS", "Tickers"]

TICKER_KINDS = re.compile(r"miniTicker|ticker")
"""The supported tickers."""

_INTERVAL_MS = 1000
"""Update interval of tickers."""
_DAY_MS = 86_400_000


class Tickers:
    """Makes the periodic streams of a market.

    Args:
        market: the source of the trades.

    """

    def __init__(self, market: Source) -> None:
        self._market = market
        self._wanted: list[tuple[str, str, str]] = []
        self._next_ms = 0.0

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
        event_ms = int(now_ms) + self._market.skew_ms
        events = []
        for stream, symbol, kind in self._wanted:
            prefix = prefix_of(stream)
            for payload in self._payloads(symbol, kind, now_ms, event_ms):
                events.append(StreamEvent(stream, prefix + payload + b"}", len(prefix)))
        return events

    def _payloads(self, symbol: str, kind: str, now_ms: float, event_ms: int) -> list[bytes]:
        day = self._market.summary(symbol, (event_ms - _DAY_MS) // 60_000 * 60_000, now_ms)
        if day is None or not day.count:
            return []
        if kind == "miniTicker":
            return [mini_ticker_payload(symbol, day, event_ms)]
        return [ticker_payload(symbol, day, self._market.quote(symbol), event_ms)]
