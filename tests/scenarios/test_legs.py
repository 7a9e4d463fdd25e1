"""Two legs: whatever happens to one of them, no reader misses, repeats or reorders a trade.

The exchange's REST API is down meanwhile, so that nothing but the other leg can bring what one leg lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import msgspec
import pytest
from loguru import logger
from websockets.asyncio.client import connect

from livemarkets.app import Tuning
from livemarkets.exchanges.base import StreamState
from livemarkets.exchanges.leg import Leg
from livemarkets.exchanges.legs import Legs
from livemarkets.market.models import ExchangeState, StreamKey
from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.streams import StreamEvent
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.leg_links import LegLink, leg_links
from tests.support.upstream import quick

SYMBOLS = ("BTCUSDT", "ETHUSDT")
KEYS = [StreamKey.trades("binance", symbol) for symbol in SYMBOLS]
_TRADE = re.compile(rb'"e":"trade".*"s":"([A-Z]+)","t":(\d+),"p":"([0-9.]+)"')


class World:
    """An exchange, a link for each leg, the app and a reader that writes down what it gets."""

    def __init__(self, exchange: Simulator, links: list[LegLink], app: RunningApp) -> None:
        self.exchange = exchange
        self.links = links
        self.app = app
        self.feed = app.services.feeds["binance"]
        self.statuses: list[str] = []
        self.log: list[str] = []
        self.read: list[dict[str, Any]] = []
        self.made: dict[str, dict[int, str]] = defaultdict(dict)
        """By symbol and id, the price of each trade that happened."""
        self.feed.add_status_listener(lambda status: self.statuses.append(status.state.value))
        self._advance = exchange.source.advance
        exchange.source.advance = self.advance  # type: ignore[method-assign]

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Note each trade that happens."""
        events = self._advance(now_ms)
        for event in events:
            if found := _TRADE.search(event.combined):
                self.made[found[1].decode()][int(found[2])] = found[3].decode()
        return events

    @property
    def legs(self) -> list[Leg]:
        assert isinstance(self.feed.client, Legs)
        return self.feed.client.legs

    def newest(self) -> dict[str, int]:
        return {symbol: max(self.made[symbol], default=0) for symbol in SYMBOLS}

    def is_well(self, leg: Leg) -> bool:
        return leg.client.status.state is ExchangeState.LIVE and all(
            leg.client.state_of(key) is StreamState.ACKNOWLEDGED for key in KEYS
        )

    def has_brought(self, leg: Leg, ids: dict[str, int]) -> bool:
        streams = ((leg._streams[key], ids[key.symbol]) for key in KEYS)
        return all(max(stream.newest, *stream._ahead, 0) >= newest for stream, newest in streams)

    async def whole(self) -> None:
        """Wait until every leg is well, and has brought what happened before it was."""
        await eventually(lambda: all(map(self.is_well, self.legs)), 30, because="both legs live")
        ids = self.newest()
        await eventually(
            lambda: all(self.has_brought(leg, ids) for leg in self.legs), 30, because=f"both legs at {ids}"
        )

    async def reads(self) -> None:
        """Read like a program that only writes down."""
        url = f"ws://127.0.0.1:{self.app.port}/ws/markets"
        async with connect(url, proxy=None, compression=None, max_queue=None) as socket:
            request = {"type": "subscribe", "exchange": "binance", "channel": "trades", "symbols": SYMBOLS}
            await socket.send(msgspec.json.encode(request).decode())
            async for raw in socket:
                self.read.append(msgspec.json.decode(raw))

    def check(self) -> None:
        """Every trade once, in order, with its own price; no gap."""
        found: dict[str, dict[int, str]] = defaultdict(dict)
        false = set.union(*(link.false_ids for link in self.links))
        for message in self.read:
            assert message["type"] not in ("gap", "lagged", "error"), message
            for tick in message.get("data", [message] if message["type"] == "trade" else []):
                symbol, trade_id = tick["symbol"], tick["id"]
                newest = max(found[symbol], default=trade_id - 1)
                assert trade_id == newest + 1, f"{symbol}: {trade_id} after {newest}"
                found[symbol][trade_id] = tick["price"]
                if trade_id not in false and trade_id in self.made[symbol]:
                    assert float(self.made[symbol][trade_id]) == tick["price"]
        assert all(len(found[symbol]) > 10 for symbol in SYMBOLS)
        statistics = self.feed.statistics()
        assert (statistics.lost, statistics.gaps, statistics.backfilled) == (0, 0, 0)


