"""Loads what an exchange lists, for a page."""

from __future__ import annotations

from nicegui import ui
from nicegui.element import Element

from pages.ports import PageServices

__all__ = ["load_directory"]


def load_directory(services: PageServices, exchange: str, root: Element) -> None:
    """Load the list of symbols of an exchange, while the element is there."""

    async def load() -> None:
        await services.ensure_symbols(exchange)

    # The timer is cancelled when the page is deleted, and with it the wait for the exchange.
    with root:
        ui.timer(0, load, once=True)
