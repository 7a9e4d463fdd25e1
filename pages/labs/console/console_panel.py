"""The part of the console that runs in the browser: the message, the WebSocket, and the frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui.events import GenericEventArguments

from pages.elements.live_element import LiveElement
from pages.labs.console.explanations import explanations
from pages.labs.console.url import MOST_CHARACTERS, MOST_FILTER_CHARACTERS

__all__ = ["ConsolePanel", "text_argument"]


class ConsolePanel(
    LiveElement,
    component="console_panel.js",
    dependencies=["frame_log.js", "../../elements/shared/dom.js", "../../elements/shared/time_format.js"],
):
    """The message, and what is sent and received. The socket is the browser's own: no frame passes here.

    Args:
        path: of `/ws/markets`, with the prefix of a proxy.
        message: the text at first.
        words: the filter at first.
        on_edit: called with the text when the person has edited it.
        on_filter: called with the filter.
    """

    def __init__(
        self,
        *,
        path: str,
        message: str,
        words: str,
        on_edit: Callable[[str], None],
        on_filter: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.message = message
        self.fault = ""
        self._props["path"] = path
        self._props["message"] = message
        self._props["words"] = words
        self._props["meanings"] = explanations()
        self._props["longest"] = MOST_CHARACTERS
        self.on("edit", lambda event: on_edit(text_argument(event, MOST_CHARACTERS)))
        self.on("filter", lambda event: on_filter(text_argument(event, MOST_FILTER_CHARACTERS)))

    def put(self, message: str) -> None:
        """Replace the text."""
        self.message = message
        self.call("put", message)

    def judge(self, fault: str) -> None:
        """Say what the server would say against the text; empty if it would take it."""
        if fault != self.fault:
            self.fault = fault
            self._props["fault"] = fault
            self.update()


def text_argument(event: GenericEventArguments, most: int) -> str:
    """Return the text argument of an event, cut to a bound: a browser can send anything."""
    argument: Any = event.args
    return argument[:most] if isinstance(argument, str) else ""
