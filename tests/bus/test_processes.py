"""Each process of a cluster fails in turn, and readers get every id or a declared hole.

The gate has the same inside one process: `test_loss.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from livemarkets.simulator import SimulatedMarket
from tests.support.app import SYMBOLS, Process, main_environment, running_exchange, running_warm
from tests.support.bus import NatsServer, running_nats
from tests.support.helpers import eventually
from tests.support.markets_client import open_client

pytestmark = pytest.mark.verify

READERS = 6
PACED = SimulatedMarket(seed=7, symbols=SYMBOLS, trades_per_second=500.0)


class ResumingReader:
    """Reads trades at one edge after the other, as a client does, and keeps what is missing in between."""

    def __init__(self, ports: list[int], symbol: str) -> None:
        self._ports = ports
        self._symbol = symbol
        self.last_id: int | None = None
        self.read_ids = 0
        self.declared = 0
        self.faults: list[str] = []

    async def run(self) -> None:
        while True:
            port = self._ports[0]
            self._ports = [*self._ports[1:], port]
            with contextlib.suppress(OSError, TimeoutError, ConnectionClosed, EOFError):
                async with open_client(f"ws://127.0.0.1:{port}/ws/markets", open_timeout=3) as client:
                    after = {} if self.last_id is None else {"after": {self._symbol: self.last_id}}
                    await client.send(
                        type="subscribe",
                        exchange="binance",
                        channel="trades",
                        symbols=[self._symbol],
                        snapshot=0,
                        **after,
                    )
                    while True:
                        self._take(await client.receive(30))
            await asyncio.sleep(0.2)

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("symbol") != self._symbol:
            return
        if message["type"] == "snapshot":
            for trade in message["data"]:
                self._note(trade["id"])
        elif message["type"] == "trade":
            self._note(message["id"])
        elif message["type"] in ("gap", "lagged"):
            self.declared += message["to_id"] - message["from_id"] + 1
            self.last_id = message["to_id"]

    def _note(self, trade_id: int) -> None:
        if self.last_id is not None and trade_id != self.last_id + 1:
            self.faults.append(f"{trade_id} after {self.last_id}")
        self.last_id = trade_id
        self.read_ids += 1


class Machines:
    """A NATS server, two ingests and two edges, each a process, and readers at the edges."""

    def __init__(self, exchange_url: str, nats: NatsServer) -> None:
        self._exchange_url = exchange_url
        self.nats = nats
        self.nodes: dict[str, tuple[Process, dict[str, str], contextlib.AsyncExitStack]] = {}
        self.readers: list[ResumingReader] = []

    async def start(self, name: str, environment: dict[str, str] | None = None) -> int:
        port, fresh = main_environment(
            self._exchange_url,
            LIVE_ROLE=name.rstrip("12"),
            LIVE_BUS_URL=self.nats.url,
            LIVE_SIMULATOR_ENABLED="false",
        )
        stack = contextlib.AsyncExitStack()
        process = await stack.enter_async_context(running_warm("main.py", environment=environment or fresh))
        await process.says("Live Markets is listening on", 60)
        self.nodes[name] = (process, environment or fresh, stack)
        return port

    async def kill_and_replace(self, name: str) -> None:
        process, environment, stack = self.nodes[name]
        process.signal(signal.SIGKILL)
        await process.ended()
        await self.flow(40)
        await stack.aclose()
        await self.start(name, environment)
        await self.flow(40)

    async def flow(self, count: int) -> None:
        """Wait until every reader has read so many more trades."""
        wanted = [reader.read_ids + count for reader in self.readers]
        await eventually(
            lambda: all(reader.read_ids >= least for reader, least in zip(self.readers, wanted, strict=True)),
            60,
            because=f"{[reader.read_ids for reader in self.readers]} of {wanted}",
        )


@contextlib.asynccontextmanager
async def running_machines() -> AsyncIterator[Machines]:
    async with (
        running_exchange(PACED) as exchange,
        running_nats() as nats,
        contextlib.AsyncExitStack() as stack,
    ):
        machines = Machines(exchange.ws_url.removeprefix("ws://"), nats)
        for name in ("ingest1", "ingest2"):
            await machines.start(name)
        ports = [await machines.start(name) for name in ("edge1", "edge2")]
        for _, _, node in machines.nodes.values():
            stack.push_async_callback(node.aclose)
        tasks = []
        for number in range(READERS):
            order = ports if number % 2 else ports[::-1]
            reader = ResumingReader(order, SYMBOLS[number % len(SYMBOLS)])
            machines.readers.append(reader)
            tasks.append(asyncio.create_task(reader.run(), name=f"reader {number}"))
        try:
            await machines.flow(40)
            yield machines
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for _, _, node in machines.nodes.values():
                await node.aclose()


async def test_each_process_is_killed_in_turn_and_nobody_misses_a_trade() -> None:
    async with running_machines() as machines:
        for name in ("ingest1", "edge1", "ingest2", "edge2"):
            await machines.kill_and_replace(name)
        await machines.nats.kill()
        await asyncio.sleep(5.0)
        await machines.nats.start()
        await machines.flow(40)
        assert [reader.faults for reader in machines.readers] == [[]] * READERS
        assert [reader.declared for reader in machines.readers] == [0] * READERS


async def test_an_edge_that_stands_still_for_20_seconds_catches_up() -> None:
    async with running_machines() as machines:
        process = machines.nodes["edge1"][0]
        process.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(20.0)
        finally:
            process.signal(signal.SIGCONT)
        await machines.flow(400)
        assert [reader.faults for reader in machines.readers] == [[]] * READERS
        assert [reader.declared for reader in machines.readers] == [0] * READERS
