"""A button that copies a text."""

from __future__ import annotations

from nicegui import ui

__all__ = ["CopyButton"]


class CopyButton(ui.element, component="copy_button.js", dependencies=["shared/dom.js"]):
    """A button that copies `text`, or the address of the page when that is empty."""

    def __init__(self, label: str, text: str = "") -> None:
        super().__init__()
        self._props["label"] = label
        self._props["text"] = text

    def set_address(self, path: str) -> None:
        """Set the address that is copied in place of that of the page: a path of this host."""
        if self._props.get("address") != path:
            self._props["address"] = path
