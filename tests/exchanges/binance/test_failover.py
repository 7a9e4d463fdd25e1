"""Bans, sick addresses, and what the log says about an exchange that is away: the client as a whole."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from loguru import logger

from livemarkets.exchanges.binance.client import ClientTimings
from livemarkets.exchanges.binance.session import SessionTimings
from livemarkets.simulator import ExchangeLimits, Simulator
from tests.support.helpers import eventually, free_port
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import QUICK, SYMBOLS, Recorder, client, exchange, key, quick, quick_market

HASTY = quick(
    connection=msgspec.structs.replace(
        QUICK, session=SessionTimings(spacing_seconds=0.02, ack_timeout_seconds=0.15)
    )
)
"""An exchange that does not answer is left soon."""


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the log says about the exchange, INFO and above."""
    written: list[str] = []
    sink = logger.add(lambda line: written.append(line.rstrip()), level="INFO", format="{level}: {message}")
    yield written
    logger.remove(sink)


@contextlib.asynccontextmanager
async def exchange_that_bans() -> AsyncIterator[Simulator]:
    async with exchange() as simulator:
        simulator.faults.refuse(count=100_000, status=418, retry_after_seconds=600)
        yield simulator


@pytest.fixture
def banning() -> contextlib.AbstractAsyncContextManager[Simulator]:
    return exchange_that_bans()


@time_is_simulated
async def test_a_ban_outlives_the_subscribers(banning: Simulator) -> None:
    async with client(banning, want=["BTCUSDT"]) as recorder:
        await eventually(lambda: recorder.client.status.retry_at is not None)
        retry_at = recorder.client.status.retry_at
        for _ in range(20):
            recorder.client.unwant(key("BTCUSDT"))
            for _ in range(5):  # turns of the loop, so that the client's tasks see it
                await asyncio.sleep(0)
            assert recorder.client.status.state == "idle"
            recorder.client.want(key("BTCUSDT"))
            # A sum and a difference of floats: it depends on the clock's value whether they are exact.
            await eventually(lambda: recorder.client.status.retry_at == pytest.approx(retry_at, abs=0.001))
        assert retry_at is not None
        assert retry_at - time.monotonic() > 500
        assert banning.stats()["attempts"] == 1
        assert recorder.client.status.state == "down"
        assert recorder.client.status.reason == "HTTP 418 (this address is banned temporarily)"


@time_is_simulated
async def test_a_ban_that_comes_when_nobody_wants_a_stream_any_more_is_kept(banning: Simulator) -> None:
    async with client(banning, want=["BTCUSDT"]) as recorder:
        while not recorder.client.connections:  # noqa: ASYNC110 (the next turn already has the refusal)
            await asyncio.sleep(0)
        recorder.client.unwant(key("BTCUSDT"))
        await eventually(lambda: not [task for task in asyncio.all_tasks() if task.get_name().endswith(".1")])
        assert banning.stats()["attempts"] == 1
        recorder.client.want(key("BTCUSDT"))
        await eventually(lambda: recorder.client.status.retry_at is not None)
        assert banning.stats()["attempts"] == 1


@time_is_simulated
async def test_a_ban_concerns_every_shard_and_address(banning: Simulator) -> None:
    timings = ClientTimings(shard=quick().shard, streams_per_connection=1)
    async with exchange() as second, client(banning, second, want=["BTCUSDT"], timings=timings) as recorder:
        await eventually(lambda: recorder.client.status.retry_at is not None)
        for symbol in SYMBOLS[1:]:
            recorder.client.want(key(symbol))
        await eventually(lambda: len(recorder.statuses) >= 2)
        await asyncio.sleep(0.2)  # the span in which nothing happens
        assert (banning.stats()["attempts"], second.stats()["attempts"]) == (1, 0)


@time_is_simulated
async def test_one_shard_at_a_time_finds_out_whether_the_exchange_is_back() -> None:
    timings = ClientTimings(shard=quick().shard, streams_per_connection=1)
    async with exchange() as venue, client(venue, want=SYMBOLS, timings=timings) as recorder:
        await recorder.more_trades(SYMBOLS)
        venue.faults.refuse(count=6)
        venue.faults.drop()
        await recorder.more_trades(SYMBOLS)
        assert venue.stats()["refused"] == 6
        assert venue.stats()["connects"] == 6
        await recorder.live()


@pytest.mark.parametrize("illness", ["closes", "answers nothing", "refuses with 404", "is black"])
@time_is_simulated
async def test_a_sick_address_is_passed_over(illness: str) -> None:
    """Also one that opens and fails afterwards. The healthy address is used within the first attempts."""
    async with exchange(quick_market(0.001)) as sick, exchange() as healthy:
        addresses: list[str | Simulator] = [sick, healthy]
        if illness == "closes":
            sick.faults.accept_close(count=100_000)
        elif illness == "answers nothing":
            sick.faults.no_acks(count=100_000)
        elif illness == "refuses with 404":
            sick.faults.refuse(count=100_000, status=404)
        else:
            addresses[0] = f"ws://127.0.0.1:{free_port()}"
        async with client(*addresses, want=["BTCUSDT"], timings=HASTY) as recorder:
            await recorder.more_trades()
            await recorder.live()
            assert sick.stats()["attempts"] <= 1
            assert recorder.client.statistics().connects == 2
            if illness == "refuses with 404":
                assert "HTTP 404 (no stream endpoint at this address)" in recorder.reasons
            healthy.faults.drop()
            await recorder.more_trades()
            assert recorder.client.statistics().connects == 3, "the address that worked is tried first"


