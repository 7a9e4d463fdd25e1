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
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.symbols import DEFAULT_RULES
from livemarkets.simulator.protocol.limits import ExchangeLimits
from livemarkets.simulator.protocol.rest import Answer, RestApi
from tests.support.app import RunningApp, relaxed, running_app, settings_for
from tests.support.helpers import eventually
from tests.support.listener import Listener, listening

pytestmark = pytest.mark.long

LIVE = "BTCUSDT"


class Frames:
    """What the messages say. Many readers get the same bytes, which are read once."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, str, int, int]] = {}

    def read(self, frame: bytes) -> tuple[str, str, int, int]:
        """Return type, symbol, first and last id; the ids of a snapshot rise by 1."""
        found = self._known.get(frame)
        if found is None:
            found = self._known[frame] = self._decode(frame)
        return found

    @staticmethod
    def _decode(frame: bytes) -> tuple[str, str, int, int]:
        message: dict[str, Any] = msgspec.json.decode(frame)
        symbol = message.get("symbol", "")
        if message["type"] == "trade":
            return "trade", symbol, message["id"], message["id"]
        if message["type"] == "snapshot":
            ids = [tick["id"] for tick in message["data"]]
            if not ids:
                return "snapshot", symbol, 0, -1
            assert ids == list(range(ids[0], ids[-1] + 1))
            return "snapshot", symbol, ids[0], ids[-1]
        return message["type"], symbol, message.get("from_id", 0), message.get("to_id", 0)


class Returning:
    """A client that resumes, and checks that each id follows the one before."""

    def __init__(self, number: int, app: RunningApp, frames: Frames, after: dict[str, int]) -> None:
        self.last = dict(after)
        self.declared: Counter[str] = Counter()
        self.close_code: int | None = None
        self._after = after
        self._frames = frames
        self._url = f"ws://127.0.0.1:{app.port}/ws/markets"
        self._local = (f"127.0.{number // 250}.{number % 250 + 1}", 0)

    async def run(self) -> None:
        options: dict[str, Any] = {"proxy": None, "compression": None, "max_size": None, "close_timeout": 0.1}
        async with connect(self._url, local_addr=self._local, open_timeout=60, **options) as socket:
            request = {"type": "subscribe", "exchange": "binance", "channel": "trades"}
            request |= {"symbols": list(self._after), "after": self._after}
            await socket.send(msgspec.json.encode(request).decode())
            try:
                while True:
                    self._take(await socket.recv(decode=False))
            except ConnectionClosed:
                self.close_code = socket.close_code

    def _take(self, frame: bytes) -> None:
        kind, symbol, first, last = self._frames.read(frame)
        if kind in ("trade", "snapshot") and last >= first:
            assert first == self.last[symbol] + 1, (symbol, first, self.last[symbol])
            self.last[symbol] = last
        elif kind in ("gap", "lagged", "error"):
            self.declared[kind] += 1

    def has_all(self, newest: dict[str, int]) -> bool:
        return all(last >= newest[symbol] for symbol, last in self.last.items())


@contextlib.asynccontextmanager
async def returning(clients: Sequence[Returning]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(client.run(), name=f"client {n}") for n, client in enumerate(clients)]
    try:
        yield
        for task in tasks:
            assert not task.done(), task.exception()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def newest_ids(exchange: Simulator, symbols: Sequence[str]) -> dict[str, int]:
    now_ms = exchange.now_ms()
    return {symbol: exchange.source.history(symbol, now_ms).trades[-1].id for symbol in symbols}


async def holes_close(exchange: Simulator, listener: Listener, seconds: list[float]) -> None:
    """Lose trades of the live stream again and again, and measure until they are there."""
    while True:
        await asyncio.sleep(0.2)
        exchange.faults.lose(stream=f"{LIVE.lower()}@trade", count=3)
        exchange.faults.burst(symbol=LIVE, trades=6)
        newest, began = newest_ids(exchange, [LIVE])[LIVE], time.monotonic()
        await eventually(lambda newest=newest: (listener.ids(LIVE) or [0])[-1] >= newest, 60)
        seconds.append(time.monotonic() - began)


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

    def note(self: RestApi, target: str, now_ms: float) -> Answer:
        asked.append(target)
        return answer(self, target, now_ms)

    monkeypatch.setattr(RestApi, "answer", note)
    first = [f"FEW{number}USDT" for number in range(shared)]
    second = [f"MANY{number}USDT" for number in range(many)]
    rules = [replace(DEFAULT_RULES[0], symbol=symbol) for symbol in (LIVE, *first, *second)]
    market = SimulatedMarket(rules=rules, trades_per_second=1.0, history_seconds=10.0)
    exchange = Simulator(market, limits=ExchangeLimits())
    await exchange.start()
    exchange.rest_seconds = 0.1
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
            holes = asyncio.create_task(holes_close(exchange, listener, seconds), name="holes")
            frames = Frames()
            clients = [Returning(n, app, frames, {one: after[one] for one in first}) for n in range(crowd)]
            async with returning(clients):
                await all_have_all(exchange, first, clients)
                more = [Returning(n, app, frames, {one: after[one] for one in second}) for n in range(heavy)]
                async with returning(more):
                    await all_have_all(exchange, second, more)
                    await all_have_all(exchange, first, clients)
            holes.cancel()
            await asyncio.gather(holes, return_exceptions=True)
            assert not listener.gaps(LIVE)
    finally:
        await exchange.aclose()
    everybody = [*clients, *more]
    assert sum((client.declared for client in everybody), Counter()) == Counter()
    assert {client.close_code for client in everybody} == {None}
    pages = Counter(target for target in asked if "rades?" in target and f"symbol={LIVE}&" not in target)
    assert set(pages.values()) == {1}, pages.most_common(3)
    assert seconds
    assert max(seconds) < 2.0, sorted(seconds)[-5:]
    weight = exchange.stats()["rest_weight"]
    print(  # noqa: T201 (shown by `make verify`)
        f"{crowd} and {heavy} clients: {len(pages)} pages, weight {weight}, peak "
        f"{exchange.stats()['rest_weight_peak']} a minute, {len(seconds)} holes, slowest {max(seconds):.2f} s"
    )
    assert exchange.stats()["violations"] == {}


async def all_have_all(exchange: Simulator, symbols: Sequence[str], clients: Sequence[Returning]) -> None:
    newest = newest_ids(exchange, symbols)
    await eventually(
        lambda: all(client.has_all(newest) for client in clients),
        600,
        interval_seconds=0.1,
        because=f"{sum(client.has_all(newest) for client in clients)} have all",
    )
