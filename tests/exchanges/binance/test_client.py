"""The client as a whole: states, endpoints, limits, many streams."""

import asyncio
import time
from random import Random

import pytest

from livemarkets.exchanges.binance.client import ClientTimings
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.simulator import ExchangeLimits, SimulatedMarket
from livemarkets.simulator.market.symbols import DEFAULT_RULES
from tests.support.helpers import eventually, free_port
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import (
    ROOMY,
    SYMBOLS,
    assert_consecutive,
    client,
    exchange,
    key,
    quick,
    quick_market,
)

MANY = [rule.symbol for rule in DEFAULT_RULES]


@time_is_simulated
async def test_nothing_wanted_means_no_connection() -> None:
    async with exchange() as venue, client(venue) as recorder:
        await asyncio.sleep(0.1)
        assert venue.stats()["attempts"] == 0
        assert recorder.client.status.state == "idle"
        assert recorder.statuses == []


@time_is_simulated
async def test_wanted_streams_go_live_and_idle_again() -> None:
    async with exchange() as venue, client(venue) as recorder:
        recorder.client.want(key("BTCUSDT"))
        recorder.client.want(key("BTCUSDT"))
        await recorder.more_trades()
        await recorder.live()
        assert recorder.is_acknowledged("BTCUSDT")
        assert not recorder.is_acknowledged("ETHUSDT")
        recorder.client.want(key("ETHUSDT"))
        await recorder.more_trades(["ETHUSDT"])
        recorder.client.unwant(key("BTCUSDT"))
        await eventually(lambda: venue.subscriptions() == {"ethusdt@trade"})
        recorder.client.unwant(key("ETHUSDT"))
        recorder.client.unwant(key("ETHUSDT"))
        await eventually(lambda: venue.stats()["open"] == 0)
        assert recorder.client.connections == []
        assert recorder.states == ["connecting", "live", "idle"]
        assert venue.stats()["connects"] == 1
        recorder.client.want(key("SOLUSDT"))
        await recorder.more_trades(["SOLUSDT"])
        assert recorder.states == ["connecting", "live", "idle", "connecting", "live"]


@time_is_simulated
async def test_a_dropped_connection_is_made_anew() -> None:
    async with exchange() as venue, client(venue, want=SYMBOLS) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.drop()
        await eventually(lambda: len(recorder.states) >= 4)
        assert "connection lost" in recorder.reasons
        await recorder.more_trades(SYMBOLS)
        assert recorder.states == ["connecting", "live", "connecting", "live"]
        assert recorder.client.status.reason is None
        assert recorder.client.status.retry_at is None
        assert venue.subscriptions() == {"btcusdt@trade", "ethusdt@trade", "solusdt@trade"}


@time_is_simulated
async def test_states_in_their_order_when_the_exchange_goes_and_comes() -> None:
    async with exchange() as venue, client(venue, want=["BTCUSDT"]) as recorder:
        await recorder.more_trades()
        venue.faults.refuse(count=3, status=451)
        venue.faults.drop()
        await eventually(lambda: "down" in recorder.states)
        assert "HTTP 451 (not available in this country)" in recorder.reasons
        await recorder.more_trades()
        await recorder.live()
        assert recorder.states == ["connecting", "live", "connecting", "down", "live"]
        down = next(status for status in recorder.statuses if status.state == "down" and status.retry_at)
        assert down.retry_at is not None


@pytest.mark.long
@time_is_simulated
async def test_a_half_open_connection_is_noticed_and_replaced() -> None:
    async with exchange() as venue, client(venue, want=["BTCUSDT"]) as recorder:
        await recorder.more_trades()
        venue.faults.half_open()
        await recorder.more_trades()
        assert any("ping" in reason for reason in recorder.reasons)


@time_is_simulated
async def test_a_silent_connection_can_be_replaced() -> None:
    async with exchange() as venue, client(venue, want=SYMBOLS) as recorder:
        await recorder.more_trades()
        venue.faults.silence()
        recorder.rotate("BTCUSDT")
        await recorder.more_trades()
        await eventually(lambda: [one.number for one in venue.connections] == [2])


@time_is_simulated
async def test_garbage_harms_nothing() -> None:
    async with exchange() as venue, client(venue, want=SYMBOLS) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.garbage(count=50)
        await recorder.more_trades(SYMBOLS, 20)
        for symbol in SYMBOLS:
            assert_consecutive(recorder.ids(symbol))
        assert recorder.client.statistics().complaints["not JSON"] >= 50
        assert len(recorder.client.statistics().complaints) < 20
        assert venue.stats()["connects"] == 1


@pytest.mark.parametrize("status", [403, 418, 429, 451, 503])
@time_is_simulated
async def test_the_next_address_is_tried_when_one_refuses(status: int) -> None:
    async with exchange() as first, exchange() as second:
        first.faults.refuse(count=1000, status=status)
        async with client(first, second, want=["BTCUSDT"]) as recorder:
            await recorder.more_trades()
            assert first.stats()["refused"] == 1
            assert second.stats()["connects"] == 1
            assert recorder.states[-1] == "live"


@time_is_simulated
async def test_addresses_are_tried_round_and_round() -> None:
    async with exchange() as venue:
        venue.faults.refuse(count=2)
        nowhere = f"ws://127.0.0.1:{free_port()}"
        async with client(nowhere, venue, want=["BTCUSDT"]) as recorder:
            await recorder.more_trades()
            assert recorder.client.statistics().connects == 6
            assert "connection refused" in recorder.reasons


