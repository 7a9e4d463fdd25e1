"""The removal of a row, which can be undone for a moment. Pure; the clock is passed in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pages.labs.url import WatchlistUrl

__all__ = ["UNDO_MS", "Removal"]

UNDO_MS = 5_000
"""How long a removed row can be brought back, ms."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A row that was removed."""

    symbol: str
    before: WatchlistUrl
    """What the page showed before."""
    removed_ms: int

    def is_open(self, view: WatchlistUrl, now_ms: int, *, limit: int) -> bool:
        """Return whether it can be undone: it is fresh, and there is room for the row."""
        is_fresh = now_ms - self.removed_ms < UNDO_MS
        return is_fresh and self.symbol not in view.symbols and len(view.symbols) < limit

    def undone(self, view: WatchlistUrl) -> WatchlistUrl:
        """Return the view with the row in its place again; it is selected if it was."""
        symbols = list(view.symbols)
        symbols.insert(self.before.symbols.index(self.symbol), self.symbol)
        was_selected = self.before.selected == self.symbol
        return replace(view, symbols=tuple(symbols), selected=self.symbol if was_selected else view.selected)
