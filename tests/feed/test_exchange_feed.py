"""From a real exchange to the stores, with everything going wrong on the way."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest

from livemarkets import app
from livemarkets.app import Services, Tuning
from livemarkets.exchanges.base import Silence
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import LedgerLimits
from livemarkets.feed.silence import SilenceLimits
from livemarkets.feed.staleness import StalenessLimits
from livemarkets.feed.statistics import FeedStatistics
from livemarkets.http_api.health import report_streams
from livemarkets.market.models import TRADES, ExchangeStatus, Gap, StreamKey
from livemarkets.simulator import Simulator
from livemarkets.simulator.protocol.connection import text_frame
from tests.support.app import quiet_market, settings_for
from tests.support.helpers import eventually
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import SYMBOLS, exchange, quick, quick_market

pytestmark = pytest.mark.long


KEYS = [StreamKey("binance", TRADES, symbol) for symbol in SYMBOLS]
BTC = KEYS[0]
BTC_STREAM = "btcusdt@trade"


def quick_tuning(patience_seconds: float) -> Tuning:
    """Short waits; `patience_seconds` is how long a hole may stay open before it is declared."""
    return Tuning(
        client=quick(),
        feed=FeedLimits(
            ledger=LedgerLimits(hold_seconds=0.05, patience_seconds=patience_seconds, proof_seconds=0.3),
            staleness=StalenessLimits(
                silence=SilenceLimits(
                    slot_seconds=0.05, memory_seconds=2, floor_seconds=0.5, unknown_seconds=2
                )
            ),
        ),
    )


QUICK = quick_tuning(1.5)


class World:
    """An exchange, the running services, and what is known of both."""

    def __init__(self, venue: Simulator, services: Services) -> None:
        self.venue = venue
        self.services = services
        self.feed = services.feeds["binance"]
        self.statuses: list[ExchangeStatus] = []
        self.feed.add_status_listener(self.statuses.append)

    @property
    def statistics(self) -> FeedStatistics:
        return self.feed.statistics()

    def ids(self, key: StreamKey = BTC) -> list[int]:
        return [tick.id for tick in self.services.trades.recent(key, 10**6)]

    def made(self, key: StreamKey) -> int:
        """The newest trade of the exchange; what it was told to do to trades is done to those that follow."""
        return self.venue.source.history(key.symbol, self.venue.now_ms()).recent(1)[0].id

    def gaps(self, key: StreamKey = BTC) -> list[Gap]:
        return self.services.trades.gaps(key)

    def subscribe(self, *keys: StreamKey) -> None:
        for key in keys:
            self.services.manager.subscribe("test", key)

    async def more_trades(self, *keys: StreamKey, count: int = 20) -> None:
        """Wait until trades went downstream on every stream (of all that are named, or of BTCUSDT)."""
        newest = {key: max([self.made(key), *self.ids(key)]) for key in keys or (BTC,)}
        await eventually(
            lambda: all(max(self.ids(key), default=0) >= last + count for key, last in newest.items()),
            10,
            because="trades downstream",
        )

    def check(self, *keys: StreamKey) -> None:
        """What went downstream is all that was traded, in order, once, with every hole declared."""
        for key in keys or KEYS:
            ids, gaps = self.ids(key), {gap.from_id: gap for gap in self.gaps(key)}
            assert ids
            for before, after in pairwise(ids):
                if after != before + 1:
                    assert gaps.pop(before + 1).to_id == after - 1
            assert {gap for gap in gaps.values() if ids[0] < gap.from_id < ids[-1]} == set(), (
                "declared, but it came"
            )
            history = self.venue.source.history(key.symbol, self.venue.now_ms()).since(ids[0], 10**6)
            genuine = {trade.id: trade for trade in history if trade.id <= ids[-1]}
            lost = [gap for gap in self.gaps(key) if gap.cause != "venue"]
            undelivered = genuine.keys() - set(ids)
            assert undelivered == {n for gap in lost for n in range(gap.from_id, gap.to_id + 1)}
            for tick in self.services.trades.recent(key, 10**6):
                trade = genuine[tick.id]
                assert (int(tick.price * 10**8), int(tick.size * 10**8)) == (trade.price, trade.size)
                assert (tick.ts, tick.side == "sell") == (trade.time_ms, trade.buyer_is_maker)


@contextlib.asynccontextmanager
async def running(
    tuning: Tuning = QUICK, *, gap_patience_seconds: float = 15.0, **options: Any
) -> AsyncIterator[World]:
    async with exchange(**{"source": quick_market(300.0), **options}) as venue:
        settings = settings_for(
            venue,
            feed_length=100_000,
            simulator_enabled=False,
            gap_patience_seconds=gap_patience_seconds,
        )
        services = app.build(settings, tuning=tuning)
        world = World(venue, services)
        await services.start()
        try:
            yield world
        finally:
            await services.stop()
        await eventually(lambda: venue.stats()["open"] == 0)


@contextlib.asynccontextmanager
async def trading() -> AsyncIterator[World]:
    async with running() as world:
        world.subscribe(*KEYS)
        await world.more_trades(*KEYS)
        yield world


@pytest.fixture
def world() -> contextlib.AbstractAsyncContextManager[World]:
    return trading()


@time_is_simulated
async def test_everything_arrives_and_nothing_is_left(world: World) -> None:
    await world.more_trades(*KEYS, count=100)
    world.check()
    assert world.gaps() == []
    assert world.services.latest.get(BTC) == world.services.trades.recent(BTC, 1)[0]
    assert world.statistics.received >= 300
    assert world.feed.status.state == "live"
    world.services.manager.release("test")
    await eventually(lambda: world.venue.stats()["open"] == 0)
    assert world.ids() == []
    assert world.services.latest.get(BTC) is None
    assert world.feed.keys() == []
    assert world.feed.status.state == "idle"


Fault = Callable[[Simulator], None]


def lose_some(venue: Simulator) -> None:
    venue.faults.lose(stream=BTC_STREAM, count=10)


def drop(venue: Simulator) -> None:
    venue.faults.drop()


HEALED: dict[str, tuple[Fault, ...]] = {
    "lost": (lose_some,),
    "lost twice": (lose_some, lose_some),
    "lost of any": (lambda venue: venue.faults.lose(count=15),),
    "repeated": (lambda venue: venue.faults.repeat(stream=BTC_STREAM, count=30),),
    "swapped": (lambda venue: venue.faults.swap(stream=BTC_STREAM, count=20),),
    "dropped": (drop,),
    "closed": (lambda venue: venue.faults.close(),),
    "shutdown": (lambda venue: venue.faults.shutdown(notice_seconds=0.15),),
    "shutdown too soon": (lambda venue: venue.faults.shutdown(notice_seconds=0.001),),
    "garbage": (lambda venue: venue.faults.garbage(count=5),),
    "burst": (lambda venue: venue.faults.burst(symbol="BTCUSDT", trades=5000),),
    "burst and drop": (lambda venue: venue.faults.burst(symbol="BTCUSDT", trades=3000), drop),
    "silence for a moment": (lambda venue: venue.faults.silence(seconds=0.2),),
    "refused meanwhile": (lambda venue: venue.faults.refuse(count=2), drop),
    "rest down for a moment": (lambda venue: venue.faults.rest_down(count=1), lose_some),
    "rest limited for a moment": (lambda venue: venue.faults.rest_limit(retry_after_seconds=1), lose_some),
}


@pytest.mark.parametrize("fault", HEALED)
@time_is_simulated
async def test_what_can_be_healed_is_healed(fault: str) -> None:
    async with running(quick_tuning(patience_seconds=30.0)) as world:
        world.subscribe(*KEYS)
        await world.more_trades(*KEYS)
        for happen in HEALED[fault]:
            happen(world.venue)
        await world.more_trades(*KEYS, count=100)
        world.check()
        assert [gap for key in KEYS for gap in world.gaps(key)] == []
        assert world.statistics.lost == 0


@time_is_simulated
async def test_what_was_lost_bears_the_mark_of_the_backfill(world: World) -> None:
    world.venue.faults.lose(stream=BTC_STREAM, count=30)
    await world.more_trades(count=100)
    backfilled = [tick.id for tick in world.services.trades.recent(BTC, 10**6) if tick.backfilled]
    assert len(backfilled) >= 30
    assert world.statistics.backfilled >= 30
    await eventually(lambda: world.statistics.holes_open == 0)


@time_is_simulated
async def test_repeats_are_counted_not_delivered(world: World) -> None:
    world.venue.faults.repeat(stream=BTC_STREAM, count=30)
    await world.more_trades(count=100)
    world.check()
    assert world.statistics.duplicates == 30


@time_is_simulated
async def test_ids_that_the_exchange_left_out_are_its_own_hole(world: World) -> None:
    world.venue.faults.hole(symbol="BTCUSDT", count=7)
    await world.more_trades(count=50)
    world.check()
    (gap,) = world.gaps()
    assert (gap.to_id - gap.from_id + 1, gap.cause) == (7, "venue")
    assert (world.statistics.gaps, world.statistics.lost) == (1, 0)


@time_is_simulated
async def test_a_trade_with_impossible_values_is_declared_as_invalid() -> None:
    """Its id was declared as one that the exchange does not have (REVIEW B17; FIELD-2, experiment 11)."""
    async with running(source=quiet_market(*SYMBOLS)) as world:
        world.subscribe(BTC)
        await eventually(
            lambda: world.venue.stats()["open"] == 1 and not report_streams({"binance": world.feed}).reasons
        )
        world.venue.faults.burst(symbol="BTCUSDT", trades=3)
        await eventually(lambda: len(world.ids()) == 3)
        bad = world.ids()[-1] + 1
        world.venue.faults.hole(symbol="BTCUSDT", count=1)
        world.venue.connections[0].outbox.append(
            text_frame(
                b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%d,'
                b'"p":"0.00000000","q":"1.0","T":1723161255342,"m":true}}' % bad
            )
        )
        world.venue.faults.burst(symbol="BTCUSDT", trades=2)
        await eventually(lambda: len(world.ids()) == 5)
        assert [(gap.from_id, gap.to_id, gap.cause) for gap in world.gaps()] == [(bad, bad, "invalid")]
        assert world.ids()[-2:] == [bad + 1, bad + 2]
        assert world.statistics.client.complaints == {"implausible trade": 1}


@time_is_simulated
async def test_the_patience_is_a_setting() -> None:
    async with running(Tuning(client=quick()), gap_patience_seconds=1.0) as world:
        world.subscribe(BTC)
        await world.more_trades()
        world.venue.faults.rest_down(seconds=60)
        world.venue.faults.lose(stream=BTC_STREAM, count=30)
        began = time.monotonic()
        await eventually(world.gaps, 8)
        assert time.monotonic() - began > 0.9
        world.check(BTC)


@time_is_simulated
async def test_whatever_bears_a_newer_id_is_evidence(world: World) -> None:
    """A ticker of the next channel will say so; here the last trades of a stream are lost."""
    quiet = StreamKey("binance", TRADES, "SOLUSDT")
    world.venue.faults.lose(stream="solusdt@trade", count=1_000_000)
    await eventually(lambda: world.made(quiet) > world.ids(quiet)[-1] + 3)
    newest = world.made(quiet)
    world.feed.on_newest(quiet, newest)
    await eventually(lambda: world.ids(quiet)[-1] >= newest)
    assert world.gaps(quiet) == []


@time_is_simulated
async def test_what_cannot_be_had_is_declared_and_the_stream_goes_on(world: World) -> None:
    world.venue.faults.rest_down(seconds=60)
    world.venue.faults.lose(stream=BTC_STREAM, count=30)
    await world.more_trades(*KEYS, count=50)
    world.check()
    (gap,) = world.gaps()
    assert (gap.to_id - gap.from_id + 1, gap.cause) == (30, "upstream")
    assert world.statistics.lost == 30
    assert world.gaps(KEYS[1]) == world.gaps(KEYS[2]) == []


@time_is_simulated
async def test_a_price_need_not_wait_for_a_hole_to_close(world: World) -> None:
    world.venue.faults.rest_down(seconds=60)
    world.venue.faults.lose(stream=BTC_STREAM, count=30)

    def is_ahead() -> bool:
        latest = world.services.latest.get(BTC)
        return latest is not None and latest.id > world.ids()[-1] + 30

    await eventually(is_ahead)


@time_is_simulated
async def test_a_symbol_that_is_listed_anew_goes_on(world: World) -> None:
    world.venue.faults.relist(symbol="BTCUSDT", first_id=1)
    await eventually(lambda: len(world.ids()) > 30 and world.ids()[0] == 1)
    ids = world.ids()
    assert ids == list(range(1, ids[-1] + 1))
    gap = world.gaps()[-1]
    assert (gap.to_id, gap.cause) == (0, "venue")
    latest = world.services.latest.get(BTC)
    assert latest is not None
    assert latest.id < 10_000
    await world.more_trades(*KEYS[1:])
    world.check(*KEYS[1:])


@time_is_simulated
async def test_a_mute_stream_is_noticed_subscribed_again_and_healed(world: World) -> None:
    await world.more_trades(*KEYS, count=100)
    world.venue.faults.mute(stream=BTC_STREAM)
    await eventually(lambda: any(status.state == "stale" for status in world.statuses))
    stale = next(status for status in world.statuses if status.state == "stale")
    assert "BTCUSDT" in (stale.reason or "")
    await eventually(lambda: world.feed.status.state == "live")
    await world.more_trades(*KEYS, count=50)
    world.check()
    assert world.gaps() == []
    assert world.venue.stats()["connects"] == 1


@time_is_simulated
async def test_the_status_is_live_again_when_the_mute_symbol_is_halted(world: World) -> None:
    world.venue.faults.mute(stream=BTC_STREAM, stubborn=True)
    await eventually(lambda: world.feed.status.state == "stale")
    world.venue.faults.set_status(symbol="BTCUSDT", state="BREAK")
    await eventually(world.feed.symbols.refresh_soon)
    await eventually(
        lambda: world.feed.silence_of(BTC) is Silence.NOT_TRADED, because="no rotation waits for it"
    )
    await eventually(lambda: world.feed.status.state == "live")


@time_is_simulated
async def test_quiet_streams_are_no_cause_for_alarm() -> None:
    silence = SilenceLimits(slot_seconds=0.05, floor_seconds=0.1, unknown_seconds=0.3)
    staleness = StalenessLimits(silence=silence)
    tuning = Tuning(client=quick(), feed=FeedLimits(staleness=staleness))
    async with running(tuning, source=quick_market(0.001)) as world:
        world.subscribe(*KEYS)
        await eventually(lambda: world.statistics.history.calls >= 3)  # one was for the list of symbols
        assert {status.state for status in world.statuses} <= {"connecting", "live"}
        assert world.venue.stats()["connects"] == 1


@time_is_simulated
async def test_who_leaves_and_comes_back_begins_anew(world: World) -> None:
    world.services.manager.release("test")
    await eventually(lambda: world.feed.keys() == [])
    world.subscribe(BTC)
    await world.more_trades(count=50)
    world.check(BTC)
    assert world.gaps() == []


@time_is_simulated
async def test_states_reach_who_listens_once_each(world: World) -> None:
    world.venue.faults.refuse(count=3, status=451)
    world.venue.faults.drop()
    await world.more_trades()
    states = [(status.state.value, status.reason) for status in world.statuses]
    assert [state for state, _ in states][:2] == ["connecting", "live"]
    assert ("down", "HTTP 451 (not available in this country)") in states
    assert states[-1] == ("live", None)
    assert all(before != after for before, after in pairwise(states))
    down = next(status for status in world.statuses if status.state == "down")
    assert down.retry_ts is not None
    assert abs(down.retry_ts - down.ts) < 5000
    assert [status.ts for status in world.statuses] == sorted(status.ts for status in world.statuses)


@time_is_simulated
async def test_the_list_of_symbols_is_loaded_when_somebody_needs_it() -> None:
    async with running() as world:
        assert not world.feed.directory.is_loaded
        await world.feed.ensure_symbols(5)
        assert world.feed.directory.accepts("BTCUSDT")
        assert not world.feed.directory.accepts("NOSUCH")
        assert world.venue.stats()["connects"] == 0


@time_is_simulated
async def test_nobody_waits_for_a_list_that_cannot_be_had() -> None:
    async with running() as world:
        world.venue.faults.rest_down(seconds=60, status=503)
        async with asyncio.timeout(5):
            await world.feed.ensure_symbols(10)
        assert not world.feed.directory.is_loaded
        assert world.feed.directory.accepts("BTCUSDT")
        world.subscribe(BTC)
        await world.more_trades()


@time_is_simulated
async def test_a_defect_does_not_end_the_feed(world: World) -> None:
    """Whatever breaks inside is logged, and everything of this exchange begins again."""
    failures = 1

    def break_once(status: ExchangeStatus) -> None:
        nonlocal failures
        if failures and status.state == "connecting":
            failures -= 1
            raise RuntimeError("a defect, on purpose")

    world.feed.add_status_listener(break_once)
    world.venue.faults.drop()
    await world.more_trades(*KEYS, count=50)
    assert failures == 0
    world.check()


@time_is_simulated
async def test_rest_that_cannot_even_be_called_costs_the_stream_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A SOCKS proxy in the environment, and no library for it: the stream goes on beside it."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    async with exchange(quick_market(300.0)) as venue:
        settings = settings_for(venue, simulator_enabled=False, binance_rest_url=("https://rest.invalid",))
        services = app.build(settings, tuning=QUICK)
        world = World(venue, services)
        await services.start()
        try:
            await world.feed.ensure_symbols(5)
            world.subscribe(BTC)
            await world.more_trades()
            venue.faults.lose(stream=BTC_STREAM, count=10)
            await world.more_trades(count=50)
            assert [gap.cause for gap in world.gaps()] == ["upstream"]
            assert venue.stats()["connects"] == 1
        finally:
            await services.stop()


@time_is_simulated
async def test_without_a_ledger_the_loss_shows() -> None:
    """The switch that proves that these tests can fail."""
    tuning = Tuning(client=quick(), feed=FeedLimits(has_ledger=False))
    async with running(tuning) as world:
        world.subscribe(*KEYS)
        await world.more_trades(*KEYS)
        world.venue.faults.lose(stream=BTC_STREAM, count=10)
        await world.more_trades(*KEYS, count=50)
        with pytest.raises((AssertionError, KeyError)):
            world.check(BTC)


@time_is_simulated
async def test_many_faults_at_once() -> None:
    """With patience enough for a busy machine: every hole can be filled, and has to be."""
    async with running(quick_tuning(patience_seconds=30.0)) as world:
        world.subscribe(*KEYS)
        await world.more_trades(*KEYS)
        faults = world.venue.faults
        for _ in range(3):
            faults.lose(count=20)
            faults.swap(stream=BTC_STREAM, count=10)
            faults.repeat(stream="ethusdt@trade", count=20)
            faults.garbage()
            faults.hole(symbol="SOLUSDT", count=3)
            faults.rest_down(count=2)
            faults.drop()
            await world.more_trades(*KEYS, count=60)
        world.check()
        assert {gap.cause for key in KEYS for gap in world.gaps(key)} == {"venue"}
        assert world.venue.stats()["violations"] == {}
