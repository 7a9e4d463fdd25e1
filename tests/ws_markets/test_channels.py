"""Tickers, best bid and ask, and depth on `/ws/markets`, from the exchange's streams to the client."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.latest_streams import UpdateLimits
from livemarkets.market.clock import system_clock
from livemarkets.market.models import StreamKey
from livemarkets.server.websocket_protocol import RawFrameProtocol
from tests.exchanges.binance.test_updates import BOOK_DATA, ROW_DATA, TICKER_DATA
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient
from tests.support.scripted_exchange import ScriptedExchange, scripted_exchange
from tests.support.second_exchange import harbour
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import quick

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "币安人生USDT")
BOOK_STREAM, DEPTH_STREAM, TICKER_STREAM = "btcusdt@bookTicker", "btcusdt@depth20@100ms", "btcusdt@ticker"
ALL_STREAM = "!ticker_1d@arr"


class World:
    """An exchange that says what it is told to, and an app that reads it."""

    def __init__(self, exchange: ScriptedExchange, app: RunningApp) -> None:
        self.exchange = exchange
        self.app = app
        self.number = 0

    async def subscribed(self, client: MarketsClient, stream: str, **fields: Any) -> dict[str, Any]:
        """Subscribe, wait until the exchange has the stream, and return the snapshot."""
        await client.send(type="subscribe", exchange="binance", **fields)
        answer = await client.next("subscribed")
        assert all(result["ok"] for result in answer["results"]), answer
        snapshot = await client.next("snapshot")
        await eventually(lambda: stream in self.exchange.subscriptions(), because=stream)
        return snapshot

    async def book(self, symbol: str = "BTCUSDT") -> int:
        """Let the exchange tell another best bid and ask; return its number."""
        self.number += 1
        data = BOOK_DATA | {"s": symbol, "u": self.number}
        await self.exchange.send(f"{symbol.lower()}@bookTicker", data)
        return self.number

    async def depth(self, levels: int = 20) -> int:
        self.number += 1
        bids = [[f"{60_000 - n}.00", "1.50000"] for n in range(levels)]
        asks = [[f"{60_001 + n}.00", "2.50000"] for n in range(levels)]
        data = {"lastUpdateId": self.number, "bids": bids, "asks": asks}
        await self.exchange.send(DEPTH_STREAM, data)
        return self.number

    async def ticker(self, **fields: Any) -> int:
        self.number += 1
        data = TICKER_DATA | {"s": "BTCUSDT", "E": TICKER_DATA["E"] + self.number, "n": self.number}
        await self.exchange.send(TICKER_STREAM, data | fields)
        return self.number

    async def tickers(self, *symbols: str, **fields: Any) -> int:
        self.number += 1
        data = ROW_DATA | {"E": ROW_DATA["E"] + self.number, "n": self.number} | fields
        await self.exchange.send(ALL_STREAM, [data | {"s": symbol} for symbol in symbols])
        return self.number


QUICK = Tuning(client=quick(), feed=FeedLimits(updates=UpdateLimits(mute_seconds=0.6, sweep_seconds=0.05)))


@contextlib.asynccontextmanager
async def running(*symbols: str, tuning: Tuning | None = None, **fields: Any) -> AsyncIterator[World]:
    async with scripted_exchange(*(symbols or SYMBOLS)) as exchange:
        urls = {"binance_ws_url": exchange.ws_url, "binance_rest_url": exchange.rest_url}
        settings = settings_for(None, **(urls | fields))
        tuning = tuning or Tuning(client=quick())
        async with running_app(settings, tuning=tuning, ws=RawFrameProtocol) as app:
            yield World(exchange, app)


@pytest.fixture
def world() -> contextlib.AbstractAsyncContextManager[World]:
    return running()


@time_is_simulated
async def test_the_best_bid_and_ask_end_to_end(world: World) -> None:
    client = await world.app.connect()
    snapshot = await world.subscribed(client, BOOK_STREAM, channel="book", symbol="btcusdt")
    assert snapshot == {
        "type": "snapshot",
        "exchange": "binance",
        "channel": "book",
        "symbol": "BTCUSDT",
        "data": [],
    }
    await world.book()
    book = await client.next("book")
    assert isinstance(book.pop("recv_ts"), int)
    assert book == {
        "type": "book",
        "exchange": "binance",
        "symbol": "BTCUSDT",
        "bid": Decimal("25.35190000"),
        "bid_size": Decimal("31.21000000"),
        "ask": Decimal("25.36520000"),
        "ask_size": Decimal("40.66000000"),
        "update_id": 1,
    }
    second = await world.app.connect()
    snapshot = await world.subscribed(second, BOOK_STREAM, channel="book", symbol="BTCUSDT")
    assert [entry["update_id"] for entry in snapshot["data"]] == [1]
    await world.book()
    for reader in (client, second):
        assert (await reader.next("book"))["update_id"] == 2
    await client.send(type="unsubscribe", exchange="binance", channel="book", symbol="BTCUSDT")
    answer = await client.next("unsubscribed")
    assert (answer["channel"], answer["subscriptions"]) == ("book", [])
    await second.send(type="unsubscribe", exchange="binance", channel="book", symbol="BTCUSDT")
    await eventually(lambda: world.exchange.connections == {}, because="nothing is left upstream")
    assert len(world.app.services.updates) == 0


@time_is_simulated
async def test_depth_has_as_many_levels_as_each_reader_asked_for(world: World) -> None:
    clients = {levels: await world.app.connect() for levels in (5, 10, 20)}
    for levels, client in clients.items():
        await world.subscribed(client, DEPTH_STREAM, channel="depth", symbol="BTCUSDT", levels=levels)
    await world.depth()
    for levels, client in clients.items():
        depth = await client.next("depth")
        assert (depth["levels"], len(depth["bids"]), len(depth["asks"])) == (levels, levels, levels)
        assert depth["bids"][0] == [Decimal("60000.00"), Decimal("1.50000")]
        assert depth["update_id"] == 1
    client = clients[5]
    await client.send(type="list")
    (entry,) = (await client.next("subscriptions"))["subscriptions"]
    assert entry == {
        "exchange": "binance",
        "channel": "depth",
        "symbol": "BTCUSDT",
        "mode": "all",
        "last_id": None,
        "complete_to": None,
        "levels": 5,
    }
    snapshot = await world.subscribed(client, DEPTH_STREAM, channel="depth", symbol="BTCUSDT")
    assert (snapshot["data"][0]["levels"], len(snapshot["data"][0]["bids"])) == (20, 20)
    await world.depth(levels=3)
    depth = await client.next("depth")
    assert (depth["levels"], len(depth["bids"]), depth["update_id"]) == (20, 3, 2)
    assert world.exchange.subscriptions() == {DEPTH_STREAM}


@time_is_simulated
async def test_tickers_end_to_end(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client, TICKER_STREAM, channel="tickers", symbol="BTCUSDT")
    await world.ticker()
    ticker = await client.next("ticker")
    assert list(ticker) == [
        *("type", "exchange", "symbol", "last", "open", "high", "low", "change", "change_percent", "volume"),
        *("quote_volume", "trades", "bid", "bid_size", "ask", "ask_size", "open_ts", "last_id", "ts"),
        "recv_ts",
    ]
    assert (ticker["last"], ticker["change_percent"]) == (Decimal("0.0025"), Decimal("250.00"))


@time_is_simulated
async def test_one_connection_holds_any_mix_and_each_name_ends_alone(world: World) -> None:
    client = await world.app.connect()
    for channel in ("trades", "book", "depth", "tickers"):
        await client.send(type="subscribe", exchange="binance", channel=channel, symbol="BTCUSDT")
        answer = await client.next("subscribed")
        assert (answer["channel"], answer["subscriptions"]) == (channel, ["BTCUSDT"])
        assert (await client.next("snapshot"))["channel"] == channel
    streams = {BOOK_STREAM, DEPTH_STREAM, TICKER_STREAM, "btcusdt@trade"}
    await eventually(lambda: world.exchange.subscriptions() == streams)
    await client.send(type="unsubscribe", exchange="binance", channel="book", symbol="BTCUSDT")
    await eventually(lambda: world.exchange.subscriptions() == streams - {BOOK_STREAM})
    await world.ticker()
    await client.next("ticker")
    await client.send(type="list")
    listed = (await client.next("subscriptions"))["subscriptions"]
    assert [entry["channel"] for entry in listed] == ["trades", "depth", "tickers"]
    await client.socket.close()
    await eventually(lambda: world.exchange.connections == {})


@time_is_simulated
async def test_what_a_channel_does_not_have_is_refused(world: World) -> None:
    client = await world.app.connect()
    for fields, text in (
        (
            {"channel": "book", "after": {"BTCUSDT": 5}},
            "after is a field of the channels trades and candles, not of book",
        ),
        ({"channel": "tickers", "order": "arrival"}, "order is a field of the channel trades"),
        ({"channel": "book", "levels": 5}, "levels is a field of the channel depth, not of book"),
        ({"channel": "depth", "levels": 7}, "levels must be one of 5, 10, 20, not 7"),
        ({"channel": "depth", "levels": True}, "levels must be one of 5, 10, 20, not true"),
        ({"channel": "depth", "levels": "5"}, "levels must be one of 5, 10, 20, not '5'"),
    ):
        await client.send(type="subscribe", exchange="binance", symbol="BTCUSDT", **fields)
        error = await client.next("error")
        assert error["code"] == "invalid_message"
        assert text in error["message"]
    await client.send(type="subscribe", exchange="binance", channel="nope", symbol="BTCUSDT")
    error = await client.next("error")
    assert error["code"] == "unknown_channel"
    assert error["message"] == "channel must be one of trades, tickers, book, depth, candles, not 'nope'"
    await client.send(type="subscribe", exchange="binance", channel="book", symbols="*")
    answer = await client.next("subscribed")
    assert answer["results"][0]["code"] == "unknown_symbol"
    assert "only the channel tickers" in answer["results"][0]["message"]
    assert world.exchange.connections == {}


@time_is_simulated
async def test_an_exchange_without_a_channel_says_so() -> None:
    async with scripted_exchange() as exchange:
        urls = {"binance_ws_url": exchange.ws_url, "binance_rest_url": exchange.rest_url}
        ports = {"harbour": harbour("http://127.0.0.1:9", system_clock())}
        async with running_app(settings_for(None, **urls), exchanges=ports) as app:
            client = await app.connect()
            for kind in ("subscribe", "unsubscribe"):
                await client.send(type=kind, exchange="harbour", channel="book", symbol="BTCUSDT")
                error = await client.next("error")
                assert error["code"] == "unknown_channel"
                assert error["message"] == "channel must be one of trades on harbour, not book"


@time_is_simulated
async def test_latest_gets_at_most_one_in_an_interval_and_ends_on_the_newest(world: World) -> None:
    client = await world.app.connect()
    fields = {"channel": "book", "symbol": "BTCUSDT", "mode": "latest", "interval_ms": 300}
    await world.subscribed(client, BOOK_STREAM, **fields)
    for _ in range(200):
        last = await world.book()
    came = [await client.next("book")]
    while came[-1]["update_id"] < last:
        came.append(await client.next("book"))
    assert len(came) < 20
    assert sum(1 + book.get("skipped", 0) for book in came) == 200
    for before, book in pairwise(came):
        assert book["update_id"] - before["update_id"] - 1 == book.get("skipped", 0)


@time_is_simulated
async def test_many_names_of_one_request_are_started_one_after_the_other() -> None:
    symbols = [f"S{number}USDT" for number in range(120)]
    async with running(*symbols) as world:
        client = await world.app.connect()
        await client.send(type="subscribe", exchange="binance", channel="book", symbols=symbols)
        snapshots = [await client.next("snapshot") for _ in symbols]
        assert [snapshot["symbol"] for snapshot in snapshots] == symbols
        await eventually(lambda: len(world.exchange.subscriptions()) == 120)
        await world.book("S77USDT")
        assert (await client.next("book"))["symbol"] == "S77USDT"


@time_is_simulated
async def test_all_tickers_come_as_a_snapshot_and_then_what_changed() -> None:
    many = [f"S{number}USDT" for number in range(450)]
    async with running(*many) as world:
        first = await world.app.connect()
        snapshot = await world.subscribed(first, ALL_STREAM, channel="tickers", symbols="*")
        assert {name: snapshot[name] for name in ("exchange", "channel", "symbol", "data")} == {
            "exchange": "binance",
            "channel": "tickers",
            "symbol": "*",
            "data": [],
        }
        await world.tickers(*many)
        deltas = [await first.next("tickers") for _ in range(3)]
        assert [len(delta["data"]) for delta in deltas] == [200, 200, 50]
        assert {name: deltas[0][name] for name in ("exchange", "channel", "symbols")} == {
            "exchange": "binance",
            "channel": "tickers",
            "symbols": "*",
        }
        assert list(deltas[0]["data"][0]) == [
            *("symbol", "last", "open", "high", "low", "change", "change_percent", "volume"),
            *("quote_volume", "trades", "last_id", "open_ts", "ts"),
        ]
        second = await world.app.connect()
        await second.send(type="subscribe", exchange="binance", channel="tickers", symbol="*")
        answer = await second.next("subscribed")
        assert (answer["results"], answer["subscriptions"]) == ([{"symbol": "*", "ok": True}], ["*"])
        snapshots = [await second.next("snapshot") for _ in range(3)]
        assert [row["symbol"] for part in snapshots for row in part["data"]] == many
        number = await world.tickers("S3USDT", "S449USDT")
        for client in (first, second):
            (delta,) = [await client.next("tickers")]
            assert {row["symbol"]: row["trades"] for row in delta["data"]} == {
                "S3USDT": number,
                "S449USDT": number,
            }
        await second.send(type="unsubscribe", exchange="binance", channel="tickers", symbols="*")
        await second.next("unsubscribed")
        await first.socket.close()
        await eventually(lambda: world.exchange.connections == {})


@time_is_simulated
async def test_single_tickers_and_all_tickers_are_two_names(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client, TICKER_STREAM, channel="tickers", symbol="BTCUSDT")
    await world.subscribed(client, ALL_STREAM, channel="tickers", symbols=["*"])
    await world.ticker()
    assert (await client.next("ticker"))["symbol"] == "BTCUSDT"
    await world.tickers("ETHUSDT")
    assert (await client.next("tickers"))["data"][0]["symbol"] == "ETHUSDT"
    await client.send(type="unsubscribe", exchange="binance", channel="tickers", symbol="BTCUSDT")
    answer = await client.next("unsubscribed")
    assert answer["subscriptions"] == ["*"]
    await eventually(lambda: world.exchange.subscriptions() == {ALL_STREAM})


@time_is_simulated
async def test_the_quality_of_other_channels_has_no_ids(world: World) -> None:
    client = await world.app.connect()
    await client.send(type="subscribe", exchange="binance", channel="book", symbol="BTCUSDT", quality=True)
    quality = await client.next("quality")
    assert isinstance(quality.pop("since"), int)
    assert quality == {
        "type": "quality",
        "exchange": "binance",
        "channel": "book",
        "symbol": "BTCUSDT",
        "state": "live",
        "complete_to": None,
        "last_id": None,
        "lost": 0,
        "lost_ts": None,
    }


@time_is_simulated
async def test_all_tickers_that_stay_away_are_stale_and_subscribed_again() -> None:
    async with running(tuning=QUICK) as world:
        client = await world.app.connect()
        fields = {"channel": "tickers", "symbols": "*", "quality": True}
        await world.subscribed(client, ALL_STREAM, **fields)
        status = await client.next("status", state="stale")
        assert status["reason"] == "nothing arrives for *"
        quality = await client.next("quality", state="stale")
        assert (quality["channel"], quality["symbol"]) == ("tickers", "*")
        subscribed = ("SUBSCRIBE", [ALL_STREAM])
        await eventually(lambda: world.exchange.requests.count(subscribed) >= 2, because="again")
        feed = world.app.services.feeds["binance"]
        await eventually(
            lambda: feed.statistics().client.rotations >= 1,
            10,
            because="another connection, as it did not help",
        )
        await world.tickers("BTCUSDT")
        await client.next("status", state="live")
        await client.next("quality", state="live")


@time_is_simulated
async def test_the_silence_of_a_book_is_never_stale() -> None:
    async with running(tuning=QUICK) as world:
        client = await world.app.connect()
        await world.subscribed(client, BOOK_STREAM, channel="book", symbol="BTCUSDT", quality=True)
        await world.subscribed(client, ALL_STREAM, channel="tickers", symbols="*")
        feed = world.app.services.feeds["binance"]
        await eventually(lambda: feed.quality.counts()["stale"] == 1, because="all tickers, and nothing else")
        assert [key.symbol for key in feed.updates.mute] == ["*"]


@time_is_simulated
async def test_a_cut_costs_no_name_its_newest_value(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client, BOOK_STREAM, channel="book", symbol="BTCUSDT")
    await world.subscribed(client, DEPTH_STREAM, channel="depth", symbol="BTCUSDT")
    await world.book()
    await client.next("book")
    before = set(world.exchange.connections)
    await world.exchange.drop()
    await eventually(lambda: not before & world.exchange.connections.keys())
    await eventually(lambda: world.exchange.subscriptions() == {BOOK_STREAM, DEPTH_STREAM}, 10)
    last = await world.book()
    assert (await client.next("book"))["update_id"] == last
    last = await world.depth()
    assert (await client.next("depth"))["update_id"] == last


@time_is_simulated
async def test_a_ticker_shows_a_lost_trade_at_no_weight(world: World) -> None:
    """Nothing else shows that trade 8 exists: no later trade comes, and the exchange is not asked."""
    world.exchange.answers["historicalTrades"] = lambda parameters: [
        {"id": 8, "price": "2.00", "qty": "1.00", "time": 1_723_161_255_400, "isBuyerMaker": False}
    ]
    client = await world.app.connect()
    await world.subscribed(client, "btcusdt@trade", channel="trades", symbol="BTCUSDT")
    await world.subscribed(client, ALL_STREAM, channel="tickers", symbols="*")
    trade = {"e": "trade", "E": 1_723_161_255_343, "s": "BTCUSDT", "t": 7, "p": "1.00", "q": "1.00"}
    await world.exchange.send("btcusdt@trade", trade | {"T": 1_723_161_255_342, "m": True})
    assert (await client.next("trade"))["id"] == 7
    await world.tickers("BTCUSDT", L=8)
    fetched = await client.next("trade")
    assert (fetched["id"], fetched["backfilled"]) == (8, True)


@time_is_simulated
async def test_an_impossible_book_changes_nothing(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client, BOOK_STREAM, channel="book", symbol="BTCUSDT")
    await world.exchange.send(BOOK_STREAM, BOOK_DATA | {"s": "BTCUSDT", "b": "99", "u": 1})
    await world.exchange.send(BOOK_STREAM, BOOK_DATA | {"s": "BTCUSDT", "b": None, "B": None, "u": 2})
    book = await client.next("book")
    assert (book["update_id"], book["bid"], book["bid_size"]) == (2, None, None)


# first values


def rest_ticker(symbol: str, **fields: Any) -> dict[str, Any]:
    names = {"p": "priceChange", "P": "priceChangePercent", "o": "openPrice", "h": "highPrice"}
    names |= {"l": "lowPrice", "c": "lastPrice", "v": "volume", "q": "quoteVolume", "O": "openTime"}
    names |= {"E": "closeTime", "L": "lastId", "n": "count", "b": "bidPrice", "B": "bidQty"}
    names |= {"a": "askPrice", "A": "askQty"}
    return {"symbol": symbol} | {long: TICKER_DATA[short] for short, long in names.items()} | fields


def rest_book(symbol: str) -> dict[str, Any]:
    return {"symbol": symbol, "bidPrice": "1.50", "bidQty": "2", "askPrice": "1.60", "askQty": "3"}


def asked(parameters: dict[str, str]) -> list[str]:
    """The symbols of a REST call."""
    return json.loads(parameters["symbols"]) if "symbols" in parameters else list(SYMBOLS)


@time_is_simulated
async def test_a_quiet_symbol_has_a_first_value_from_one_shared_call(world: World) -> None:
    answers = world.exchange.answers
    answers["ticker/24hr"] = lambda parameters: [rest_ticker(symbol) for symbol in asked(parameters)]
    answers["ticker/bookTicker"] = lambda parameters: [rest_book(symbol) for symbol in asked(parameters)]
    clients = [await world.app.connect() for _ in range(3)]
    for client in clients:
        for channel in ("tickers", "book"):
            await client.send(type="subscribe", exchange="binance", channel=channel, symbols=list(SYMBOLS))
    for client in clients:
        snapshots = [await client.next("snapshot") for _ in range(8)]
        found = {(each["channel"], each["symbol"]): each["data"] for each in snapshots}
        assert found.keys() == {(channel, symbol) for channel in ("tickers", "book") for symbol in SYMBOLS}
        assert all(len(data) == 1 for data in found.values())
        assert found["book", "ETHUSDT"][0]["bid"] == Decimal("1.50")
        assert found["book", "ETHUSDT"][0]["update_id"] is None
        assert found["tickers", "ETHUSDT"][0]["last"] == Decimal("0.0025")
    calls = [call for call, _ in world.exchange.calls if call.startswith("ticker/")]
    assert sorted(calls) == ["ticker/24hr", "ticker/bookTicker"]
    await eventually(lambda: BOOK_STREAM in world.exchange.subscriptions())
    await world.book()
    assert (await clients[0].next("book"))["update_id"] == 1


@time_is_simulated
async def test_the_order_book_of_a_quiet_symbol_is_there_at_once(world: World) -> None:
    world.exchange.answers["depth"] = lambda parameters: {
        "lastUpdateId": 160,
        "bids": [["1.50", "2"], ["1.40", "7"]],
        "asks": [["1.60", "3"]],
    }
    client = await world.app.connect()
    snapshot = await world.subscribed(client, DEPTH_STREAM, channel="depth", symbol="BTCUSDT", levels=5)
    (shown,) = snapshot["data"]
    assert (shown["update_id"], len(shown["bids"]), shown["asks"]) == (160, 2, [[Decimal("1.60"), 3]])


@time_is_simulated
async def test_what_the_stream_brings_wins_over_a_first_value(world: World) -> None:
    def late(parameters: dict[str, str]) -> list[dict[str, Any]]:
        return [rest_ticker(symbol, closeTime=TICKER_DATA["E"] + 10_000) for symbol in asked(parameters)]

    world.exchange.answers["ticker/24hr"] = late
    client = await world.app.connect()
    snapshot = await world.subscribed(client, TICKER_STREAM, channel="tickers", symbol="BTCUSDT")
    assert len(snapshot["data"]) == 1
    number = await world.ticker()  # older by its time, but it came from the stream
    assert (await client.next("ticker"))["trades"] == number


@time_is_simulated
async def test_a_first_value_is_no_evidence_of_trades(world: World) -> None:
    world.exchange.answers["ticker/24hr"] = lambda parameters: [
        rest_ticker(symbol, lastId=9) for symbol in asked(parameters)
    ]
    client = await world.app.connect()
    await world.subscribed(client, "btcusdt@trade", channel="trades", symbol="BTCUSDT")
    trade = {"e": "trade", "E": 1_723_161_255_343, "s": "BTCUSDT", "t": 7, "p": "1.00", "q": "1.00"}
    await world.exchange.send("btcusdt@trade", trade | {"T": 1_723_161_255_342, "m": True})
    await client.next("trade")
    snapshot = await world.subscribed(client, TICKER_STREAM, channel="tickers", symbol="BTCUSDT")
    assert snapshot["data"][0]["last_id"] == 9
    ledger = world.app.services.feeds["binance"].ledger(StreamKey.trades("binance", "BTCUSDT"))
    assert ledger is not None
    assert (ledger.newest_known(), bool(ledger.holes)) == (7, False)


@time_is_simulated
async def test_all_tickers_begin_with_all_symbols_asked_for_once(world: World) -> None:
    world.exchange.answers["ticker/24hr"] = lambda parameters: [
        *(rest_ticker(symbol) for symbol in asked(parameters)),
        rest_ticker("ODDUSDT", lowPrice="0"),
    ]
    for _ in range(2):
        client = await world.app.connect()
        snapshot = await world.subscribed(client, ALL_STREAM, channel="tickers", symbols="*")
        assert [row["symbol"] for row in snapshot["data"]] == list(SYMBOLS)
    assert [parameters for call, parameters in world.exchange.calls if call == "ticker/24hr"] == [{}]
    await client.socket.close()


@time_is_simulated
async def test_what_changed_during_a_cut_is_told_though_nothing_follows(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client, BOOK_STREAM, channel="book", symbol="BTCUSDT")
    await world.book()
    await client.next("book")
    world.exchange.answers["ticker/bookTicker"] = lambda parameters: [
        rest_book(symbol) for symbol in asked(parameters)
    ]
    await world.exchange.drop()
    book = await client.next("book", 10)
    assert (book["bid"], book["update_id"]) == (Decimal("1.50"), None)


@time_is_simulated
async def test_without_first_values_the_snapshot_comes_soon_and_empty(world: World) -> None:
    client = await world.app.connect()
    snapshot = await world.subscribed(client, BOOK_STREAM, channel="book", symbol="BTCUSDT")
    assert snapshot["data"] == []
    snapshot = await world.subscribed(client, BOOK_STREAM, channel="book", symbol="BTCUSDT", snapshot=0)
    assert snapshot["data"] == []
