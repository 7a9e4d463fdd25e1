"""The shipped application under attack, and what is measured of it from outside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx

from tests.support.app import Process, running_main, running_process, running_warm
from tests.support.helpers import WITHOUT_TLS, eventually
from tests.support.markets_client import missing_ids

LATE_MS = 1_500
"""How old a trade may be when it arrives, and how long the next may take to come; there are 200 a second."""
USUAL_MS = 50
"""How old half of them may be: a moment of an attack may be felt, the attack may not."""
MOMENT_TRADES = 40
"""So many at least are asked for their usual age: of a few, half are late when the machine halts once."""
GROWTH_BYTES = 16_000_000
"""What an attack may leave behind in memory that the allocator keeps."""


class Trade(NamedTuple):
    id: int
    age_ms: int
    pause_ms: int


class Witness:
    """A client that reads trades all the time, and notes when one was missing or late."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._told = 0

    async def goes_on(self) -> None:
        """It still receives, nothing was missing, and nothing came late since the last time."""
        lines = self.process.lines
        seen = len(lines)
        await eventually(lambda: len(lines) > seen + 5, because=f"no trades: {lines[-3:]}")
        first = max(0, min(self._told, len(lines) - MOMENT_TRADES))
        recent = [Trade(*map(int, line.split()[1:])) for line in lines[first:] if line[:5] == "trade"]
        assert len(recent) == len(lines) - first, lines
        trades = recent[self._told - first :]
        self._told = len(lines) - 1
        assert missing_ids([trade.id for trade in trades]) == []
        assert median(trade.age_ms for trade in recent) < USUAL_MS
        assert max(trade.age_ms for trade in trades) < LATE_MS
        assert max(trade.pause_ms for trade in trades) < LATE_MS


class Target:
    """The application under attack."""

    growth_bytes = GROWTH_BYTES
    """By how much the attack that goes on may leave its memory grown."""
    memory_bytes = 0
    """Grown from what: its memory before the attack, or after the round of it that a test names."""

    def __init__(self, process: Process, port: int, witness: Witness, client: httpx.AsyncClient) -> None:
        self.process = process
        self.port = port
        self.witness = witness
        self._client = client

    def rss_bytes(self) -> int:
        return self.process.rss_bytes()

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def most_open_files(self) -> tuple[int, int]:
        """What it may open now, and what it could allow itself."""
        limits = Path(f"/proc/{self.process.pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        soft, hard = line.split()[3:5]
        return int(soft), int(hard)

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(path, headers={"Connection": "close"})

    async def only_the_witness_is_left(self) -> bool:
        """Nobody else is connected, and nothing else is subscribed at the exchange."""
        metrics = (await self.get("/metrics")).text
        return all(
            line in metrics
            for line in ("livemarkets_clients 1.0", 'livemarkets_streams_wanted{exchange="binance"} 1.0')
        )


def visitor(port: int, address: str, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client that comes from one of the machine's own addresses."""
    transport = httpx.AsyncHTTPTransport(verify=WITHOUT_TLS, local_address=address)
    base_url = f"http://127.0.0.1:{port}"
    return httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers, timeout=10)


@contextlib.asynccontextmanager
async def under_attack(token: str = "") -> AsyncIterator[Target]:
    """An exchange, `main.py` and a witness, each in a process of its own."""
    exchange_arguments = ("--port", "0", "--seed", "7", "--trades-per-second", "200")
    variables = {"LIVE_ACCESS_TOKEN": token, "LIVE_LINGER_SECONDS": "0.5"}
    async with running_warm("-m", "livemarkets.simulator", *exchange_arguments) as exchange:
        address = (await exchange.says("ws://")).split("ws://")[1].split()[0]
        async with running_main(address, **variables) as (process, port):
            arguments = ("-m", "tests.attacks.witness", f"ws://127.0.0.1:{port}/ws/markets")
            async with running_process(*arguments, environment={"WITNESS_TOKEN": token}) as reader:
                await reader.says("trade")
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                async with visitor(port, "127.0.0.1", headers) as client:
                    yield Target(process, port, Witness(reader), client)
