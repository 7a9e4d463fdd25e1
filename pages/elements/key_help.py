"""The keys of a page, told on `?`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

__all__ = ["KeyHelp", "Shortcut"]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What some keys do."""

    keys: tuple[str, ...]
    text: str


class KeyHelp(ui.element, component="key_help.js"):
    """A button that opens the list of the page's keys, as the key `?` does."""

    def __init__(self, shortcuts: Sequence[Shortcut]) -> None:
        super().__init__()
        shown = (*shortcuts, Shortcut(("?",), "Show or hide this list"))
        self._props["shortcuts"] = [{"keys": list(one.keys), "text": one.text} for one in shown]
