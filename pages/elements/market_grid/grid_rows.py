"""The values of the rows of a grid: as text, and which of them the browser lacks. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec

from livemarkets.market.models import Side, SymbolInfo, TradeTick
from livemarkets.market.updates import TickerUpdate
from pages.number_format import AlignedNumbers, decimals_of, percent

__all__ = ["Direction", "GridRow", "GridRows", "RowNews"]

Direction = Literal[-1, 0, 1]
RowNews = tuple[str, TradeTick | None, TickerUpdate | None]
"""A symbol, its latest trade, and its newest 24 h figures."""
_FIRST_DECIMALS = (2, 0)
"""Of prices and of sizes, until more is known of a symbol."""


class GridRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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

    def news(self, before: GridRow | None) -> dict[str, Any]:
        """Return the symbol and what differs from the row that the browser has, by name."""
        if before is None:
            return msgspec.structs.asdict(self)
        pairs = zip(_FIELDS, _values(self), _values(before), strict=True)
        return {"symbol": self.symbol} | {name: value for name, value, old in pairs if value != old}


_FIELDS = GridRow.__struct_fields__
_values = msgspec.structs.astuple


class _Figures(NamedTuple):
    """The texts of 24 h figures. The figures come once a second, trades more often."""

    ticker: TickerUpdate
    decimals: int
    """Of prices, when the texts were made."""
    change: str
    bid: str
    ask: str


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

    def take(self, news: Iterable[RowNews]) -> list[dict[str, Any]]:
        """Take what is new of some rows. Return what differs from the rows that the browser has, by name."""
        changed = []
        for symbol, trade, ticker in news:
            before = self.sent.get(symbol)
            row = self.sent[symbol] = self._row(symbol, trade, ticker, before)
            if row != before:
                changed.append(row.news(before))
        return changed

    def take_all(self, news: Iterable[RowNews]) -> list[dict[str, Any]]:
        """Take these rows in place of all. Return all their values by name."""
        before = self.sent
        self.sent = {
            symbol: self._row(symbol, trade, ticker, before.get(symbol)) for symbol, trade, ticker in news
        }
        self._ticks = {symbol: tick for symbol, tick in self._ticks.items() if symbol in self.sent}
        return [row.news(None) for row in self.sent.values()]

    def _row(
        self, symbol: str, trade: TradeTick | None, ticker: TickerUpdate | None, before: GridRow | None
    ) -> GridRow:
        numbers = self._numbers.get(symbol)
        if numbers is None:
            numbers = self._numbers[symbol] = _numbers(*_FIRST_DECIMALS)
        prices, sizes = numbers
        change, bid, ask = "", "", ""
        if ticker is not None:
            figures = self._figures.get(symbol)
            if figures is None or figures.ticker is not ticker or figures.decimals != prices.decimals:
                figures = self._figures[symbol] = _figures(ticker, prices)
            _, _, change, bid, ask = figures
        if trade is None:
            self._ticks.pop(symbol, None)
            return GridRow(
                symbol=symbol,
                price=_text(prices, ticker.last) if ticker else "",
                is_ticker=True,
                recv_ts=ticker.recv_ts if ticker else 0,
                change=change,
                bid=bid,
                ask=ask,
            )
        direction = _direction(trade, self._ticks.get(symbol), before)
        self._ticks[symbol] = trade
        return GridRow(
            symbol=symbol,
            price=prices.text(trade.price),
            direction=direction,
            size=sizes.text(trade.size),
            side=trade.side,
            ts=trade.ts,
            recv_ts=trade.recv_ts,
            change=change,
            bid=bid,
            ask=ask,
        )


def _numbers(price_decimals: int, size_decimals: int) -> tuple[AlignedNumbers, AlignedNumbers]:
    return AlignedNumbers(price_decimals), AlignedNumbers(size_decimals)


def _figures(ticker: TickerUpdate, prices: AlignedNumbers) -> _Figures:
    change = percent(ticker.change_percent) if ticker.last is not None else ""
    bid, ask = _text(prices, ticker.bid), _text(prices, ticker.ask)
    return _Figures(ticker, prices.decimals, change, bid, ask)


def _text(numbers: AlignedNumbers, value: Decimal | None) -> str:
    return "" if value is None else numbers.text(value)


def _direction(tick: TradeTick, before: TradeTick | None, row: GridRow | None) -> Direction:
    if before is None or row is None or before.exchange != tick.exchange:
        return 0
    if tick.price == before.price:
        return row.direction
    return 1 if tick.price > before.price else -1
