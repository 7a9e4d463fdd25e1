"""The symbol picker: search as a person types, with the keyboard alone or with a finger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from nicegui import ui

from pages.elements.market_grid.market_grid import symbol_argument

__all__ = ["MAX_HITS", "Hit", "SymbolPicker"]

MAX_HITS = 20
"""Hits that the list shows: more are not read, but narrowed down by typing on."""

MAX_TEXT_LENGTH = 200
"""Characters that the box takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One symbol that fits what was typed."""

    symbol: str
    base: str
    quote: str
    trading: bool
    """Whether the exchange trades it now."""
    shown: bool
    """Whether the page shows it already."""


class SymbolPicker(ui.element, component="symbol_picker.js"):
    """A search box with a list below it.

    Args:
        search: gives the hits for a query, and a message where there are none.
        on_pick: called with the symbol that was chosen, or with the text that was entered.
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
        """What stands in the empty box."""
        return str(self._props.get("placeholder", ""))

    def set_placeholder(self, text: str) -> None:
        """Say what can be searched."""
        if self.placeholder != text:
            self._props["placeholder"] = text

    def _pick(self, symbol: str) -> None:
        self._on_pick(symbol)
        self.run_method("settle", symbol)

    def _enter(self, argument: Any) -> None:
        """Take what was typed: a list as it stands, else the hit that the person moved to before its answer.

        Text that fits nothing is handed on as well, so that whoever takes it can say so.
        """
        if not isinstance(argument, dict):
            return
        text, position = argument.get("text"), argument.get("position")
        if not isinstance(text, str) or len(text) > MAX_TEXT_LENGTH:
            return
        hits = [] if "," in text else self._search(text)[0]
        if hits and isinstance(position, int):
            self._on_pick(hits[position % len(hits)].symbol)
        elif text:
            self._on_pick(text)
        self.run_method("settle", text)

    def _answer(self, query: str) -> None:
        self.hits, self.message = self._search(query)
        hits = [asdict(hit) for hit in self.hits]
        self.run_method("show", {"query": query, "hits": hits, "message": self.message})
