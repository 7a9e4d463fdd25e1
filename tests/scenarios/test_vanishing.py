"""A hundred clients vanish in every way there is, and nothing of them stays."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from livemarkets.market.models import StreamKey
from livemarkets.server.websocket_protocol import RawFrameProtocol
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.support.app import (
    RunningApp,
    relaxed,
    running_app,
    running_exchange,
    running_process,
    settings_for,
)
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient
from tests.support.simulated_time import time_is_simulated

pytestmark = pytest.mark.long

CLIENTS = 100
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ETHBTC", "SHIBUSDT", "ADAUSDT")

# A program that subscribes, says so, and then does nothing: it is there to be killed.
VICTIM = """
import asyncio, json, sys
from websockets.asyncio.client import connect

async def main(url, symbols):
    connections = []
    for symbol in symbols:
        connection = await connect(url, proxy=None)
        await connection.send(json.dumps(
            {"type": "subscribe", "exchange": "binance", "channel": "trades", "symbol": symbol}))
        while json.loads(await connection.recv())["type"] != "subscribed":
            pass
        connections.append(connection)
    print("subscribed", flush=True)
    await asyncio.sleep(60)

asyncio.run(main(sys.argv[1], sys.argv[2:]))
"""


@contextlib.asynccontextmanager
async def running(protocol: Any = RawFrameProtocol) -> AsyncIterator[tuple[RunningApp, Simulator]]:
    market = SimulatedMarket(symbols=SYMBOLS, trades_per_second=20.0)
    async with (
        running_exchange(market) as exchange,
        running_app(
            settings_for(exchange, linger_seconds=0.3),
            prepare=relaxed,
            ws=protocol,
            ws_ping_interval=0.5,
            ws_ping_timeout=2.0,  # a busy machine lets even a healthy client wait
        ) as app,
    ):
        yield app, exchange


async def say_goodbye(client: MarketsClient) -> None:
    await client.socket.close()


async def say_goodbye_without_waiting(client: MarketsClient) -> None:
    client.socket.transport.write(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    client.socket.transport.abort()


async def reset(client: MarketsClient) -> None:
    client.socket.transport.abort()


async def half_close(client: MarketsClient) -> None:
    client.socket.transport.write_eof()


async def fall_silent(client: MarketsClient) -> None:
    """Read nothing and answer nothing, pings neither: a machine that lost its network."""
    client.socket.transport.pause_reading()


async def break_the_protocol(client: MarketsClient) -> None:
    client.socket.transport.write(b"\xff" * 16)


async def leave_in_the_middle_of_a_frame(client: MarketsClient) -> None:
    client.socket.transport.write(Frame(Opcode.TEXT, b'{"type":"ping"}').serialize(mask=True)[:9])
    client.socket.transport.abort()


async def leave_while_subscribing(client: MarketsClient) -> None:
    await client.send(type="subscribe", exchange="binance", channel="trades", symbols=list(SYMBOLS))
    client.socket.transport.abort()


async def unsubscribe_from_all_and_reset(client: MarketsClient) -> None:
    await client.send(type="unsubscribe", exchange="binance", channel="trades", symbols=list(SYMBOLS))
    client.socket.transport.abort()


WAYS: tuple[Callable[[MarketsClient], Awaitable[None]], ...] = (
    say_goodbye,
    say_goodbye_without_waiting,
    reset,
    half_close,
    fall_silent,
    break_the_protocol,
    leave_in_the_middle_of_a_frame,
    leave_while_subscribing,
    unsubscribe_from_all_and_reset,
)


def is_empty(app: RunningApp, exchange: Simulator) -> bool:
    """Assert that nothing of any client is left, upstream or here."""
    services = app.services
    assert services.hub.connections == set()
    assert services.manager.counts() == (0, 0, 0)
    assert services.manager.wanted("binance") == set()
    assert not any(services.fanout.has_readers(key) for key in map(_key, SYMBOLS))
    assert services.feeds["binance"].keys() == []
    assert (len(services.latest), len(services.trades)) == (0, 0)
    assert exchange.subscriptions() == set()
    assert services.status("binance").state == "idle"
    assert not any(task.get_name().startswith(("resume", "send_text")) for task in asyncio.all_tasks())
    return True


def _key(symbol: str) -> StreamKey:
    return StreamKey("binance", "trades", symbol)


@pytest.mark.parametrize("protocol", [RawFrameProtocol, "websockets-sansio"], ids=["frames", "send_text"])
@time_is_simulated
async def test_a_hundred_clients_vanish_in_every_way_and_leave_nothing(protocol: Any) -> None:
    async with running(protocol) as (app, exchange):
        await a_hundred_clients_vanish_and_leave_nothing(app, exchange)


async def a_hundred_clients_vanish_and_leave_nothing(app: RunningApp, exchange: Simulator) -> None:
    choice = random.Random(20240808)

    async def live_and_vanish(way: Callable[[MarketsClient], Awaitable[None]]) -> None:
        client = await app.connect(ping_interval=None)
        symbols = choice.sample(SYMBOLS, choice.randint(1, len(SYMBOLS)))
        reply = await client.subscribe(*symbols, snapshot=choice.randint(0, 50))
        assert reply["subscriptions"] == symbols
        await client.trades(choice.randint(1, 5))
        await way(client)

    ways = itertools.islice(itertools.cycle(WAYS), CLIENTS)
    await asyncio.gather(*(live_and_vanish(way) for way in ways))
    await eventually(lambda: is_empty(app, exchange), timeout_seconds=12)
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    assert len(await client.trades(3)) == 3


async def test_a_client_whose_process_is_killed_leaves_nothing() -> None:
    async with running() as (app, exchange):
        url = f"ws://127.0.0.1:{app.port}/ws/markets"
        async with running_process("-c", VICTIM, url, *SYMBOLS) as victim:
            await victim.says("subscribed")
            assert len(app.services.hub.connections) == len(SYMBOLS)
            await eventually(lambda: len(exchange.subscriptions()) == len(SYMBOLS))
            victim.process.kill()
            await eventually(lambda: is_empty(app, exchange), timeout_seconds=8)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
async def test_a_client_whose_process_is_frozen_leaves_nothing() -> None:
    async with running() as (app, exchange):
        url = f"ws://127.0.0.1:{app.port}/ws/markets"
        async with running_process("-c", VICTIM, url, "BTCUSDT") as victim:
            await victim.says("subscribed")
            victim.signal(signal.SIGSTOP)
            try:
                await eventually(lambda: is_empty(app, exchange), timeout_seconds=8)
            finally:
                victim.signal(signal.SIGCONT)
                victim.process.kill()


@time_is_simulated
async def test_the_stream_stays_for_the_linger_and_for_whoever_else_wants_it() -> None:
    async with running() as (app, exchange):
        leaver, stayer = await app.connect(), await app.connect()
        await leaver.subscribe("BTCUSDT", "ETHUSDT")
        await stayer.subscribe("BTCUSDT")
        await eventually(lambda: len(exchange.subscriptions()) == 2)
        leaver.socket.transport.abort()
        await eventually(lambda: app.services.manager.counts() == (1, 1, 1))
        assert len(exchange.subscriptions()) == 2
        await eventually(lambda: exchange.subscriptions() == {"btcusdt@trade"})
        assert len(await stayer.trades(3)) == 3


@time_is_simulated
async def test_a_hundred_quick_visits_cost_the_exchange_next_to_nothing() -> None:
    async with running() as (app, exchange):
        manager = app.services.manager
        clock, now = manager._clock, manager._clock()
        manager._clock = lambda: now  # quick visits, also where the machine makes one longer than the linger
        for _ in range(CLIENTS):
            client = await app.connect()
            await client.subscribe("BTCUSDT")
            await client.socket.close()
        manager._clock = clock
        await eventually(lambda: is_empty(app, exchange), timeout_seconds=8)
        assert exchange.stats()["connects"] == 1
        assert exchange.stats()["control_messages"] <= 6
        assert exchange.stats()["violations"] == {}
