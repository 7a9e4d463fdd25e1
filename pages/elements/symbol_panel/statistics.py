"""Figures over the trades of one symbol in the last minutes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from livemarkets.market.models import TradeTick

__all__ = ["BUCKET_MS", "SPAN_MS", "Summary", "Window"]

SPAN_MS = 300_000
"""Length of a window, ms, back from its newest trade."""
BUCKET_MS = 1_000
"""Trades leave a window in buckets of this many ms of trade time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures over the trades of a window."""

    trades: int
    from_ts: int
    """Trade time of the first trade."""
    span_ms: int
    """From the first trade to the last."""
    last: Decimal
    high: Decimal
    low: Decimal
    largest: Decimal
    """The largest size."""
    bought_percent: int | None
    """Share of the size whose taker side is `buy`, percent; `None` if the total size is 0."""

    @property
    def per_second(self) -> float:
        """Trades a second; 0 while the window is shorter than a second."""
        return (self.trades - 1) * 1000 / self.span_ms if self.span_ms >= 1000 else 0.0


class _Bucket:
    __slots__ = ("bought", "from_ts", "high", "largest", "low", "number", "total", "trades")

    def __init__(self, number: int, tick: TradeTick) -> None:
        self.number = number
        self.from_ts = tick.ts
        self.trades = 0
        self.high = self.low = tick.price
        self.largest = self.total = self.bought = Decimal(0)

    def add(self, tick: TradeTick) -> None:
        self.trades += 1
        self.high = max(self.high, tick.price)
        self.low = min(self.low, tick.price)
        self.largest = max(self.largest, tick.size)
        self.total += tick.size
        if tick.side == "buy":
            self.bought += tick.size


class Window:
    """The figures of the trades of the last `SPAN_MS` before the newest. It does not keep the trades."""

    def __init__(self) -> None:
        self._buckets: deque[_Bucket] = deque()
        self._last: TradeTick | None = None
        self._total = self._bought = Decimal(0)
        self.trades = 0
        """How many trades the window holds."""

    def clear(self) -> None:
        """Remove all trades."""
        self._buckets.clear()
        self._last = None
        self._total = self._bought = Decimal(0)
        self.trades = 0

    def add(self, ticks: Iterable[TradeTick]) -> None:
        """Add the trades that follow, oldest first."""
        for tick in ticks:
            number = tick.ts // BUCKET_MS
            # A trade that is older than its predecessor goes into the same bucket: ids give the order.
            if not self._buckets or number > self._buckets[-1].number:
                self._buckets.append(_Bucket(number, tick))
            self._buckets[-1].add(tick)
            self.trades += 1
            self._total += tick.size
            if tick.side == "buy":
                self._bought += tick.size
            self._last = tick
        while self._buckets and self._buckets[0].number <= self._buckets[-1].number - SPAN_MS // BUCKET_MS:
            left = self._buckets.popleft()
            self.trades -= left.trades
            self._total -= left.total
            self._bought -= left.bought

    def summary(self) -> Summary | None:
        """Return the figures; `None` when there is no trade."""
        buckets, last = self._buckets, self._last
        if last is None:
            return None
        return Summary(
            trades=self.trades,
            from_ts=buckets[0].from_ts,
            span_ms=max(0, last.ts - buckets[0].from_ts),
            last=last.price,
            high=max(bucket.high for bucket in buckets),
            low=min(bucket.low for bucket in buckets),
            largest=max(bucket.largest for bucket in buckets),
            bought_percent=round(100 * self._bought / self._total) if self._total else None,
        )
