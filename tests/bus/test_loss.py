"""What is lost on the bus is found by the trade ids and fetched: readers miss nothing.

The scenarios mostly wait for a bus or an ingest to count as lost. So they run at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import pytest_asyncio

from livemarkets.app import Services
from livemarkets.exchanges.base import StreamState
from livemarkets.market.models import StreamKey
from tests.support.app import quiet_market
from tests.support.bus import Cluster, relay_to, running_cluster
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient, missing_ids


def reason_of(services: Services) -> str:
    """Why the exchange is down; empty while it is not."""
    status = services.status("binance")
    return status.reason or "unknown" if status.state == "down" else ""


class Reader:
    """A reader of trades that keeps every id, and everything that was declared."""

    def __init__(self, client: MarketsClient) -> None:
        self.client = client
        self.ids: list[int] = []
        self.declared: list[dict[str, Any]] = []
        self.states: list[str] = []

    async def read(self) -> None:
        while True:
            message = await self.client.receive(60)
            if message["type"] == "trade":
                self.ids.append(message["id"])
            elif message["type"] in ("gap", "lagged"):
                self.declared.append(message)
            elif message["type"] == "status":
                self.states.append(message["state"])

    async def more(self, count: int = 20) -> None:
        """Wait for so many more trades."""
        wanted = len(self.ids) + count
        await eventually(lambda: len(self.ids) >= wanted, 30, because=f"{count} more trades")


@contextlib.asynccontextmanager
async def reading(cluster: Cluster) -> AsyncIterator[Reader]:
    """A reader of BTCUSDT at the first edge, as soon as the exchange has confirmed the stream."""
    client = await cluster.edge.connect()
    await client.subscribe("BTCUSDT", snapshot=0)
    feed = cluster.edge.services.feeds["binance"]
    key = StreamKey.trades("binance", "BTCUSDT")
    await eventually(lambda: feed.client.state_of(key) is StreamState.ACKNOWLEDGED, 20)
    reader = Reader(client)
    task = asyncio.create_task(reader.read(), name="reader")
    try:
        yield reader
    finally:
        task.cancel()


async def a_bus_that_is_killed_and_comes_back_costs_no_trade() -> None:
    async with running_cluster() as cluster, reading(cluster) as reader:
        await reader.more()
        await cluster.nats.kill()
        edge = cluster.edge.services
        reason = await eventually(lambda: reason_of(edge), 20)
        assert "the bus cannot be reached" in reason
        await cluster.nats.start()
        await eventually(lambda: edge.status("binance").state == "live", 20)
        await reader.more()
        assert missing_ids(reader.ids) == []
        assert reader.declared == []


async def a_loss_is_found_without_a_further_trade() -> None:
    async with running_cluster(quiet_market("BTCUSDT"), "ingest") as cluster, relay_to(cluster.nats) as relay:
        await cluster.add("edge", relay.url)
        async with reading(cluster) as reader:
            cluster.exchange.faults.burst(symbol="BTCUSDT", trades=5)
            await eventually(lambda: len(reader.ids) == 5, 20)
            await relay.cut()
            ingest = cluster.ingest.services.feeds["binance"]
            cluster.exchange.faults.burst(symbol="BTCUSDT", trades=7)
            await eventually(lambda: ingest.statistics().received == 12, 20)
            await relay.restore()
            await eventually(lambda: len(reader.ids) == 12, 20)
            assert missing_ids(reader.ids) == []
            assert reader.declared == []


async def the_end_of_one_of_two_ingests_is_no_event_for_readers() -> None:
    async with running_cluster(None, "ingest", "edge") as cluster:
        second = await cluster.add("ingest")
        async with reading(cluster) as reader:
            await reader.more()
            bus = cluster.edge.services.bus
            assert bus is not None
            await eventually(lambda: len(bus.statistics().nodes) == 2, 20)
            told = cluster.ingest.services.bus
            assert told is not None
            await eventually(
                lambda: sorted(node.role for node in told.statistics().nodes) == ["edge", "ingest"], 20
            )
            states = len(reader.states)
            await second.aclose()
            await eventually(lambda: len(bus.statistics().nodes) == 1, 20)
            await reader.more()
            assert missing_ids(reader.ids) == []
            assert reader.declared == []
            assert reader.states[states:] == []


async def readers_go_on_with_a_new_ingest_where_the_old_one_left_off() -> None:
    async with running_cluster(None, "edge") as cluster:
        first = await cluster.add("ingest")
        edge = cluster.edge.services
        async with reading(cluster) as reader:
            await reader.more()
            await first.aclose()
            assert await eventually(lambda: reason_of(edge), 20) == "no ingest is heard on the bus"
            await cluster.add("ingest")
            await eventually(lambda: edge.status("binance").state == "live", 20)
            await reader.more()
            assert missing_ids(reader.ids) == []
            assert reader.declared == []


async def what_is_missing_while_the_bus_is_away_is_not_given_up() -> None:
    """Patience is for answers. While nobody can be asked, none can come, and none is late."""
    async with running_cluster(quiet_market("BTCUSDT"), "ingest") as cluster, relay_to(cluster.nats) as relay:
        await cluster.add("edge", relay.url, gap_patience_seconds=1.0)
        async with reading(cluster) as reader:
            cluster.exchange.faults.burst(symbol="BTCUSDT", trades=5)
            await eventually(lambda: len(reader.ids) == 5, 20)
            await relay.cut()
            ingest, edge = cluster.ingest.services, cluster.edge.services
            cluster.exchange.faults.burst(symbol="BTCUSDT", trades=7)
            key = StreamKey.trades("binance", "BTCUSDT")
            await eventually(lambda: ingest.feeds["binance"].statistics().received == 12, 20)
            edge.feeds["binance"].on_trades(key, ingest.trades.recent(key, 1))
            waits_since = edge.clock.monotonic()
            assert edge.bus is not None
            link = edge.bus.link
            await eventually(lambda: link.statistics().failures >= 4, 30)
            await eventually(lambda: edge.clock.monotonic() - waits_since > 2.0, 30)
            await relay.restore()
            await eventually(lambda: len(reader.ids) == 12, 20)
            assert missing_ids(reader.ids) == []
            assert reader.declared == []


Scenario = Callable[[], Coroutine[Any, Any, None]]


def scenarios() -> tuple[Scenario, ...]:
    return (
        a_bus_that_is_killed_and_comes_back_costs_no_trade,
        a_loss_is_found_without_a_further_trade,
        the_end_of_one_of_two_ingests_is_no_event_for_readers,
        readers_go_on_with_a_new_ingest_where_the_old_one_left_off,
        what_is_missing_while_the_bus_is_away_is_not_given_up,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[dict[Scenario, asyncio.Task[None]]]:
    """Each scenario as a task."""
    tasks = {each: asyncio.create_task(each(), name=each.__name__) for each in scenarios()}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.__name__)
@pytest.mark.asyncio(loop_scope="module")
async def test_readers_miss_nothing(running: dict[Scenario, asyncio.Task[None]], scenario: Scenario) -> None:
    await running[scenario]
