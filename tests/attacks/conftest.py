"""The target of the attacks."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from livemarkets.exchanges.outbound import IDLE_SECONDS
from livemarkets.simulator import Simulator
from tests.attacks.target import Target, under_attack
from tests.support.app import running_exchange
from tests.support.helpers import eventually


def pytest_itemcollected(item: pytest.Item) -> None:
    """An attack on the target is judged by how long others wait: nothing else may keep them waiting."""
    if "running" in getattr(item, "fixturenames", ()):
        item.add_marker("serial")


@pytest.fixture(scope="session", autouse=True)
def many_files() -> None:
    """An attacker needs many connections: take the files that the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def running() -> AsyncIterator[Target]:
    """The target. It is the same for all files, unless one has a target of its own."""
    async with under_attack() as target:
        yield target


@pytest_asyncio.fixture(loop_scope="session")
async def target(running: Target) -> AsyncIterator[Target]:
    """The target of one attack."""
    async with gives_everything_back(running):
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def lasting(running: Target) -> AsyncIterator[None]:
    """What is given back after attacks that leave something for some seconds: it is seen once, at the end.

    Until then `test_strangers` and `test_together` run, which have targets of their own: the last files.
    """
    async with gives_everything_back(running):
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def lasting_target(running: Target, lasting: None) -> AsyncIterator[Target]:
    """The target of one of these attacks."""
    yield running
    await running.witness.goes_on()


@contextlib.asynccontextmanager
async def gives_everything_back(target: Target) -> AsyncIterator[None]:
    """Afterwards the witness has missed nothing, and everything that was taken is given back."""
    await target.witness.goes_on()
    await eventually(target.only_the_witness_is_left)
    files, target.memory_bytes = target.open_files(), target.rss_bytes()
    target.growth_bytes = type(target).growth_bytes
    yield
    await eventually(target.only_the_witness_is_left, 20, because="somebody stays")
    # A page asks the exchange for candles, and the connection for it stays open for a while.
    patience = IDLE_SECONDS + 15.0
    await eventually(lambda: target.open_files() <= files, patience, because="connections stay open")
    await target.witness.goes_on()  # to clean up after an attack is part of what the attack costs
    assert target.rss_bytes() < target.memory_bytes + target.growth_bytes
    assert "Traceback" not in target.process.output


@pytest.fixture
async def exchange() -> AsyncIterator[Simulator]:
    """An exchange for an application inside this process."""
    async with running_exchange() as exchange:
        yield exchange
