"""What the rows of a Live page say beside their values: names, states, and which symbols are not listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from livemarkets.market.models import ExchangeName, StreamKey, SymbolInfo
from pages.elements.market_grid.market_grid import GridLine
from pages.labs.url import Notice, clip
from pages.ports import PageServices
from pages.wording import QUALITY_WORDS, label

__all__ = ["RowLines", "is_known", "unlisted_notices"]

MAX_UNKNOWN_NAMED = 3
"""Unlisted symbols that get a notice of their own; the rest are counted."""


class RowLines:
    """The part of the rows that does not change with trades.

    Args:
        services: the application.
    """

    def __init__(self, services: PageServices) -> None:
        self._services = services
        self._version: tuple[str, int] = ("", -1)
        self._states: dict[str, tuple[str, str]] = {}  # of the rows that are not live

    def lines(self, symbols: Iterable[str], *, asked: ExchangeName, shown: ExchangeName) -> list[GridLine]:
        """Return the rows in this order.

        Args:
            symbols: their symbols.
            asked: the exchange that the person chose.
            shown: the exchange whose prices are shown.
        """
        return [self._line(symbol, asked, shown) for symbol in symbols]

    def info(self, symbol: str, *, asked: ExchangeName, shown: ExchangeName) -> SymbolInfo | None:
        """Return what is known of a symbol: from the exchange shown, else from the one asked for."""
        first, second = (self._services.symbols(exchange) for exchange in (shown, asked))
        return first.get(symbol) or second.get(symbol)

    def have_states_changed(self, symbols: Iterable[str], shown: ExchangeName) -> bool:
        """Return whether the state of any of these rows has changed since the last time."""
        version = (shown, self._services.quality_version(shown))
        if version == self._version:
            return False
        before = self._states
        states = {symbol: self._state(symbol, shown) for symbol in symbols}
        self._version = version
        self._states = {symbol: state for symbol, state in states.items() if state[0]}
        return self._states != before

    def _line(self, symbol: str, asked: ExchangeName, shown: ExchangeName) -> GridLine:
        info = self.info(symbol, asked=asked, shown=shown)
        names = {"base": info.base_asset, "quote": info.quote_asset} if info else {}
        if not is_known(self._services, shown, symbol):
            return GridLine(symbol=symbol, note=f"not on the {shown}", **names)
        note = "not trading" if info is not None and not info.is_trading else "no trade yet"
        tag = "simulated" if shown == "simulator" else ""
        state, reason = self._state(symbol, shown)
        return GridLine(symbol=symbol, note=note, tag=tag, state=state, reason=reason, **names)

    def _state(self, symbol: str, shown: ExchangeName) -> tuple[str, str]:
        """Return the word for the state of a row's stream, and why; empty while it is live."""
        quality = self._services.quality(StreamKey.trades(shown, symbol))
        return ("", "") if quality is None else (QUALITY_WORDS[quality.state], quality.reason or "")


def is_known(services: PageServices, exchange: ExchangeName, symbol: str) -> bool:
    """Return whether an exchange has a symbol: it is listed, or it has traded since somebody subscribed.

    So a row whose symbol is delisted stays, with its last price.
    """
    if services.symbols(exchange).accepts(symbol):
        return True
    return services.latest.get(StreamKey.trades(exchange, symbol)) is not None


def unlisted_notices(services: PageServices, exchange: ExchangeName, unlisted: Sequence[str]) -> list[Notice]:
    """Name the first few with suggestions and count the rest: each search for suggestions costs time."""
    directory = services.symbols(exchange)
    notices: list[Notice] = []
    for symbol in unlisted[:MAX_UNKNOWN_NAMED]:
        suggestions = tuple(directory.suggest(symbol))
        question = " Did you mean" if suggestions else " Search above for listed symbols."
        text = f"{label(exchange)} does not list {clip(symbol)}.{question}"
        notices.append(Notice(text, suggestions))
    if len(unlisted) > MAX_UNKNOWN_NAMED:
        notices.append(Notice(f"{len(unlisted) - MAX_UNKNOWN_NAMED} more symbols are not listed either."))
    return notices
