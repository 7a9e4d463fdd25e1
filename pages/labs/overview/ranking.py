"""Which symbols of an exchange an overview shows, in which order, and which moved most. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from heapq import nlargest, nsmallest
from typing import Literal

from livemarkets.market.models import SymbolInfo
from livemarkets.market.symbols import normalise
from livemarkets.market.updates import TickerRow

__all__ = [
    "COLUMNS",
    "COMMON_ASSET",
    "DEFAULT_COLUMN",
    "MOVERS_AMONG",
    "Column",
    "Worth",
    "matching",
    "movers",
    "ordered",
]

Column = Literal["symbol", "last", "change", "high", "low", "volume", "trades"]
COLUMNS: tuple[Column, ...] = ("symbol", "last", "change", "high", "low", "volume", "trades")
"""The columns, from the left. `volume` is that in the quote asset."""
DEFAULT_COLUMN: Column = "volume"

MOVERS_AMONG = 100
"""Movers are looked for among so many symbols with the largest volume: thin markets jump for nothing."""
COMMON_ASSET = "USDT"
"""Volumes in different assets are compared by their worth in this one."""

_Info = Callable[[str], SymbolInfo | None]
_SEPARATORS = re.compile(r"[/_:$-]+")


class Worth:
    """What the volumes of symbols are worth, so that they can be compared: 1 BTC is more than 1 USDT.

    Args:
        rows: the newest row of each symbol, which have the prices of the quote assets too.
        info: returns what is known of a symbol.
    """

    def __init__(self, rows: Mapping[str, TickerRow], info: _Info) -> None:
        self._rows = rows
        self._info = info
        self._rates: dict[str, Decimal | None] = {COMMON_ASSET: Decimal(1)}

    def volume(self, row: TickerRow) -> Decimal | None:
        """Return the quote volume of a row in the common asset; `None` if no price tells it."""
        info = self._info(row.symbol)
        if info is None:
            return None
        asset = info.quote_asset
        if asset not in self._rates:
            self._rates[asset] = self._rate(asset)
        rate = self._rates[asset]
        return None if rate is None else row.quote_volume * rate

    def _rate(self, asset: str) -> Decimal | None:
        direct, inverse = self._rows.get(asset + COMMON_ASSET), self._rows.get(COMMON_ASSET + asset)
        if direct is not None and direct.last:
            return direct.last
        if inverse is not None and inverse.last:
            return 1 / inverse.last
        return None


def matching(symbols: Iterable[str], info: _Info, *, quote: str, query: str) -> list[str]:
    """Return the symbols that have a quote asset and contain every word of a search.

    Args:
        symbols: all symbols.
        info: returns what is known of a symbol.
        quote: a quote asset; empty for all.
        query: words; `BTC/USDT` and `btc-usdt` are read as `BTCUSDT`.
    """
    words = [_SEPARATORS.sub("", word) for word in normalise(query).split()]
    found = [symbol for symbol in symbols if all(word in symbol for word in words)]
    if quote:
        found = [symbol for symbol in found if (known := info(symbol)) and known.quote_asset == quote]
    return found


def ordered(
    symbols: Iterable[str],
    rows: Mapping[str, TickerRow],
    worth: Worth | None,
    *,
    column: Column,
    is_descending: bool,
) -> list[str]:
    """Return the symbols sorted by a column. Equal ones keep their order; those without a value come last.

    Args:
        symbols: what to sort, in the order so far.
        rows: the newest row of each symbol.
        worth: compares volumes in different assets; `None` while all are in the same one.
        column: the column.
        is_descending: whether the largest value comes first.
    """
    if column == "symbol":
        return sorted(symbols, reverse=is_descending)
    value = _volume_of(worth) if column == "volume" else _VALUES[column]
    values = {symbol: value(rows[symbol]) for symbol in symbols}
    known = {symbol: found for symbol, found in values.items() if found is not None}
    first = sorted(known, key=known.__getitem__, reverse=is_descending)
    return first + [symbol for symbol in values if symbol not in known]


def movers(
    symbols: Iterable[str], rows: Mapping[str, TickerRow], worth: Worth | None, *, count: int
) -> tuple[list[TickerRow], list[TickerRow]]:
    """Return the rows that rose most, and those that fell most, of the symbols with the largest volume."""
    volume = _volume_of(worth)
    sized = [(found, symbol) for symbol in symbols if (found := volume(rows[symbol])) is not None]
    busiest = [rows[symbol] for _, symbol in nlargest(MOVERS_AMONG, sized)]
    rose = (row for row in busiest if row.change_percent > 0)
    fell = (row for row in busiest if row.change_percent < 0)
    return nlargest(count, rose, key=_change), nsmallest(count, fell, key=_change)


def _volume_of(worth: Worth | None) -> Callable[[TickerRow], Decimal | None]:
    return (lambda row: row.quote_volume) if worth is None else worth.volume


def _change(row: TickerRow) -> Decimal:
    return row.change_percent


_VALUES: Mapping[Column, Callable[[TickerRow], Decimal | int | None]] = {
    "last": lambda row: row.last,
    "change": _change,
    "high": lambda row: row.high,
    "low": lambda row: row.low,
    "trades": lambda row: row.trades,
}