@time_is_simulated
async def test_a_good_address_is_kept_after_a_loss() -> None:
    async with exchange() as first, exchange() as second:
        async with client(first, second, want=["BTCUSDT"]) as recorder:
            await recorder.more_trades()
            first.faults.drop()
            await recorder.more_trades()
        assert (first.stats()["connects"], second.stats()["attempts"]) == (2, 0)


@time_is_simulated
async def test_retry_after_is_heeded() -> None:
    async with exchange() as venue:
        venue.faults.refuse(status=429, retry_after_seconds=1)
        async with client(venue, want=["BTCUSDT"]) as recorder:
            await eventually(lambda: venue.stats()["refused"] == 1)
            refused_at = time.monotonic()
            await recorder.more_trades(count=1)
            assert time.monotonic() - refused_at > 0.9
            assert venue.stats()["attempts"] == 2


@pytest.mark.long
@time_is_simulated
async def test_an_exchange_that_accepts_and_closes_is_not_dialled_without_pause() -> None:
    """A handshake proves nothing: only data starts the delays anew."""
    async with exchange() as venue:
        venue.faults.accept_close(count=100_000)
        timings = quick(backoff_initial_seconds=0.2, backoff_cap_seconds=30.0)
        async with client(venue, want=["BTCUSDT"], timings=timings) as recorder:
            await eventually(lambda: venue.stats()["connects"] >= 3)
            since, connects = time.monotonic(), venue.stats()["connects"]
            await eventually(lambda: time.monotonic() - since > 1.5)
            assert venue.stats()["connects"] - connects <= 6
            assert recorder.client.status.state == "down"
            assert "live" not in recorder.states


@time_is_simulated
async def test_never_more_connects_than_the_budget() -> None:
    async with exchange() as venue:
        venue.faults.refuse(count=100_000)
        budget = ConnectBudget(limit=5, window_seconds=300)
        timings = quick(backoff_initial_seconds=0.001, backoff_cap_seconds=0.001)
        async with client(venue, want=["BTCUSDT"], timings=timings, budget=budget) as recorder:
            await eventually(lambda: venue.stats()["attempts"] == 5)
            await asyncio.sleep(0.3)
            assert venue.stats()["attempts"] == 5
            assert recorder.client.status.state == "down"
            retry_at = recorder.client.status.retry_at
            assert retry_at is not None
            assert retry_at - time.monotonic() > 200


@time_is_simulated
async def test_no_stream_can_be_had_by_a_bad_name_but_the_others() -> None:
    async with exchange() as venue, client(venue, want=["BTCUSDT", "A B"]) as recorder:
        await recorder.more_trades()
        await eventually(lambda: recorder.client.rejection(key("A B")))
        assert recorder.client.rejection(key("BTCUSDT")) is None
        assert venue.subscriptions() == {"btcusdt@trade"}
        await recorder.live()


@time_is_simulated
async def test_many_streams_are_spread_over_connections() -> None:
    limits = ExchangeLimits(messages_per_second=1000, streams_per_connection=4)
    timings = ClientTimings(shard=quick().shard, streams_per_connection=4)
    market = SimulatedMarket(seed=1, trades_per_second=20)
    wanted = MANY[:10]
    async with (
        exchange(market, limits=limits) as venue,
        client(venue, want=wanted, timings=timings) as recorder,
    ):
        await recorder.more_trades(wanted, 1)
        await recorder.live()
        assert sorted(len(one.streams) for one in venue.connections) == [2, 4, 4]
        names = {connection.name for connection in recorder.client.connections}
        assert len(names) == 3
        for symbol in wanted:
            recorder.client.unwant(key(symbol))
        await eventually(lambda: venue.stats()["open"] == 0)
        assert recorder.client.status.state == "idle"
        assert venue.stats()["violations"] == {}


@time_is_simulated
async def test_one_lost_connection_of_several_does_not_touch_the_others() -> None:
    timings = ClientTimings(shard=quick().shard, streams_per_connection=1)
    async with exchange() as venue, client(venue, want=SYMBOLS, timings=timings) as recorder:
        await recorder.more_trades(SYMBOLS)
        number = next(one.number for one in venue.connections if "ethusdt@trade" in one.streams)
        venue.faults.drop(connection=number)
        await recorder.more_trades(SYMBOLS, 30)
        for symbol in ("BTCUSDT", "SOLUSDT"):
            assert_consecutive(recorder.ids(symbol))
        assert venue.stats()["connects"] == 4


@pytest.mark.long
@time_is_simulated
async def test_random_wishes_end_in_the_right_streams() -> None:
    random = Random(5)
    timings = ClientTimings(shard=quick().shard, streams_per_connection=5)
    wanted: set[str] = set()
    limits = ExchangeLimits(messages_per_second=1000, streams_per_connection=5)
    market = SimulatedMarket(seed=1, trades_per_second=5)
    async with exchange(market, limits=limits) as venue, client(venue, timings=timings) as recorder:
        for turn in range(600):
            symbol = random.choice(MANY[:12])
            wanted ^= {symbol}
            (recorder.client.want if symbol in wanted else recorder.client.unwant)(key(symbol))
            if turn % 60 == 59:
                venue.faults.drop()
            await asyncio.sleep(0.002)
        expected = {f"{symbol.lower()}@trade" for symbol in wanted}
        await eventually(lambda: venue.subscriptions() == expected)
        await eventually(lambda: all(recorder.is_acknowledged(symbol) for symbol in wanted))
        assert "streams" not in venue.stats()["violations"]


@time_is_simulated
async def test_the_client_can_be_run_again() -> None:
    async with exchange() as venue, client(venue, want=["BTCUSDT"]) as recorder:
        await recorder.more_trades()
    async with exchange(quick_market(), port=venue.port, limits=ROOMY):
        task = asyncio.create_task(recorder.client.run())
        try:
            await recorder.more_trades()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
