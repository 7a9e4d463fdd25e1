"""What edges want reaches every ingest, holds while it is renewed, and lapses with the edge."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from livemarkets.bus import subjects
from livemarkets.bus.leases import Leases
from livemarkets.bus.link import Link
from livemarkets.bus.messages import VERSION, Name, Wants, encode
from livemarkets.bus.nats_client import NatsOptions
from livemarkets.bus.wants import WantedSet
from livemarkets.config.settings import Settings
from livemarkets.market.clock import system_clock
from livemarkets.market.models import StreamKey
from livemarkets.market.subscriptions import SubscriptionManager
from tests.support.bus import running_nats
from tests.support.helpers import eventually
from tests.support.ticks import ManualClock


def key(number: int) -> StreamKey:
    return StreamKey.trades("binance", f"S{number}USDT")


class Side:
    """An ingest's leases and an edge's wanted set, each on a link of its own."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock()
        self.manager = SubscriptionManager(linger_seconds=0, clock=self.clock)
        self.link, self.edge_link = self._link(url), self._link(url)
        self.leases = Leases("ingest", self.link, self.manager, lambda key: True, self.clock)
        self.wanted = WantedSet("edge", self.edge_link, asyncio.get_running_loop().call_soon)

    def _link(self, url: str) -> Link:
        options = NatsOptions(name="test", settings=Settings(role="edge", bus_url=url))
        return Link(options, lambda is_connected: None, system_clock())

    def names(self) -> set[StreamKey]:
        return self.manager.wanted("binance")

    def say(self, node: str, *numbers: int) -> None:
        """Say all that an edge wants."""
        names: list[Name] = [("binance", "trades", f"S{number}USDT", None) for number in numbers]
        wants = Wants(VERSION, node, 1, -1, len(names), True, True, names, [])
        assert self.edge_link.publish(subjects.WANTS, encode(wants))


@contextlib.asynccontextmanager
async def running_side() -> AsyncIterator[Side]:
    async with running_nats() as nats:
        side = Side(nats.url)
        works = (side.link.run, side.edge_link.run, side.leases.run, side.wanted.run)
        tasks = [asyncio.create_task(work(), name=f"test {work.__qualname__}") for work in works]
        try:
            await eventually(lambda: side.link.is_connected and side.edge_link.is_connected, 20)
            yield side
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_changes_are_told_at_once_and_the_whole_when_it_is_asked_for() -> None:
    async with running_side() as side:
        for number in range(1200):
            side.wanted.add(key(number))
        await eventually(lambda: len(side.names()) == 1200, 20)
        side.wanted.discard(key(7))
        side.wanted.add(key(2000))
        await eventually(lambda: side.names() == {key(n) for n in (*range(1200), 2000) if n != 7}, 20)
        # An ingest that is new asks, and one that missed something notices it by the next renewal.
        side.leases._edges.clear()
        side.leases.ask_all()
        await eventually(lambda: len(side.leases.edges) == 1 and len(side.names()) == 1200, 20)
        side.leases._edges["edge"].wanted.clear()
        await eventually(lambda: len(side.leases._edges["edge"].wanted) == 1200, 20)


async def test_a_hundred_edges_at_once_are_one_union() -> None:
    async with running_side() as side:
        for edge in range(100):
            side.say(f"edge{edge}", *range(edge, edge + 50))
        await eventually(lambda: len(side.leases.edges) >= 100 and len(side.names()) == 149, 20)
        assert all(len(side.manager.subscriptions(f"edge{edge}")) == 50 for edge in range(100))


async def test_a_silent_edge_wants_nothing_any_more() -> None:
    async with running_side() as side:
        side.wanted.add(key(1))
        side.say("silent", 1, 2, 3)
        await eventually(lambda: side.names() == {key(1), key(2), key(3)}, 20)
        side.clock.advance(4.0)
        await eventually(lambda: side.leases._edges["edge"].heard_at == side.clock(), 20)
        assert side.names() == {key(1), key(2), key(3)}
        side.clock.advance(2.0)
        await eventually(lambda: side.names() == {key(1)}, 20)
        assert side.leases.lapsed >= 1
