"""A connection is replaced in the middle of a burst: no hole, no repeat, and nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect

from livemarkets.app import Tuning
from livemarkets.exchanges.binance.client import BinanceClient
from livemarkets.simulator import Replay, SimulatedMarket, Simulator
from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.streams import StreamEvent
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.recordings import recording
from tests.support.upstream import quick

ADDED_SECONDS = 0.050
"""A rotation may make any trade that much later."""
RECORDING = "spot_btc_eth_20240808_trade.jsonl.gz"
BURST_TRADES = 700
"""The recording has 735 trades of BTCUSDT in one millisecond."""
SYMBOLS = ("BTCUSDT", "ETHUSDT")
Trade = tuple[str, int]
_ID = re.compile(rb'"s":"([A-Z]+)","t":(\d+)')


class Stopwatch:
    """Notes when the exchange made each trade, and does something when it made a certain one."""

    def __init__(self, source: Source) -> None:
        self.made_at: dict[Trade, float] = {}
        self._advance = source.advance
        self._plans: dict[Trade, Callable[[], None]] = {}
        source.advance = self.advance  # type: ignore[method-assign]

    def when(self, trade: Trade, act: Callable[[], None]) -> None:
        """Call `act` as soon as the trade is made, before it is sent."""
        self._plans[trade] = act

    def advance(self, now_ms: float) -> list[StreamEvent]:
        emissions = self._advance(now_ms)
        if emissions:
            now = time.monotonic()
            for emission in emissions:
                found = _ID.search(emission.combined)
                assert found is not None
                trade = found[1].decode(), int(found[2])
                self.made_at[trade] = now
                if act := self._plans.pop(trade, None):
                    act()
        return emissions


class Recipient:
    """A client of `/ws/markets` that does as little as possible while it reads."""

    def __init__(self) -> None:
        self._read: list[tuple[float, str | bytes]] = []

    async def run(self, app: RunningApp) -> None:
        async with connect(
            f"ws://127.0.0.1:{app.port}/ws/markets", proxy=None, compression=None, max_queue=None
        ) as socket:
            request = {"type": "subscribe", "exchange": "binance", "channel": "trades", "snapshot": 1000}
            await socket.send(json.dumps(request | {"symbols": SYMBOLS}))
            async for raw in socket:
                self._read.append((time.monotonic(), raw))

    def arrivals(self) -> dict[Trade, float]:
        """When each trade arrived; fails on holes, repeats and disorder."""
        found: dict[Trade, float] = {}
        newest: dict[str, int] = {}
        for at, raw in self._read:
            message = msgspec.json.decode(raw)
            assert message["type"] != "gap", message
            for tick in message.get("data", [message] if message["type"] == "trade" else []):
                symbol, trade_id = tick["symbol"], tick["id"]
                assert trade_id == newest.get(symbol, trade_id - 1) + 1, f"{symbol}: not in order"
                newest[symbol] = trade_id
                found[symbol, trade_id] = at
        return found

    async def receives(self, *trades: Trade) -> None:
        """Wait until these have arrived."""
        await eventually(
            lambda: self.arrivals().keys() >= set(trades), 20, interval_seconds=0.1, because="all trades"
        )


@contextlib.asynccontextmanager
async def receiving(
    exchange: Simulator, tuning: Tuning | None = None
) -> AsyncIterator[tuple[RunningApp, Recipient]]:
    settings = settings_for(exchange, simulator_enabled=False)
    async with running_app(settings, tuning=tuning) as app:
        recipient = Recipient()
        task = asyncio.create_task(recipient.run(app), name="recipient")
        try:
            yield app, recipient
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def rotate(app: RunningApp) -> None:
    client = app.services.feeds["binance"].client
    assert isinstance(client, BinanceClient)
    for shard in client._shards:
        shard.rotate("it is planned")


def rotations(app: RunningApp) -> int:
    return app.services.feeds["binance"].statistics().client.rotations


# The genuine burst


class Burst:
    """The seconds around the recording's burst, as a file of their own."""

    def __init__(self, recording: Path, folder: Path) -> None:
        with gzip.open(recording, "rt", encoding="utf-8") as opened:
            lines = opened.readlines()
        frames = [json.loads(line) for line in lines]
        trades = [(row["frame"]["data"]["s"], row["frame"]["data"]["T"]) for row in frames]
        at = next(
            number
            for number in range(len(trades))
            if trades[number][0] == "BTCUSDT"
            and trades[number : number + BURST_TRADES].count(trades[number]) > BURST_TRADES * 0.9
        )
        moment = frames[at]["recv_ms"]
        chosen = [n for n, row in enumerate(frames) if moment - 1500 <= row["recv_ms"] <= moment + 2000]
        self.path = folder / "burst.jsonl"
        self.path.write_text("".join(lines[n] for n in chosen), encoding="utf-8")
        ids = [(frames[n]["frame"]["data"]["s"], frames[n]["frame"]["data"]["t"]) for n in chosen]
        self.trades: list[Trade] = ids
        self.begin = chosen.index(at)


@pytest.fixture(scope="module")
def burst(tmp_path_factory: pytest.TempPathFactory) -> Burst:
    return Burst(recording(RECORDING), tmp_path_factory.mktemp("burst"))


