"""What a Live page tells the person: notices, the offer to undo, popular symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from nicegui import ui

from pages.labs.url import Notice
from pages.shell import text

__all__ = ["Messages"]


class Messages:
    """The messages of one page, and the symbols that can be added with one press.

    Args:
        title: returns a symbol as people write it.
        on_add: called with the symbol of a pressed suggestion.
        on_undo: called when a removal is to be undone.
    """

    def __init__(
        self, *, title: Callable[[str], str], on_add: Callable[[str], None], on_undo: Callable[[], None]
    ) -> None:
        self._title, self._on_add, self._on_undo = title, on_add, on_undo
        self._removed: str | None = None
        self._notices = ui.element("div").classes("labs-notices").props('role="alert"')
        self._undo = ui.element("div").classes("undo").props('role="status"')

    def note(self, notices: Iterable[Notice], *, is_more: bool = False) -> None:
        """Show notices. They replace the earlier ones unless `is_more`."""
        if not is_more:
            self._notices.clear()
        with self._notices:
            for notice in notices:
                self._build_notice(notice)

    def offer_undo(self, removed: str) -> None:
        """Offer to bring a removed row back; withdraw the offer if the symbol is empty."""
        if removed == self._removed:
            return
        self._removed = removed
        self._undo.clear()
        if removed:
            with self._undo:
                text("span", f"Removed {self._title(removed)}.")
                undo = text("button", "Undo", "chip").props("type=button").mark("undo")
                undo.on("click", lambda: self._on_undo())

    def build_chips(self, symbols: Sequence[str]) -> None:
        """Build a button for each symbol, in the present slot."""
        for symbol in symbols:
            chip = text("button", self._title(symbol), "chip").props("type=button").mark(f"add-{symbol}")
            chip.on("click", lambda symbol=symbol: self._on_add(symbol))

    def close(self) -> None:
        """Drop what calls the page, so that it is freed."""
        del self._title, self._on_add, self._on_undo

    def _build_notice(self, notice: Notice) -> None:
        with ui.element("div").classes("notice") as element:
            text("span", notice.text, "notice-text")
            self.build_chips(notice.suggestions)
            close = ui.element("button").classes("icon-button").props("type=button aria-label=Dismiss")
            with close:
                text("span", "×")
            close.on("click", element.delete)
