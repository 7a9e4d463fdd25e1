"""The target of the attacks, one for each file."""

from __future__ import annotations

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
    if "target" in getattr(item, "fixturenames", ()):
        item.add_marker("serial")


@pytest.fixture(scope="session", autouse=True)
def many_files() -> None:
    """An attacker needs many connections: take the files that the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    """The target, with the access token that the file names `TOKEN`, or without."""
    async with under_attack(getattr(request.module, "TOKEN", "")) as target:
        yield target


@pytest_asyncio.fixture(loop_scope="module")
async def target(running: Target) -> AsyncIterator[Target]:
    """The target; after the attack the witness has missed nothing, and everything taken is given back."""
    await running.witness.goes_on()
    await eventually(running.only_the_witness_is_left)
    files, running.memory_bytes = running.open_files(), running.rss_bytes()
    running.growth_bytes = type(running).growth_bytes
    yield running
    await eventually(running.only_the_witness_is_left, 20, because="somebody stays")
    # A page asks the exchange for candles, and the connection for it stays open for a while.
    patience = IDLE_SECONDS + 15.0
    await eventually(lambda: running.open_files() <= files, patience, because="connections stay open")
    await running.witness.goes_on()  # to clean up after an attack is part of what the attack costs
    assert running.rss_bytes() < running.memory_bytes + running.growth_bytes
    assert "Traceback" not in running.process.output


@pytest.fixture
async def exchange() -> AsyncIterator[Simulator]:
    """An exchange for an application inside this process."""
    async with running_exchange() as exchange:
        yield exchange
