"""The address of a Labs page: exchange and symbols, read from its parameters and written back to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from livemarkets.market.models import ExchangeName, StreamKey
from livemarkets.market.symbols import SYMBOL_SHAPE, read_symbols

__all__ = ["DEFAULT_EXCHANGE", "Notice", "WatchlistUrl", "clip", "read_typed", "read_view"]

DEFAULT_EXCHANGE: ExchangeName = "binance"

_MAX_TEXT_LENGTH = 16_384
"""Characters of the `symbols` parameter that are read: more than the largest allowed list needs."""
_MAX_QUOTED_LENGTH = 24
_MAX_QUOTED_WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchlistUrl:
    """Exchange and symbols of a Labs page."""

    exchange: ExchangeName
    symbols: tuple[str, ...]
    """In the order of the person, without duplicates."""

    @property
    def url(self) -> str:
        """The address of a page with this view."""
        query = {"exchange": self.exchange, "symbols": ",".join(self.symbols)}
        return "/labs?" + urlencode(query, safe=",")

    def stream_keys(self) -> list[StreamKey]:
        """Return the streams behind the view."""
        return [StreamKey.trades(self.exchange, symbol) for symbol in self.symbols]


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for the person: what is wrong, and what to do about it."""

    text: str
    suggestions: tuple[str, ...] = ()
    """Symbols that the person may have meant."""


def read_view(
    exchange: str, symbols: str | None, *, exchanges: Sequence[str], defaults: Iterable[str], limit: int
) -> tuple[WatchlistUrl, list[Notice]]:
    """Read the parameters of an address. Any parameters give a view; each fault in them gives a notice.

    Args:
        exchange: the parameter, empty when absent.
        symbols: the parameter, `None` when absent: the page then shows `defaults`.
        exchanges: the available ones.
        limit: how many symbols one page may show.
    """
    notices: list[Notice] = []
    chosen = exchange.strip().lower() or DEFAULT_EXCHANGE
    if chosen not in exchanges:
        offered = " and ".join(exchanges)
        text = f"There is no exchange {clip(exchange)}. Available: {offered}. Showing {DEFAULT_EXCHANGE}."
        notices.append(Notice(text))
        chosen = DEFAULT_EXCHANGE
    if symbols is None:
        wanted: list[str] = list(dict.fromkeys(defaults))
    else:
        wanted, malformed = read_typed(symbols)
        if malformed:
            quoted = ", ".join(clip(word) for word in malformed[:_MAX_QUOTED_WORDS])
            more = len(malformed) - _MAX_QUOTED_WORDS
            rest = f" and {more} more" if more > 0 else ""
            notices.append(Notice(f"Left out {quoted}{rest}: a symbol is {SYMBOL_SHAPE}, such as BTCUSDT."))
    if len(wanted) > limit:
        notices.append(
            Notice(f"A page shows up to {limit} symbols. Left out the last {len(wanted) - limit}.")
        )
    return WatchlistUrl(exchange=chosen, symbols=tuple(wanted[:limit])), notices


def read_typed(text: str) -> tuple[list[str], list[str]]:
    """Split what a person typed, up to a bound, as :func:`~livemarkets.market.symbols.read_symbols` does."""
    return read_symbols(text[:_MAX_TEXT_LENGTH])


def clip(text: str) -> str:
    """Quote what a person typed: printable, on one line, and no longer than `_MAX_QUOTED_LENGTH`."""
    line = " ".join(text.split())
    printable = "".join(character if character.isprintable() else "�" for character in line)
    if len(printable) > _MAX_QUOTED_LENGTH:
        printable = printable[: _MAX_QUOTED_LENGTH - 1] + "…"
    return f"“{printable}”"
