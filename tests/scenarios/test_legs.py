"""Two legs: whatever happens to one of them, no reader misses, repeats or reorders a trade.

The exchange's REST API is down meanwhile, so that nothing but the other leg can bring what one leg lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

import msgspec
import pytest
from loguru import logger
from websockets.asyncio.client import connect

from livemarkets.app import Tuning
from livemarkets.exchanges.base import StreamState
from livemarkets.exchanges.binance.timings import ConnectionTimings
from livemarkets.exchanges.leg import Leg
from livemarkets.exchanges.legs import Legs
from livemarkets.market.models import ExchangeState, StreamKey
from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.streams import StreamEvent
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.leg_links import LegLink, leg_links
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import QUICK, quick

SYMBOLS = ("BTCUSDT", "ETHUSDT")
PLACES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "book": lambda message: message["update_id"],
    "depth": lambda message: message["update_id"],
    "ticker": lambda message: message["ts"],
    "candle": lambda message: (
        *(message[name] for name in ("open_ts", "closed", "trades")),
        message["first_id"] is not None,
        message["ts"],
    ),
}
"""By type of message, what rises from one to the next of a stream."""
KEYS = [StreamKey.trades("binance", symbol) for symbol in SYMBOLS]
TUNING = Tuning(
    client=quick(
        connection=ConnectionTimings(session=QUICK.session),
        rest_seconds=0.2,
        longest_rest_seconds=0.4,
        return_seconds=0.02,
    )
)
"""A leg that is mute for a moment does not count as lost, however busy the machine is."""
pytestmark = pytest.mark.long
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
        self.begun = 0
        """How much was read before REST was down: first values of REST are among it, which have no number."""
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

    def check_updates(self) -> None:
        """No update of the other channels twice, or back in time."""
        newest: dict[tuple[str, str], Any] = {}
        for message in self.read[self.begun :]:
            if place_of := PLACES.get(message["type"]):
                stream, place = (message["type"], message["symbol"]), place_of(message)
                assert stream not in newest or place > newest[stream], message
                newest[stream] = place
        assert {kind for kind, _ in newest} >= {"book", "depth", "ticker"}

    def has_reached(self, ids: dict[str, int]) -> bool:
        """Whether readers were told of everything up to these ids."""
        ledgers = [(self.feed.ledger(key), ids[key.symbol]) for key in KEYS]
        return all(ledger is not None and ledger.newest_seen() >= newest for ledger, newest in ledgers)

    async def more_trades(self, count: int) -> None:
        """Wait until the exchange has made so many more."""
        target = sum(map(len, self.made.values())) + count
        await eventually(lambda: sum(map(len, self.made.values())) >= target, 30, because="trades")

    async def number(self, at: int) -> int:
        """The exchange's number of the connection of a leg."""
        return (await eventually(lambda: self.links[at].numbers, 10))[-1]

    async def whole(self) -> None:
        """Wait until every leg is well at its own address, and has brought what happened before it was."""
        await eventually(
            lambda: (
                all(map(self.is_well, self.legs)) and [len(link.numbers) for link in self.links] == [1, 1]
            ),
            30,
            because="both legs live",
        )
        ids = self.newest()
        await eventually(
            lambda: all(self.has_brought(leg, ids) for leg in self.legs), 30, because=f"both legs at {ids}"
        )

    async def reads(self) -> None:
        """Read like a program that only writes down."""
        url = f"ws://127.0.0.1:{self.app.port}/ws/markets"
        async with connect(url, proxy=None, compression=None, max_queue=None) as socket:
            for channel in ("trades", "book", "depth", "tickers", "candles"):
                request = {"type": "subscribe", "exchange": "binance", "channel": channel, "symbols": SYMBOLS}
                fields = {"interval": "1m"} if channel == "candles" else {}
                await socket.send(msgspec.json.encode(request | fields).decode())
            async for raw in socket:
                self.read.append(msgspec.json.decode(raw))

    def check(self) -> None:
        """Every trade once, in order, with its own price; no gap."""
        found: dict[str, dict[int, str]] = defaultdict(dict)
        false = set.union(*(link.false_ids for link in self.links))
        for message in self.read:
            assert message["type"] not in ("gap", "lagged", "error"), message
            if message.get("channel", "trades") != "trades":
                continue
            for tick in message.get("data", [message] if message["type"] == "trade" else []):
                symbol, trade_id = tick["symbol"], tick["id"]
                newest = max(found[symbol], default=trade_id - 1)
                assert trade_id == newest + 1, f"{symbol}: {trade_id} after {newest}"
                found[symbol][trade_id] = tick["price"]
                if trade_id not in false and trade_id in self.made[symbol]:
                    assert float(self.made[symbol][trade_id]) == tick["price"]
        assert all(len(found[symbol]) > 10 for symbol in SYMBOLS)
        self.check_updates()
        statistics = self.feed.statistics()
        assert (statistics.lost, statistics.gaps, statistics.backfilled) == (0, 0, 0)


