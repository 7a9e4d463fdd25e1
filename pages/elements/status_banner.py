"""The banner under the header."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from pages.wording import Banner

__all__ = ["StatusBanner"]


class StatusBanner(
    ui.element,
    component="status_banner.js",
    dependencies=["shared/page_link.js", "shared/server_clock.js", "shared/time_format.js"],
):
    """The banner under the header: why the prices on the page are not live. While they are, it is not seen.

    Screen readers are told every change, also that the prices are live again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.strip: Banner | None = None

    def on_action(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the person presses what the banner offers."""
        self.on("action", lambda: callback())

    def show(self, strip: Banner, *, now_ms: int) -> None:
        """Show `strip`. Nothing is sent without a change."""
        if strip == self.strip:
            return
        self.strip = strip
        self._props["tone"] = strip.tone
        self._props["head"] = strip.head
        self._props["text"] = strip.text
        self._props["isWrong"] = strip.is_wrong
        self._props["action"] = strip.action
        self._props["retryTs"] = strip.retry_ts
        self._props["now"] = now_ms
