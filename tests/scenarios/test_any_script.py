"""Symbols of any script, from the exchange's list to a reader, through losses and restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from livemarkets.simulator import Replay, SimulatedMarket, Simulator
from livemarkets.simulator.market.symbols import SymbolRules, to_units
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import WITHOUT_TLS, eventually
from tests.support.markets_client import missing_ids

LIFE = "币安人生USDT"
NARROW, WIDE = "123456", "１２３４５６"
NAMES = (LIFE, NARROW, WIDE, "ΣUSDT", "ßUSDT", "E\u0301USDT", "ÉUSDT", "BTCUSDT")


def rules(symbol: str) -> SymbolRules:
    base = symbol.removesuffix("USDT")
    return SymbolRules(
        symbol=symbol,
        base=base,
        quote="USDT",
        tick=to_units("0.01"),
        lot=to_units("0.001"),
        price=to_units("100"),
        trades_per_second=1.0,
    )


def market(rate: float) -> SimulatedMarket:
    return SimulatedMarket(
        seed=7, trades_per_second=rate, history_seconds=0.0, rules=[rules(name) for name in NAMES]
    )


@pytest.fixture
async def exchange() -> AsyncIterator[Simulator]:
    async with running_exchange(market(1e-4)) as exchange:
        yield exchange


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange)) as app:
        await app.services.ensure_symbols("binance")
        assert len(app.services.feeds["binance"].directory) == len(NAMES)
        yield app


async def test_every_listed_name_can_be_subscribed_and_keeps_its_own_trades(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    reply = await client.subscribe(*[name.replace("USDT", "usdt") for name in NAMES])
    assert reply["results"] == [{"symbol": name, "ok": True} for name in NAMES]
    await client.next("status", state="live")
    await eventually(lambda: len(exchange.subscriptions()) == len(NAMES))
    assert "币安人生usdt@trade" in exchange.subscriptions()
    for name in NAMES:
        exchange.faults.burst(symbol=name, trades=3)
        trades = await client.trades(3)
        assert [trade["symbol"] for trade in trades] == [name] * 3
        assert missing_ids([trade["id"] for trade in trades]) == []


async def test_what_is_lost_of_such_a_name_is_fetched(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe(LIFE)
    await client.next("status", state="live")
    exchange.faults.burst(symbol=LIFE, trades=2)
    ids = [trade["id"] for trade in await client.trades(2)]
    exchange.faults.lose(stream="币安人生usdt@trade", count=5)
    exchange.faults.burst(symbol=LIFE, trades=9)
    late = await client.trades(9)
    assert missing_ids(ids + [trade["id"] for trade in late]) == []
    assert [trade.get("backfilled", False) for trade in late] == [True] * 5 + [False] * 4
    assert (await client.ask("list"))["subscriptions"][0]["symbol"] == LIFE

    resumed = await app.connect()
    await resumed.subscribe(LIFE, after={LIFE.lower(): ids[0]})
    snapshot = await resumed.next("snapshot")
    assert [tick["id"] for tick in snapshot["data"]] == [ids[1], *(trade["id"] for trade in late)]


async def test_such_a_name_is_found_over_http(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe(LIFE)
    await client.next("status", state="live")
    exchange.faults.burst(symbol=LIFE, trades=2)
    await client.trades(2)

    async def said(path: str, **parameters: Any) -> Any:
        return (await app.get(path, **parameters)).json()

    assert [found["symbol"] for found in (await said("/api/symbols", q="币安"))["symbols"]] == [LIFE]
    assert [found["symbol"] for found in (await said("/api/symbols", q=WIDE))["symbols"]] == [WIDE]
    assert [tick["symbol"] for tick in (await said("/api/latest", symbols=LIFE.lower()))["ticks"]] == [LIFE]
    assert len((await said("/api/trades", symbol=LIFE))["trades"]) == 2


@pytest.mark.parametrize("path", ["/ws/{}@trade", "/stream?streams={}@trade"])
async def test_the_embedded_exchange_takes_percent_encoded_names_in_an_address(
    exchange: Simulator, path: str
) -> None:
    address = exchange.ws_url + path.format(quote("币安人生usdt"))
    async with connect(address, proxy=None) as socket:
        await eventually(lambda: exchange.subscriptions() == {"币安人生usdt@trade"})
        exchange.faults.burst(symbol=LIFE, trades=1)
        message = msgspec.json.decode(await socket.recv())
        assert message.get("data", message)["s"] == LIFE


async def test_the_embedded_exchange_takes_such_names_over_rest(exchange: Simulator) -> None:
    async with httpx.AsyncClient(verify=WITHOUT_TLS, base_url=exchange.rest_url, trust_env=False) as client:
        exchange.faults.burst(symbol=LIFE, trades=2)
        trades = await client.get("/api/v3/trades", params={"symbol": LIFE})
        assert len(trades.json()) == 2
        both = await client.get("/api/v3/exchangeInfo", params={"symbols": f'["{LIFE}","{WIDE}"]'})
        assert [symbol["symbol"] for symbol in both.json()["symbols"]] == [LIFE, WIDE]
        lower = await client.get("/api/v3/trades", params={"symbol": LIFE.lower()})
        assert (lower.status_code, lower.json()["code"]) == (400, -1100)


async def test_a_recording_of_such_a_name_is_played(tmp_path: Path) -> None:
    frames = [
        f'{{"recv_ms":{number},"frame":{{"stream":"币安人生usdt@trade","data":{{"e":"trade","E":1723161255343,"s":"{LIFE}",'
        f'"t":{number},"p":"1.5","q":"2","T":1723161255342,"m":true,"M":true}}}}}}\n'
        for number in (1, 2, 3)
    ]
    path = tmp_path / "recording.jsonl"
    path.write_text("".join(frames), encoding="utf-8")
    async with running_exchange(Replay(path)) as exchange, running_app(settings_for(exchange)) as app:
        client = await app.connect()
        assert (await client.subscribe(LIFE.lower()))["subscriptions"] == [LIFE]
        assert [trade["id"] for trade in await client.trades(3)] == [1, 2, 3]
