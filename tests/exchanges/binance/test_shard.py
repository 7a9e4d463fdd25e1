"""Rotation, make before break, and what a shard does when its connection is lost."""

import asyncio
import time

import pytest

from livemarkets.market.clock import system_clock
from livemarkets.simulator import SimulatedMarket
from tests.support.helpers import eventually
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import SYMBOLS, assert_consecutive, client, exchange, key, quick, quick_market

FIRST = 1
"""The number of the first connection that an exchange accepted."""


@time_is_simulated
async def test_an_announced_shutdown_is_rotated_away_from_without_a_hole() -> None:
    async with exchange() as venue, client(venue, want=SYMBOLS) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.shutdown(notice_seconds=30)
        await eventually(lambda: recorder.rotations == 1)
        await eventually(lambda: [one.number for one in venue.connections] == [2])
        await recorder.more_trades(SYMBOLS, 20)
        for symbol in SYMBOLS:
            assert_consecutive(recorder.ids(symbol))
        assert recorder.states == ["connecting", "live"]
        assert recorder.reasons == []


@pytest.mark.long
@time_is_simulated
async def test_a_connection_is_replaced_before_it_is_too_old() -> None:
    timings = quick(lifetime_seconds=0.4)
    async with exchange() as venue, client(venue, want=SYMBOLS, timings=timings) as recorder:
        await eventually(lambda: recorder.rotations >= 3)
        await recorder.more_trades(SYMBOLS, 20)
        for symbol in SYMBOLS:
            assert_consecutive(recorder.ids(symbol))
        assert recorder.states == ["connecting", "live"]


@time_is_simulated
async def test_the_old_connection_delivers_until_every_stream_was_seen_on_the_new_one() -> None:
    timings = quick(takeover_seconds=60)
    async with exchange() as venue, client(venue, want=SYMBOLS, timings=timings) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.lose(stream="solusdt@trade", count=100_000, connection=2)
        recorder.rotate("BTCUSDT")
        await eventually(lambda: len(venue.connections) == 2)
        await recorder.more_trades(SYMBOLS, 30)
        assert recorder.rotations == 0
        venue.faults.clear()
        await eventually(lambda: recorder.rotations == 1)
        await eventually(lambda: len(venue.connections) == 1)
        for symbol in SYMBOLS:
            assert_consecutive(recorder.ids(symbol))


@time_is_simulated
async def test_a_rotation_does_not_wait_for_quiet_streams_for_ever() -> None:
    timings = quick(takeover_seconds=0.2)
    async with (
        exchange(quick_market(0.001)) as venue,
        client(venue, want=SYMBOLS, timings=timings) as recorder,
    ):
        await recorder.live()
        recorder.rotate("BTCUSDT")
        await eventually(lambda: recorder.rotations == 1)
        await eventually(lambda: [one.number for one in venue.connections] == [2])
        assert recorder.ticks == []


@pytest.mark.long
@time_is_simulated
async def test_a_rotation_that_cannot_connect_keeps_the_old_one_and_its_patience() -> None:
    """The old connection's trades say nothing about the exchange's will to accept a new one."""
    timings = quick(backoff_initial_seconds=0.2, backoff_cap_seconds=30.0)
    async with exchange() as venue, client(venue, want=SYMBOLS, timings=timings) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.refuse(count=1000)
        recorder.rotate("BTCUSDT")
        await eventually(lambda: venue.stats()["refused"] >= 2)
        since, refused = time.monotonic(), venue.stats()["refused"]
        await eventually(lambda: time.monotonic() - since > 1.5)
        assert venue.stats()["refused"] - refused <= 6
        assert recorder.client.status.state == "live"
        await recorder.more_trades(SYMBOLS)


@time_is_simulated
async def test_a_rotation_succeeds_when_the_exchange_accepts_again() -> None:
    async with exchange() as venue, client(venue, want=SYMBOLS) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.refuse(count=3)
        recorder.rotate("BTCUSDT")
        await eventually(lambda: recorder.rotations == 1)
        await recorder.more_trades(SYMBOLS, 20)
        for symbol in SYMBOLS:
            assert_consecutive(recorder.ids(symbol))
        assert recorder.states == ["connecting", "live"]


