"""The pages on a small application: for NiceGUI's simulated user, and for a real browser."""

import gc
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from nicegui import Client
from nicegui.testing import User
from playwright.async_api import Browser

import pages
from tests.pages.browser import browser, local_pages
from tests.pages.local import LocalServices


@pytest.fixture
def services() -> LocalServices:
    """The application behind the pages; a test tells it what happens."""
    return LocalServices()


@pytest.fixture
def listed_services(services: LocalServices) -> LocalServices:
    """The same, where the symbols of both exchanges are known."""
    for exchange in services.exchanges():
        services.load(exchange)
    return services


@pytest.fixture(scope="module")
def few_objects() -> None:
    """NiceGUI's `user` fixture collects garbage twice for each test: only among what these tests make."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def visitor(few_objects: None, user: User, services: LocalServices) -> Iterator[User]:
    """A simulated user of the pages. NiceGUI forgets its pages between tests, so they are registered here.

    At the end every page is deleted, as when its tab was closed, and nothing may be wanted any more.
    """
    pages.register(services)
    yield user
    for client in list(Client.instances.values()):
        client.delete()
    assert services.manager.counts() == (0, 0, 0)


@pytest.fixture
async def chrome(chromium: str) -> AsyncIterator[Browser]:
    """A Chromium for one test, such as one that measures it."""
    async with browser(chromium) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def local_address() -> AsyncIterator[str]:
    """The address of the small application, served by a process of its own."""
    async with local_pages("--trades-per-second", "100") as (_, address):
        yield address
