"""What the tests with NiceGUI's simulated user share."""

from __future__ import annotations

from typing import TypeVar

from nicegui import ui
from nicegui.testing import User

from pages.elements.market_grid.market_grid import MarketGrid
from tests.pages.local import LocalServices
from tests.support.helpers import eventually

E = TypeVar("E", bound=ui.element)


def only(user: User, kind: type[E]) -> E:
    """The one element of its kind."""
    [element] = user.find(kind=kind).elements
    return element


def wanted(services: LocalServices) -> list[str]:
    """The symbols that are wanted of Binance."""
    return sorted(key.symbol for key in services.manager.wanted("binance"))


async def opened(visitor: User, services: LocalServices, path: str = "/labs") -> MarketGrid:
    """Open the page and wait until it subscribed and knows the exchange's symbols."""
    await visitor.open(path)
    grid = only(visitor, MarketGrid)
    await eventually(lambda: services.symbols("binance").is_loaded, because="the list of symbols is loaded")
    await eventually(lambda: all(line.base for line in grid.lines), because="the rows have names")
    return grid
