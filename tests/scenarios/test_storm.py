"""Symbols come and go in a storm: the exchange ends up with the right ones, and its limits are kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random

import pytest

from livemarkets.app import Tuning
from livemarkets.exchanges.binance.client import ClientTimings
from livemarkets.exchanges.binance.connection import ConnectionTimings
from livemarkets.exchanges.binance.session import SessionTimings
from livemarkets.exchanges.binance.shard import ShardTimings
from livemarkets.market.models import TRADES, StreamKey
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.simulator import ExchangeLimits, SimulatedMarket, Simulator
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually
from tests.support.simulated_time import time_is_simulated

pytestmark = pytest.mark.long

SYMBOLS = tuple(SimulatedMarket().rules)[:34]
SPACING_SECONDS = SessionTimings().spacing_seconds


def key_of(symbol: str) -> StreamKey:
    return StreamKey("binance", TRADES, symbol)


def streams(*symbols: str) -> set[str]:
    return {f"{symbol.lower()}@trade" for symbol in symbols}


@contextlib.asynccontextmanager
async def calm(
    tuning: Tuning | None = None, limits: ExchangeLimits | None = None, linger_seconds: float = 0.0
) -> AsyncIterator[tuple[Simulator, RunningApp, SubscriptionManager]]:
    """An exchange with Binance's own limits, and an app that nobody uses yet."""
    exchange = Simulator(SimulatedMarket(seed=7, trades_per_second=5.0), limits=limits or ExchangeLimits())
    await exchange.start()
    try:
        settings = settings_for(exchange, simulator_enabled=False, linger_seconds=linger_seconds)
        async with running_app(settings, tuning=tuning) as app:
            yield exchange, app, app.services.manager
    finally:
        await exchange.aclose()


async def storm(manager: SubscriptionManager, random: Random, changes: int, seconds: float) -> set[StreamKey]:
    """Make random wishes, evenly spaced; return what is wanted at the end."""
    loop = asyncio.get_running_loop()
    wishes: set[tuple[int, StreamKey]] = set()
    begin = loop.time()
    for number in range(changes):
        await asyncio.sleep(max(0.0, begin + seconds * number / changes - loop.time()))
        subscriber, key = random.randrange(5), key_of(random.choice(SYMBOLS))
        # Wishes of many keep almost everything wanted; so leaving is likelier the fuller it is.
        if (subscriber, key) in wishes or random.random() < 0.55:
            subscriber = next((one for one, other in wishes if other == key), subscriber)
            manager.unsubscribe(subscriber, key)
            wishes.discard((subscriber, key))
        else:
            manager.subscribe(subscriber, key)
            wishes.add((subscriber, key))
    return {key for _, key in wishes}


@pytest.mark.parametrize(
    ("linger_seconds", "changes", "seconds"),
    [(0.0, 600, 3.0), (0.2, 600, 3.0), pytest.param(0.0, 2000, 10.0, marks=pytest.mark.verify)],
)
@time_is_simulated
async def test_two_hundred_changes_a_second_end_in_the_right_set(
    linger_seconds: float, changes: int, seconds: float
) -> None:
    async with calm(linger_seconds=linger_seconds) as (exchange, app, manager):
        loop = asyncio.get_running_loop()
        began = loop.time()
        wanted = await storm(manager, Random(11), changes, seconds)
        assert loop.time() - began < 3 * seconds, "a storm, on however busy a machine"
        assert 3 < len(wanted) < len(SYMBOLS)
        await eventually(lambda: manager.wanted("binance") == wanted, 10)
        expected = streams(*(key.symbol for key in wanted))
        await eventually(
            lambda: exchange.subscriptions() == expected,
            20,
            because=f"the right set; {exchange.subscriptions() ^ expected} differ",
        )
        stats = exchange.stats()
        assert stats["violations"] == {}
        assert stats["connects"] <= 2  # one more if for a moment nothing was wanted
        assert stats["control_messages"] <= (loop.time() - began) / SPACING_SECONDS + 1
        feed = app.services.feeds["binance"]
        assert set(feed.keys()) == set(wanted)
        await eventually(lambda: feed.status.state == "live")
        await eventually(
            lambda: all(app.services.trades.count(key) for key in wanted), 20, because="trades of all"
        )
        settled = exchange.stats()["control_messages"]
        await asyncio.sleep(4 * SPACING_SECONDS)  # a fixed time, for nothing must happen in it
        assert exchange.stats()["control_messages"] == settled
        assert exchange.subscriptions() == expected


