"""What an ingest and an edge serve, and what neither does."""

from __future__ import annotations

import subprocess
import sys

import pytest
from websockets.exceptions import InvalidStatus

from livemarkets import app
from tests.support.app import running_app, running_exchange, settings_for
from tests.support.bus import on_bus, running_cluster, running_nats
from tests.support.helpers import PROJECT_ROOT, eventually


async def test_an_ingest_serves_its_health_and_no_readers() -> None:
    async with running_cluster(None, "ingest") as cluster:
        ingest = cluster.ingest
        await eventually(
            lambda: ingest.services.bus is not None and ingest.services.bus.link.is_connected, 20
        )
        for path in ("/healthz", "/readyz", "/metrics", "/api/status", "/openapi.json"):
            assert (await ingest.ask("GET", path)).status_code == 200, path
        for path in ("/api/trades?symbol=BTCUSDT", "/api/symbols", "/labs", "/asyncapi.json", "/ws/markets"):
            answer = await ingest.ask("GET", path)
            assert (answer.status_code, "this node is an ingest" in answer.text) == (404, True), path
        assert (await ingest.ask("GET", "/")).headers["location"] == "/labs/status"
        with pytest.raises(InvalidStatus) as refused:
            await ingest.connect()
        assert refused.value.response.status_code == 404
        bus = (await ingest.ask("GET", "/api/status")).json()["bus"]
        assert (bus["role"], bus["is_connected"]) == ("ingest", True)
        assert 'livemarkets_bus_connected{role="ingest"} 1.0' in (await ingest.ask("GET", "/metrics")).text


async def test_an_edge_is_ready_while_it_has_the_bus() -> None:
    async with running_cluster() as cluster:
        edge = cluster.edge

        async def is_ready() -> bool:
            return (await edge.get("/readyz")).status_code == 200

        await eventually(is_ready, 20)
        bus = edge.services.bus
        assert bus is not None
        await eventually(lambda: len(bus.statistics().nodes) == 1, 20)
        needs = (await edge.get("/api/status")).json()["needs"]
        assert "Only one ingest is heard" in " ".join(need["what"] for need in needs)
        await cluster.nats.kill()
        await eventually(lambda: not bus.link.is_connected, 20)
        answer = await edge.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"][0].startswith("the bus cannot be reached: nats://127.0.0.1:")


async def test_an_edge_calls_no_exchange_even_without_an_ingest() -> None:
    """Its settings name an exchange that is there, and it lets it be."""
    async with running_nats() as nats, running_exchange() as exchange:
        settings = settings_for(exchange)
        async with running_app(on_bus(settings, "edge", nats.url), has_processes=True) as edge:
            client = await edge.connect()
            await client.subscribe("BTCUSDT")
            await eventually(
                lambda: edge.services.status("binance").reason == "no ingest is heard on the bus", 20
            )
            answer = await edge.ask("GET", "/api/trades?exchange=binance&symbol=BTCUSDT")
            assert answer.status_code >= 500
            assert exchange.stats()["attempts"] == 0
            assert exchange.stats()["rest_calls"] == {}
            assert edge.services.simulator is None


def test_with_the_feature_off_there_is_no_role() -> None:
    settings = on_bus(settings_for(None, stream_enabled=False), "edge", "nats://127.0.0.1:9")
    assert app.build(settings).bus is None


def test_without_a_role_nothing_of_the_bus_is_imported() -> None:
    program = (
        "import sys; from pathlib import Path; import main; from livemarkets import app;"
        "from livemarkets.config.settings import load; from livemarkets.http_api.web_app import create_app;"
        "create_app(app.build(load(Path('.'), {})));"
        "print([name for name in sys.modules if name.split('.')[0] in ('nats', 'nkeys')"
        " or name.startswith('livemarkets.bus')])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"
