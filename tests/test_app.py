"""The composition root: what is built, started, stopped, and what nothing touches before."""

from __future__ import annotations

import asyncio
import time
from random import Random

import pytest

from livemarkets import app as composition
from livemarkets.app import Tuning
from livemarkets.config.settings import Settings
from livemarkets.exchanges.base import ListedSymbols
from livemarkets.market.clock import system_clock
from livemarkets.market.models import StreamKey
from livemarkets.simulator import Simulator
from tests.support.app import running_app, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import missing_ids
from tests.support.second_exchange import harbour
from tests.support.upstream import quick

BTC = StreamKey("binance", "trades", "BTCUSDT")


def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


async def test_building_starts_nothing() -> None:
    before = names_of_tasks()
    services = composition.build(Settings(stream_enabled=True))
    assert names_of_tasks() == before
    await services.stop()


async def test_the_exchanges_on_offer_follow_the_settings() -> None:
    offered = {
        (enabled, simulator): composition.build(
            Settings(stream_enabled=enabled, simulator_enabled=simulator)
        ).exchanges()
        for enabled in (True, False)
        for simulator in (True, False)
    }
    assert offered == {
        (True, True): ("binance", "simulator"),
        (True, False): ("binance",),
        (False, True): (),
        (False, False): (),
    }


async def test_an_exchange_more_stands_beside_those_of_the_settings() -> None:
    more = {"harbour": harbour("http://127.0.0.1:9", system_clock())}
    services = composition.build(Settings(stream_enabled=True), exchanges=more)
    assert services.exchanges() == ("binance", "harbour", "simulator")
    off = composition.build(Settings(stream_enabled=False), exchanges=more)
    assert off.exchanges() == ()


@pytest.mark.parametrize("name", ["binance", "simulator", "Harbour"])
async def test_an_exchange_needs_a_name_of_its_own_in_lower_case(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        composition.build(
            Settings(stream_enabled=True), exchanges={name: harbour("http://127.0.0.1:9", system_clock())}
        )


async def test_an_app_that_nobody_uses_speaks_to_nobody(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as app:
        client = await app.connect()
        assert await client.works()
        assert app.inside.simulator is None
        assert exchange.stats()["attempts"] == 0
        assert exchange.stats()["rest_calls"] == {}


@pytest.mark.process
async def test_a_stop_ends_every_task_and_connection_and_may_be_repeated(exchange: Simulator) -> None:
    before = names_of_tasks()
    services = composition.build(settings_for(exchange))
    await services.start()
    services.manager.subscribe("somebody", BTC)
    services.manager.subscribe("somebody", StreamKey("simulator", "trades", "BTCUSDT"))
    await eventually(lambda: services.status("binance").state == "live")
    await eventually(lambda: services.status("simulator").state == "live")
    assert names_of_tasks() > before
    await services.stop()
    await services.stop()
    assert names_of_tasks() == before
    await eventually(lambda: not exchange.connections)


@pytest.mark.long
@pytest.mark.serial(quiet=True)
async def test_a_stop_while_feeds_fail_and_close_ends_them(exchange: Simulator) -> None:
    """At any moment: a task that has failed must not hide from its siblings' owner that all shall end."""
    random = Random(5)
    tuning = Tuning(client=quick())

    async def fail_soon() -> ListedSymbols:
        await asyncio.sleep(random.uniform(0.0, 0.1))
        raise RuntimeError("a defect, on purpose")

    async def start_and_stop() -> float:
        services = composition.build(settings_for(exchange), tuning=tuning)
        services.feeds["binance"].symbols._source.symbols = fail_soon  # type: ignore[method-assign]
        await services.start()
        services.manager.subscribe("somebody", BTC)
        await asyncio.sleep(random.uniform(0.0, 0.5))
        began = time.monotonic()
        async with asyncio.timeout(10):
            await services.stop()
        return time.monotonic() - began

    for _ in range(4):
        exchange.faults.half_open()  # no connection's goodbye is answered: closing takes its whole time
        seconds = await asyncio.gather(*(start_and_stop() for _ in range(50)))
        assert max(seconds) < 5.0
    assert not [name for name in names_of_tasks() if "binance" in name]


async def test_a_stop_before_the_start_is_no_error() -> None:
    await composition.build(Settings(stream_enabled=True)).stop()


async def test_a_subscriber_without_any_web_is_served_alike(exchange: Simulator) -> None:
    services = composition.build(settings_for(exchange))
    await services.start()
    try:
        services.manager.subscribe("a page", BTC)
        await eventually(lambda: services.status("binance").state == "live")
        exchange.faults.burst(symbol="BTCUSDT", trades=30)
        await eventually(lambda: len(services.trades.recent(BTC, 100)) == 30)
        kept = services.trades.recent(BTC, 100)
        assert missing_ids([tick.id for tick in kept]) == []
        assert services.latest.get(BTC) == kept[-1]
        await eventually(lambda: len(services.symbols("binance")) == 5)
        services.manager.release("a page")
        await eventually(lambda: services.status("binance").state == "idle")
        assert services.latest.get(BTC) is None
        assert services.trades.recent(BTC, 100) == []
    finally:
        await services.stop()


@pytest.mark.process
async def test_the_simulator_starts_when_it_is_first_wanted_and_only_once(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange), has_processes=True) as app:
        simulator = app.services.simulator
        assert simulator is not None
        assert (await (await app.connect()).ask("ping"))["type"] == "pong"
        assert (simulator.starts, simulator.pid) == (0, None)
        clients = [await app.connect() for _ in range(3)]
        await asyncio.gather(*(client.subscribe("BTCUSDT", exchange="simulator") for client in clients))
        for client in clients:
            assert (await client.trades(1))[0]["exchange"] == "simulator"
        assert simulator.starts == 1
        assert simulator.addresses is not None
        assert simulator.addresses.ws_url.startswith("ws://127.0.0.1:")
        assert exchange.stats()["attempts"] == 0, "the simulator is never called binance"


async def test_two_apps_in_one_process_share_nothing(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as one, running_app(settings_for(exchange)) as other:
        client = await one.connect()
        await client.subscribe("BTCUSDT")
        await client.next("status", state="live")
        assert other.services.manager.counts() == (0, 0, 0)
        assert other.services.status("binance").state == "idle"
        assert len(exchange.connections) == 1


async def test_tuning_reaches_what_it_tunes(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange), tuning=Tuning(heartbeat_seconds=2)) as app:
        client = await app.connect(greet=False)
        assert (await client.receive())["heartbeat_seconds"] == 2


async def test_there_are_no_pages_that_describe_the_api_by_themselves(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as app:
        for path in ("/docs", "/redoc"):
            assert (await app.get(path)).status_code == 404
