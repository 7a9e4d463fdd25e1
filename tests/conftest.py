"""Fixtures for every test file; the settings of hypothesis."""

import gc
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import is_hypothesis_test
from hypothesis import settings as hypothesis_settings
from loguru import logger
from playwright.async_api import Browser

from livemarkets.simulator import Simulator
from tests import costs
from tests.pages.browser import browser
from tests.side_by_side import pytest_collection_finish as pytest_collection_finish
from tests.side_by_side import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.side_by_side import pytest_xdist_auto_num_workers as pytest_xdist_auto_num_workers
from tests.side_by_side import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler
from tests.support.app import quiet_market, running_exchange
from tests.support.helpers import PROJECT_ROOT, chromium_path

# No deadline: the machine may be shared, and a slow example is not a wrong one. In CI the examples are the
# same on every run, so that a red build is about the change under test.
hypothesis_settings.register_profile("developer", deadline=None, max_examples=50)
hypothesis_settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
hypothesis_settings.register_profile(
    "verify", deadline=None, max_examples=1000, derandomize=True, print_blob=True
)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "developer")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr == "verify":
        hypothesis_settings.load_profile("verify")
    gc.disable()  # what the collection makes stays: see `pytest_collection_finish`
    for name, meaning in costs.MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.config.option.markexpr:  # to find out takes a second for all tests
        for name in costs.marks_of(item):
            item.add_marker(name)
    if item.config.option.markexpr == "verify" and is_hypothesis_test(getattr(item, "obj", None)):
        item.add_marker("verify")  # its long form has more examples


class ForwardedErrors:
    """A sink of loguru that leads ERROR records to stdlib logging, until somebody removes all sinks."""

    def __init__(self) -> None:
        self._is_on = False

    def begin(self) -> None:
        """Be a sink. To add one takes loguru some milliseconds, so it stays for the tests that follow."""
        if not self._is_on:
            logger.add(self, level="ERROR", format="{message}")
            self._is_on = True

    def write(self, line: str) -> None:
        """Called by loguru for each record."""
        logging.getLogger("tests.forwarded").error(line.rstrip())

    def stop(self) -> None:
        """Called by loguru when the sink is removed."""
        self._is_on = False


@pytest.fixture(scope="session")
def error_sink() -> ForwardedErrors:
    return ForwardedErrors()


@pytest.fixture(autouse=True)
def forwarded_errors(error_sink: ForwardedErrors) -> Iterator[None]:
    """Loguru's ERROR records reach stdlib logging: NiceGUI's `user` fixture fails a test that logs one.

    It looks at `caplog` alone, where loguru would stay invisible.
    """
    root_handlers = list(logging.root.handlers)
    error_sink.begin()
    yield
    # A test that configures logging itself has removed every earlier sink, and leads stdlib records into
    # loguru: together with the sink of the next test that would be a circle.
    logging.root.handlers = root_handlers


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with genuine recordings, which lies beside the project and is not part of it."""
    folder = PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no genuine recordings: there is no folder ../shared/data beside the project")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium to give to Playwright as `executable_path`."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium found: `make test` installs one, or name one with CHROMIUM_PATH")
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_chrome(chromium: str) -> AsyncIterator[Browser]:
    """The Chromium of all tests that bring tabs of their own: to start one takes longer than most visits.

    What a visit stores is forgotten after it.
    """
    async with browser(chromium) as opened:
        yield opened


@pytest.fixture(scope="session")
def node_with_ws() -> tuple[str, dict[str, str]]:
    """Node.js and the environment in which its `require("ws")` works, as `make test` installs it."""
    node, modules = shutil.which("node"), PROJECT_ROOT / ".venv" / "node" / "node_modules"
    if node is None or not (modules / "ws").is_dir():
        pytest.skip("no Node.js with its ws package: `make test` installs the package where node and npm are")
    return node, {**os.environ, "NODE_PATH": str(modules)}


@pytest.fixture
async def exchange() -> AsyncIterator[Simulator]:
    """An exchange on which nothing trades but what a test makes trade."""
    async with running_exchange(quiet_market()) as exchange:
        yield exchange