@time_is_simulated
async def test_an_address_that_sends_no_trades_is_passed_over_by_the_rotation() -> None:
    async with exchange() as first, exchange() as second, client(first, second, want=SYMBOLS) as recorder:
        await recorder.more_trades()
        first.faults.silence()
        recorder.rotate("BTCUSDT")
        await eventually(lambda: second.stats()["open"] == 1)
        await recorder.more_trades()
        await eventually(lambda: first.stats()["open"] == 0)


@time_is_simulated
async def test_an_announced_end_is_no_failure_of_the_address() -> None:
    async with exchange() as first, exchange() as second, client(first, second, want=SYMBOLS) as recorder:
        await recorder.more_trades(SYMBOLS)
        first.faults.shutdown(notice_seconds=30)
        await eventually(lambda: recorder.rotations == 1)
        await recorder.more_trades(SYMBOLS)
        first.faults.close(code=1012, reason="maintenance")
        await eventually(lambda: first.stats()["connects"] == 3, because="it comes back")
        await recorder.more_trades(SYMBOLS)
        assert second.stats()["attempts"] == 0


@time_is_simulated
async def test_no_redial_while_trades_come_and_answers_do_not() -> None:
    async with exchange() as venue:
        venue.faults.no_acks(count=100_000)
        async with client(venue, want=SYMBOLS, timings=HASTY) as recorder:
            await recorder.live()
            recorder.client.want(key("NEVERUSDT"))
            await eventually(lambda: venue.stats()["control_messages"] >= 5)
            await recorder.more_trades(SYMBOLS)
            assert venue.stats()["connects"] == 1


@time_is_simulated
async def test_the_log_says_when_the_exchange_was_lost_and_when_it_is_back(lines: list[str]) -> None:
    async with exchange() as venue, client(venue, want=["BTCUSDT"]) as recorder:
        await recorder.more_trades()
        venue.faults.refuse(count=6)
        venue.faults.drop()
        await eventually(lambda: venue.stats()["refused"] == 6)
        await recorder.more_trades()
        await recorder.live()
        recorder.client.unwant(key("BTCUSDT"))
        await eventually(lambda: recorder.client.status.state == "idle")
    said = [line for line in lines if "simulator:" in line]
    assert len(said) == 5, said
    assert [line.split()[0] for line in said] == ["INFO:", "INFO:", "WARNING:", "INFO:", "INFO:"]
    assert f"{venue.ws_url}/stream failed: connection lost; next attempt in 0.0 s" in said[2]
    assert "live again after" in said[3]
    assert "7 failures" in said[3]
    assert "idle: nobody wants a stream" in said[4]


@time_is_simulated
async def test_a_subscriber_who_comes_and_goes_does_not_fill_the_log(lines: list[str]) -> None:
    limits = ExchangeLimits(messages_per_second=1000)
    async with exchange(limits=limits) as venue, client(venue) as recorder:
        for _ in range(10):
            recorder.client.want(key("BTCUSDT"))
            await recorder.live()
            recorder.client.unwant(key("BTCUSDT"))
            await eventually(lambda: recorder.client.status.state == "idle")
    assert len([line for line in lines if "simulator:" in line]) == 3


@time_is_simulated
async def test_the_log_says_that_the_client_ends_while_the_exchange_is_away(lines: list[str]) -> None:
    recorder: Recorder
    with contextlib.suppress(AssertionError):
        async with client(f"ws://127.0.0.1:{free_port()}", want=["BTCUSDT"]) as recorder:
            await eventually(lambda: recorder.client.status.state == "down")
    assert lines[-1].startswith("INFO: simulator: stopped; it was not reachable for ")


@time_is_simulated
async def test_a_leg_returns_to_its_own_address_as_soon_as_that_works(lines: list[str]) -> None:
    port = free_port()
    timings = quick(return_seconds=0.01, rest_seconds=0.2, longest_rest_seconds=0.2)
    async with (
        exchange() as other,
        client(f"ws://127.0.0.1:{port}", other, want=SYMBOLS, timings=timings) as recorder,
    ):
        await recorder.live()
        await recorder.more_trades(SYMBOLS)
        await eventually(lambda: recorder.client.statistics().connects >= 4, 10, because="it is tried again")
        assert (recorder.rotations, len(other.connections)) == (0, 1), "the other address is kept meanwhile"
        assert recorder.client.status.state == "live"
        async with exchange(port=port) as own:
            await eventually(lambda: len(own.connections) == 1 and not other.connections, 10)
            assert recorder.rotations == 1
            await recorder.live()
        assert recorder.states[:2] == ["connecting", "down"]
        assert len([line for line in lines if "WARNING" in line]) <= 4, lines


@time_is_simulated
async def test_without_legs_an_address_that_works_is_kept() -> None:
    port = free_port()
    timings = quick(rest_seconds=0.01, longest_rest_seconds=0.01)
    async with (
        exchange() as other,
        client(f"ws://127.0.0.1:{port}", other, want=SYMBOLS, timings=timings) as recorder,
    ):
        await recorder.live()
        connects = recorder.client.statistics().connects
        async with exchange(port=port) as own:
            await recorder.more_trades(SYMBOLS, 30)
            assert own.stats()["attempts"] == 0
        assert recorder.client.statistics().connects == connects
