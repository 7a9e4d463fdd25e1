"""Klines and day statistics: summaries of consecutive trades, and the borders of kline intervals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.symbols import UNIT

__all__ = ["INTERVALS_MS", "Bar", "Summary", "bars_of", "flat_bar", "span_of", "summary_of"]

INTERVALS_MS = {
    "1s": 1_000,
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
    "3d": 259_200_000,
    "1w": 604_800_000,
    "1M": 0,
}
"""Kline intervals in ms (rest-api.md, Kline/Candlestick data). 0 for a month, which has no fixed length."""

_MONDAY_MS = 4 * 86_400_000
"""The epoch was a Thursday; weeks open on Mondays."""


class Summary(msgspec.Struct, kw_only=True, gc=False):
    """Open, high, low, close, volumes and ids of consecutive trades; amounts in 10⁻⁸.

    Args:
        open_ms: from when the trades are counted; 0 when nobody asked for a span.
        previous_close: price of the last trade before; 0 where it is unknown.

    """

    open: int
    high: int
    low: int
    close: int
    last_size: int
    first_id: int
    last_id: int
    volume: int = 0
    quote_volume: int = 0
    bought: int = 0
    quote_bought: int = 0
    count: int = 0
    open_ms: int = 0
    previous_close: int = 0

    @property
    def change(self) -> int:
        """Last price minus first price."""
        return self.close - self.open

    @property
    def change_percent(self) -> str:
        """The change in percent, with three decimals."""
        return f"{100 * self.change / self.open:.3f}"

    @property
    def average(self) -> int:
        """Volume-weighted mean price."""
        return self.quote_volume * UNIT // self.volume if self.volume else self.close

    def add(self, trade: Trade) -> None:
        """Add a trade."""
        price, size = trade.price, trade.size
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.last_size = size
        self.last_id = trade.id
        quote = price * size // UNIT
        self.volume += size
        self.quote_volume += quote
        self.count += 1
        if not trade.buyer_is_maker:
            self.bought += size
            self.quote_bought += quote

    def merge(self, later: Summary) -> None:
        """Add the trades of a later summary."""
        if later.high > self.high:
            self.high = later.high
        if later.low < self.low:
            self.low = later.low
        self.close = later.close
        self.last_size = later.last_size
        self.last_id = later.last_id
        self.volume += later.volume
        self.quote_volume += later.quote_volume
        self.bought += later.bought
        self.quote_bought += later.quote_bought
        self.count += later.count


class Bar(Summary, kw_only=True, gc=False):
    """A summary of one kline interval. Both times are inclusive, in ms."""

    close_ms: int


def flat_bar(price: int, open_ms: int, close_ms: int) -> Bar:
    """Return the kline of an interval without trades: the price of the trade before, and ids of -1."""
    return Bar(
        open=price,
        high=price,
        low=price,
        close=price,
        last_size=0,
        first_id=-1,
        last_id=-1,
        open_ms=open_ms,
        close_ms=close_ms,
    )


def summary_of(trades: Iterable[Trade]) -> Summary | None:
    """Return a summary of trades; `None` when there are none."""
    summary: Summary | None = None
    for trade in trades:
        if summary is None:
            summary = Summary(**_opening(trade))
        summary.add(trade)
    return summary


def bars_of(trades: Iterable[Trade], interval: str, offset_ms: int = 0) -> list[Bar]:
    """Return the klines of trades. There is none for an interval without a trade."""
    bars: list[Bar] = []
    for trade in trades:
        if not bars or not bars[-1].open_ms <= trade.time_ms <= bars[-1].close_ms:
            open_ms, close_ms = span_of(trade.time_ms, interval, offset_ms)
            bars.append(Bar(open_ms=open_ms, close_ms=close_ms, **_opening(trade)))
        bars[-1].add(trade)
    return bars


def span_of(time_ms: int, interval: str, offset_ms: int = 0) -> tuple[int, int]:
    """Return open and close time of the interval that contains a time.

    Args:
        time_ms: the time; UTC, as both results.
        interval: one of `INTERVALS_MS`.
        offset_ms: the time zone in which intervals open; 28,800,000 is UTC+8.

    """
    local_ms = time_ms + offset_ms
    if interval == "1M":
        day = datetime.fromtimestamp(local_ms / 1000, UTC)
        first = datetime(day.year, day.month, 1, tzinfo=UTC)
        after = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        return round(first.timestamp() * 1000) - offset_ms, round(after.timestamp() * 1000) - 1 - offset_ms
    length_ms = INTERVALS_MS[interval]
    shift_ms = offset_ms - _MONDAY_MS if interval == "1w" else offset_ms
    open_ms = (time_ms + shift_ms) // length_ms * length_ms - shift_ms
    return open_ms, open_ms + length_ms - 1


def _opening(trade: Trade) -> dict[str, int]:
    return {
        "open": trade.price,
        "high": trade.price,
        "low": trade.price,
        "close": trade.price,
        "last_size": trade.size,
        "first_id": trade.id,
        "last_id": trade.id,
    }
