"""The price alert of the selected market: the form, what is set, and the notice."""

from __future__ import annotations

from collections.abc import Callable

from nicegui.events import GenericEventArguments

from pages.elements.live_element import LiveElement

__all__ = ["PriceAlertBox"]


class PriceAlertBox(
    LiveElement,
    component="price_alert.js",
    dependencies=[
        "market_head/tab_title.js",
        "shared/page_link.js",
        "shared/server_clock.js",
        "shared/time_format.js",
    ],
):
    """Asks for a direction and a level, shows what is set, and rings.

    Args:
        on_set: called with the direction (`above`, `below`) and the level, as the person wrote it.
        on_remove: called when the person removes the alert.
    """

    def __init__(self, *, on_set: Callable[[str, str], None], on_remove: Callable[[], None]) -> None:
        super().__init__()
        self.fault = ""
        """What is wrong with what was typed, as last sent."""
        self.notice = ""
        """What the alert said when it went off."""
        self.on("set", lambda event: on_set(*_typed(event)))
        self.on("remove", on_remove)

    def describe(self, *, words: str, details: str, quote: str) -> None:
        """Say what is set: empty words for no alert. Without a change, nothing is sent."""
        for name, value in (("words", words), ("details", details), ("quote", quote)):
            if self._props.get(name) != value:
                self._props[name] = value

    def refuse(self, fault: str) -> None:
        """Say what is wrong with what was typed; empty text when nothing is."""
        self.fault = fault
        self._props["fault"] = fault

    def ring(self, notice: str, ts: int, *, alarm: str) -> None:
        """Tell the person that the alert went off. It is sent to a hidden page too.

        Args:
            notice: what happened.
            ts: when, ms since the epoch. The browser writes it in the reader's zone.
            alarm: the title of the browser's tab.
        """
        self.notice = notice
        self.call("ring", {"notice": notice, "ts": ts, "alarm": alarm})


def _typed(event: GenericEventArguments) -> tuple[str, str]:
    """Return direction and level of an event, whatever a browser sends."""
    typed = event.args if isinstance(event.args, dict) else {}
    direction, level = typed.get("direction"), typed.get("level")
    return (
        direction if isinstance(direction, str) else "",
        level[:64] if isinstance(level, str) else "",
    )