@time_is_simulated
async def test_a_connection_lost_in_the_middle_of_a_rotation_is_replaced_by_the_other() -> None:
    timings = quick(takeover_seconds=60)
    async with exchange() as venue, client(venue, want=SYMBOLS, timings=timings) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.lose(stream="solusdt@trade", count=100_000, connection=2)
        recorder.rotate("BTCUSDT")
        await eventually(lambda: len(venue.connections) == 2 and len(venue.connections[1].streams) == 3)
        await recorder.more_trades(["BTCUSDT"], 20)
        venue.faults.drop(connection=FIRST)
        await eventually(lambda: recorder.rotations == 1)
        venue.faults.clear()
        await recorder.more_trades(SYMBOLS)
        assert_consecutive(recorder.ids("BTCUSDT"))
        assert venue.stats()["connects"] == 2


@pytest.mark.long
@time_is_simulated
async def test_a_lost_connection_is_made_anew_and_not_rotated_on_top() -> None:
    """The announced end came before the rotation could be done."""
    async with exchange() as venue, client(venue, want=SYMBOLS) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.refuse(seconds=0.3)
        venue.faults.shutdown(notice_seconds=0.05)
        await eventually(lambda: venue.stats()["open"] == 0)
        await recorder.more_trades(SYMBOLS, 100)
        assert venue.stats()["connects"] == 2
        assert recorder.rotations == 0


@time_is_simulated
async def test_a_rotation_that_was_asked_for_twice_is_done_once() -> None:
    async with exchange() as venue, client(venue, want=SYMBOLS) as recorder:
        await recorder.more_trades(SYMBOLS)
        for symbol in SYMBOLS:
            recorder.rotate(symbol)
        await eventually(lambda: recorder.rotations == 1)
        await recorder.more_trades(SYMBOLS, 50)
        assert recorder.rotations == 1
        assert venue.stats()["connects"] == 2


@time_is_simulated
async def test_wishes_during_a_rotation_reach_both_connections() -> None:
    timings = quick(takeover_seconds=60)
    async with exchange() as venue, client(venue, want=SYMBOLS[:2], timings=timings) as recorder:
        await recorder.more_trades(SYMBOLS[:2])
        venue.faults.lose(stream="ethusdt@trade", count=100_000, connection=2)
        recorder.rotate("BTCUSDT")
        await eventually(lambda: len(venue.connections) == 2)
        recorder.client.want(key("SOLUSDT"))
        recorder.client.unwant(key("BTCUSDT"))
        streams = {"ethusdt@trade", "solusdt@trade"}
        await eventually(lambda: [set(one.streams) for one in venue.connections] == [streams, streams])
        recorder.client.unwant(key("ETHUSDT"))  # the last one that the new connection had not shown
        await eventually(lambda: len(venue.connections) == 1)
        await recorder.more_trades(["SOLUSDT"])


class CountingClock:
    """Counts how often the time is asked for: a loop that spins gives itself away."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> float:
        self.calls += 1
        return time.monotonic()


@pytest.mark.parametrize("how", ["promoted", "cannot rotate"])
@time_is_simulated
async def test_nothing_spins_while_nothing_happens(how: str) -> None:
    counting = CountingClock()
    clock = system_clock()._replace(monotonic=counting)
    market = SimulatedMarket(seed=1, symbols=SYMBOLS, trades_per_second=0.001)
    lifetime = 0.3 if how == "cannot rotate" else 3600
    timings = quick(
        takeover_seconds=60,
        lifetime_seconds=lifetime,
        backoff_initial_seconds=0.05 if how == "promoted" else 600,
        backoff_cap_seconds=600,
    )
    async with (
        exchange(market) as venue,
        client(venue, want=SYMBOLS, timings=timings, clock=clock) as recorder,
    ):
        await recorder.live()
        if how == "promoted":
            recorder.rotate("BTCUSDT")
            await eventually(lambda: len(venue.connections) == 2 and len(venue.connections[1].streams) == 3)
            venue.faults.drop(connection=FIRST)
            await eventually(lambda: recorder.rotations == 1)
        else:
            venue.faults.refuse(count=1000)
            await eventually(lambda: venue.stats()["refused"] == 1)
        before = counting.calls
        await asyncio.sleep(0.6)  # the span in which it is counted
        assert counting.calls - before < 40
