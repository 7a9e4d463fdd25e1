"""What the trades that are kept of one symbol amount to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from livemarkets.market.models import TradeTick

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures over a stretch of trades."""

    trades: int
    span_ms: int
    """From the first trade to the last."""
    last: Decimal
    high: Decimal
    low: Decimal
    largest: Decimal
    """The largest size."""
    bought_percent: int | None
    """How much of the size was bought by takers; `None` when there is no size at all."""

    @property
    def per_second(self) -> float:
        """Trades a second; 0 while the stretch is shorter than a second."""
        return (self.trades - 1) * 1000 / self.span_ms if self.span_ms >= 1000 else 0.0


def summarise(ticks: Sequence[TradeTick]) -> Summary | None:
    """Return the figures for `ticks`, oldest first; `None` when there are none."""
    if not ticks:
        return None
    prices = [tick.price for tick in ticks]
    sizes = [tick.size for tick in ticks]
    total = sum(sizes)
    bought = sum(tick.size for tick in ticks if tick.side == "buy")
    return Summary(
        trades=len(ticks),
        span_ms=ticks[-1].ts - ticks[0].ts,
        last=prices[-1],
        high=max(prices),
        low=min(prices),
        largest=max(sizes),
        bought_percent=round(100 * bought / total) if total else None,
    )
