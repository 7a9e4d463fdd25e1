"""Which symbols the exchange lists, and with which status. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from livemarkets.errors import LiveMarketsError
from livemarkets.simulator.market.symbols import SymbolRules

__all__ = ["Listing", "ListingError"]

_TRADING = "TRADING"
_NAME = re.compile(r"(?:(?![a-z])[^\W_]){2,50}")
_STATUS = re.compile(r"[A-Z_]{1,32}")
_MOST_SYMBOLS = 5000


class ListingError(LiveMarketsError):
    """A change of the list cannot be made. The text is one line, for users."""


class Listing:
    """The list of symbols, which can change while the exchange runs.

    Args:
        rules: the symbols that are listed at first.

    """

    def __init__(self, rules: Mapping[str, SymbolRules]) -> None:
        self.rules: dict[str, SymbolRules] = dict(rules)
        """The listed symbols."""
        self._former: dict[str, SymbolRules] = {}
        self._statuses: dict[str, str] = {}  # of those that do not have the usual one
        self._hidden: set[str] = set()

    def status_of(self, symbol: str) -> str:
        """Return the status of a listed symbol; `enums.md`, "Symbol status"."""
        return self._statuses.get(symbol, _TRADING)

    def is_traded(self, symbol: str) -> bool:
        """Return whether a symbol has trades at present."""
        return symbol not in self._statuses and symbol in self.rules

    def shown(self) -> Sequence[str]:
        """Return the symbols of `exchangeInfo` without parameters, which leaves out the hidden ones."""
        return [symbol for symbol in self.rules if symbol not in self._hidden]

    def set_status(self, symbol: str, status: str) -> None:
        """Set the status of a listed symbol. It has trades only while the status is `TRADING`."""
        self._require(symbol)
        if not _STATUS.fullmatch(status):
            raise ListingError("a status has 1 to 32 capital letters, such as BREAK")
        if status == _TRADING:
            self._statuses.pop(symbol, None)
        else:
            self._statuses[symbol] = status

    def delist(self, symbol: str) -> None:
        """Take a symbol off the list."""
        self._require(symbol)
        self._former[symbol] = self.rules.pop(symbol)
        self._statuses.pop(symbol, None)
        self._hidden.discard(symbol)

    def enlist(self, symbol: str, like: str, now_ms: float | None = None) -> None:
        """List a symbol: one that was listed before with its rules, a new one with the rules of `like`.

        The klines of a new one begin on the day of `now_ms`; without it, when those of `like` do.
        """
        if symbol in self.rules:
            raise ListingError(f"the exchange lists {symbol} already")
        if not _NAME.fullmatch(symbol) or len(self.rules) >= _MOST_SYMBOLS:
            raise ListingError("a symbol has 2 to 50 letters and digits, none of a to z")
        rules = self._former.get(symbol)
        if rules is None:
            self._require(like)
            model = self.rules[like]
            base = symbol.removesuffix(model.quote) or symbol
            listed_ms = model.listed_ms if now_ms is None else int(now_ms)
            rules = replace(model, symbol=symbol, base=base, listed_ms=listed_ms)
        self.rules[symbol] = rules

    def hide(self, symbol: str) -> None:
        """Leave a symbol out of `exchangeInfo` without parameters, as one with rare permissions."""
        self._require(symbol)
        self._hidden.add(symbol)

    def _require(self, symbol: str) -> None:
        if symbol not in self.rules:
            raise ListingError(f"the exchange does not list {symbol}")
