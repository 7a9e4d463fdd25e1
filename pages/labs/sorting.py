"""What the rows of a Live page can be sorted by. The person's own order is one of the sorts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from livemarkets.market.models import TradeTick
from livemarkets.market.updates import TickerUpdate

__all__ = ["OWN_ORDER", "SORT_COLUMNS", "Sort", "SortColumn", "ordered", "sorted_next"]

SortColumn = Literal["", "symbol", "last", "change", "bid", "ask", "size", "side", "time", "age"]
SORT_COLUMNS: tuple[SortColumn, ...] = (
    "symbol",
    "last",
    "change",
    "bid",
    "ask",
    "size",
    "side",
    "time",
    "age",
)
"""The columns that rows can be sorted by, from the left."""


@dataclass(frozen=True, slots=True)
class Sort:
    """A column and a direction. Without a column, the order is the person's own."""

    column: SortColumn = ""
    is_descending: bool = False

    @property
    def text(self) -> str:
        """The sort as it stands in an address: `-change`; empty for the person's own order."""
        return f"{'-' if self.is_descending and self.column else ''}{self.column}"


OWN_ORDER = Sort()
_Value = Decimal | int | str | None
_BY_TEXT = ("symbol", "side")


def sorted_next(sort: Sort, name: str) -> Sort:
    """Return the sort after a press on the head of a column: largest first, smallest first, own order.

    Texts begin with A. A column that does not exist changes nothing.
    """
    column = next((known for known in SORT_COLUMNS if known == name), None)
    if column is None:
        return sort
    first = column not in _BY_TEXT
    if sort.column != column:
        return Sort(column, first)
    return Sort(column, not first) if sort.is_descending is first else OWN_ORDER


def ordered(
    symbols: Iterable[str],
    sort: Sort,
    trades: Mapping[str, TradeTick],
    tickers: Mapping[str, TickerUpdate],
) -> list[str]:
    """Return the symbols of the rows, sorted. Equal ones keep their order; those without a value come last.

    Args:
        symbols: in the order so far.
        sort: by what.
        trades: the latest trade of each symbol that has one.
        tickers: the newest 24 h figures of each symbol that has some.
    """
    if not sort.column:
        return list(symbols)
    if sort.column == "symbol":
        return sorted(symbols, reverse=sort.is_descending)
    value = _VALUES[sort.column]
    values = {symbol: value(trades.get(symbol), tickers.get(symbol)) for symbol in symbols}
    known = {symbol: found for symbol, found in values.items() if found is not None}
    first = sorted(known, key=lambda symbol: known[symbol], reverse=sort.is_descending)
    return first + [symbol for symbol in values if symbol not in known]


def _last(trade: TradeTick | None, ticker: TickerUpdate | None) -> _Value:
    return trade.price if trade else ticker.last if ticker else None


_VALUES: Mapping[str, Callable[[TradeTick | None, TickerUpdate | None], _Value]] = {
    "last": _last,
    "change": lambda _, ticker: ticker.change_percent if ticker else None,
    "bid": lambda _, ticker: ticker.bid if ticker else None,
    "ask": lambda _, ticker: ticker.ask if ticker else None,
    "size": lambda trade, _: trade.size if trade else None,
    "side": lambda trade, _: trade.side if trade else None,
    "time": lambda trade, _: trade.ts if trade else None,
    "age": lambda trade, _: -trade.recv_ts if trade else None,
}