@contextlib.asynccontextmanager
async def two_legs(*, seed: int = 7, **fields: Any) -> AsyncIterator[World]:
    """Run the app with two legs, whole at first, while REST is down."""
    market = SimulatedMarket(seed=seed, symbols=SYMBOLS, trades_per_second=50.0)
    async with running_exchange(market) as exchange, leg_links(exchange, 2) as links:
        urls = ",".join(link.url for link in links)
        legs = {"binance_ws_url": urls, "binance_legs": 2, "simulator_enabled": False}
        settings = settings_for(exchange, **(legs | fields))
        async with running_app(settings, tuning=TUNING) as app:
            world = World(exchange, links, app)
            sink = logger.add(lambda line: world.log.append(str(line)), level="WARNING")
            task = asyncio.create_task(world.reads(), name="reader")
            try:
                kinds = {*PLACES, "trade"}
                await eventually(
                    lambda: {each["type"] for each in world.read} >= kinds, 20, because="all kinds"
                )
                await world.feed.ensure_symbols(5)
                exchange.faults.rest_down(seconds=3600)
                await world.whole()
                world.begun = len(world.read)
                yield world
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                logger.remove(sink)


# One thing at a time


async def kill(world: World, at: int) -> None:
    world.links[at].kill()
    await eventually(lambda: not world.is_well(world.legs[at]), 30)


async def slow(world: World, at: int) -> None:
    world.links[at].slow()


async def mute(world: World, at: int) -> None:
    world.links[at].mute()


async def skip(world: World, at: int) -> None:
    world.exchange.faults.lose(count=7, connection=await world.number(at))


async def repeat(world: World, at: int) -> None:
    world.exchange.faults.repeat(count=7, connection=await world.number(at))


async def swap(world: World, at: int) -> None:
    world.exchange.faults.swap(count=3, connection=await world.number(at))


async def garbage(world: World, at: int) -> None:
    world.exchange.faults.garbage(connection=await world.number(at))


async def odd_id(world: World, at: int) -> None:
    world.links[at].lie("id")


async def odd_price(world: World, at: int) -> None:
    world.links[at].lie("price")


EVENTS: tuple[Callable[[World, int], Awaitable[None]], ...] = (
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
@time_is_simulated
async def test_whatever_happens_to_one_leg_costs_nothing(seed: int, events: int) -> None:
    random = Random(seed)
    async with two_legs(seed=seed) as world:
        turns = random.sample(EVENTS, k=len(EVENTS)) + random.choices(EVENTS, k=events)
        for number, event in enumerate(turns[:events]):
            at = number % 2 if number < len(EVENTS) else random.randrange(2)
            await event(world, at)
            await world.more_trades(random.randint(5, 30))
            world.links[at].mend()
            await world.whole()
        last = world.newest()
        await eventually(lambda: world.feed.statistics().holes_open == 0, 10, because="no holes")
        await eventually(lambda: world.has_reached(last), 10)
        world.check()
        assert set(world.statuses) <= {"connecting", "live"}
        assert world.statuses.count("live") == 1, "nobody was told of any trouble"
        assert len(world.log) <= 2 * len(EVENTS), "the log is not flooded"


@time_is_simulated
async def test_one_leg_alone_is_told_and_does_all_the_work_and_a_hole_on_both_is_a_hole() -> None:
    async with two_legs(gap_patience_seconds=1.0) as world:
        first, second = (await world.app.services.inspection.report()).exchanges[0].legs
        assert (first.state, second.state) == ("live", "live")
        assert [*first.urls, *second.urls] == [f"{link.url}/stream" for link in world.links]
        world.links[1].is_full = True
        await kill(world, 0)
        won = world.legs[1].tally.first
        await eventually(lambda: world.legs[1].tally.first >= won + 10, 30)
        metrics = (await world.app.get("/metrics")).text
        for line in (
            'leg_up{exchange="binance",leg="1"} 0.0',
            'leg_up{exchange="binance",leg="2"} 1.0',
            'exchange_state{exchange="binance",state="live"} 1.0',
            'leg_trades_first_total{exchange="binance",leg="2"}',
            'leg_lead_seconds_bucket{exchange="binance",le="0.001",leg="1"}',
        ):
            assert f"livemarkets_{line}" in metrics

        async def is_told() -> bool:
            told = (await world.app.get("/api/status")).json()["exchanges"][0]
            return [told["state"], *(leg["state"] for leg in told["legs"])] == ["live", "down", "live"]

        await eventually(is_told, 10)
        world.links[1].is_full = False
        await eventually(lambda: len(world.links[1].numbers) == 2, 30, because="both at the second address")
        world.links[0].mend()
        await world.whole()  # each at its own address again
        world.check()
        world.exchange.faults.lose(count=3, stream="btcusdt@trade")
        gap = await eventually(lambda: [each for each in world.read if each["type"] == "gap"], 20)
        assert [(each["symbol"], each["cause"], each["to_id"] - each["from_id"]) for each in gap] == [
            ("BTCUSDT", "upstream", 2)
        ]
        assert world.statuses.count("live") == 1


@pytest.mark.verify
@time_is_simulated
async def test_a_stream_that_is_mute_on_one_leg_heals_there_and_nobody_notices() -> None:
    async with two_legs() as world:
        world.exchange.faults.mute(stream="btcusdt@trade", connection=await world.number(1))
        came = world.legs[1].tally.brought
        await eventually(lambda: world.legs[1]._watched[KEYS[0]].is_mute, 40)
        assert world.legs[1].tally.brought > came, "the other stream comes"
        assert not any(watched.is_mute for watched in world.legs[0]._watched.values())
        await world.whole()
        await eventually(lambda: not world.legs[1]._watched[KEYS[0]].is_mute, 40)
        world.check()
        assert world.statuses.count("live") == 1
