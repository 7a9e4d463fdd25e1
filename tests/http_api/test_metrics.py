"""What `/metrics` counts, against what really happened."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry, Metric

from livemarkets.http_api.metrics import MarketsCollector
from livemarkets.protocol.messages import ERROR_CODES
from livemarkets.rate_limit import REFUSALS
from livemarkets.simulator import Simulator
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import WITHOUT_TLS, eventually


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
        assert metric.type in ("counter", "gauge", "histogram")


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
    limits = {name: idle.pop(name) for name in [*idle] if name[0] in ("limit", "limit_left")}
    files = limits.pop(("limit", "open_files")), limits.pop(("limit_left", "open_files"))
    assert files[0] > files[1] > 0
    assert limits == {
        ("limit", "clients"): 1,
        ("limit", "symbols_per_client"): 200,
        ("limit", "streams_per_client"): 500,
        ("limit_left", "clients"): 1,
    }
    delays = {name: idle.pop(name) for name in [*idle] if name[0].startswith("loop_delay")}
    assert ("loop_delay_seconds_bucket", "+Inf") in delays
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


def refused(app: RunningApp) -> dict[tuple[str, ...], float]:
    """What was refused: what it was and why, how often."""
    return {name[1:]: count for name, count in values(app).items() if name[0] == "refusals" and count}


async def test_what_is_refused_is_counted_by_reason(app: RunningApp) -> None:
    assert set(REFUSALS["message"]) == set(ERROR_CODES) - {"unknown_symbol", "internal"}
    client = await app.connect()
    assert values(app)["limit_left", "clients"] == 0
    reply = await client.subscribe("BTCUSDT", "QQQQQQ", "RRRRRR")
    assert [result["ok"] for result in reply["results"]] == [True, False, False]
    for text, code in (("{", "invalid_json"), ("{}", "invalid_message"), ('{"type":"x"}', "unknown_type")):
        await client.socket.send(text)
        await client.next("error", code=code)
    app.services.hub.limits = msgspec.structs.replace(app.services.hub.limits, symbols=1)
    await client.subscribe("ETHUSDT", "SOLUSDT")
    expected: dict[tuple[str, ...], float] = {
        ("subscription", "unknown_symbol"): 2,
        ("message", "invalid_json"): 1,
        ("message", "invalid_message"): 1,
        ("message", "unknown_type"): 1,
        ("message", "symbol_limit"): 1,
    }
    assert refused(app) == expected
    for _ in range(100):
        await client.socket.send('{"type":"ping"}')
    await client.next("error", code="rate_limited")

    def all_counted() -> bool:
        return refused(app)["message", "rate_limited"] > 50

    assert await eventually(all_counted)
    async with httpx.AsyncClient(
        verify=WITHOUT_TLS, trust_env=False, headers={"Sec-Fetch-Site": "cross-site"}
    ) as stranger:
        assert (await stranger.get(f"{app.http_url}/api/trades?symbol=BTCUSDT")).status_code == 403
    assert refused(app)["fetch", "foreign"] == 1


async def test_the_ages_of_trades_are_measured_at_each_step(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT")
        await client.next("status", state="live")

        async def are_measured() -> bool:
            exchange.faults.burst(symbol="BTCUSDT", trades=1)
            text = (await app.get("/metrics")).text
            told = re.findall(r"^livemarkets_trade_(?:hop|age)_seconds_count\{(.*)\} ([\d.]+)$", text, re.M)
            counts = {labels: float(count) for labels, count in told}
            assert len(counts) == 4
            return all(counts.values())

        assert await eventually(are_measured)


async def test_the_delay_of_the_loop_is_measured_until_the_end(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as app:
        await eventually(lambda: values(app)["loop_delay_seconds_count",] >= 2)
        assert "loop delay" in {task.get_name() for task in asyncio.all_tasks()}
    assert "loop delay" not in {task.get_name() for task in asyncio.all_tasks()}


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
