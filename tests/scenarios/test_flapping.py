"""Connections that live for moments, while half of the attempts are refused: nothing is lost."""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random

import pytest

from livemarkets.app import Tuning
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.support.app import running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import quick

pytestmark = pytest.mark.long

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
WINDOW_SECONDS = 300.0
"""`web-socket-streams.md`, "WebSocket Limits": 300 attempts in 5 minutes."""


class Flapping:
    """Ends every connection of an exchange after a random time, and refuses half of the attempts."""

    def __init__(self, exchange: Simulator, life_seconds: tuple[float, float]) -> None:
        self.most_attempts = 0
        """The most attempts in any window."""
        self.ended = 0
        self._exchange = exchange
        self._life_seconds = life_seconds
        self._random = Random(5)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        ends_at: dict[int, float] = {}
        counts: deque[tuple[float, int]] = deque([(loop.time(), 0)])
        while True:
            now = loop.time()
            for connection in self._exchange.connections:
                number = connection.number
                if now >= ends_at.setdefault(number, now + self._random.uniform(*self._life_seconds)):
                    refused = 0
                    while self._random.random() < 0.5:
                        refused += 1
                    if refused:
                        self._exchange.faults.refuse(count=refused)
                    self._exchange.faults.drop(connection=number)
                    self.ended += 1
            attempts = self._exchange.stats()["attempts"]
            counts.append((now, attempts))
            while counts[0][0] < now - WINDOW_SECONDS:
                counts.popleft()
            self.most_attempts = max(self.most_attempts, attempts - counts[0][1])
            await asyncio.sleep(0.02)  # its own rhythm


class Reader:
    """Reads trades and sees whether an id is repeated, or missing without a word."""

    def __init__(self) -> None:
        self.trades = 0
        self.gaps: list[dict[str, object]] = []
        self._last: dict[str, int] = {}

    async def run(self, client: MarketsClient) -> None:
        while True:
            message = await client.receive(60)
            if message["type"] == "trade":
                before = self._last.get(message["symbol"])
                assert before is None or message["id"] == before + 1
                self._last[message["symbol"]] = message["id"]
                self.trades += 1
            elif message["type"] in ("gap", "lagged"):
                self.gaps.append(message)


@pytest.mark.parametrize(
    ("tuning", "life_seconds", "seconds"),
    [
        pytest.param(Tuning(client=quick()), (0.2, 0.9), 5.0, id="moments"),
        pytest.param(Tuning(), (20.0, 90.0), 600.0, id="ten minutes", marks=pytest.mark.verify),
    ],
)
@time_is_simulated
async def test_nothing_is_lost_while_connections_come_and_go(
    tuning: Tuning, life_seconds: tuple[float, float], seconds: float
) -> None:
    market = SimulatedMarket(seed=3, symbols=SYMBOLS, trades_per_second=20.0)
    async with (
        running_exchange(market) as exchange,
        running_app(settings_for(exchange, simulator_enabled=False), tuning=tuning) as app,
    ):
        client = await app.connect()
        await client.subscribe(*SYMBOLS)
        reader, flapping = Reader(), Flapping(exchange, life_seconds)
        tasks = [asyncio.create_task(reader.run(client)), asyncio.create_task(flapping.run())]
        try:
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            # On a busy machine, fewer connections come and go in that time.
            await eventually(lambda: flapping.ended >= 5 and exchange.stats()["refused"] >= 2, 60)
            tasks[1].cancel()
            exchange.faults.clear()
            target = reader.trades + 100
            await eventually(lambda: reader.trades >= target, 60)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert reader.gaps == []
        assert flapping.ended >= 5
        assert exchange.stats()["refused"] >= 2
        assert flapping.most_attempts < 300
        assert exchange.stats()["violations"] == {}
