"""The price alert: how it is written in an address, and when it goes off. No I/O.

It judges every trade. Trades that left memory before they were judged are counted and told, and the candles,
which the exchange makes of every trade, are judged as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from livemarkets.market.candles import Candle
from livemarkets.market.models import TradeTick
from livemarkets.market.symbols import read_symbols
from pages.number_format import read_amount

__all__ = ["AlertWatch", "Direction", "PriceAlert", "Touch", "read_alert"]

Direction = Literal["above", "below"]
_SIGNS: dict[Direction, str] = {"above": ">", "below": "<"}


@dataclass(frozen=True, slots=True)
class PriceAlert:
    """A price at which the person wants to be told."""

    symbol: str
    direction: Direction
    """Whether it goes off at this price and above, or at this price and below."""
    level: Decimal

    @property
    def text(self) -> str:
        """What the address says: `BTCUSDT>62000`."""
        return f"{self.symbol}{_SIGNS[self.direction]}{self.level:f}"

    def is_met_by(self, price: Decimal) -> bool:
        """Return whether a price sets it off."""
        return price >= self.level if self.direction == "above" else price <= self.level


@dataclass(frozen=True, slots=True)
class Touch:
    """What set an alert off."""

    price: Decimal
    ts: int
    """When, ms since the epoch; of a candle, its open time."""
    is_candle: bool = False
    """Whether a candle shows it, because the trade itself was not seen."""


def read_alert(text: str) -> PriceAlert | None:
    """Read what an address says; `None` if it is no alert."""
    for direction, sign in _SIGNS.items():
        symbol, found, level_text = text.partition(sign)
        if found:
            symbols, malformed = read_symbols(symbol)
            level = read_amount(level_text)
            if len(symbols) == 1 and not malformed and level:
                return PriceAlert(symbols[0], direction, level)
    return None


class AlertWatch:
    """Judges trades and candles until the alert goes off.

    Args:
        alert: the alert.
        since_ts: the time, on the exchange's clock, from which on prices count, ms since the epoch.
        last_id: the newest trade of before; 0 if there was none.
    """

    def __init__(self, alert: PriceAlert, *, since_ts: int, last_id: int) -> None:
        self.alert = alert
        self.unjudged = 0
        """Trades that left memory before they could be judged."""
        self._since_ts = since_ts
        self._last_id = last_id

    @property
    def last_id(self) -> int:
        """The id up to which trades were judged."""
        return self._last_id

    def judge(self, ticks: Sequence[TradeTick], lost: int = 0) -> Touch | None:
        """Judge the trades that follow, oldest first. Return what sets the alert off.

        Args:
            ticks: the trades.
            lost: how many ids before them are known to be missing.
        """
        if not ticks:
            return None
        if self._last_id and ticks[0].id > self._last_id:
            self.unjudged += max(0, ticks[0].id - self._last_id - 1 - lost)
        self._last_id = ticks[-1].id
        met = next((tick for tick in ticks if self.alert.is_met_by(tick.price)), None)
        return None if met is None else Touch(met.price, met.ts)

    def judge_candle(self, candle: Candle | None) -> Touch | None:
        """Judge a candle that began after the alert was set. Return it if it sets the alert off."""
        if candle is None or candle.open_ts < self._since_ts or not candle.trades:
            return None
        extreme = candle.high if self.alert.direction == "above" else candle.low
        return Touch(extreme, candle.open_ts, is_candle=True) if self.alert.is_met_by(extreme) else None
