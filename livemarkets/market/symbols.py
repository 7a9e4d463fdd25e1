"""The symbols of one exchange: spelling, look-up, search while typing, and suggestions for misspelt names.

A symbol may be written in any script (at Binance since December 2025). There is no Unicode normalisation, and
only a to z are converted to upper case, so that different names stay different.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from string import ascii_lowercase, ascii_uppercase

from livemarkets.market.models import SymbolInfo

__all__ = [
    "MAX_QUERY_LENGTH",
    "MAX_SYMBOL_LENGTH",
    "SYMBOL_SHAPE",
    "SymbolDirectory",
    "is_well_formed",
    "normalise",
    "query_fault",
    "read_symbols",
]

MAX_SYMBOL_LENGTH = 64
"""The most characters of a symbol, several times the longest one at Binance."""
SYMBOL_SHAPE = f"2 to {MAX_SYMBOL_LENGTH} letters and digits"
"""The condition of :func:`is_well_formed`, for messages."""
MAX_QUERY_LENGTH = 64
"""The most characters of a search."""
_MAX_QUERY_WORDS = 5

_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
_ASCII_SYMBOL = re.compile(r"[A-Z0-9]+")
_EXCHANGE_PREFIX = re.compile(r"^\s*[A-Za-z]+:")
_BETWEEN_SYMBOLS = re.compile(r"[\s,;]+")
_INSIDE_A_SYMBOL = re.compile(r"[/_-]")
_SEPARATORS = re.compile(r"[\s/_:$-]+")
_QUOTE_ORDER = {asset: rank for rank, asset in enumerate(("USDT", "USDC", "FDUSD", "BTC", "ETH", "EUR"))}
_MAX_ALPHABET = 100
_SHARED_LOOKED_AT = 50


def normalise(text: str) -> str:
    """Return a symbol in the exchange's spelling: without surrounding spaces, a to z in upper case."""
    text = text.strip()
    return text.upper() if text.isascii() else text.translate(_UPPER)


def is_well_formed(symbol: str) -> bool:
    """Return whether `symbol` has 2 to 64 letters and digits of any script, and none of a to z."""
    if not 2 <= len(symbol) <= MAX_SYMBOL_LENGTH:
        return False
    if symbol.isascii():
        return _ASCII_SYMBOL.fullmatch(symbol) is not None
    # Letters, marks (vowels in some scripts) and numbers.
    return all(unicodedata.category(letter)[0] in "LMN" and not "a" <= letter <= "z" for letter in symbol)


def read_symbols(text: str) -> tuple[list[str], list[str]]:
    """Split a list of symbols into those that are well-formed, in the exchange's spelling, and other words.

    Commas, semicolons and spaces stand between symbols. `BTC/USDT` and `btc-usdt` are read as `BTCUSDT`.
    Neither list has duplicates.
    """
    symbols: dict[str, None] = {}
    malformed: dict[str, None] = {}
    for word in filter(None, _BETWEEN_SYMBOLS.split(text)):
        symbol = normalise(_INSIDE_A_SYMBOL.sub("", word))
        if is_well_formed(symbol):
            symbols[symbol] = None
        else:
            malformed[word] = None
    return list(symbols), list(malformed)


def query_fault(query: str) -> str | None:
    """Return why `query` is refused; `None` when it is short enough."""
    if len(query) <= MAX_QUERY_LENGTH and len(_words(query)) <= _MAX_QUERY_WORDS:
        return None
    return f"a search has at most {MAX_QUERY_LENGTH} characters and {_MAX_QUERY_WORDS} words"


