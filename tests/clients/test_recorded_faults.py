"""A recorder that is killed again and again amid faults: what it has is the truth, and is replayed."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import pytest

from livemarkets.app import Tuning
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import LedgerLimits
from livemarkets.simulator import ExchangeLimits, Replay, SimulatedMarket
from livemarkets_client import Gap, Lagged, Trade, connect
from livemarkets_client.recording import files_of, positions_of, read
from tests.clients.test_recording import PAIR, record, recorder
from tests.soak.app import Plan
from tests.soak.app import running_app as running_campaign_app
from tests.soak.simulated import SimulatedExchange
from tests.soak.truth import Event, Verdict, judge
from tests.support.app import running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.upstream import quick

WAIT_SECONDS = 100
KILLS = (signal.SIGKILL, signal.SIGINT)
Item = Trade | Gap | Lagged


@contextlib.asynccontextmanager
async def faulty_exchange(seed: int) -> AsyncIterator[SimulatedExchange]:
    market = SimulatedMarket(seed=seed, symbols=PAIR, trades_per_second=30.0, history_length=1_000_000)
    limits = ExchangeLimits(connects_per_window=10_000, rest_weight_per_minute=1_000_000)
    async with running_exchange(market, limits=limits) as simulator:
        yield SimulatedExchange(simulator, PAIR)


def items_of(out: Path) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {symbol: [] for symbol in PAIR}
    for item in read(*files_of(out)):
        assert isinstance(item, Trade | Gap | Lagged)
        found[item.symbol].append(item)
    return found


class Campaign:
    """Faults of the exchange, and a recorder that is killed among them."""

    def __init__(self, exchange: SimulatedExchange, url: str, out: Path, random: Random) -> None:
        self._exchange = exchange
        self._url = url
        self._out = out
        self._random = random

    def positions(self) -> dict[str, int]:
        return {each.symbol: each.after for each in positions_of(self._out)}

    async def recorder_is_killed(self, number: signal.Signals, *groups: Sequence[str]) -> None:
        """Let a recorder go on through faults, until more is recorded after each group, and end it."""
        kinds = self._exchange.kinds(self._random)
        async with recorder(self._url, self._out, "--rotate-mb", "0.02") as process:
            await self._grows()
            for faults in groups:
                for fault in faults:
                    kinds[fault]()
                await self._grows()
            process.signal(number)
            await process.ended()

    async def recorder_has_all(self) -> None:
        """Have a last recorder go on until it has all that was traded."""
        self._exchange.clear()
        for symbol in PAIR:
            self._exchange.skip(symbol, 5)
        newest = {symbol: self._exchange.newest(symbol) for symbol in PAIR}
        async with recorder(self._url, self._out) as process:
            await eventually(
                lambda: all(self.positions().get(symbol, 0) > newest[symbol] + 5 for symbol in PAIR),
                WAIT_SECONDS,
                interval_seconds=0.1,
                because="a recording that has all",
            )
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0

    async def _grows(self) -> None:
        before = self.positions()
        # A new numbering begins below the old one.
        await eventually(
            lambda: (
                (now := self.positions()).keys() == set(PAIR) and all(now[s] != before.get(s) for s in PAIR)
            ),
            WAIT_SECONDS,
            interval_seconds=0.1,
            because="more that is recorded",
        )


def check(exchange: SimulatedExchange, out: Path) -> str:
    """Hold the recording against what was traded, and the replay against the recording."""
    total = Verdict()
    items = items_of(out)
    for symbol in PAIR:
        events = [event_of(item) for item in items[symbol]]
        total.add(judge(events, exchange.numberings(symbol), events[-1].last))
    assert set(total.declared) <= {"venue", "lagged"}, total.declared
    wrong = (total.lost, total.repeated, total.disordered, total.altered, total.falsely_declared)
    assert wrong == (0, 0, 0, 0, 0), total.examples
    assert replayed(out) == {
        symbol: [
            (item.id, f"{item.price}", f"{item.size}", item.side, item.ts)
            for item in items[symbol]
            if isinstance(item, Trade)
        ]
        for symbol in PAIR
    }
    return f"{total.received} trades, {total.backfilled} of them fetched; declared: {dict(total.declared)}"


def event_of(item: Item) -> Event:
    if isinstance(item, Trade):
        text = f"{item.price} {item.size}{' backfilled' if item.backfilled else ''}"
        return Event("trade", item.id, item.id, text)
    return Event("gap", item.from_id, item.to_id, item.cause if isinstance(item, Gap) else "lagged")


class Played(msgspec.Struct):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


def replayed(out: Path) -> dict[str, list[tuple[int, str, str, str, int]]]:
    """What the simulator plays of a recording, by symbol."""
    market = Replay(out, speed=1e9)
    market.want({f"{symbol.lower()}@trade" for symbol in PAIR}, 0.0)
    found: dict[str, list[tuple[int, str, str, str, int]]] = {symbol: [] for symbol in PAIR}
    for event in market.advance(1e15):
        trade = msgspec.json.decode(event.raw(), type=Played)
        found[trade.s].append((trade.t, trade.p, trade.q, "sell" if trade.m else "buy", trade.T))
    return found


@pytest.mark.long
async def test_a_recorder_that_is_killed_amid_faults_has_everything_or_says_what_not(tmp_path: Path) -> None:
    out = tmp_path / "trades.jsonl.gz"
    feed = FeedLimits(ledger=LedgerLimits(hold_seconds=0.05, patience_seconds=60.0, proof_seconds=0.1))
    async with (
        faulty_exchange(1) as exchange,
        running_app(settings_for(exchange.simulator), tuning=Tuning(client=quick(), feed=feed)) as app,
    ):
        campaign = Campaign(exchange, f"ws://127.0.0.1:{app.port}", out, Random(1))
        await campaign.recorder_is_killed(signal.SIGKILL, ["drop", "hole"])
        await campaign.recorder_is_killed(signal.SIGINT, ["lose", "burst"])
        await campaign.recorder_has_all()
        check(exchange, out)
    holes = [[b.id - a.id > 1 for a, b in pairwise(trades_of(items))] for items in items_of(out).values()]
    assert all(any(each) for each in holes), "ids that the exchange left out"


def trades_of(items: list[Item]) -> list[Trade]:
    return [item for item in items if isinstance(item, Trade)]


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(3))
async def test_a_recorder_that_is_killed_ten_times_amid_all_faults_has_everything_or_says_what_not(
    seed: int, tmp_path: Path
) -> None:
    out, random = tmp_path / "trades.jsonl.gz", Random(seed)
    async with faulty_exchange(seed) as exchange, running_campaign_app(Plan(), exchange) as (_, port):
        campaign = Campaign(exchange, f"ws://127.0.0.1:{port}", out, random)
        kinds = list(exchange.kinds(random))
        random.shuffle(kinds)
        for number in range(10):
            faults = kinds[number * len(kinds) // 10 : (number + 1) * len(kinds) // 10]
            await campaign.recorder_is_killed(random.choice(KILLS), *([fault] for fault in faults))
        await campaign.recorder_has_all()
        print(check(exchange, out), dict(Counter(exchange.injected)))  # noqa: T201


async def test_the_app_declares_the_gaps_of_a_replayed_recording(tmp_path: Path) -> None:
    out = tmp_path / "trades.jsonl.gz"
    record(out, range(1, 31))
    record(out, range(36, 61))
    feed = FeedLimits(ledger=LedgerLimits(hold_seconds=0.05, patience_seconds=60.0, proof_seconds=0.1))
    async with (
        running_exchange(Replay(out, lead_in_seconds=0.1)) as exchange,
        running_app(settings_for(exchange), tuning=Tuning(client=quick(), feed=feed)) as app,
        connect(app.http_url, proxy=None) as markets,
    ):
        found: list[Trade | Gap | Lagged] = []
        async for item in markets.trades("BTCUSDT", after={"BTCUSDT": 0}):
            found.append(item)
            if isinstance(item, Trade) and item.id == 60:
                break
    (gap,) = [item for item in found if not isinstance(item, Trade)]
    assert isinstance(gap, Gap)
    assert (gap.from_id, gap.to_id, gap.cause) == (31, 35, "venue")
    assert [item.id for item in trades_of(found)] == [*range(1, 31), *range(36, 61)]