async def added_delays(
    burst: Burst, at: int, act: Callable[[Simulator, RunningApp], None]
) -> dict[Trade, float]:
    """Play the burst at its true speed to two apps; let something happen to one of them.

    What it adds to a trade's delivery is the difference of the two: a busy machine is equally busy for both.
    """
    replay = Replay(burst.path, lead_in_seconds=1.5)
    stopwatch = Stopwatch(replay)
    async with (
        running_exchange(replay) as exchange,
        receiving(exchange) as (app, recipient),
        receiving(exchange) as (twin_app, twin),
    ):
        await eventually(
            lambda: [len(one.streams) for one in exchange.connections] == [2, 2],
            because="both apps are subscribed before the first trade",
        )
        assert not stopwatch.made_at
        stopwatch.when(burst.trades[at], lambda: act(exchange, app))
        await eventually(lambda: replay.finished, 20)
        last = {symbol: max(trade for trade in burst.trades if trade[0] == symbol) for symbol in SYMBOLS}
        for one in (recipient, twin):
            await one.receives(*last.values())
        assert rotations(twin_app) == 0
    arrived, arrived_at_twin = recipient.arrivals(), twin.arrivals()
    assert arrived.keys() == arrived_at_twin.keys() == set(burst.trades), "every trade of the recording"
    return {trade: arrived[trade] - arrived_at_twin[trade] for trade in burst.trades}


@pytest.mark.serial
@pytest.mark.parametrize(
    "lead",
    [
        pytest.param(10, id="just before", marks=pytest.mark.verify),
        pytest.param(0, id="as it begins", marks=pytest.mark.verify),
        pytest.param(-350, id="half-way", marks=pytest.mark.verify),
    ],
)
async def test_a_rotation_in_the_genuine_burst_delays_no_trade_by_50_ms(burst: Burst, lead: int) -> None:
    apps: list[RunningApp] = []

    def act(_: Simulator, app: RunningApp) -> None:
        apps.append(app)
        rotate(app)

    added = await added_delays(burst, burst.begin - lead, act)
    assert rotations(apps[0]) == 1
    assert apps[0].services.feeds["binance"].statistics().duplicates > 0, (
        "both connections delivered for a while"
    )
    worst = max(added, key=lambda trade: added[trade])
    assert added[worst] < ADDED_SECONDS, f"{worst} came {added[worst] * 1000:.1f} ms later"


@pytest.mark.serial
@pytest.mark.verify
async def test_breaking_before_making_would_be_found(burst: Burst) -> None:
    """The measurement can fail: without a second connection trades come late."""

    def act(exchange: Simulator, app: RunningApp) -> None:
        exchange.faults.close(connection=exchange.connections[0].number)

    added = await added_delays(burst, burst.begin - 10, act)
    assert max(map(abs, added.values())) > 2 * ADDED_SECONDS


# A simulated burst, again and again: the short form of the genuine one, which has its own pace


@pytest.mark.serial
@pytest.mark.parametrize("rounds", [6, pytest.param(12, marks=pytest.mark.verify)])
async def test_a_rotation_in_a_simulated_burst_delays_no_trade_by_50_ms(rounds: int) -> None:
    """Bursts with and without a rotation by turns, so that what the rotation costs is counted too."""
    market = SimulatedMarket(seed=7, symbols=SYMBOLS, trades_per_second=100.0)
    stopwatch = Stopwatch(market)
    slowest: dict[bool, list[float]] = {True: [], False: []}
    async with running_exchange(market) as exchange, receiving(exchange) as (app, recipient):
        await eventually(lambda: len(stopwatch.made_at) > 50)
        for number in range(rounds):
            is_rotating = number % 2 == 0
            before, begin = rotations(app), time.monotonic()
            if is_rotating:
                rotate(app)
                await eventually(lambda: len(exchange.connections) == 2, interval_seconds=0.0)
            exchange.faults.burst(symbol="BTCUSDT", trades=1000)
            last = max(trade for trade in stopwatch.made_at if trade[0] == "BTCUSDT")
            await recipient.receives(last)
            await eventually(lambda b=before + is_rotating: rotations(app) == b)  # type: ignore[misc]
            arrived = recipient.arrivals()
            made = {trade: at for trade, at in stopwatch.made_at.items() if begin <= at and trade <= last}
            slowest[is_rotating].append(
                max(arrived[trade] - at for trade, at in made.items() if trade in arrived)
            )
        assert app.services.feeds["binance"].statistics().duplicates > 0
        assert exchange.stats()["connects"] == 1 + rounds // 2
    added = statistics.median(slowest[True]) - statistics.median(slowest[False])
    assert added < ADDED_SECONDS, f"{added * 1000:.1f} ms: {slowest}"
    assert min(slowest[True]) - min(slowest[False]) < ADDED_SECONDS, slowest


@pytest.mark.serial(quiet=True)
async def test_rotations_at_the_age_limit_go_on_through_bursts_without_a_hole() -> None:
    market = SimulatedMarket(seed=7, symbols=SYMBOLS, trades_per_second=100.0)
    stopwatch = Stopwatch(market)
    tuning = Tuning(client=quick(lifetime_seconds=0.3))
    async with running_exchange(market) as exchange, receiving(exchange, tuning) as (app, recipient):
        await eventually(lambda: len(stopwatch.made_at) > 50)
        for number in range(6):
            await eventually(lambda n=number: rotations(app) > n, 10)  # type: ignore[misc]
            exchange.faults.burst(symbol="BTCUSDT", trades=500)
        for symbol in SYMBOLS:
            last = max(trade for trade in stopwatch.made_at if trade[0] == symbol)
            await recipient.receives(last)
        assert app.services.feeds["binance"].status.state == "live"
        assert app.services.feeds["binance"].statistics().backfilled == 0, "nothing was missing for a moment"
    arrived = recipient.arrivals()
    first = {symbol: min(trade for trade in arrived if trade[0] == symbol) for symbol in SYMBOLS}
    unmade = [trade for trade in arrived if trade not in stopwatch.made_at and trade != first[trade[0]]]
    assert unmade == []
