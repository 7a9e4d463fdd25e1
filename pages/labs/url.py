"""The address of a Live page: all that a person set, read from its parameters and written back to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from livemarkets.market.models import ExchangeName, StreamKey
from livemarkets.market.symbols import SYMBOL_SHAPE, read_symbols
from pages.labs.sorting import OWN_ORDER, SORT_COLUMNS, Sort
from pages.number_format import read_amount

__all__ = [
    "DEFAULT_EXCHANGE",
    "DEFAULT_INTERVAL",
    "INTERVALS",
    "Notice",
    "WatchlistUrl",
    "clip",
    "read_typed",
    "read_view",
    "with_market",
]

DEFAULT_EXCHANGE: ExchangeName = "binance"
INTERVALS = ("1s", "1m", "5m", "1h", "1d")
"""The intervals of the chart that a person can choose."""
DEFAULT_INTERVAL = "1m"

_MAX_TEXT_LENGTH = 16_384
"""Characters of the `symbols` parameter that are read: more than the largest allowed list needs."""
_MAX_PRIVATE_LENGTH = 100
_MAX_QUOTED_LENGTH = 24
_MAX_QUOTED_WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchlistUrl:
    """All that a person set on a Live page. What is as usual is left out of the address."""

    exchange: ExchangeName
    symbols: tuple[str, ...]
    """In the order of the person, without duplicates."""
    selected: str = ""
    """The symbol that the person opened; empty if none. The page then shows the first."""
    sort: Sort = OWN_ORDER
    interval: str = DEFAULT_INTERVAL
    """The length of the chart's candles."""
    minimum: str = ""
    """The smallest value that the tape shows, in the quote asset; empty for all."""
    private: Mapping[str, str] = field(default_factory=dict)
    """What stands in this page's own address, and in no shared one: the pause, the alert."""

    @property
    def shared_url(self) -> str:
        """The address to share: for everybody who shall see the same."""
        return self._address({})

    @property
    def url(self) -> str:
        """The page's own address."""
        return self._address(self.private)

    def _address(self, more: Mapping[str, str]) -> str:
        query = {
            "exchange": self.exchange,
            "symbols": ",".join(self.symbols),
            "selected": self.selected,
            "sort": self.sort.text,
            "interval": "" if self.interval == DEFAULT_INTERVAL else self.interval,
            "min": self.minimum,
            **more,
        }
        kept = {name: value for name, value in query.items() if value or name == "symbols"}
        return "/labs?" + urlencode(kept, safe=",")

    def stream_keys(self) -> list[StreamKey]:
        """Return the streams of trades behind the view."""
        return [StreamKey.trades(self.exchange, symbol) for symbol in self.symbols]


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for the person: what is wrong, and what to do about it."""

    text: str
    suggestions: tuple[str, ...] = ()
    """Symbols that the person may have meant."""


def read_view(
    query: Mapping[str, str], *, exchanges: Sequence[str], defaults: Iterable[str], limit: int
) -> tuple[WatchlistUrl, list[Notice]]:
    """Read the parameters of an address. Any parameters give a view; each fault in them gives a notice.

    Args:
        query: the parameters by their names. Without `symbols` the page shows `defaults`.
        exchanges: the available ones.
        defaults: symbols.
        limit: how many symbols one page may show.
    """
    notices: list[Notice] = []
    symbols = _read_symbols(query.get("symbols"), defaults, limit, notices)
    view = WatchlistUrl(
        exchange=_read_exchange(query.get("exchange", ""), exchanges, notices),
        symbols=symbols,
        selected=_read_selected(query.get("selected", ""), symbols, notices),
        sort=_read_sort(query.get("sort", ""), notices),
        interval=_read_interval(query.get("interval", ""), notices),
        minimum=_read_minimum(query.get("min", ""), notices),
        private=_read_private(query),
    )
    return view, notices


def _read_exchange(text: str, exchanges: Sequence[str], notices: list[Notice]) -> ExchangeName:
    chosen = text.strip().lower() or DEFAULT_EXCHANGE
    if chosen in exchanges:
        return chosen
    offered = " and ".join(exchanges)
    said = f"There is no exchange {clip(text)}. Available: {offered}. Showing {DEFAULT_EXCHANGE}."
    notices.append(Notice(said))
    return DEFAULT_EXCHANGE


def _read_symbols(
    text: str | None, defaults: Iterable[str], limit: int, notices: list[Notice]
) -> tuple[str, ...]:
    wanted, malformed = (list(dict.fromkeys(defaults)), []) if text is None else read_typed(text)
    if malformed:
        quoted = ", ".join(clip(word) for word in malformed[:_MAX_QUOTED_WORDS])
        more = len(malformed) - _MAX_QUOTED_WORDS
        rest = f" and {more} more" if more > 0 else ""
        notices.append(Notice(f"Left out {quoted}{rest}: a symbol is {SYMBOL_SHAPE}, such as BTCUSDT."))
    if len(wanted) > limit:
        notices.append(
            Notice(f"A page shows up to {limit} symbols. Left out the last {len(wanted) - limit}.")
        )
    return tuple(wanted[:limit])


def _read_selected(text: str, symbols: Sequence[str], notices: list[Notice]) -> str:
    found = read_typed(text)[0]
    if found and found[0] in symbols:
        return found[0]
    if text.strip():
        notices.append(Notice(f"{clip(text)} is not among the symbols of this address. Nothing is selected."))
    return ""


def _read_sort(text: str, notices: list[Notice]) -> Sort:
    name = text.strip().removeprefix("-")
    for column in SORT_COLUMNS:
        if column == name:
            return Sort(column, text.strip().startswith("-"))
    if name:
        offered = ", ".join(SORT_COLUMNS)
        notices.append(Notice(f"There is no column {clip(text)} to sort by. Available: {offered}."))
    return OWN_ORDER


def _read_interval(text: str, notices: list[Notice]) -> str:
    chosen = text.strip() or DEFAULT_INTERVAL
    if chosen in INTERVALS:
        return chosen
    offered = ", ".join(INTERVALS)
    notices.append(Notice(f"There is no interval {clip(text)}. Available: {offered}."))
    return DEFAULT_INTERVAL


def _read_minimum(text: str, notices: list[Notice]) -> str:
    minimum = _minimum_text(text)
    if minimum is None:
        notices.append(Notice(f"{clip(text)} is no value. The tape shows all trades. Example: min=1000."))
    return minimum or ""


def _minimum_text(text: str) -> str | None:
    """Return a smallest value as it stands in an address; empty for all, `None` if it is not a value."""
    value = read_amount(text)
    if value is None:
        return None
    return f"{value.normalize():f}" if value else ""


def _read_private(query: Mapping[str, str]) -> dict[str, str]:
    """Return what the other parts of the page read, with its bounds alone."""
    found = {"paused": "1" if query.get("paused") == "1" else "", "alert": query.get("alert", "")}
    return {name: text for name, text in found.items() if text and len(text) <= _MAX_PRIVATE_LENGTH}


def with_market(
    view: WatchlistUrl,
    *,
    interval: str | None = None,
    minimum: str | None = None,
    paused: str | None = None,
    alert: str | None = None,
) -> WatchlistUrl:
    """Return a view with what the person set in the market. What is `None`, or makes no sense, stays.

    Args:
        view: the view before.
        interval: the length of the chart's candles.
        minimum: the smallest value of the tape; empty for all.
        paused: `1` while the tape is paused, else empty.
        alert: the price alert; empty without one.
    """
    private = {**view.private}
    private |= {name: text for name, text in (("paused", paused), ("alert", alert)) if text is not None}
    value = view.minimum if minimum is None else _minimum_text(minimum)
    return replace(
        view,
        interval=interval if interval in INTERVALS else view.interval,
        minimum=view.minimum if value is None else value,
        private=_read_private(private),
    )


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
