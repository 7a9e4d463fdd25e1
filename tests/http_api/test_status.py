"""`/api/status` and `/api/diagnostics`: guarded, complete, bounded, without secrets."""

from __future__ import annotations

import msgspec
import pytest
from pydantic import SecretStr

from livemarkets.simulator import Simulator
from livemarkets.status.report import StatusReport
from tests.support.app import running_app, settings_for
from tests.support.contract import hold_answer_to_contract

TOKEN = "open-Sesame_42?>+/~"


async def test_the_report_is_told_as_json(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT")
        await client.next("status", state="live")
        response = await app.get("/api/status")
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        report = msgspec.json.decode(response.content, type=StatusReport, strict=True)
        assert report.exchanges[0].streams.worst[0].symbol == "BTCUSDT"
        assert report.readers.connected == 1


async def test_diagnostics_is_a_file_without_secrets(exchange: Simulator) -> None:
    proxy = "http://mallory:swordfish@proxy.example:3128"
    settings = settings_for(exchange, access_token=SecretStr(TOKEN), proxy_url=SecretStr(proxy))
    async with running_app(settings) as app:
        for path in ("/api/status", "/api/diagnostics"):
            assert (await app.ask("GET", path)).status_code == 401
        response = await app.ask("GET", "/api/diagnostics", {"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200
        assert "livemarkets-diagnostics.json" in response.headers["content-disposition"]
        body = response.json()
        assert (body["settings"]["LIVE_ACCESS_TOKEN"], body["settings"]["LIVE_PROXY_URL"]) == (
            "(set)",
            "(set)",
        )
        assert body["settings"]["LIVE_PORT"] == "8080"
        assert body["report"]["exchanges"]
        for secret in (TOKEN, "swordfish", "mallory"):
            assert secret not in response.text
        assert len(response.content) < 50_000


async def test_a_proxy_is_named_without_its_password(exchange: Simulator) -> None:
    settings = settings_for(
        exchange,
        binance_ws_url=("wss://stream.example",),
        binance_rest_url=("https://rest.example",),
        proxy_url=SecretStr("socks5h://eve:swordfish@127.0.0.1:9"),
    )
    async with running_app(settings) as app:
        text = (await app.get("/api/status")).text
        market = msgspec.json.decode(text, type=StatusReport).exchanges[0]
        named = [each.proxy for each in (*market.addresses, *market.rest.addresses)]
        assert named == ["socks5://127.0.0.1:9 of LIVE_PROXY_URL"] * 2
        assert "swordfish" not in text


async def test_nothing_is_there_while_the_feature_is_off(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange, stream_enabled=False)) as app:
        assert (await app.get("/api/status")).status_code == 404
        assert (await app.get("/api/diagnostics")).status_code == 404


async def test_both_are_as_the_contract_says(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT", "NOPEUSDT")
        await client.next("status", state="live")
        for path in ("/api/status", "/api/diagnostics"):
            answer = await app.get(path)
            with pytest.raises(AssertionError, match="clients is not in the contract"):
                hold_answer_to_contract(path, 200, "application/json", b'{"clients":1,' + answer.content[1:])