@time_is_simulated
async def test_a_storm_over_several_connections_ends_in_the_right_sets() -> None:
    """The exchange's limit is as much above the app's own as the real one: a few streams."""
    tuning = Tuning(client=ClientTimings(streams_per_connection=4))
    async with calm(tuning, ExchangeLimits(streams_per_connection=6)) as (exchange, app, manager):
        wanted = await storm(manager, Random(12), 1000, 5.0)
        while len(wanted) < 13:  # enough for four connections
            key = key_of(next(symbol for symbol in SYMBOLS if key_of(symbol) not in wanted))
            manager.subscribe("late", key)
            wanted.add(key)
        expected = streams(*(key.symbol for key in wanted))

        def is_settled() -> bool:
            carried = [stream for one in exchange.connections for stream in one.streams]
            assert sorted(carried) == sorted(expected), "each on one connection"
            assert all(len(one.streams) <= 4 for one in exchange.connections)
            return True

        await eventually(is_settled, 30)
        assert exchange.stats()["violations"] == {}
        assert exchange.stats()["connects"] < 60
        await eventually(lambda: app.services.feeds["binance"].status.state == "live")
        for subscriber in (*range(5), "late"):
            manager.release(subscriber)
        await eventually(lambda: exchange.stats()["open"] == 0, 10)
        assert exchange.stats()["violations"] == {}


@time_is_simulated
async def test_streams_that_are_let_go_leave_no_connection_almost_empty() -> None:
    tuning = Tuning(client=ClientTimings(streams_per_connection=4))
    async with calm(tuning) as (exchange, app, manager):
        for symbol in SYMBOLS[:12]:
            manager.subscribe("test", key_of(symbol))
        await eventually(lambda: exchange.subscriptions() == streams(*SYMBOLS[:12]), 20)
        assert len(exchange.connections) == 3
        for symbol in SYMBOLS[1:12:2]:
            manager.unsubscribe("test", key_of(symbol))
        for symbol in SYMBOLS[4:12:2]:
            manager.unsubscribe("test", key_of(symbol))
        left = streams(SYMBOLS[0], SYMBOLS[2])
        await eventually(
            lambda: len(exchange.connections) == 1 and set(exchange.connections[0].streams) == left, 20
        )
        assert exchange.stats()["violations"] == {}
        trades = app.services.trades
        ids = [tick.id for tick in trades.recent(key_of(SYMBOLS[0]), 10_000)]
        assert ids == list(range(ids[0], ids[-1] + 1))


@time_is_simulated
async def test_a_wish_that_is_taken_back_before_its_turn_costs_no_message() -> None:
    unhurried = ClientTimings(
        shard=ShardTimings(connection=ConnectionTimings(session=SessionTimings(spacing_seconds=1.5)))
    )
    async with calm(Tuning(client=unhurried)) as (exchange, _, manager):
        for symbol in ("BTCUSDT", "LTCUSDT"):
            manager.subscribe("test", key_of(symbol))
        await eventually(lambda: exchange.subscriptions() == streams("BTCUSDT", "LTCUSDT"))
        assert exchange.stats()["control_messages"] == 1
        for _ in range(50):
            for symbol in ("ETHUSDT", "SOLUSDT"):
                manager.subscribe("test", key_of(symbol))
            manager.unsubscribe("test", key_of("BTCUSDT"))
            await asyncio.sleep(0)
            for symbol in ("ETHUSDT", "SOLUSDT"):
                manager.unsubscribe("test", key_of(symbol))
            manager.subscribe("test", key_of("BTCUSDT"))
            await asyncio.sleep(0)
        manager.subscribe("test", key_of("DOGEUSDT"))
        await eventually(lambda: exchange.subscriptions() == streams("BTCUSDT", "LTCUSDT", "DOGEUSDT"))
        assert exchange.stats()["control_messages"] == 2
        assert exchange.stats()["connects"] == 1


@time_is_simulated
async def test_many_symbols_at_once_are_one_message() -> None:
    async with calm() as (exchange, _, manager):
        for symbol in SYMBOLS:
            manager.subscribe("test", key_of(symbol))
        await eventually(lambda: exchange.subscriptions() == streams(*SYMBOLS), 10)
        assert exchange.stats()["control_messages"] == 1
        for symbol in SYMBOLS[1:]:
            manager.unsubscribe("test", key_of(symbol))
        await eventually(lambda: exchange.subscriptions() == streams(SYMBOLS[0]), 10)
        assert exchange.stats()["control_messages"] == 2
        assert exchange.stats()["violations"] == {}


@time_is_simulated
async def test_the_exchange_does_punish_who_talks_too_fast() -> None:
    """The check can fail: the same storm without the pause between messages."""
    hasty = ClientTimings(
        shard=ShardTimings(connection=ConnectionTimings(session=SessionTimings(spacing_seconds=0.01)))
    )
    async with calm(Tuning(client=hasty)) as (exchange, _, manager):
        await storm(manager, Random(11), 200, 1.0)
        await eventually(lambda: exchange.stats()["violations"].get("messages_per_second"), 10)
