"""Node's `ws` as a client of `/ws/markets`: an implementation that shares nothing with ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from livemarkets.server.websocket_protocol import RawFrameProtocol
from livemarkets.simulator import Simulator
from tests.support.app import RunningApp, running_app, running_exchange, running_process, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import missing_ids

TRADES = 40


@pytest.fixture
async def exchange() -> AsyncIterator[Simulator]:
    async with running_exchange() as exchange:
        yield exchange


async def run_node(
    node_with_ws: tuple[str, dict[str, str]], app: RunningApp, *arguments: str
) -> dict[str, Any]:
    """Run the client to its end and return its report."""
    node, environment = node_with_ws
    url = f"ws://127.0.0.1:{app.port}/ws/markets"
    async with running_process(
        "tests/scenarios/node_client.mjs", url, *arguments, program=node, environment=environment
    ) as client:
        assert await client.ended(25) == 0, client.output
    report = json.loads(client.lines[-1])
    assert isinstance(report, dict)
    return report


@pytest.mark.parametrize(
    ("protocol", "compression", "server_deflates"),
    [
        pytest.param(RawFrameProtocol, "plain", False, id="plain"),
        pytest.param(RawFrameProtocol, "deflate", False, id="deflate offered and declined"),
        pytest.param(RawFrameProtocol, "deflate", True, id="deflate agreed"),
        pytest.param("websockets-sansio", "deflate", True, id="send_text"),
    ],
)
async def test_node_receives_every_trade_and_closes_in_order(
    node_with_ws: tuple[str, dict[str, str]],
    exchange: Simulator,
    protocol: object,
    compression: str,
    server_deflates: bool,
) -> None:
    settings = settings_for(exchange)
    async with running_app(settings, ws=protocol, ws_per_message_deflate=server_deflates) as app:
        report = await run_node(node_with_ws, app, "SHIBUSDT", str(TRADES), compression)
        assert report["extensions"].startswith("permessage-deflate") == server_deflates
        assert report["welcome"]["protocol"] == 1
        assert report["kinds"][:2] == ["welcome", "subscribed"]
        assert set(report["kinds"]) == {"welcome", "subscribed", "status", "snapshot", "trade", "pong"}
        assert len(report["ids"]) >= TRADES
        assert missing_ids(report["ids"]) == []
        sent = {
            trade.id: f"{Decimal(trade.price).scaleb(-8):.8f}"
            for trade in exchange.source.history("SHIBUSDT", exchange.now_ms()).trades
        }
        assert report["prices"] == [sent[trade_id] for trade_id in report["ids"]]
        assert report["wsPong"] is True
        assert report["pong"]["id"] == "node"
        assert report["code"] == 1000
        await eventually(lambda: not app.services.hub.connections)
