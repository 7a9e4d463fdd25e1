"""Health and readiness over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from livemarkets.app import Services
from livemarkets.market.models import StreamKey
from livemarkets.server import open_files
from livemarkets.simulator import Simulator
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually

TOKEN = "open-Sesame_42?>+/~"


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange, feed_length=200)) as app:
        yield app


async def node(app: RunningApp) -> tuple[int, list[str]]:
    """Status and reasons of `/readyz`."""
    response = await app.get("/readyz")
    body = response.json()
    assert body["ready"] == (response.status_code == 200) == (not body["reasons"])
    assert body.keys() == {"ready", "reasons"}
    return response.status_code, body["reasons"]


async def streams(app: RunningApp) -> tuple[int, list[str], list[str]]:
    """Status, reasons, and the symbols that are not traded, of `/readyz?upstream=1`."""
    response = await app.get("/readyz", upstream="1")
    body = response.json()
    assert body["ready"] == (response.status_code == 200) == (not body["reasons"])
    assert body.keys() == {"ready", "reasons", "not_traded"}
    return response.status_code, body["reasons"], body["not_traded"]


async def become_live(app: RunningApp) -> None:
    async def are_live() -> bool:
        return await streams(app) == (200, [], [])

    assert await eventually(are_live)


async def test_healthz_says_that_the_process_lives(app: RunningApp) -> None:
    response = await app.get("/healthz")
    assert (response.status_code, response.text) == (200, "ok\n")
    assert response.headers["content-type"].startswith("text/plain")


async def test_it_is_ready_while_nobody_wants_anything(app: RunningApp) -> None:
    assert await node(app) == (200, [])
    assert await streams(app) == (200, [], [])


# whether this process can take readers


async def test_the_trouble_of_an_exchange_takes_no_node_out() -> None:
    async with running_app(settings_for(None)) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT")
        await client.next("status", state="down")
        assert await node(app) == (200, [])


async def test_a_node_that_stops_takes_no_readers(app: RunningApp) -> None:
    app.services.drain()
    assert await node(app) == (503, ["the server is stopping"])
    assert (await app.get("/healthz")).status_code == 200


async def test_a_node_that_is_full_takes_no_readers_until_one_leaves(exchange: Simulator) -> None:
    def prepare(services: Services) -> None:
        services.hub.limits = msgspec.structs.replace(services.hub.limits, clients=1)

    async with running_app(settings_for(exchange), prepare=prepare) as app:
        client = await app.connect()
        assert await node(app) == (503, ["1 clients are connected, the most allowed"])
        await client.socket.close()
        await eventually(lambda: not app.services.hub.connections)
        assert await node(app) == (200, [])


async def test_a_node_without_open_files_takes_no_readers(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = open_files.free_files()
    monkeypatch.setattr("livemarkets.http_api.health.KEPT_BACK", left + 100)
    assert await node(app) == (503, ["open files are nearly used up"])


def test_the_files_left_are_counted() -> None:
    before = open_files.free_files()
    with open(__file__, "rb"):
        assert open_files.free_files() < before
    assert open_files.free_files() == before


# whether the wanted streams are live


@pytest.mark.long
async def test_every_wanted_stream_has_to_be_live(app: RunningApp, exchange: Simulator) -> None:
    exchange.faults.slow_acks(count=2, delay_seconds=0.3)
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    status, reasons, _ = await streams(app)
    assert status == 503
    assert reasons[0].startswith("binance is connecting")
    await become_live(app)
    await client.subscribe("ETHUSDT")
    assert await streams(app) == (503, ["binance has not yet confirmed ETHUSDT"], [])
    await become_live(app)


async def test_an_exchange_that_cannot_be_reached_is_named() -> None:
    async with running_app(settings_for(None)) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT")
        await client.next("status", state="down")
        status, reasons, _ = await streams(app)
        assert status == 503
        assert len(reasons) == 1
        assert reasons[0].startswith("binance is down: ")
        assert "refused" in reasons[0]
        await client.unsubscribe("BTCUSDT")
        await become_live(app)


async def test_a_refused_symbol_is_named(app: RunningApp, exchange: Simulator) -> None:
    exchange.faults.error_acks(count=50)
    client = await app.connect()
    await client.subscribe("BTCUSDT")

    async def says_why() -> bool:
        status, reasons, _ = await streams(app)
        return status == 503 and any("binance refused BTCUSDT" in reason for reason in reasons)

    while not await says_why():
        assert (await client.receive(10))["type"] in ("status", "snapshot", "heartbeat")


async def test_a_symbol_that_the_exchange_does_not_have_is_named_but_is_no_trouble_of_ours(
    app: RunningApp,
) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await become_live(app)
    for name in ("BTCUSTD", *(f"X{number}USDT" for number in range(24))):  # as a page may ask for it
        app.services.manager.subscribe("a page", StreamKey.trades("binance", name))

    async def are_named() -> Any:
        status, reasons, not_traded = await streams(app)
        assert (status, reasons) == (200, [])
        assert not_traded[0] == "binance: BTCUSTD is unknown (binance does not list BTCUSTD)"
        assert (len(not_traded), not_traded[-1]) == (21, "binance: 5 more streams are not traded")
        return True

    await eventually(are_named)


async def test_an_odd_question_is_told_what_is_right(app: RunningApp) -> None:
    response = await app.get("/readyz", upstream="yes")
    assert (response.status_code, response.json()) == (400, {"error": "upstream must be 0 or 1"})
    assert (await app.get("/readyz", upstream="0")).json() == {"ready": True, "reasons": []}


async def test_with_a_token_the_status_is_open_and_the_reasons_are_not() -> None:
    async with running_app(settings_for(None, access_token=TOKEN)) as app:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        client = await app.connect(additional_headers=bearer)
        await client.subscribe("BTCUSDT")
        await client.next("status", state="down")
        for headers in ({}, {"Authorization": "Bearer other"}):
            assert (await app.ask("GET", "/readyz", headers)).json() == {"ready": True}
            refused = await app.ask("GET", "/readyz?upstream=1", headers)
            assert (refused.status_code, refused.json()) == (503, {"ready": False})
        told = await app.ask("GET", "/readyz?upstream=1", bearer)
        assert told.status_code == 503
        assert told.json()["reasons"][0].startswith("binance is down")
        assert (await app.ask("GET", "/metrics")).status_code == 401
