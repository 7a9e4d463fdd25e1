"""The values of the rows of a grid: as text, and which of them the browser lacks. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec

from livemarkets.market.models import Side, SymbolInfo, TradeTick
from livemarkets.market.updates import TickerUpdate
from pages.number_format import AlignedNumbers, decimals_of, percent

__all__ = ["FIELDS", "Direction", "GridRow", "GridRows", "RowNews"]

Direction = Literal[-1, 0, 1]
RowNews = tuple[str, TradeTick | None, TickerUpdate | None]
"""A symbol, its latest trade, and its newest 24 h figures."""
Values = tuple[Any, ...]
"""The values of a row in the order of `FIELDS`, all or the first of them."""
_FIRST_DECIMALS = (2, 0)
"""Of prices and of sizes, until more is known of a symbol."""


class GridRow(msgspec.Struct, frozen=True, gc=False):
    """The values of one row, as last sent to the browser. A value that is not known is empty, or 0."""

    symbol: str
    price: str = ""
    is_ticker: bool = False
    """Whether the price comes from the 24 h figures, which tell neither side nor time of the last trade."""
    direction: Direction = 0
    """Compared with the last different price of a trade."""
    size: str = ""
    side: Side | Literal[""] = ""
    ts: int = 0
    recv_ts: int = 0
    """When this process read the price."""
    change: str = ""
    """Percent, with its sign."""
    bid: str = ""
    ask: str = ""


FIELDS = GridRow.__struct_fields__
"""The names of the values of a row in the order in which they are sent. The browser gets them once."""
_OF_TRADES = FIELDS.index("change")
"""So many of them can change with a trade; the others are of the 24 h figures."""
_values = msgspec.structs.astuple


class _Figures(NamedTuple):
    """The texts of 24 h figures. The figures come once a second, trades more often."""

    ticker: TickerUpdate | None
    decimals: int
    """Of prices, when the texts were made."""
    change: str
    bid: str
    ask: str


_NO_FIGURES = _Figures(None, -1, "", "", "")


class GridRows:
    """The rows of one grid."""

    def __init__(self) -> None:
        self.sent: dict[str, GridRow] = {}
        """By symbol, as last sent to the browser."""
        self._ticks: dict[str, TradeTick] = {}
        self._figures: dict[str, _Figures] = {}
        self._numbers: dict[str, tuple[AlignedNumbers, AlignedNumbers]] = {}  # prices, sizes

    def follow(self, symbols: Iterable[str], infos: Mapping[str, SymbolInfo]) -> None:
        """Keep the rows of these symbols only. `infos` holds what is known of them."""
        kept = set(symbols)
        for symbol, info in infos.items():
            self._numbers[symbol] = _numbers(decimals_of(info.tick_size), decimals_of(info.step_size))
        books: tuple[dict[str, Any], ...] = (self.sent, self._ticks, self._figures, self._numbers)
        for book in books:
            for symbol in book.keys() - kept:
                del book[symbol]

    def take(self, news: Iterable[RowNews]) -> list[Values]:
        """Take what is new of some rows. Return the values of those that changed, in the order of `FIELDS`.

        The figures are left out at the end while they are those that the browser has: with many trades,
        nearly always.
        """
        changed, sent, figures = [], self.sent, self._figures
        for symbol, trade, ticker in news:
            before, figures_before = sent.get(symbol), figures.get(symbol)
            row = sent[symbol] = self._row(symbol, trade, ticker, before)
            if row != before:
                has_figures = before is not None and figures.get(symbol) is figures_before
                changed.append(_values(row)[:_OF_TRADES] if has_figures else _values(row))
        return changed

    def take_all(self, news: Iterable[RowNews]) -> list[Values]:
        """Take these rows in place of all. Return all their values, in the order of `FIELDS`."""
        before = self.sent
        self.sent = {
            symbol: self._row(symbol, trade, ticker, before.get(symbol)) for symbol, trade, ticker in news
        }
        self._ticks = {symbol: tick for symbol, tick in self._ticks.items() if symbol in self.sent}
        return [_values(row) for row in self.sent.values()]

    def _row(
        self, symbol: str, trade: TradeTick | None, ticker: TickerUpdate | None, before: GridRow | None
    ) -> GridRow:
        numbers = self._numbers.get(symbol)
        if numbers is None:
            numbers = self._numbers[symbol] = _numbers(*_FIRST_DECIMALS)
        prices, sizes = numbers
        figures = self._figures.get(symbol, _NO_FIGURES)
        if figures.ticker is not ticker or (ticker is not None and figures.decimals != prices.decimals):
            figures = self._figures[symbol] = _figures(ticker, prices)
        _, _, change, bid, ask = figures
        if trade is None:
            self._ticks.pop(symbol, None)
            price = _text(prices, ticker.last) if ticker else ""
            return GridRow(
                symbol, price, True, 0, "", "", 0, ticker.recv_ts if ticker else 0, change, bid, ask
            )
        tick_before = self._ticks.get(symbol)
        direction: Direction = 0
        if tick_before is not None and before is not None and tick_before.exchange == trade.exchange:
            direction = _direction(trade.price, tick_before.price, before.direction)
        self._ticks[symbol] = trade
        price, size = prices.text(trade.price), sizes.text(trade.size)
        # By place, not by name: this runs a thousand times a second for each page.
        return GridRow(
            symbol, price, False, direction, size, trade.side, trade.ts, trade.recv_ts, change, bid, ask
        )


def _numbers(price_decimals: int, size_decimals: int) -> tuple[AlignedNumbers, AlignedNumbers]:
    return AlignedNumbers(price_decimals), AlignedNumbers(size_decimals)


def _figures(ticker: TickerUpdate | None, prices: AlignedNumbers) -> _Figures:
    if ticker is None:
        return _NO_FIGURES
    change = percent(ticker.change_percent) if ticker.last is not None else ""
    bid, ask = _text(prices, ticker.bid), _text(prices, ticker.ask)
    return _Figures(ticker, prices.decimals, change, bid, ask)


def _text(numbers: AlignedNumbers, value: Decimal | None) -> str:
    return "" if value is None else numbers.text(value)


def _direction(price: Decimal, price_before: Decimal, before: Direction) -> Direction:
    if price == price_before:
        return before
    return 1 if price > price_before else -1
