"""What the tests of the Live page share: its state, and NiceGUI's simulated user on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from nicegui import ui
from nicegui.testing import User

from livemarkets.market.models import TRADES, ExchangeState
from pages.elements.market_grid.market_grid import MarketGrid
from pages.labs.fallback import FALLBACK_AFTER_MS
from pages.labs.url import WatchlistUrl
from pages.labs.watchlist import PageSubscriber, Watchlist
from tests.pages.local import LocalServices
from tests.support.helpers import eventually
from tests.support.simulated_time import simulated_loop

E = TypeVar("E", bound=ui.element)

SUBSCRIBER = PageSubscriber("page 1")


@pytest.fixture(name="_asyncio_loop_factory")
def in_simulated_time() -> Callable[[], asyncio.AbstractEventLoop]:
    """A file of tests that imports this does not wait for the timers of the pages.

    It takes the place of a fixture of pytest-asyncio. Its hook for this is for all files, or none.
    """
    return simulated_loop


def watch_of(services: LocalServices, *symbols: str, exchange: str = "binance") -> Watchlist:
    """The state of a page of an exchange that a browser has opened."""
    watch = Watchlist(services, WatchlistUrl(exchange=exchange, symbols=symbols), SUBSCRIBER)
    watch.open()
    return watch


def fall_back(services: LocalServices, watch: Watchlist) -> None:
    """Have Binance away for so long that the simulator is shown in its place."""
    services.set_status("binance", ExchangeState.DOWN, "name lookup failed", retry_ms=8_000)
    watch.follow()
    services.clock_ms += FALLBACK_AFTER_MS
    watch.follow()
    assert watch.shown == "simulator"


def only(user: User, kind: type[E]) -> E:
    """The one element of its kind."""
    [element] = user.find(kind=kind).elements
    return element


def wanted(services: LocalServices) -> list[str]:
    """The symbols whose trades are wanted of Binance."""
    return sorted(key.symbol for key in services.manager.wanted("binance") if key.channel == TRADES)


async def opened(visitor: User, services: LocalServices, path: str = "/labs") -> MarketGrid:
    """Open the page and wait until it subscribed and knows the exchange's symbols."""
    await visitor.open(path)
    grid = only(visitor, MarketGrid)
    await eventually(lambda: services.symbols("binance").is_loaded, because="the list of symbols is loaded")
    await eventually(lambda: all(line.base for line in grid.lines), because="the rows have names")
    return grid
