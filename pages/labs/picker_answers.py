"""What the symbol picker of one Labs page offers: hits for what a person types, and popular symbols."""

from __future__ import annotations

from livemarkets.market.models import SymbolInfo
from livemarkets.market.symbols import SymbolDirectory, normalise, query_fault
from pages.elements.symbol_picker import MAX_HITS, Hit
from pages.labs.url import clip
from pages.labs.watchlist import Watchlist
from pages.ports import PageServices
from pages.wording import POPULAR_SYMBOLS, label

__all__ = ["PickerAnswers"]


class PickerAnswers:
    """Answers from the symbols of the exchange asked for; while they are unknown, of the exchange shown.

    Args:
        services: the application.
        watch: the page's exchanges and symbols.
    """

    def __init__(self, services: PageServices, watch: Watchlist) -> None:
        self._services = services
        self._watch = watch

    def search(self, query: str) -> tuple[list[Hit], str]:
        """Return the symbols that fit `query`, and a message where there are none."""
        directory = self._directory()
        if not directory.is_loaded:
            name = label(self._watch.view.exchange)
            hint = "Type a whole symbol, such as BTCUSDT, and press Enter."
            return [], f"The symbols of {name} are not loaded yet. {hint}"
        if fault := query_fault(query):
            return [], f"{fault.capitalize()}. Press Enter to add a list of symbols."
        if not query:
            infos = [info for symbol in self.popular() if (info := directory.get(symbol))]
            return [self._hit(info) for info in infos], ""
        hits = [self._hit(info) for info in directory.search(query, MAX_HITS)]
        if not hits:
            # It may be a new listing. A person who types has not named a whole symbol yet.
            self._services.seek_symbols(self._watch.view.exchange, [normalise(query)], ask=False)
        return hits, "" if hits else f"No symbol matches {clip(query)}."

    def hint(self) -> str:
        """Return what stands in the empty search box."""
        directory = self._directory()
        count = f"{len(directory):,} symbols" if directory.is_loaded else "symbols"
        return f"Search {count}: btc, eth usdt, …"

    def popular(self) -> list[str]:
        """Return popular symbols that the exchange shown lists and the page does not show."""
        directory, shown = self._services.symbols(self._watch.shown), self._watch.view.symbols
        return [symbol for symbol in POPULAR_SYMBOLS if symbol not in shown and directory.accepts(symbol)]

    def _directory(self) -> SymbolDirectory:
        asked = self._services.symbols(self._watch.view.exchange)
        return asked if asked.is_loaded else self._services.symbols(self._watch.shown)

    def _hit(self, info: SymbolInfo) -> Hit:
        return Hit(
            symbol=info.symbol,
            base=info.base_asset,
            quote=info.quote_asset,
            trading=info.is_trading,
            shown=info.symbol in self._watch.view.symbols,
        )
