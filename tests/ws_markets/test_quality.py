"""`quality` on the wire: who gets it, when, and what it costs a slow reader."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import LedgerLimits
from livemarkets.feed.symbol_list import ListLimits
from livemarkets.market.models import StreamKey
from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.symbols import DEFAULT_RULES
from tests.support.app import RunningApp, quiet_market, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient
from tests.support.simulated_time import Shared, time_is_simulated
from tests.support.upstream import quick

QUICK_LIST = ListLimits(refresh_seconds=0.3, at_once_seconds=0.1, retry_seconds=0.1)
FIELDS = [
    "type",
    "exchange",
    "channel",
    "symbol",
    "state",
    "since",
    "complete_to",
    "last_id",
    "lost",
    "lost_ts",
]


def tuning(limits: ListLimits = QUICK_LIST) -> Tuning:
    ledger = LedgerLimits(hold_seconds=0.05, patience_seconds=1.0)
    return Tuning(client=quick(), feed=FeedLimits(symbols=limits, ledger=ledger))


@pytest.fixture
def exchange() -> Shared[Simulator]:
    return Shared(running_exchange(quiet_market()))


@pytest.fixture
def app(exchange: Shared[Simulator]) -> contextlib.AbstractAsyncContextManager[RunningApp]:
    return app_at(exchange)


@contextlib.asynccontextmanager
async def app_at(exchange: Shared[Simulator]) -> AsyncIterator[RunningApp]:
    async with exchange as running, running_app(settings_for(running), tuning=tuning()) as app:
        yield app


async def state(client: MarketsClient, wanted: str, symbol: str = "BTCUSDT") -> dict[str, Any]:
    """The next `quality` of a symbol with a state; no other state may come before it."""
    while True:
        message = await client.next("quality", symbol=symbol)
        if message["state"] == wanted:
            return message
        assert message["state"] == "unknown", message


@contextlib.asynccontextmanager
async def many(count: int) -> AsyncIterator[tuple[RunningApp, Simulator, list[str]]]:
    """An app on an exchange with so many symbols, which seldom trade."""
    model = DEFAULT_RULES[0]
    names = [f"X{number}USDT" for number in range(count)]
    rules = [replace(model, symbol=name, base=name[:-4]) for name in names]
    market = SimulatedMarket(rules=rules, trades_per_second=0.1, history_seconds=0.0)
    async with (
        running_exchange(market) as exchange,
        running_app(settings_for(exchange), tuning=tuning()) as app,
    ):
        yield app, exchange, names


async def quiet(client: MarketsClient) -> list[dict[str, Any]]:
    """What comes until a ping, sent now, is answered."""
    await asyncio.sleep(0)
    await client.send(type="ping", id="quiet")
    return (await client.until("pong", id="quiet"))[1]


@time_is_simulated
async def test_the_quality_is_sent_on_subscribing_and_when_it_changes(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", quality=True)
    await client.next("snapshot")
    first = await state(client, "live")
    await eventually(lambda: app.services.status("binance").state == "live")
    assert list(first) == FIELDS
    assert (first["exchange"], first["channel"], first["symbol"]) == ("binance", "trades", "BTCUSDT")
    assert (first["complete_to"], first["last_id"], first["lost"], first["lost_ts"]) == (None, None, 0, None)
    exchange.faults.set_status(symbol="BTCUSDT", state="HALT")
    halted = await state(client, "halted")
    assert halted["since"] > first["since"]
    exchange.faults.set_status(symbol="BTCUSDT", state="TRADING")
    await state(client, "live")


@time_is_simulated
async def test_who_does_not_ask_for_it_gets_none(app: RunningApp, exchange: Simulator) -> None:
    plain, curious = await app.connect(), await app.connect()
    await plain.subscribe("BTCUSDT")
    await curious.subscribe("BTCUSDT", quality=True)
    exchange.faults.set_status(symbol="BTCUSDT", state="BREAK")
    await curious.next("quality", state="halted")
    assert [message for message in await quiet(plain) if message["type"] == "quality"] == []


@time_is_simulated
async def test_it_is_asked_for_alone_and_the_stream_goes_on_as_it_was(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", "ETHUSDT", mode="latest", interval_ms=1000)
    await client.next("status", state="live")
    await quiet(client)
    reply = await client.subscribe("BTCUSDT", quality=True)
    assert reply["results"] == [{"symbol": "BTCUSDT", "ok": True}]
    assert reply["subscriptions"] == ["BTCUSDT", "ETHUSDT"]
    message, before = await client.until("quality")
    assert message["symbol"] == "BTCUSDT"
    assert "snapshot" not in {one["type"] for one in [*before, *await quiet(client)]}
    listed = await client.ask("list")
    assert [one["mode"] for one in listed["subscriptions"]] == ["latest", "latest"]
    exchange.faults.burst(symbol="BTCUSDT", trades=3)
    assert (await client.next("trade"))["symbol"] == "BTCUSDT"


@time_is_simulated
async def test_with_another_field_the_stream_begins_again(app: RunningApp) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await client.next("snapshot")
    await client.subscribe("BTCUSDT", quality=True, snapshot=0)
    assert "snapshot" in {message["type"] for message in (await client.until("quality"))[1]}
    await client.subscribe(
        "BTCUSDT", mode="latest"
    )  # it says nothing of the quality: that stays, and is told
    assert "snapshot" in {message["type"] for message in (await client.until("quality"))[1]}


@time_is_simulated
async def test_without_a_name_it_is_about_everything_that_is_subscribed(app: RunningApp) -> None:
    client = await app.connect()
    request = {"exchange": "binance", "channel": "trades", "quality": True}
    reply = await client.ask("subscribe", **request)
    assert (reply["type"], reply["results"], reply["subscriptions"]) == ("subscribed", [], [])
    await client.subscribe("BTCUSDT", "ETHUSDT")
    reply = await client.ask("subscribe", **request)
    assert [result["symbol"] for result in reply["results"]] == ["BTCUSDT", "ETHUSDT"]
    assert {(await client.next("quality"))["symbol"] for _ in range(2)} == {"BTCUSDT", "ETHUSDT"}
    reply = await client.ask("subscribe", **request, snapshot=1)
    assert (reply["type"], reply["code"]) == ("error", "invalid_message")


@time_is_simulated
async def test_a_new_name_beside_it_is_subscribed_as_usual(app: RunningApp) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await client.next("snapshot")
    await client.subscribe("BTCUSDT", "ETHUSDT", quality=True)
    before = (await client.until("quality"))[1]
    assert [message["symbol"] for message in before if message["type"] == "snapshot"] == ["ETHUSDT"]


@time_is_simulated
async def test_it_ends_on_request_and_with_the_subscription(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", "ETHUSDT", "SOLUSDT", quality=True)
    await client.next("status", state="live")
    await client.subscribe("BTCUSDT", quality=False)
    await client.unsubscribe("ETHUSDT")
    await client.subscribe("ETHUSDT")
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        exchange.faults.set_status(symbol=symbol, state="BREAK")
    before = (await client.until("quality", state="halted"))[1]
    assert [message for message in before if message.get("state") == "halted"] == []
    await eventually(lambda: app.services.feeds["binance"].quality.counts()["halted"] == 3)
    halted = [message for message in await quiet(client) if message["type"] == "quality"]
    assert halted == []


@pytest.mark.parametrize("value", ["yes", 1, []])
@time_is_simulated
async def test_a_wish_that_makes_no_sense_is_refused(app: RunningApp, value: object) -> None:
    client = await app.connect()
    reply = await client.subscribe("BTCUSDT", quality=value)
    assert (reply["type"], reply["code"]) == ("error", "invalid_message")


@pytest.mark.long
@time_is_simulated
async def test_missing_trades_are_told_as_recovering_and_what_was_lost_is_counted(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", quality=True)
    await state(client, "live")
    await eventually(lambda: app.services.status("binance").state == "live")
    exchange.faults.burst(symbol="BTCUSDT", trades=1)
    first = (await client.trades(1))[0]["id"]
    exchange.faults.rest_down(status=503)
    exchange.faults.lose(stream="btcusdt@trade", count=4)
    exchange.faults.burst(symbol="BTCUSDT", trades=6)
    recovering = await state(client, "recovering")
    assert (recovering["complete_to"], recovering["last_id"]) == (first, first + 6)
    gap = await client.next("gap")
    assert (gap["from_id"], gap["to_id"], gap["cause"]) == (first + 1, first + 4, "upstream")
    live = await state(client, "live")
    assert (live["complete_to"], live["last_id"], live["lost"]) == (first + 6, first + 6, 4)
    assert live["lost_ts"] >= recovering["since"]


@pytest.mark.long
@time_is_simulated
async def test_a_client_that_reads_nothing_costs_a_bounded_backlog_and_gets_the_newest_in_the_end() -> None:
    async with many(200) as (app, exchange, names):
        readers = app.services.hub.quality
        monitor = app.services.feeds["binance"].quality
        client = await app.connect()
        await client.subscribe(*names, quality=True)
        await eventually(lambda: monitor.counts()["live"] == 200)
        (connection,) = app.services.hub.connections
        connection.mailbox.room.clear()  # as while it does not read
        for turn in range(100):
            for name in names:
                quality = monitor.of(StreamKey.trades("binance", name))
                assert quality is not None
                readers.publish(quality)
            if turn % 50 == 0:
                await asyncio.sleep(0.15)
            assert sum(map(len, readers._waiting.values())) + len(readers._changed) <= 400
        exchange.faults.set_status(symbol="X7USDT", state="HALT")
        await eventually(lambda: monitor.counts()["halted"] == 1)
        connection.mailbox.room.set()
        await client.next("quality", symbol="X7USDT", state="halted")
        told = [message["symbol"] for message in await quiet(client) if message["type"] == "quality"]
        assert len(told) == len(set(told))


async def test_at_most_fifty_are_sent_to_one_client_in_one_turn() -> None:
    async with many(180) as (app, _, names):
        client = await app.connect()
        sent: list[int] = []
        post, loop = app.services.fanout.post, asyncio.get_running_loop()
        turn = [0]

        def count_turn() -> None:
            turn[0] += 1
            loop.call_soon(count_turn)

        count_turn()

        def counted(mailbox: Any, payload: bytes) -> None:
            if payload.startswith(b'{"type":"quality"'):
                sent.append(turn[0])
            post(mailbox, payload)

        app.services.fanout.post = counted  # type: ignore[method-assign]
        await client.subscribe(*names, quality=True)
        told = {(await client.next("quality"))["symbol"] for _ in names}
        assert told == set(names)
        assert max(sent.count(number) for number in set(sent)) <= 50


@time_is_simulated
async def test_nothing_of_a_client_that_left_stays(app: RunningApp, exchange: Simulator) -> None:
    for _ in range(3):
        client = await app.connect()
        await client.subscribe("BTCUSDT", "ETHUSDT", quality=True)
        await client.socket.close()
    readers = app.services.hub.quality
    await eventually(lambda: not (readers._readers or readers._waiting or readers._changed))
