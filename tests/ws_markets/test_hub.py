"""`/ws/markets` over real sockets, with the fast way out and with the fall-back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from livemarkets import __version__
from livemarkets.app import Tuning
from livemarkets.market.models import StreamKey
from livemarkets.server.websocket_protocol import RawFrameProtocol
from livemarkets.simulator import Simulator
from tests.support.app import (
    RunningApp,
    quiet_market,
    running_app,
    running_exchange,
    settings_for,
)
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient, missing_ids
from tests.support.simulated_time import Shared, time_is_simulated

pytestmark = pytest.mark.long


FEED_LENGTH = 1200
BTC = StreamKey("binance", "trades", "BTCUSDT")


@pytest.fixture
def exchange() -> Shared[Simulator]:
    return Shared(running_exchange(quiet_market()))


@pytest.fixture
def app(
    request: pytest.FixtureRequest, exchange: Shared[Simulator]
) -> AbstractAsyncContextManager[RunningApp]:
    return app_at(exchange, getattr(request, "param", RawFrameProtocol))


@asynccontextmanager
async def app_at(exchange: Shared[Simulator], protocol: Any) -> AsyncIterator[RunningApp]:
    async with exchange as running:
        settings = settings_for(running, feed_length=FEED_LENGTH, max_symbols_per_client=4)
        async with running_app(settings, tuning=Tuning(heartbeat_seconds=1), ws=protocol) as app:
            yield app


both_ways_out = pytest.mark.parametrize(
    "app", [RawFrameProtocol, "websockets-sansio"], ids=["frames", "send_text"], indirect=True
)


async def live(client: MarketsClient, *symbols: str, **fields: Any) -> None:
    """Subscribe, and wait until the exchange delivers."""
    await client.subscribe(*symbols, **fields)
    await client.next("status", state="live")


async def filled(app: RunningApp, exchange: Simulator, trades: int) -> MarketsClient:
    """A client that keeps BTCUSDT subscribed while so many trades come to lie in memory."""
    keeper = await app.connect()
    await live(keeper, "BTCUSDT")
    exchange.faults.burst(symbol="BTCUSDT", trades=trades)
    await keeper.trades(trades)
    return keeper


@time_is_simulated
async def test_the_welcome_is_the_first_message_and_says_what_applies(app: RunningApp) -> None:
    client = await app.connect(greet=False)
    welcome = await client.receive()
    assert len(welcome.pop("client_id")) >= 8
    assert welcome == {
        "type": "welcome",
        "protocol": 1,
        "server": f"livemarkets/{__version__}",
        "heartbeat_seconds": 1,
        "exchanges": {"binance": "idle", "simulator": "idle"},
        "channels": ["trades", "tickers", "book", "depth", "candles"],
        "limits": {
            "symbols": 4,
            "streams": 500,
            "messages_per_second": 20,
            "message_bytes": 16_384,
            "buffer_bytes": 1_048_576,
        },
    }


@time_is_simulated
async def test_every_client_has_a_name_of_its_own(app: RunningApp) -> None:
    clients = [await app.connect(greet=False) for _ in range(3)]
    assert len({(await client.receive())["client_id"] for client in clients}) == 3


@both_ways_out
@time_is_simulated
async def test_a_subscription_is_answered_by_result_status_snapshot_and_then_trades(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    await client.send(type="subscribe", exchange="binance", channel="trades", symbol="BTCUSDT")
    subscribed, status, snapshot = [await client.receive() for _ in range(3)]
    assert subscribed == {
        "type": "subscribed",
        "exchange": "binance",
        "channel": "trades",
        "results": [{"symbol": "BTCUSDT", "ok": True}],
        "subscriptions": ["BTCUSDT"],
    }
    assert status.keys() == {"type", "exchange", "state", "reason", "ts"}
    assert (status["type"], status["exchange"]) == ("status", "binance")
    assert snapshot == {
        "type": "snapshot",
        "exchange": "binance",
        "channel": "trades",
        "symbol": "BTCUSDT",
        "data": [],
    }
    await client.next("status", state="live", reason=None)
    exchange.faults.burst(symbol="BTCUSDT", trades=3)
    assert [trade["symbol"] for trade in await client.trades(3)] == ["BTCUSDT"] * 3


@both_ways_out
@time_is_simulated
async def test_a_trade_says_what_the_exchange_said(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await live(client, "SHIBUSDT")
    before_ms = app.services.now_ms()
    exchange.faults.burst(symbol="SHIBUSDT", trades=50)
    for trade, received in zip(
        exchange.source.history("SHIBUSDT", exchange.now_ms()).trades, await client.trades(50), strict=True
    ):
        recv_ts = received.pop("recv_ts")
        assert before_ms <= recv_ts <= app.services.now_ms()
        assert received == {
            "type": "trade",
            "exchange": "binance",
            "symbol": "SHIBUSDT",
            "price": Decimal(trade.price).scaleb(-8),
            "size": Decimal(trade.size).scaleb(-8),
            "side": "sell" if trade.buyer_is_maker else "buy",
            "ts": trade.time_ms,
            "id": trade.id,
        }


@time_is_simulated
async def test_symbols_are_taken_in_any_case_and_only_once(app: RunningApp) -> None:
    client = await app.connect()
    reply = await client.subscribe("btcusdt", "EthUsdt", "BTCUSDT", " ethusdt ")
    assert reply["results"] == [{"symbol": "BTCUSDT", "ok": True}, {"symbol": "ETHUSDT", "ok": True}]
    assert reply["subscriptions"] == ["BTCUSDT", "ETHUSDT"]


@time_is_simulated
async def test_symbol_and_symbols_may_be_given_together(app: RunningApp) -> None:
    client = await app.connect()
    reply = await client.ask(
        "subscribe", exchange="binance", channel="trades", symbol="SOLUSDT", symbols=["BTCUSDT"]
    )
    assert reply["subscriptions"] == ["SOLUSDT", "BTCUSDT"]


@time_is_simulated
async def test_each_symbol_has_its_verdict_and_a_suggestion(app: RunningApp) -> None:
    client = await app.connect()
    reply = await client.subscribe("BTC/USDT", "ETHUSDT", "SHIBUSD", "QQQQQQ")
    assert [(result["symbol"], result["ok"]) for result in reply["results"]] == [
        ("BTC/USDT", False),
        ("ETHUSDT", True),
        ("SHIBUSD", False),
        ("QQQQQQ", False),
    ]
    slash, _, misspelt, unknown = reply["results"]
    assert slash["code"] == misspelt["code"] == unknown["code"] == "unknown_symbol"
    assert slash["did_you_mean"] == ["BTCUSDT"]
    assert misspelt["did_you_mean"][0] == "SHIBUSDT"
    assert unknown["did_you_mean"] == []
    assert "QQQQQQ" in unknown["message"]
    assert reply["subscriptions"] == ["ETHUSDT"]


@time_is_simulated
async def test_an_odd_name_costs_the_others_of_its_message_nothing(app: RunningApp) -> None:
    client = await app.connect()
    odd = ["", "A" * 100, "BTC\x00\u202eUSDT"]
    reply = await client.ask("subscribe", exchange="binance", channel="trades", symbols=["BTCUSDT", *odd])
    good, empty, long, control = reply["results"]
    assert good == {"symbol": "BTCUSDT", "ok": True}
    for verdict in (empty, long, control):
        assert (verdict["ok"], verdict["code"]) == (False, "unknown_symbol")
    assert (empty["symbol"], long["symbol"], control["symbol"]) == ("", "A" * 64 + "…", odd[2])
    assert "not be empty" in empty["message"]
    assert "at most 64" in long["message"]
    assert control["message"].startswith("binance does not list BTC��USDT; its list was loaded ")
    assert reply["subscriptions"] == ["BTCUSDT"]
    reply = await client.ask(
        "unsubscribe", exchange="binance", channel="trades", symbols=[5, "BTCUSDT", [], None]
    )
    assert [(verdict["symbol"], verdict["ok"]) for verdict in reply["results"]] == [
        ("5", False),
        ("BTCUSDT", True),
        ("[…]", False),
        ("null", False),
    ]
    assert reply["subscriptions"] == []


@time_is_simulated
async def test_only_the_first_three_unknown_names_get_suggestions(app: RunningApp) -> None:
    client = await app.connect()
    reply = await client.subscribe("BTCUSD", "ETHUSD", "SOLUSD", "SHIBUSD")
    meant = [result["did_you_mean"] for result in reply["results"]]
    assert meant == [["BTCUSDT"], ["ETHUSDT"], ["SOLUSDT"], []]


@time_is_simulated
async def test_without_the_exchanges_list_a_name_is_judged_by_its_shape() -> None:
    async with running_app(settings_for(None)) as app:
        client = await app.connect()
        reply = await client.subscribe("币安人生USDT", "BTC USDT", "btcusdt@trade")
        assert [result["ok"] for result in reply["results"]] == [True, False, False]
        assert "2 to 64 letters and digits" in reply["results"][1]["message"]


@time_is_simulated
async def test_the_snapshot_is_as_long_as_asked(app: RunningApp, exchange: Simulator) -> None:
    await filled(app, exchange, 20)
    recent = [tick.id for tick in app.services.trades.recent(BTC, 20)]
    cases: list[tuple[dict[str, Any], int]] = [({}, 1)]
    cases += [({"snapshot": asked}, length) for asked, length in ((0, 0), (1, 1), (7, 7), (20, 20), (21, 20))]
    for fields, length in cases:
        client = await app.connect()
        await client.subscribe("BTCUSDT", **fields)
        snapshot = await client.next("snapshot")
        assert [tick["id"] for tick in snapshot["data"]] == recent[20 - length :]
        assert await client.works()


@both_ways_out
@time_is_simulated
async def test_a_long_snapshot_comes_in_parts_and_live_trades_continue_it(
    app: RunningApp, exchange: Simulator
) -> None:
    await filled(app, exchange, FEED_LENGTH + 300)
    client = await app.connect()
    await client.subscribe("BTCUSDT", snapshot=FEED_LENGTH)
    exchange.faults.burst(symbol="BTCUSDT", trades=40)
    parts = [await client.next("snapshot") for _ in range(3)]
    assert [len(part["data"]) for part in parts] == [500, 500, 200]
    ids = [tick["id"] for part in parts for tick in part["data"]]
    ids += [trade["id"] for trade in await client.trades(40)]
    assert missing_ids(ids) == []
    assert len(ids) == FEED_LENGTH + 40


@time_is_simulated
async def test_a_tick_of_a_snapshot_is_a_trade_without_its_type(app: RunningApp, exchange: Simulator) -> None:
    keeper = await filled(app, exchange, 1)
    exchange.faults.burst(symbol="BTCUSDT", trades=1)
    trade = (await keeper.trades(1))[0]
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    snapshot = await client.next("snapshot")
    assert trade.pop("type") == "trade"
    assert snapshot["data"] == [trade]


@both_ways_out
@time_is_simulated
async def test_whoever_joins_in_the_midst_of_a_busy_market_sees_no_seam(app: RunningApp) -> None:
    async with running_exchange() as busy:
        feed = app.services.feeds["binance"]
        feed.client.urls = (busy.ws_url,)  # type: ignore[attr-defined]
        feed.history.urls = (busy.rest_url,)  # type: ignore[attr-defined]
        keeper = await app.connect()
        await keeper.subscribe("BTCUSDT")
        await keeper.trades(20)
        for snapshot in (1, 2, 5, 17, 40):
            client = await app.connect()
            await client.subscribe("BTCUSDT", snapshot=snapshot)
            ids = [tick["id"] for tick in (await client.next("snapshot"))["data"]]
            ids += [trade["id"] for trade in await client.trades(10)]
            assert missing_ids(ids) == []
            await client.socket.close()


@time_is_simulated
async def test_subscribing_again_repeats_the_snapshot_and_doubles_no_trade(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await filled(app, exchange, 5)
    await client.subscribe("BTCUSDT", snapshot=3)
    assert len((await client.next("snapshot"))["data"]) == 3
    exchange.faults.burst(symbol="BTCUSDT", trades=10)
    assert missing_ids([trade["id"] for trade in await client.trades(10)]) == []


@both_ways_out
@time_is_simulated
async def test_after_unsubscribing_no_trade_of_the_symbol_arrives(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    await live(client, "BTCUSDT", "ETHUSDT")
    await eventually(lambda: len(exchange.subscriptions()) == 2)
    reply = await client.unsubscribe("btcusdt", "SOLUSDT")
    assert reply["type"] == "unsubscribed"
    assert [result["symbol"] for result in reply["results"]] == ["BTCUSDT", "SOLUSDT"]
    assert reply["subscriptions"] == ["ETHUSDT"]
    exchange.faults.burst(symbol="BTCUSDT", trades=20)
    exchange.faults.burst(symbol="ETHUSDT", trades=20)
    assert {trade["symbol"] for trade in await client.trades(20)} == {"ETHUSDT"}
    await eventually(lambda: exchange.subscriptions() == {"ethusdt@trade"})


@time_is_simulated
async def test_the_list_tells_what_is_subscribed_and_how_far_it_is(
    app: RunningApp, exchange: Simulator
) -> None:
    client = await app.connect()
    assert (await client.ask("list"))["subscriptions"] == []
    await live(client, "BTCUSDT")
    await client.subscribe("ETHUSDT", exchange="simulator")
    exchange.faults.burst(symbol="BTCUSDT", trades=2)
    last = (await client.trades(2, "BTCUSDT"))[-1]
    reply = await client.ask("list", id="which")
    assert (reply["type"], reply["id"]) == ("subscriptions", "which")
    binance, simulator = reply["subscriptions"]
    assert binance == {
        "exchange": "binance",
        "channel": "trades",
        "symbol": "BTCUSDT",
        "mode": "all",
        "order": "id",
        "last_id": last["id"],
        "complete_to": last["id"],
    }
    assert (simulator["exchange"], simulator["symbol"]) == ("simulator", "ETHUSDT")


@time_is_simulated
async def test_an_id_comes_back_as_it_was(app: RunningApp) -> None:
    client = await app.connect()
    for request_id in (0, 7, -1, 2**53, "a", "", "x" * 64, "ü✓"):
        pong = await client.ask("ping", id=request_id)
        assert pong.pop("ts") <= app.services.now_ms()
        assert pong == {"type": "pong", "id": request_id}


@time_is_simulated
async def test_without_an_id_there_is_none_in_the_reply(app: RunningApp) -> None:
    client = await app.connect()
    for message in ({"type": "ping"}, {"type": "ping", "id": None}, {"type": "list"}, {"type": "nonsense"}):
        await client.send(**message)
        assert "id" not in await client.receive()


@both_ways_out
@time_is_simulated
async def test_an_error_bears_the_id_of_its_message(app: RunningApp) -> None:
    client = await app.connect()
    assert await client.ask("dance", id="e1") == {
        "type": "error",
        "id": "e1",
        "code": "unknown_type",
        "message": "type must be one of subscribe, unsubscribe, list, ping, not 'dance'",
    }


@time_is_simulated
async def test_unknown_fields_are_ignored(app: RunningApp) -> None:
    client = await app.connect()
    assert (await client.subscribe("BTCUSDT", colour="red", deep={"a": [1]}))["type"] == "subscribed"
    assert (await client.ask("ping", colour="red"))["type"] == "pong"


@time_is_simulated
async def test_a_change_of_state_is_told_to_the_clients_of_that_exchange_alone(
    app: RunningApp, exchange: Simulator
) -> None:
    client, other, nobody = [await app.connect() for _ in range(3)]
    await live(client, "BTCUSDT")
    await live(other, "BTCUSDT", exchange="simulator")
    exchange.faults.refuse(status=503)
    exchange.faults.drop()
    down = await client.next("status", state="down", timeout_seconds=10)
    assert "503" in down["reason"]
    exchange.faults.clear()
    await client.next("status", state="live", timeout_seconds=10)
    for bystander in (other, nobody):
        await bystander.send(type="ping")
        _, before = await bystander.until("pong")
        assert [message for message in before if message["type"] == "status"] == []


@both_ways_out
@time_is_simulated
async def test_a_quiet_client_gets_heartbeats_and_a_busy_one_needs_none(
    app: RunningApp, exchange: Simulator
) -> None:
    quiet, busy = await app.connect(), await app.connect()
    await live(busy, "BTCUSDT")

    async def keep_busy() -> None:
        while True:
            exchange.faults.burst(symbol="BTCUSDT", trades=1)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(keep_busy())
    beat, before = await quiet.until("heartbeat")
    assert beat.keys() == {"type", "ts"}
    assert before == []
    task.cancel()
    await busy.send(type="ping")
    _, before = await busy.until("pong")
    assert {message["type"] for message in before} == {"trade"}


@time_is_simulated
async def test_both_exchanges_on_one_connection_are_told_apart(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await live(client, "BTCUSDT")
    reply = await client.subscribe("BTCUSDT", exchange="simulator")
    assert reply["exchange"] == "simulator"
    assert reply["subscriptions"] == ["BTCUSDT"]
    exchange.faults.burst(symbol="BTCUSDT", trades=5)
    binance = [await client.next("trade", exchange="binance") for _ in range(5)]
    assert missing_ids([trade["id"] for trade in binance]) == []
    assert (await client.next("trade", 10, exchange="simulator"))["symbol"] == "BTCUSDT"
