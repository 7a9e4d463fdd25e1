"""The exchange's list changes while the app runs: halts, delistings, new, hidden and made-up symbols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.silence import SilenceLimits
from livemarkets.feed.staleness import StalenessLimits
from livemarkets.feed.symbol_list import ListLimits
from livemarkets.market.models import StreamKey
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient, missing_ids
from tests.support.simulated_time import Shared, time_is_simulated
from tests.support.upstream import quick

pytestmark = pytest.mark.long

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")
BTC = StreamKey.trades("binance", "BTCUSDT")
SILENCE = SilenceLimits(slot_seconds=0.05, memory_seconds=2, floor_seconds=0.3, unknown_seconds=0.5)
"""So short that a halted symbol would be asked about at once."""


def tuning(**limits: Any) -> Tuning:
    listed = {"refresh_seconds": 0.3, "at_once_seconds": 0.2, "retry_seconds": 0.1}
    return Tuning(
        client=quick(),
        feed=FeedLimits(symbols=ListLimits(**(listed | limits)), staleness=StalenessLimits(silence=SILENCE)),
    )


@pytest.fixture
def exchange() -> Shared[Simulator]:
    market = SimulatedMarket(seed=7, symbols=SYMBOLS, trades_per_second=20.0, history_seconds=1.0)
    return Shared(running_exchange(market))


@pytest.fixture
def app(exchange: Shared[Simulator]) -> AbstractAsyncContextManager[RunningApp]:
    return app_at(exchange)


@asynccontextmanager
async def app_at(exchange: Shared[Simulator]) -> AsyncIterator[RunningApp]:
    async with exchange as running, running_app(settings_for(running), tuning=tuning()) as app:
        yield app


def read(client: MarketsClient) -> tuple[list[dict[str, Any]], asyncio.Task[None]]:
    """Read everything that comes to a client from now on."""
    messages: list[dict[str, Any]] = []

    async def keep() -> None:
        while True:
            messages.append(await client.receive(30.0))

    return messages, asyncio.create_task(keep(), name="reader of a test")


def states(messages: list[dict[str, Any]], symbol: str) -> list[str]:
    return [one["state"] for one in messages if one["type"] == "quality" and one["symbol"] == symbol]


def ids(messages: list[dict[str, Any]], symbol: str) -> list[int]:
    snapshots = [one["data"] for one in messages if one["type"] == "snapshot" and one["symbol"] == symbol]
    trades = [one for one in messages if one["type"] == "trade" and one["symbol"] == symbol]
    return [tick["id"] for part in snapshots for tick in part] + [trade["id"] for trade in trades]


@pytest.mark.long
@time_is_simulated
async def test_traded_halted_traded_again_and_gone_and_a_new_listing(
    app: RunningApp, exchange: Simulator
) -> None:
    """Exactly these states, and the neighbours notice nothing."""
    client = await app.connect()
    messages, reader = read(client)
    await client.send(
        type="subscribe", exchange="binance", channel="trades", symbols=["BTCUSDT", "ETHUSDT"], quality=True
    )
    await eventually(lambda: states(messages, "BTCUSDT")[-1:] == ["live"] and ids(messages, "BTCUSDT"))
    exchange.faults.set_status(symbol="BTCUSDT", state="BREAK")
    await eventually(lambda: states(messages, "BTCUSDT")[-1] == "halted")
    asked, subscribed = dict(exchange.stats()["rest_calls"]), exchange.stats()["control_messages"]
    neighbour = len(ids(messages, "ETHUSDT"))
    await eventually(lambda: len(ids(messages, "ETHUSDT")) > neighbour + 30)  # many times its usual silence
    during = exchange.stats()
    assert during["control_messages"] == subscribed
    assert {
        call: count
        for call, count in during["rest_calls"].items()
        if count != asked.get(call, 0) and "exchangeInfo" not in call
    } == {}
    assert app.services.status("binance").state == "live"
    latest = (await app.get("/api/latest", symbols="BTCUSDT,ETHUSDT")).json()
    halted, live = latest["quality"]
    assert (halted["symbol"], halted["state"]) == ("BTCUSDT", "halted")
    assert halted["reason"] == "binance lists it with the status BREAK"
    assert halted["age_ms"] > 0
    assert (live["state"], live["reason"]) == ("live", None)
    ready = await app.get("/readyz", upstream="1")
    assert ready.status_code == 200
    assert ready.json() == {
        "ready": True,
        "reasons": [],
        "not_traded": ["binance: BTCUSDT is halted (binance lists it with the status BREAK)"],
    }

    exchange.faults.set_status(symbol="BTCUSDT", state="TRADING")
    await eventually(lambda: states(messages, "BTCUSDT")[-1] == "live")
    assert (await app.get("/readyz", upstream="1")).json()["not_traded"] == []
    before = len(ids(messages, "BTCUSDT"))
    await eventually(lambda: len(ids(messages, "BTCUSDT")) > before + 5)

    exchange.faults.delist(symbol="BTCUSDT")
    exchange.faults.enlist(symbol="NEWUSDT", like="ETHUSDT")
    await eventually(lambda: states(messages, "BTCUSDT")[-1] == "delisted")
    await client.send(
        type="subscribe", exchange="binance", channel="trades", symbols=["NEWUSDT"], quality=True
    )
    await eventually(lambda: len(ids(messages, "NEWUSDT")) > 5)
    await eventually(lambda: any(one["type"] == "error" for one in messages))
    (error,) = (one for one in messages if one["type"] == "error")
    assert error["code"] == "unknown_symbol"
    assert error["message"] == "binance no longer lists BTCUSDT; it stays subscribed"
    reader.cancel()

    seen = states(messages, "BTCUSDT")
    assert seen[seen.index("live") :] == ["live", "halted", "live", "delisted"]
    assert set(states(messages, "ETHUSDT")) <= {"unknown", "live"}
    for symbol in ("BTCUSDT", "ETHUSDT", "NEWUSDT"):
        assert missing_ids(ids(messages, symbol)) == []
    assert [one for one in messages if one["type"] in ("gap", "lagged")] == []
    assert exchange.stats()["connects"] == 1


@time_is_simulated
async def test_a_symbol_that_is_listed_again_is_live_again(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    messages, reader = read(client)
    await client.send(
        type="subscribe", exchange="binance", channel="trades", symbols=["BTCUSDT"], quality=True
    )
    await eventually(lambda: len(ids(messages, "BTCUSDT")) > 3)
    exchange.faults.delist(symbol="BTCUSDT")
    await eventually(lambda: states(messages, "BTCUSDT")[-1] == "delisted")
    exchange.faults.enlist(symbol="BTCUSDT")
    await eventually(lambda: states(messages, "BTCUSDT")[-1] == "live")
    count = len(ids(messages, "BTCUSDT"))
    await eventually(lambda: len(ids(messages, "BTCUSDT")) > count + 3)
    assert missing_ids(ids(messages, "BTCUSDT")) == []
    reader.cancel()


@time_is_simulated
async def test_a_new_listing_is_subscribed_at_the_first_try(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange), tuning=tuning(refresh_seconds=3600)) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT")
        exchange.faults.enlist(symbol="新USDT")
        reply = await client.subscribe("新usdt")
        assert reply["results"] == [{"symbol": "新USDT", "ok": True}]
        assert len(await client.trades(3, "新USDT")) == 3
        exchange.faults.enlist(symbol="ANEWUSDT")
        await asyncio.sleep(0.2)
        found = (await app.get("/api/symbols", q="anewusdt")).json()["symbols"]
        assert [info["symbol"] for info in found] == ["ANEWUSDT"]
        assert exchange.stats()["connects"] == 1


@time_is_simulated
async def test_a_symbol_that_the_list_hides_can_be_subscribed(exchange: Simulator) -> None:
    """Binance leaves out symbols whose only permission is a rare one."""
    exchange.faults.hide(symbol="XRPUSDT")
    async with running_app(settings_for(exchange), tuning=tuning(refresh_seconds=3600)) as app:
        client = await app.connect()
        reply = await client.subscribe("XRPUSDT", "TYPOUSDT")
        good, typo = reply["results"]
        assert good == {"symbol": "XRPUSDT", "ok": True}
        assert typo["code"] == "unknown_symbol"
        assert "binance does not list TYPOUSDT; its list was loaded 0 s ago" in typo["message"]
        assert len(await client.trades(3, "XRPUSDT")) == 3


@time_is_simulated
async def test_a_made_up_symbol_is_told_when_the_list_comes(exchange: Simulator) -> None:
    """The exchange acknowledges it, so nothing else would tell."""
    exchange.faults.rest_down(status=503)
    async with running_app(settings_for(exchange), tuning=tuning()) as app:
        plain, curious = await app.connect(), await app.connect()
        await plain.subscribe("BTCUSTD")
        await curious.subscribe("BTCUSTD", "BTCUSDT", quality=True)
        await curious.next("quality", symbol="BTCUSDT", state="live")
        ready = (await app.get("/readyz", upstream="1")).json()
        assert ready == {
            "ready": False,
            "reasons": ["binance: BTCUSTD is unknown (no list of symbols is loaded, and no trade has come)"],
            "not_traded": [],
        }
        exchange.faults.clear()
        for client in (plain, curious):
            error = await client.next("error")
            assert error["code"] == "unknown_symbol"
            assert error["message"] == "binance does not list BTCUSTD; it stays subscribed"
        ready = (await app.get("/readyz", upstream="1")).json()
        assert ready["reasons"] == []
        assert ready["not_traded"] == ["binance: BTCUSTD is unknown (binance does not list BTCUSTD)"]
        (quality,) = (await app.get("/api/latest", symbols="BTCUSTD")).json()["quality"]
        assert (quality["state"], quality["age_ms"]) == ("unknown", None)
        asked = dict(exchange.stats()["rest_calls"])
        await curious.trades(40, "BTCUSDT")  # many times the silence after which a stream is asked about
        now = exchange.stats()["rest_calls"]
        assert {call for call in now if now[call] != asked.get(call, 0)} <= {
            "/api/v3/exchangeInfo",
            "exchangeInfo",
        }
        reply = await (await app.connect()).subscribe("BTCUSTD")
        assert [result["ok"] for result in reply["results"]] == [False]
        assert reply["results"][0]["did_you_mean"] == ["BTCUSDT"]


@time_is_simulated
async def test_without_a_list_the_streams_at_the_exchange_are_bounded(exchange: Simulator) -> None:
    exchange.faults.rest_down(status=503)
    async with running_app(
        settings_for(exchange, max_symbols_per_client=60), tuning=tuning(streams_without_list=50)
    ) as app:
        first, second = await app.connect(), await app.connect()
        reply = await first.subscribe(*(f"X{number}USDT" for number in range(45)))
        assert all(result["ok"] for result in reply["results"])
        reply = await second.subscribe("BTCUSDT", "X1USDT", *(f"Y{number}USDT" for number in range(20)))
        verdicts = {result["symbol"]: result for result in reply["results"]}
        accepted = [symbol for symbol, result in verdicts.items() if result["ok"]]
        assert accepted == ["BTCUSDT", "X1USDT", "Y0USDT", "Y1USDT", "Y2USDT", "Y3USDT"]
        refusal = verdicts["Y4USDT"]
        assert refusal["code"] == "symbol_limit"
        assert "symbols of binance are not known yet, and until then at most 50" in refusal["message"]
        # Whoever subscribes in another way, such as a page, is bounded at the exchange.
        for symbol in ("ETHUSDT", "Z1USDT", "Z2USDT"):
            app.services.manager.subscribe("a page", StreamKey.trades("binance", symbol))
        await second.trades(3, "BTCUSDT")
        await eventually(lambda: len(exchange.subscriptions()) == 50)
        exchange.faults.clear()
        feed = app.services.feeds["binance"]
        await eventually(lambda: feed.directory.is_loaded)
        await eventually(lambda: app.services.latest.get(StreamKey.trades("binance", "ETHUSDT")) is not None)
        reply = await second.subscribe("SOLUSDT", "Y4USDT")
        assert [result["ok"] for result in reply["results"]] == [True, False]


@time_is_simulated
async def test_a_client_keeps_a_delisted_stream_and_may_ask_for_its_quality(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await client.trades(2)
    exchange.faults.delist(symbol="BTCUSDT")
    await client.next("error", code="unknown_symbol")
    reply = await client.subscribe("BTCUSDT", quality=True)
    assert reply["results"] == [{"symbol": "BTCUSDT", "ok": True}]
    assert (await client.next("quality"))["state"] == "delisted"
    reply = await (await app.connect()).subscribe("BTCUSDT")
    assert reply["results"][0]["code"] == "unknown_symbol"
