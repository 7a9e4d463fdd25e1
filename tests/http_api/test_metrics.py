"""What `/metrics` counts, against what really happened."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, Metric

from livemarkets.http_api.metrics import MarketsCollector
from livemarkets.simulator import Simulator
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange, max_clients=1)) as app:
        yield app


def collected(app: RunningApp) -> list[Metric]:
    return list(MarketsCollector(app.services).collect())


def values(app: RunningApp) -> dict[tuple[str, ...], float]:
    """Every sample: its name without prefix and suffix, and the values of its labels."""
    return {
        (
            sample.name.removeprefix("livemarkets_").removesuffix("_total"),
            *sample.labels.values(),
        ): sample.value
        for metric in collected(app)
        for sample in metric.samples
    }


async def test_names_and_words_are_fit_for_prometheus(app: RunningApp) -> None:
    metrics = collected(app)
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names) > 20
    for metric in metrics:
        assert re.fullmatch(r"livemarkets_[a-z0-9_]+", metric.name)
        assert metric.documentation
        assert metric.type in ("counter", "gauge")


async def test_the_collector_can_be_registered_once(app: RunningApp) -> None:
    registry = CollectorRegistry()
    registry.register(MarketsCollector(app.services))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(MarketsCollector(app.services))


async def test_an_idle_app_has_counted_nothing(app: RunningApp) -> None:
    idle = values(app)
    assert idle.pop(("uptime_seconds",)) >= 0
    assert {idle.pop(("exchange_state", name, "idle")) for name in ("binance", "simulator")} == {1}
    assert {idle.pop(("rest_weight_usable", name)) for name in ("binance", "simulator")} == {3000}
    assert set(idle.values()) == {0}


async def test_clients_and_streams_are_counted_until_they_are_gone(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", "ETHUSDT")
    await client.next("status", state="live")
    exchange.faults.burst(symbol="BTCUSDT", trades=30)
    await client.trades(30)
    with pytest.raises(Exception, match="503"):
        await app.connect()
    now = values(app)
    expected = {
        ("clients",): 1,
        ("clients_refused", "full"): 1,
        ("clients_refused", "origin"): 0,
        ("subscribers",): 1,
        ("streams_subscribed",): 2,
        ("streams_lingering",): 0,
        ("deliveries",): 30,
        ("streams_wanted", "binance"): 2,
        ("streams_wanted", "simulator"): 0,
        ("trades_received", "binance"): 30,
        ("trades_lost", "binance"): 0,
        ("upstream_connections", "binance"): 1,
        ("upstream_connects", "binance"): 1,
        ("symbols_known", "binance"): 5,
        ("exchange_state", "binance", "live"): 1,
        ("exchange_state", "binance", "idle"): 0,
    }
    assert {name: now[name] for name in expected} == expected
    await client.socket.close()

    def gone() -> bool:
        then = values(app)
        names = ("clients", "subscribers", "streams_subscribed", "streams_lingering")
        assert [then[name,] for name in names] == [0] * 4
        assert then["streams_wanted", "binance"] == then["upstream_connections", "binance"] == 0
        assert then["exchange_state", "binance", "idle"] == 1
        assert then["trades_received", "binance"] == 30, "a counter never falls"
        return True

    await eventually(gone)


async def test_what_goes_wrong_upstream_is_counted(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await client.next("status", state="live")
    exchange.faults.burst(symbol="BTCUSDT", trades=5)
    exchange.faults.repeat(stream="btcusdt@trade", count=3)
    exchange.faults.garbage(kind="all", count=1)
    exchange.faults.burst(symbol="BTCUSDT", trades=10)
    exchange.faults.lose(stream="btcusdt@trade", count=4)
    exchange.faults.burst(symbol="BTCUSDT", trades=10)
    await client.trades(25)

    def counted() -> bool:
        now = values(app)
        assert now["trades_duplicate", "binance"] == 3
        assert now["trades_backfilled", "binance"] == 4
        assert now["trades_lost", "binance"] == now["holes_open", "binance"] == 0
        assert now["rest_calls", "binance"] >= 2
        complaints = {name[2]: count for name, count in now.items() if name[0] == "upstream_complaints"}
        assert sum(complaints.values()) >= 1
        return True

    await eventually(counted)
