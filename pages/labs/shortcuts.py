"""The keys of the Labs pages."""

from __future__ import annotations

from pages.elements.key_help import Shortcut

__all__ = ["LIVE_SHORTCUTS", "OVERVIEW_SHORTCUTS"]

LIVE_SHORTCUTS = (
    Shortcut(("/",), "Search a symbol to add"),
    Shortcut(("↑", "↓"), "Go to the row above or below"),
    Shortcut(("Enter",), "Show the market of the row"),
    Shortcut(("Delete",), "Remove the row"),
    Shortcut(("Alt + ↑", "Alt + ↓"), "Move the row up or down"),
    Shortcut(("Hold, then drag",), "Move the row with a finger"),
    Shortcut(("p",), "Pause or resume the tape"),
    Shortcut(("1", "2", "3", "4", "5"), "Candles of 1 s, 1 min, 5 min, 1 h, 1 day"),
    Shortcut(("b",), "Show or hide the order book"),
    Shortcut(("Esc",), "Close what is open"),
)
OVERVIEW_SHORTCUTS = (
    Shortcut(("/",), "Search"),
    Shortcut(("↑", "↓", "Page Up", "Page Down", "Home", "End"), "Go to another row"),
    Shortcut(("Enter",), "Open the symbol on the Live page"),
    Shortcut(("Esc",), "Empty the search"),
)
