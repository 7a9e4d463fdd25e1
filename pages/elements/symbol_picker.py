"""The symbol picker: a search box that works with keyboard, mouse and touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pages.elements.live_element import LiveElement
from pages.elements.market_grid.market_grid import symbol_argument

__all__ = ["MAX_HITS", "Hit", "SymbolPicker"]

MAX_HITS = 20
"""Hits in the list. A person who sees more types on rather than read them."""

MAX_TEXT_LENGTH = 200
"""Characters that the box accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One symbol that matches the query."""

    symbol: str
    base: str
    quote: str
    trading: bool
    """Whether the exchange trades it now."""
    shown: bool
    """Whether the page shows it already."""


class SymbolPicker(LiveElement, component="symbol_picker.js"):
    """A search box with a list below it.

    Args:
        search: returns the hits for a query, and a message if there are none.
        on_pick: called with the chosen symbol, or with the entered text.
    """

    def __init__(
        self, *, search: Callable[[str], tuple[list[Hit], str]], on_pick: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.hits: list[Hit] = []
        self.message = ""
        self._search = search
        self.on("search", lambda event: self._answer(symbol_argument(event)))
        self.on("pick", lambda event: self._pick(symbol_argument(event)))
        self.on("enter", lambda event: self._enter(event.args))
        self._on_pick = on_pick

    @property
    def placeholder(self) -> str:
        """The text in the empty box."""
        return str(self._props.get("placeholder", ""))

    def set_placeholder(self, text: str) -> None:
        """Set the text in the empty box."""
        if self.placeholder != text:
            self._props["placeholder"] = text

    def _pick(self, symbol: str) -> None:
        self._on_pick(symbol)
        self.call("settle", symbol)

    def _enter(self, argument: Any) -> None:
        """Pick what was entered: a list as a whole, else the hit at the position that the person moved to.

        Text without a hit is passed on too, so that `on_pick` can explain it.
        """
        if not isinstance(argument, dict):
            return
        text, position = argument.get("text"), argument.get("position")
        if not isinstance(text, str) or len(text) > MAX_TEXT_LENGTH:
            return
        hits = self._search(text)[0]  # none for a list
        if hits and isinstance(position, int):
            self._on_pick(hits[position % len(hits)].symbol)
        elif text:
            self._on_pick(text)
        self.call("settle", text)

    def _answer(self, query: str) -> None:
        self.hits, self.message = self._search(query)
        hits = [asdict(hit) for hit in self.hits]
        self.call("show", {"query": query, "hits": hits, "message": self.message})
