"""The NATS server of `deploy/cluster/`: each role may do what it needs, and an edge forges no trade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import nats
import pytest
from pydantic import SecretStr

from livemarkets.config.settings import Settings
from livemarkets.market.models import ExchangeState
from livemarkets.simulator import Simulator
from tests.support.app import running_app, running_exchange, settings_for
from tests.support.bus import NatsServer, on_bus, running_nats
from tests.support.cluster.nodes import FOLDER, PASSWORDS
from tests.support.helpers import eventually, free_port

WAIT_SECONDS = 20.0


@pytest.fixture
async def bus(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsServer]:
    for name, value in PASSWORDS.items():
        monkeypatch.setenv(name, value)
    options = ("--config", str(FOLDER / "nats" / "nats.conf"), "--http_port", str(free_port()))
    async with running_nats(*options) as server:
        yield server


def node(bus: NatsServer, role: str, exchange: Simulator | None) -> Settings:
    """The settings of an ingest or an edge with the rights of its role."""
    settings = on_bus(settings_for(exchange, simulator_enabled=False), role, bus.url)
    password = SecretStr(PASSWORDS[f"BUS_{role.upper()}_PASSWORD"])
    return settings.model_copy(update={"bus_user": role, "bus_password": password})


async def test_the_rights_suffice_for_trades_and_questions(bus: NatsServer) -> None:
    async with (
        running_exchange() as exchange,
        running_app(node(bus, "ingest", exchange)) as ingest,
        running_app(node(bus, "edge", None)) as edge,
    ):
        feed = edge.services.feeds["binance"]
        client = await edge.connect()
        await client.subscribe("BTCUSDT", snapshot=0)
        assert await client.next("trade", WAIT_SECONDS)
        await eventually(
            lambda: feed.status.state is ExchangeState.LIVE and feed.directory.is_loaded,
            WAIT_SECONDS,
            because="beats of the ingest, and its answer with the list of symbols",
        )
        for app in (ingest, edge):
            assert app.services.bus is not None
            statistics = app.services.bus.statistics()
            assert (statistics.link.failures, statistics.failed_questions) == (0, 0)


async def test_an_edge_may_not_publish_a_trade(bus: NatsServer) -> None:
    refusals: asyncio.Queue[str] = asyncio.Queue()

    async def note(error: Exception) -> None:
        refusals.put_nowait(str(error))

    client = await nats.connect(
        bus.url, user="edge", password=PASSWORDS["BUS_EDGE_PASSWORD"], error_cb=note, allow_reconnect=False
    )
    try:
        await client.publish("lm.1.wants", b"")
        await client.publish("lm.1.data.binance.trades.BTCUSDT", b"forged")
        async with asyncio.timeout(WAIT_SECONDS):
            refusal = await refusals.get()
    finally:
        await client.close()
    assert 'permissions violation for publish to "lm.1.data.binance.trades.btcusdt"' in refusal.lower()
