"""What the symbol picker of one Live page offers: hits for what a person types, and popular symbols."""

from __future__ import annotations

import re
from decimal import Decimal

from livemarkets.market.channels import ALL_SYMBOLS, TICKERS
from livemarkets.market.models import StreamKey, SymbolInfo
from livemarkets.market.symbols import SymbolDirectory, normalise, query_fault
from pages.elements.symbol_picker import MAX_HITS, Hit
from pages.labs.overview.ranking import Worth
from pages.labs.url import clip, read_typed
from pages.labs.watchlist import Watchlist
from pages.ports import PageServices
from pages.wording import POPULAR_SYMBOLS, label

__all__ = ["PickerAnswers"]

_BETWEEN_ITEMS = re.compile(r"[,;\n]+")
_BEFORE_A_SYMBOL = re.compile(r"^\s*(?:[A-Za-z]+:|\$)")  # BINANCE:BTCUSDT, $sol
_INSIDE_A_SYMBOL = re.compile(r"[\s/_:$-]+")
_MAX_ITEMS_NAMED = 6
_MAX_LOOKED_UP = 20
"""Items of a list that may be assets: each is a search."""


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
        if is_list(query):
            return [], self._list_message(query)
        if fault := query_fault(query):
            return [], f"{fault.capitalize()}. Press Enter to add a list of symbols."
        if not query:
            infos = [info for symbol in self.popular() if (info := directory.get(symbol))]
            return [self._hit(info) for info in infos], ""
        hits = [self._hit(info) for info in self._found(query)[:MAX_HITS]]
        if not hits:
            # It may be a new listing. A person who types has not named a whole symbol yet.
            self._services.seek_symbols(self._watch.view.exchange, [normalise(query)], ask=False)
        return hits, "" if hits else f"No symbol matches {clip(query)}."

    def meant(self, text: str) -> str:
        """Return the symbols that a typed text means, separated by commas.

        Each item of a list is a symbol as people write it, or an asset.
        """
        if not is_list(text):
            return _BEFORE_A_SYMBOL.sub("", text)
        items = _items(text)
        looked_up = [self._item(item) for item in items[:_MAX_LOOKED_UP]]
        return ",".join([*looked_up, *items[_MAX_LOOKED_UP:]])

    def hint(self) -> str:
        """Return what stands in the empty search box."""
        directory = self._directory()
        count = f"{len(directory):,} symbols" if directory.is_loaded else "symbols"
        return f"Search {count}: btc, eth usdt, …"

    def popular(self) -> list[str]:
        """Return popular symbols that the exchange shown lists and the page does not show."""
        directory, shown = self._services.symbols(self._watch.shown), self._watch.view.symbols
        return [symbol for symbol in POPULAR_SYMBOLS if symbol not in shown and directory.accepts(symbol)]

    def _found(self, query: str) -> list[SymbolInfo]:
        """Return the symbols that match, best first.

        Within those that match equally well, symbols with the largest volume come first where the exchange
        has told volumes; the others keep the order of the directory.
        """
        directory = self._directory()
        hits = directory.search(query, len(directory))
        rows = self._services.updates.rows(StreamKey(self._watch.shown, TICKERS, ALL_SYMBOLS))
        if not rows:
            return hits
        worth = Worth(rows, directory.get)
        word = _word(query)

        def merit(info: SymbolInfo) -> tuple[int, bool, Decimal]:
            row = rows.get(info.symbol)
            volume = worth.volume(row) if row is not None else None
            return _match(info, word), not info.is_trading, -(volume or Decimal(0))

        return sorted(hits, key=merit)

    def _item(self, item: str) -> str:
        """Return what an item of a list means: a symbol, or an asset that stands for its busiest symbol."""
        directory, word = self._directory(), _word(item)
        if not directory.is_loaded or directory.get(word):
            return word
        of_asset = [info for info in self._found(word)[:1] if info.base_asset == word]
        return of_asset[0].symbol if of_asset else item

    def _list_message(self, text: str) -> str:
        symbols, malformed = read_typed(self.meant(text))
        names = symbols + [clip(word) for word in malformed]
        more = len(names) - _MAX_ITEMS_NAMED
        rest = f" and {more} more" if more > 0 else ""
        count = "1 symbol" if len(symbols) == 1 else f"all {len(symbols)} symbols"
        return f"Enter adds {count}: {', '.join(names[:_MAX_ITEMS_NAMED])}{rest}."

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


def is_list(text: str) -> bool:
    """Return whether a typed text is a list of symbols."""
    return len(_items(text)) > 1 or ("," in text and bool(_items(text)))


def _items(text: str) -> list[str]:
    return [item.strip() for item in _BETWEEN_ITEMS.split(text) if item.strip()]


def _word(text: str) -> str:
    """Return what is typed for one symbol as the exchange may write it."""
    return normalise(_INSIDE_A_SYMBOL.sub("", _BEFORE_A_SYMBOL.sub("", text)))


def _match(info: SymbolInfo, word: str) -> int:
    """Return how well a symbol matches a word, 0 for best, as the directory ranks them."""
    if info.symbol == word:
        return 0
    return 1 if info.base_asset == word else 2 if info.symbol.startswith(word) else 3
