"""A box to search what a page shows."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from pages.elements.market_grid.market_grid import symbol_argument

__all__ = ["SearchBox"]


class SearchBox(ui.element, component="search_box.js"):
    """A box whose text narrows what a page shows while it is typed. `/` leads to it, Escape empties it.

    Args:
        text: what it holds at first.
        label: what it is for.
        on_search: called with the text.
    """

    def __init__(self, text: str, *, label: str, on_search: Callable[[str], None]) -> None:
        super().__init__()
        self._props["text"] = text
        self._props["label"] = label
        self.on("search", lambda event: on_search(symbol_argument(event)))