@contextlib.asynccontextmanager
async def two_legs(*, seed: int = 7, count: int = 2, trades_per_second: float = 50.0) -> AsyncIterator[World]:
    market = SimulatedMarket(seed=seed, symbols=SYMBOLS, trades_per_second=trades_per_second)
    async with running_exchange(market) as exchange, leg_links(exchange, count) as links:
        urls = ",".join(link.url for link in links)
        settings = settings_for(exchange, binance_ws_url=urls, binance_legs=count, simulator_enabled=False)
        async with running_app(settings, tuning=Tuning(client=quick())) as app:
            world = World(exchange, links, app)
            sink = logger.add(lambda line: world.log.append(str(line)), level="WARNING")
            task = asyncio.create_task(world.reads(), name="reader")
            try:
                await eventually(lambda: len(world.read) > 2, 10)
                await world.feed.ensure_symbols(5)
                exchange.faults.rest_down(seconds=3600)
                await world.whole()
                yield world
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                logger.remove(sink)


# One thing at a time


def kill(world: World, link: LegLink) -> None:
    link.kill()


def slow(world: World, link: LegLink) -> None:
    link.slow()


def mute(world: World, link: LegLink) -> None:
    link.mute()


def skip(world: World, link: LegLink) -> None:
    world.exchange.faults.lose(count=7, connection=link.numbers[-1])


def repeat(world: World, link: LegLink) -> None:
    world.exchange.faults.repeat(count=7, connection=link.numbers[-1])


def swap(world: World, link: LegLink) -> None:
    world.exchange.faults.swap(count=3, connection=link.numbers[-1])


def garbage(world: World, link: LegLink) -> None:
    world.exchange.faults.garbage(connection=link.numbers[-1])


def odd_id(world: World, link: LegLink) -> None:
    link.lie("id")


def odd_price(world: World, link: LegLink) -> None:
    link.lie("price")


EVENTS: tuple[Callable[[World, LegLink], None], ...] = (
    *(kill, slow, mute, skip, repeat, swap, garbage, odd_id, odd_price),
)


@pytest.mark.parametrize(
    ("seed", "events"),
    [
        (1, 12),
        pytest.param(2, 100, marks=pytest.mark.verify),
        pytest.param(3, 100, marks=pytest.mark.verify),
    ],
)
async def test_whatever_happens_to_one_leg_costs_nothing(seed: int, events: int) -> None:
    random = Random(seed)
    async with two_legs(seed=seed) as world:
        turns = random.sample(EVENTS, k=len(EVENTS)) + random.choices(EVENTS, k=events)
        for number, event in enumerate(turns[:events]):
            link = world.links[number % 2 if number < len(EVENTS) else random.randrange(2)]
            event(world, link)
            trades = sum(map(len, world.made.values()))
            more = random.randint(5, 30)
            await eventually(lambda t=trades + more: sum(map(len, world.made.values())) >= t, 30)  # type: ignore[misc]
            link.mend()
            await world.whole()
        last = world.newest()
        await eventually(lambda: world.feed.statistics().holes_open == 0, 10)
        await eventually(
            lambda: all(world.feed.ledger(key).newest_seen() >= last[key.symbol] for key in KEYS)
        )  # type: ignore[union-attr]
        world.check()
        assert set(world.statuses) <= {"connecting", "live"}
        assert world.statuses.count("live") == 1, "nobody was told of any trouble"
        assert len(world.log) <= 2 * len(EVENTS), "the log is not flooded"
