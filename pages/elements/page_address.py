"""The address of a page in the browser, written without loading the page again."""

from __future__ import annotations

from collections.abc import Callable

from pages.elements.live_element import LiveElement
from pages.elements.market_grid.market_grid import symbol_argument

__all__ = ["PageAddress"]


class PageAddress(LiveElement, component="page_address.js"):
    """Writes the address of a page, and tells of the browser's Back and Forward.

    Args:
        on_step: called with what is selected in the address that Back or Forward led to; empty if nothing.
    """

    def __init__(self, *, on_step: Callable[[str], None]) -> None:
        super().__init__()
        self.url = ""
        """The address, as last written."""
        self.on("open", lambda event: on_step(symbol_argument(event)))

    def write(self, url: str, *, is_step: bool) -> None:
        """Write an address. Without a change, nothing is sent.

        Args:
            url: the address.
            is_step: whether Back leads to the address before it, instead of replacing that.
        """
        if url != self.url:
            self.url = url
            self.call("write", url, is_step)
