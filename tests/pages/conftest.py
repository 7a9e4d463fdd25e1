"""The pages on a small application, for NiceGUI's simulated user."""

from collections.abc import Iterator

import pytest
from nicegui import Client
from nicegui.testing import User

import pages
from tests.pages.local import LocalServices


@pytest.fixture
def services() -> LocalServices:
    """The application behind the pages; a test tells it what happens."""
    return LocalServices()


@pytest.fixture
def visitor(user: User, services: LocalServices) -> Iterator[User]:
    """A simulated user of the pages. NiceGUI forgets its pages between tests, so they are registered here.

    At the end every page is deleted, as when its tab was closed, and nothing may be wanted any more.
    """
    pages.register(services)
    yield user
    for client in list(Client.instances.values()):
        client.delete()
    assert services.manager.counts() == (0, 0, 0)