class SymbolDirectory:
    """The listed symbols of one exchange. While it is empty, every well-formed symbol is accepted.

    Sorting and counting happen once per list. A search then takes a few passes over the names.
    """

    def __init__(self) -> None:
        self._symbols: dict[str, SymbolInfo] = {}  # best first: the order in which equal hits are shown
        self._places: dict[str, int] = {}
        self._names: list[str] = []  # in the order of the alphabet
        self._by_base: dict[str, list[str]] = {}
        self._longest = 0
        self._alphabet: tuple[str, ...] = ()

    @property
    def is_loaded(self) -> bool:
        """Whether the list is loaded."""
        return bool(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)

    def names(self) -> Set[str]:
        """Return the listed symbols."""
        return self._symbols.keys()

    def add(self, info: SymbolInfo) -> None:
        """Add a symbol to the list, or replace its description."""
        self.replace([*(one for one in self._symbols.values() if one.symbol != info.symbol), info])

    def replace(self, symbols: Iterable[SymbolInfo]) -> None:
        """Replace the list. Most refreshes change nothing, and then nothing is computed again."""
        ordered = {info.symbol: info for info in sorted(symbols, key=_merit)}
        if ordered == self._symbols:
            return
        self._symbols = ordered
        self._places = {symbol: place for place, symbol in enumerate(self._symbols)}
        self._names = sorted(self._symbols)
        self._by_base = {}
        for symbol, info in self._symbols.items():
            self._by_base.setdefault(info.base_asset, []).append(symbol)
        self._longest = max(map(len, self._names), default=0)
        letters = Counter("".join(self._names)).most_common(_MAX_ALPHABET)
        self._alphabet = tuple(letter for letter, _ in letters)

    def get(self, symbol: str) -> SymbolInfo | None:
        """Return the description of `symbol`; `None` when it is not listed or the list is not loaded."""
        return self._symbols.get(symbol)

    def accepts(self, symbol: str) -> bool:
        """Return whether `symbol` may be subscribed: listed, or well-formed while the list is not loaded."""
        return symbol in self._symbols if self._symbols else is_well_formed(symbol)

    def search(self, query: str, limit: int = 20) -> list[SymbolInfo]:
        """Return the symbols that match a typed query, best first; none if :func:`query_fault` refuses it.

        `btc`, `BTC/USDT`, `eth usdt`, `usdt btc`, `$sol` and `BINANCE:BTCUSDT` all work. The exact symbol
        comes first, then symbols whose base asset is the query, then those that begin with it, then those
        that contain it. Equal matches are ordered by: trading before not trading; quote asset USDT, USDC,
        FDUSD, BTC, ETH, EUR, others; short before long.
        """
        if query_fault(query) is not None:
            return []
        words = _words(query)
        joined = "".join(words)
        containing = [symbol for symbol in self._symbols if joined in symbol]
        if not containing and len(words) > 1:
            containing = list(self._symbols)
            for word in words:
                containing = [symbol for symbol in containing if word in symbol]
        exact = [joined] if joined in self._symbols else []
        beginning = [symbol for symbol in containing if symbol.startswith(joined)]
        found = dict.fromkeys([*exact, *self._by_base.get(joined, ()), *beginning, *containing])
        return [self._symbols[symbol] for symbol in list(found)[:limit]]

    def suggest(self, symbol: str, limit: int = 3) -> list[str]:
        """Return listed symbols that may be meant by `symbol`, best first.

        It finds symbols with another spelling (`BTC/USDT`), with one typing error, by a search (`WBTC`), and
        with the same beginning (`DOGEPERP`). Except for one :meth:`search`, the cost does not grow with the
        list. Names much longer than every listed symbol cost nothing.
        """
        if len(symbol) > MAX_SYMBOL_LENGTH:
            return []
        word = "".join(_words(symbol))
        if not word or word in self._symbols:
            return [word] if word else []
        found = dict.fromkeys(self._one_error_away(word))
        if len(found) < limit:
            found |= dict.fromkeys(info.symbol for info in self.search(word, limit))
        if len(found) < limit:
            found |= dict.fromkeys(self._with_same_beginning(word))
        return list(found)[:limit]

    def _one_error_away(self, word: str) -> list[str]:
        """Return the symbols that one wrong, extra, missing or swapped letter turns into `word`."""
        if len(word) > self._longest + 1:
            return []
        swapped = [one for one in _swaps(word) if one in self._symbols]
        others = {one for one in _edits(word, self._alphabet) if one in self._symbols}
        return swapped + sorted(others, key=self._places.__getitem__)

    def _with_same_beginning(self, word: str) -> list[str]:
        """Return the symbols with the longest common beginning: at least 3 letters and half of `word`."""
        for length in range(min(len(word), self._longest), max(3, (len(word) + 1) // 2) - 1, -1):
            beginning = word[:length]
            at = bisect_left(self._names, beginning)
            near = self._names[at : at + _SHARED_LOOKED_AT]
            if shared := [symbol for symbol in near if symbol.startswith(beginning)]:
                return sorted(shared, key=self._places.__getitem__)
        return []


def _words(query: str) -> list[str]:
    """Split typed text at spaces, `/`, `-`, `_`, `:` and `$`."""
    text = _EXCHANGE_PREFIX.sub("", query).translate(_UPPER)
    return [word for word in _SEPARATORS.split(text) if word]


def _merit(info: SymbolInfo) -> tuple[bool, int, int, str]:
    return (
        not info.is_trading,
        _QUOTE_ORDER.get(info.quote_asset, len(_QUOTE_ORDER)),
        len(info.symbol),
        info.symbol,
    )


def _swaps(word: str) -> Iterator[str]:
    for at in range(len(word) - 1):
        yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _edits(word: str, alphabet: Iterable[str]) -> Iterator[str]:
    for at in range(len(word) + 1):
        before, behind = word[:at], word[at:]
        if behind:
            yield before + behind[1:]
        for letter in alphabet:
            yield before + letter + behind
            if behind:
                yield before + letter + behind[1:]
