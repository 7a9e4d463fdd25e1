"""The figures of the head of the selected market. No I/O.

High, low and volume are those of the ticker: the last 24 hours. A trade that is newer than the ticker moves
high and low at once, so that the last price never lies outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from livemarkets.market.models import StreamQuality, SymbolInfo, TradeTick
from livemarkets.market.updates import BookUpdate, TickerUpdate
from pages.elements.market_head.market_head import HeadValues
from pages.number_format import decimals_of, significant_decimals, trimmed
from pages.wording import QUALITY_WORDS

__all__ = ["RATE_MS", "Figures", "quality_text"]

RATE_MS = 10_000
"""Trades a second are counted over so many ms."""
_LEAST_RATE_MS = 1_000
_TONE_WORDS = {"quiet": "connecting", "stale": "stale", "down": "down"}


_price_of = attrgetter("price")


class _Extreme(NamedTuple):
    price: Decimal
    id: int


class Figures:
    """What the newest trades add to the ticker of one symbol."""

    def __init__(self) -> None:
        self._high: _Extreme | None = None
        self._low: _Extreme | None = None
        self._counted: deque[tuple[int, int]] = deque()  # (received, ms; id), oldest first

    def forget(self) -> None:
        """Begin anew, for another symbol."""
        self._high = self._low = None
        self._counted.clear()

    def take(self, ticks: Sequence[TradeTick]) -> None:
        """Note new trades, oldest first."""
        if not ticks:
            return
        highest, lowest = max(ticks, key=_price_of), min(ticks, key=_price_of)
        if self._high is None or highest.price >= self._high.price:
            self._high = _Extreme(highest.price, highest.id)
        if self._low is None or lowest.price <= self._low.price:
            self._low = _Extreme(lowest.price, lowest.id)
        newest = ticks[-1]
        if self._counted and newest.id < self._counted[-1][1]:
            self._counted.clear()  # the exchange restarted its ids
        if not self._counted:
            self._counted.append((ticks[0].recv_ts, ticks[0].id - 1))
        self._counted.append((newest.recv_ts, newest.id))

    def per_second(self, now_ms: int) -> float | None:
        """Return the trades a second of the last `RATE_MS`; `None` while nobody can say.

        The ids of trades are consecutive, so that it counts those too that were not looked at.
        """
        counted, since = self._counted, now_ms - RATE_MS
        while len(counted) > 1 and counted[1][0] <= since:
            counted.popleft()
        if not counted:
            return None
        span_ms = now_ms - max(counted[0][0], since)
        if span_ms < _LEAST_RATE_MS:
            return None
        return (counted[-1][1] - counted[0][1]) * 1000 / span_ms

    def values(
        self,
        tick: TradeTick | None,
        ticker: TickerUpdate | None,
        book: BookUpdate | None,
        info: SymbolInfo | None,
    ) -> HeadValues:
        """Return what the head shows.

        Args:
            tick: the newest trade.
            ticker: the figures of the last 24 hours.
            book: the best bid and ask; those of the ticker count without it.
            info: what is known of the symbol.
        """
        last = tick.price if tick is not None else ticker.last if ticker is not None else None
        high, low = (None, None) if ticker is None else self._range(ticker)
        best = book or ticker
        spread = best.ask - best.bid if best and best.ask is not None and best.bid is not None else None
        return HeadValues(
            last=_price(last, info),
            is_from_ticker=tick is None and last is not None,
            change=_change(ticker, last),
            high=_price(high, info),
            low=_price(low, info),
            volume="" if ticker is None else trimmed(ticker.quote_volume, 0),
            base_volume="" if ticker is None else trimmed(ticker.volume, 0),
            spread=_price(spread, info),
        )

    def _range(self, ticker: TickerUpdate) -> tuple[Decimal | None, Decimal | None]:
        """Return high and low of the last 24 hours, with the trades that are newer than the ticker."""
        last_id = ticker.last_id
        if last_id is not None:
            self._high = self._high if self._high and self._high.id > last_id else None
            self._low = self._low if self._low and self._low.id > last_id else None
        high, low = ticker.high, ticker.low
        if self._high and high is not None:
            high = max(high, self._high.price)
        if self._low and low is not None:
            low = min(low, self._low.price)
        return high, low


def _price(price: Decimal | None, info: SymbolInfo | None) -> str:
    if price is None:
        return ""
    return trimmed(price, decimals_of(info.tick_size) if info else significant_decimals(price))


def _change(ticker: TickerUpdate | None, last: Decimal | None) -> str:
    """Return the change from the ticker's open to the last price, percent with its sign."""
    if ticker is None or not ticker.open or last is None:
        return ""
    percent = round((last - ticker.open) / ticker.open * 100, 2)
    return f"{percent:+.2f}" if percent else "0.00"


def quality_text(tone: str, quality: StreamQuality | None, per_second: float | None) -> tuple[str, str, str]:
    """Return the quality of the trades in words, the details, and the tone of the words.

    Args:
        tone: how old the values of the whole exchange are; `live` if they are not.
        quality: the state of the stream of trades.
        per_second: trades a second.
    """
    word = _TONE_WORDS.get(tone, "")
    reason = ""
    if not word and quality is not None:
        word, reason = QUALITY_WORDS[quality.state], quality.reason or ""
    lost = 0 if quality is None else quality.lost
    rate = "" if per_second is None else _rate(per_second)
    words = " · ".join(filter(None, (word or "live", rate, f"{lost:,} lost")))
    fetched, repeated = (0, 0) if quality is None else (quality.fetched, quality.repeated)
    details = (
        f"In the last hour, {lost:,} trades were lost on the way from the exchange, {fetched:,} were missing"
        f" and fetched, and {repeated:,} came twice and were dropped."
    )
    return words, f"{reason[0].upper()}{reason[1:]}. {details}" if reason else details, word or "live"


def _rate(per_second: float) -> str:
    number = f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.1f}".removesuffix(".0")
    return f"{number} trades/s"
