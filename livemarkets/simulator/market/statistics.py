"""Klines and day statistics, computed from the stored trades."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.symbols import UNIT

__all__ = ["INTERVALS_MS", "Bar", "Summary", "bars_between", "bars_of", "start_of_day", "summary_of"]

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


@dataclass(slots=True, kw_only=True)
class Summary:
    """Open, high, low, close, volumes and ids of consecutive trades; amounts in 10⁻⁸."""

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
    previous_close: int = 0
    """Price of the trade before; 0 when there was none."""

    @property
    def change(self) -> int:
        """Last price minus first price."""
        return self.close - self.open

    @property
    def change_percent(self) -> str:
        """The change in percent, with three decimals."""
        return f"{100 * self.change / self.open:.3f}" if self.open else "0.000"

    @property
    def average(self) -> int:
        """Volume-weighted mean price."""
        return self.quote_volume * UNIT // self.volume if self.volume else self.close

    def add(self, trade: Trade) -> None:
        """Add a trade."""
        price, size = trade.price, trade.size
        self.high = max(self.high, price)
        self.low = min(self.low, price)
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


@dataclass(slots=True, kw_only=True)
class Bar(Summary):
    """A summary of one kline interval. Both times are inclusive, in ms."""

    open_ms: int
    close_ms: int


def summary_of(trades: Iterable[Trade]) -> Summary | None:
    """Return a summary of trades; `None` when there are none."""
    summary: Summary | None = None
    for trade in trades:
        if summary is None:
            summary = Summary(**_opening(trade))
        summary.add(trade)
    return summary


def bars_of(trades: Iterable[Trade], interval: str, offset_ms: int = 0) -> list[Bar]:
    """Return the klines of trades. There is none for an interval without a trade.

    `offset_ms` is the distance of the time zone from UTC in which intervals begin.
    """
    bars: list[Bar] = []
    for trade in trades:
        if not bars or not bars[-1].open_ms <= trade.time_ms <= bars[-1].close_ms:
            open_ms, close_ms = _span(trade.time_ms + offset_ms, interval)
            open_ms, close_ms = open_ms - offset_ms, close_ms - offset_ms
            bars.append(Bar(open_ms=open_ms, close_ms=close_ms, **_opening(trade)))
        bars[-1].add(trade)
    return bars


def bars_between(trades: Iterable[Trade], interval: str, from_ms: int, to_ms: int) -> list[Bar]:
    """Return every kline from that of `from_ms` to that of `to_ms`, also where nothing traded.

    A kline without trades has the price of the trade before, and ids of -1. Klines before the first trade are
    left out.
    """
    made = bars_of(trades, interval)
    first_ms = _span(from_ms, interval)[0]
    known = {bar.open_ms: bar for bar in made}
    price = next((bar.close for bar in reversed(made) if bar.open_ms < first_ms), None)
    bars: list[Bar] = []
    at_ms = first_ms
    while at_ms <= to_ms:
        open_ms, close_ms = _span(at_ms, interval)
        bar = known.get(open_ms)
        if bar is None and price is not None:
            prices = dict.fromkeys(("open", "high", "low", "close"), price)
            bar = Bar(**prices, last_size=0, first_id=-1, last_id=-1, open_ms=open_ms, close_ms=close_ms)
        if bar is not None:
            bars.append(bar)
            price = bar.close
        at_ms = close_ms + 1
    return bars


def start_of_day(time_ms: int, offset_ms: int = 0) -> int:
    """Return when the day of a time began, in a time zone with this distance from UTC."""
    return (time_ms + offset_ms) // INTERVALS_MS["1d"] * INTERVALS_MS["1d"] - offset_ms


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


def _span(time_ms: int, interval: str) -> tuple[int, int]:
    if interval == "1M":
        day = datetime.fromtimestamp(time_ms / 1000, UTC)
        first = datetime(day.year, day.month, 1, tzinfo=UTC)
        after = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        return round(first.timestamp() * 1000), round(after.timestamp() * 1000) - 1
    length_ms = INTERVALS_MS[interval]
    shift_ms = _MONDAY_MS if interval == "1w" else 0
    open_ms = (time_ms - shift_ms) // length_ms * length_ms + shift_ms
    return open_ms, open_ms + length_ms - 1
