"""The symbols of one exchange: look-up, search as a person types, and did-you-mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from livemarkets.market.models import SymbolInfo

__all__ = ["SymbolDirectory", "is_well_formed", "normalise"]

_WELL_FORMED = re.compile(r"[A-Z0-9]{2,30}")
_SEPARATORS = re.compile(r"[\s/_-]+")


def normalise(text: str) -> str:
    """Return a symbol in the exchange's spelling: no blanks around it, upper case."""
    return text.strip().upper()


def is_well_formed(symbol: str) -> bool:
    """Tell whether `symbol` could be a Binance spot symbol: 2 to 30 of A-Z and 0-9."""
    return _WELL_FORMED.fullmatch(symbol) is not None


class SymbolDirectory:
    """What one exchange lists. Empty until its REST API answered: then well-formed symbols are accepted."""

    def __init__(self) -> None:
        self._symbols: dict[str, SymbolInfo] = {}

    @property
    def is_loaded(self) -> bool:
        """Whether the exchange's list is known."""
        return bool(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)

    def replace(self, symbols: Iterable[SymbolInfo]) -> None:
        """Take over the exchange's newest list."""
        self._symbols = {info.symbol: info for info in symbols}

    def get(self, symbol: str) -> SymbolInfo | None:
        """Return what is known of `symbol`, `None` when it is not listed or the list is not known."""
        return self._symbols.get(symbol)

    def accepts(self, symbol: str) -> bool:
        """Tell whether `symbol` may be subscribed: listed, or well-formed while the list is not known."""
        return symbol in self._symbols if self._symbols else is_well_formed(symbol)

    def search(self, query: str, limit: int = 20) -> list[SymbolInfo]:
        """Return the symbols that fit what a person typed, best first.

        `btc`, `BTC/USDT`, `eth usdt` and `usdt btc` all work. An exact symbol comes first, then those whose
        base asset is the query, then those that begin with it, then those that contain it; symbols
        that trade come before those that do not, short before long.
        """
        words = [word for word in _SEPARATORS.split(query.upper()) if word]
        joined = "".join(words)
        ranked: list[tuple[tuple[int, bool, int, str], SymbolInfo]] = []
        for info in self._symbols.values():
            rank = _rank(info, joined, words)
            if rank is not None:
                ranked.append(((rank, not info.is_trading, len(info.symbol), info.symbol), info))
        ranked.sort(key=lambda pair: pair[0])
        return [info for _, info in ranked[:limit]]

    def suggest(self, symbol: str, limit: int = 3) -> list[str]:
        """Return listed symbols that `symbol` may have been meant to be, best first."""
        word = _SEPARATORS.sub("", symbol.upper())[:30]
        if word in self._symbols:
            return [word]
        close = difflib.get_close_matches(word, self._symbols, n=limit, cutoff=0.6)
        found = dict.fromkeys([*close, *(info.symbol for info in self.search(word, limit))])
        return list(found)[:limit] if word else []


def _rank(info: SymbolInfo, joined: str, words: list[str]) -> int | None:
    if info.symbol == joined:
        return 0
    if info.base_asset == joined:
        return 1
    if info.symbol.startswith(joined):
        return 2
    if joined in info.symbol:
        return 3
    if len(words) > 1 and all(word in info.symbol for word in words):
        return 4
    return None
