"""A crowd comes back after a restart: everybody gets everything, and holes of live streams do not wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.symbols import DEFAULT_RULES
from livemarkets.simulator.protocol.http_wire import Answer
from livemarkets.simulator.protocol.limits import ExchangeLimits
from livemarkets.simulator.protocol.rest import RestApi
from tests.support.app import Process, RunningApp, relaxed, running_app, running_process, settings_for
from tests.support.crowd import Crowd
from tests.support.listener import Listener, listening

pytestmark = pytest.mark.long

LIVE = "BTCUSDT"


@contextlib.asynccontextmanager
async def returning(
    app: RunningApp, clients: int, after: dict[str, int], newest: dict[str, int]
) -> AsyncIterator[Process]:
    """Clients in a process of their own. They must be satisfied at the end."""
    crowd = Crowd(app.port, clients, after, newest)
    arguments = "-m", "tests.support.crowd", msgspec.json.encode(crowd).decode()
    async with running_process(*arguments, reads_input=True) as process:
        yield process
        assert process.process.stdin is not None
        process.process.stdin.write(b"\n")
        await process.says("fine")


def newest_ids(exchange: Simulator, symbols: Sequence[str]) -> dict[str, int]:
    now_ms = exchange.now_ms()
    return {symbol: exchange.source.history(symbol, now_ms).trades[-1].id for symbol in symbols}


class Lateness:
    """How late the event loop was so far: on a busy machine, that is time of other programs."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(0.01)
            self.seconds += loop.time() - began - 0.01


async def holes_close(
    exchange: Simulator, listener: Listener, lateness: Lateness, seconds: list[float], pause_seconds: float
) -> None:
    """Lose trades of the live stream again and again, and measure until they are there."""
    while True:
        await asyncio.sleep(pause_seconds)
        exchange.faults.lose(stream=f"{LIVE.lower()}@trade", count=3)
        exchange.faults.burst(symbol=LIVE, trades=6)
        newest = newest_ids(exchange, [LIVE])[LIVE]
        began, late = time.monotonic(), lateness.seconds
        while (listener.ids(LIVE) or [0])[-1] < newest:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        seconds.append(time.monotonic() - began - (lateness.seconds - late))


@pytest.mark.parametrize(
    ("crowd", "shared", "behind", "heavy", "many"),
    [
        pytest.param(60, 4, 2_500, 5, 20, id="60 clients"),
        pytest.param(1_000, 20, 5_000, 20, 100, id="1,000 clients", marks=pytest.mark.verify),
    ],
)
async def test_a_crowd_that_resumes_after_a_restart_loses_nothing(
    crowd: int, shared: int, behind: int, heavy: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = RestApi.answer

    def note(self: RestApi, target: str, now_ms: float, **options: Any) -> Answer:
        asked.append(target)
        return answer(self, target, now_ms, **options)

    monkeypatch.setattr(RestApi, "answer", note)
    first = [f"FEW{number}USDT" for number in range(shared)]
    second = [f"MANY{number}USDT" for number in range(many)]
    rules = [replace(DEFAULT_RULES[0], symbol=symbol) for symbol in (LIVE, *first, *second)]
    market = SimulatedMarket(rules=rules, trades_per_second=1.0, history_seconds=10.0)
    exchange = Simulator(market, limits=ExchangeLimits())
    await exchange.start()
    exchange.http.rest_seconds = 0.1
    for symbol in (LIVE, *first, *second):
        exchange.source.history(symbol, exchange.now_ms())
        exchange.faults.burst(symbol=symbol, trades=1_100)  # a page begins before the reader
    after = newest_ids(exchange, [*first, *second])
    for symbol in after:
        exchange.faults.burst(symbol=symbol, trades=behind if symbol in first else 200)
    settings = settings_for(exchange, max_clients=2_000, simulator_enabled=False)
    seconds: list[float] = []
    try:
        async with running_app(settings, prepare=relaxed) as app, listening(app, LIVE) as listener:
            await listener.more(LIVE, 1)
            pause_seconds = 0.2 if crowd < 100 else 2.0  # each costs weight of the minute
            lateness = Lateness()
            losses = holes_close(exchange, listener, lateness, seconds, pause_seconds)
            tasks = [asyncio.create_task(lateness.run()), asyncio.create_task(losses)]
            behind_few = {one: after[one] for one in first}, newest_ids(exchange, first)
            behind_many = {one: after[one] for one in second}, newest_ids(exchange, second)
            async with returning(app, crowd, *behind_few) as clients:
                await clients.says("all have all", 900)
                async with returning(app, heavy, *behind_many) as more:
                    await more.says("all have all", 900)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert not listener.gaps(LIVE)
    finally:
        await exchange.aclose()
    pages = Counter(target for target in asked if "rades?" in target and f"symbol={LIVE}&" not in target)
    assert set(pages.values()) == {1}, pages.most_common(3)
    assert seconds
    assert max(seconds) < 2.0, sorted(seconds)[-5:]
    stats = exchange.stats()
    print(  # noqa: T201 (shown by `make verify`)
        f"{crowd} and {heavy} clients: {len(pages)} pages, weight {stats['rest_weight']} "
        f"(peak {stats['rest_weight_peak']} a minute), {len(seconds)} holes, slowest {max(seconds):.2f} s; "
        f"event loop late by {lateness.seconds:.1f} s"
    )
    assert exchange.stats()["violations"] == {}
