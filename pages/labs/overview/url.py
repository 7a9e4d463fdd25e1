"""The address of an overview page: exchange, filter, search and order, read from it and written back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from livemarkets.market.models import ExchangeName
from livemarkets.market.symbols import normalise
from pages.labs.overview.ranking import COLUMNS, DEFAULT_COLUMN, Column
from pages.labs.url import DEFAULT_EXCHANGE, Notice, clip, read_typed

__all__ = ["MAX_QUERY_LENGTH", "OverviewUrl", "read_overview"]

MAX_QUERY_LENGTH = 64
_MAX_ASSET_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewUrl:
    """What an overview page shows, and in which order."""

    exchange: ExchangeName
    quote: str = ""
    """Only symbols with this quote asset; empty for all."""
    query: str = ""
    """What the person searches."""
    column: Column = DEFAULT_COLUMN
    """The column that the rows are sorted by."""
    is_descending: bool = True
    symbols: tuple[str, ...] = ()
    """The symbols of a Live page, to which a chosen row is added."""

    @property
    def url(self) -> str:
        """The address of a page with this view. What is as usual is left out."""
        query = {"exchange": self.exchange}
        if self.quote:
            query["quote"] = self.quote
        if self.query:
            query["q"] = self.query
        if (self.column, self.is_descending) != (DEFAULT_COLUMN, True):
            query["sort"] = f"{'-' if self.is_descending else ''}{self.column}"
        if self.symbols:
            query["symbols"] = ",".join(self.symbols)
        return "/labs/overview?" + urlencode(query, safe=",")

    def opening(self, symbol: str) -> str:
        """Return the address of the Live page on which `symbol` is selected."""
        symbols = ",".join(quote(name) for name in dict.fromkeys((*self.symbols, symbol)))
        return f"/labs?exchange={self.exchange}&symbols={symbols}&selected={quote(symbol)}"


def read_overview(
    exchange: str, quote_asset: str, query: str, sort: str, symbols: str, *, exchanges: Sequence[str]
) -> tuple[OverviewUrl, list[Notice]]:
    """Read the parameters of an address. Any parameters give a view; each fault in them gives a notice.

    Args:
        exchange: the parameter, empty when absent, as are the others.
        quote_asset: the quote asset to show.
        query: the search.
        sort: the name of a column; with `-` before it, the largest value comes first.
        symbols: the symbols of a Live page.
        exchanges: the available ones.
    """
    notices: list[Notice] = []
    chosen = exchange.strip().lower() or DEFAULT_EXCHANGE
    if chosen not in exchanges:
        offered = " and ".join(exchanges)
        text = f"There is no exchange {clip(exchange)}. Available: {offered}. Showing {DEFAULT_EXCHANGE}."
        notices.append(Notice(text))
        chosen = DEFAULT_EXCHANGE
    column: Column = DEFAULT_COLUMN
    is_descending = True
    if sort:
        name = sort.removeprefix("-")
        found = next((known for known in COLUMNS if known == name), None)
        if found is None:
            offered = ", ".join(COLUMNS)
            notices.append(Notice(f"There is no column {clip(sort)}. Available: {offered}."))
        else:
            column, is_descending = found, sort.startswith("-")
    view = OverviewUrl(
        exchange=chosen,
        quote=normalise(quote_asset[:_MAX_ASSET_LENGTH]),
        query=query[:MAX_QUERY_LENGTH],
        column=column,
        is_descending=is_descending,
        symbols=tuple(read_typed(symbols)[0]),
    )
    return view, notices
