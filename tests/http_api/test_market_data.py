"""`/api/tickers`, `/api/book` and `/api/depth` over real HTTP: from memory, or from the exchange."""

from __future__ import annotations

import asyncio
import csv
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from livemarkets.simulator import Simulator
from tests.exchanges.binance.test_updates import BOOK_DATA, ROW_DATA, TICKER_DATA
from tests.support.api import with_digits
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import WITHOUT_TLS, eventually
from tests.support.markets_client import MarketsClient
from tests.support.scripted_exchange import ScriptedExchange, scripted_exchange
from tests.ws_markets.test_candles import NOW_MINUTE, kline
from tests.ws_markets.test_channels import rest_book, rest_ticker

TICKER = (
    "exchange,symbol,last,open,high,low,change,change_percent,volume,quote_volume,trades,"
    "bid,bid_size,ask,ask_size,open_ts,last_id,ts,recv_ts"
)
ROW = "symbol,last,open,high,low,change,change_percent,volume,quote_volume,trades,last_id,open_ts,ts"
BOOK = "exchange,symbol,bid,bid_size,ask,ask_size,update_id,recv_ts"
DEPTH = "exchange,symbol,levels,bids,asks,update_id,recv_ts"
BIDS = [[f"{60_000 - n}.00", "1.50000"] for n in range(20)]
ASKS = [[f"{60_001 + n}.00", "2.50000"] for n in range(20)]


class World:
    """An exchange that says what it is told to, and an app that reads it."""

    def __init__(self, exchange: ScriptedExchange, app: RunningApp) -> None:
        self.exchange = exchange
        self.app = app
        exchange.answers["ticker/24hr"] = lambda asked: [rest_ticker(name) for name in self.named(asked)]
        exchange.answers["ticker/bookTicker"] = lambda asked: [rest_book(name) for name in self.named(asked)]
        exchange.answers["depth"] = lambda asked: {"lastUpdateId": 160, "bids": BIDS, "asks": ASKS}

    def named(self, parameters: dict[str, str]) -> list[str]:
        return json.loads(parameters["symbols"]) if "symbols" in parameters else ["SOLUSDT", "BTCUSDT"]

    def asked(self, call: str) -> list[dict[str, str]]:
        """The parameters of each call to the exchange."""
        return [parameters for name, parameters in self.exchange.calls if name == call]

    async def told(self, path: str, **parameters: Any) -> Any:
        response = await self.app.get(path, **parameters)
        assert response.status_code == 200, response.text
        body = with_digits(response.text)
        assert response.headers["livemarkets-source"] == body["source"]
        return body

    async def subscribed(self, stream: str, **fields: Any) -> MarketsClient:
        client = await self.app.connect()
        await client.send(type="subscribe", exchange="binance", **fields)
        await client.next("snapshot")
        await eventually(lambda: stream in self.exchange.subscriptions())
        self.exchange.calls.clear()
        return client


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with scripted_exchange() as exchange:
        settings = settings_for(None, binance_ws_url=exchange.ws_url, binance_rest_url=exchange.rest_url)
        async with running_app(settings) as app:
            yield World(exchange, app)


async def test_what_nobody_reads_comes_from_the_exchange_with_its_digits(world: World) -> None:
    body = await world.told("/api/tickers", symbols="btc/usdt,ETHUSDT")
    assert (body["exchange"], body["source"]) == ("binance", "exchange")
    assert [ticker["symbol"] for ticker in body["tickers"]] == ["BTCUSDT", "ETHUSDT"]
    assert body["tickers"][0]["volume"] == TICKER_DATA["v"]
    assert body["tickers"][0]["bid"] == TICKER_DATA["b"]
    book = await world.told("/api/book", symbols="BTCUSDT")
    assert book["book"][0].items() >= {"bid": "1.50", "ask_size": "3", "update_id": None}.items()
    depth = (await world.told("/api/depth", symbol="BTCUSDT", levels=5))["depth"][0]
    assert (depth["levels"], depth["bids"], depth["asks"]) == ("5", BIDS[:5], ASKS[:5])
    assert world.app.services.manager.counts() == (0, 0, 0)
    assert not world.exchange.connections


async def test_one_answer_is_shared_for_a_second_and_all_tickers_longer(world: World) -> None:
    every = await asyncio.gather(*(world.told("/api/tickers") for _ in range(5)))
    assert [row["symbol"] for row in every[0]["tickers"]] == ["BTCUSDT", "SOLUSDT"]
    assert world.asked("ticker/24hr") == [{}]
    for levels in (5, 10, 20):
        depth = (await world.told("/api/depth", symbol="BTCUSDT", levels=levels))["depth"][0]
        assert len(depth["bids"]) == len(depth["asks"]) == levels
    assert world.asked("depth") == [{"symbol": "BTCUSDT", "limit": "20"}]
    await world.told("/api/book", symbols="BTCUSDT,ETHUSDT")
    await world.told("/api/book", symbols="ETHUSDT,BTCUSDT")
    assert len(world.asked("ticker/bookTicker")) == 1
    async with asyncio.timeout(5):
        while len(world.asked("depth")) < 2:  # the second is over
            await world.told("/api/depth", symbol="BTCUSDT")
    await world.told("/api/tickers")
    assert world.asked("ticker/24hr") == [{}]


async def test_an_address_that_asks_too_much_is_told_when_to_come_back(world: World) -> None:
    await world.told("/api/tickers")  # costs 80 of 100
    for number, symbol in enumerate(("BTCUSDT", "ETHUSDT", "SOLUSDT")):
        for path, name in (("/api/depth", "symbol"), ("/api/book", "symbols")):  # 5 and 4
            response = await world.app.get(path, **{name: symbol})
            assert response.status_code == (429 if number == 2 else 200)
    assert int(response.headers["retry-after"]) >= 1
    assert (len(world.asked("depth")), len(world.asked("ticker/bookTicker"))) == (2, 2)


async def test_a_kept_stream_is_told_from_memory(world: World) -> None:
    client = await world.subscribed("btcusdt@bookTicker", channel="book", symbol="BTCUSDT")
    await world.exchange.send("btcusdt@bookTicker", BOOK_DATA | {"s": "BTCUSDT", "u": 77})
    await client.next("book")
    body = await world.told("/api/book", symbols="BTCUSDT")
    assert (body["source"], body["book"][0]["update_id"]) == ("memory", "77")
    assert world.exchange.calls == []
    both = await world.told("/api/book", symbols="ETHUSDT,BTCUSDT")
    assert (both["source"], [book["symbol"] for book in both["book"]]) == ("both", ["ETHUSDT", "BTCUSDT"])
    assert world.asked("ticker/bookTicker") == [{"symbols": '["ETHUSDT"]'}]


async def test_order_books_and_all_tickers_in_memory_are_not_asked_for(world: World) -> None:
    client = await world.subscribed("btcusdt@depth20@100ms", channel="depth", symbol="BTCUSDT", levels=5)
    await world.exchange.send("btcusdt@depth20@100ms", {"lastUpdateId": 169, "bids": BIDS, "asks": ASKS})
    await client.next("depth")
    body = await world.told("/api/depth", symbol="BTCUSDT")
    assert (body["source"], body["depth"][0]["levels"], body["depth"][0]["asks"]) == ("memory", "20", ASKS)
    client = await world.subscribed("!ticker_1d@arr", channel="tickers", symbols="*")
    await world.exchange.send("!ticker_1d@arr", [ROW_DATA | {"s": "ETHUSDT", "n": 5}])
    await client.next("tickers")
    every = await world.told("/api/tickers")
    assert every["source"] == "memory"
    assert [row["symbol"] for row in every["tickers"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert world.exchange.calls == []


async def test_memory_of_a_lost_connection_is_told_only_if_the_exchange_gives_no_answer(world: World) -> None:
    client = await world.subscribed("btcusdt@bookTicker", channel="book", symbol="BTCUSDT")
    await world.exchange.send("btcusdt@bookTicker", BOOK_DATA | {"s": "BTCUSDT", "u": 77})
    await client.next("book")
    await world.exchange.aclose()
    await client.next("status", state="down")
    body = await world.told("/api/book", symbols="BTCUSDT")
    assert (body["source"], body["book"][0]["update_id"]) == ("memory", "77")
    other = await world.app.get("/api/book", symbols="BTCUSDT,ETHUSDT")
    assert (other.status_code, list(other.json())) == (503, ["error"])
    assert int(other.headers["retry-after"]) >= 1


async def test_without_their_streams_present_values_come_from_the_exchange() -> None:
    async with scripted_exchange() as streams, scripted_exchange() as exchange:
        settings = settings_for(None, binance_ws_url=streams.ws_url, binance_rest_url=exchange.rest_url)
        async with running_app(settings) as app:
            world = World(exchange, app)
            now_ms = int(time.time() * 1000)
            running = kline(NOW_MINUTE, 12)
            running["k"] |= {"t": now_ms - 20_000, "T": now_ms + 40_000}  # whenever this runs
            exchange.answers["klines"] = lambda _: []
            client = await app.connect()
            await client.send(type="subscribe", exchange="binance", channel="book", symbol="BTCUSDT")
            await client.next("snapshot")
            candles = {"channel": "candles", "symbol": "BTCUSDT", "interval": "1m"}
            await client.send(type="subscribe", exchange="binance", snapshot=0, **candles)
            await client.next("snapshot")
            await eventually(lambda: streams.counts() == [2])
            await streams.send("btcusdt@bookTicker", BOOK_DATA | {"s": "BTCUSDT", "u": 77})
            await client.next("book")
            await streams.send("btcusdt@kline_1m", running)
            await client.next("candle")
            name = {"symbol": "BTCUSDT", "interval": "1m", "limit": 1}
            assert (await world.told("/api/book", symbols="BTCUSDT"))["source"] == "memory"
            assert (await world.told("/api/candles", **name))["source"] == "memory"
            await streams.aclose()
            await client.next("status", state="down")
            exchange.calls.clear()
            assert (await world.told("/api/book", symbols="BTCUSDT"))["source"] == "exchange"
            await world.told("/api/candles", **name)
            assert len(world.asked("ticker/bookTicker")) == len(world.asked("klines")) == 1


async def test_an_impossible_order_book_is_left_out(world: World) -> None:
    world.exchange.answers["depth"] = lambda _: {"lastUpdateId": 1, "bids": ASKS, "asks": BIDS}
    assert (await world.told("/api/depth", symbol="BTCUSDT"))["depth"] == []


@pytest.mark.parametrize(
    ("path", "parameters", "name", "columns"),
    [
        ("/api/tickers", {"symbols": "BTCUSDT,ETHUSDT"}, "tickers", TICKER),
        ("/api/tickers", {}, "tickers", ROW),
        ("/api/book", {"symbols": "BTCUSDT,ETHUSDT"}, "book", BOOK),
        ("/api/depth", {"symbol": "BTCUSDT", "levels": 10}, "depth", DEPTH),
    ],
)
async def test_every_format_has_the_same_fields_in_the_same_order(
    world: World, path: str, parameters: dict[str, Any], name: str, columns: str
) -> None:
    expected = (await world.told(path, **parameters))[name]
    assert expected
    assert [",".join(entry) for entry in expected] == [columns] * len(expected)
    lines = await world.app.get(path, format="ndjson", **parameters)
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [with_digits(line) for line in lines.text.splitlines()] == expected
    table = await world.app.get(path, format="csv", **parameters)
    assert table.headers["content-type"].startswith("text/csv")
    assert table.headers["livemarkets-source"] == "exchange"
    assert table.text.splitlines()[0] == columns
    rows = [
        {key: with_digits(cell) if cell.startswith("[") else cell or None for key, cell in row.items()}
        for row in csv.DictReader(table.text.splitlines())
    ]
    assert rows == expected


async def test_in_a_list_unlisted_symbols_are_left_out_and_cost_the_others_nothing(world: World) -> None:
    body = await world.told("/api/tickers", symbols="NOPEUSDT,BTCUSDT")
    assert [ticker["symbol"] for ticker in body["tickers"]] == ["BTCUSDT"]
    assert world.asked("ticker/24hr") == [{"symbols": '["BTCUSDT"]'}]
    several = await world.told("/api/book", symbols="NOPEUSDT,GONEUSDT")
    assert several["book"] == []
    for path, name in (("/api/tickers", "symbols"), ("/api/book", "symbols"), ("/api/depth", "symbol")):
        response = await world.app.get(path, **{name: "BTCUSD"})
        assert (response.status_code, response.json()["did_you_mean"]) == (404, ["BTCUSDT"])


async def test_many_symbols_are_asked_for_in_calls_of_twenty() -> None:
    names = [f"A{number}USDT" for number in range(50)]
    async with scripted_exchange(*names) as exchange:
        settings = settings_for(None, binance_ws_url=exchange.ws_url, binance_rest_url=exchange.rest_url)
        async with running_app(settings) as app:
            world = World(exchange, app)
            body = await world.told("/api/tickers", symbols=",".join(names))
            assert [ticker["symbol"] for ticker in body["tickers"]] == names
            assert [len(world.named(asked)) for asked in world.asked("ticker/24hr")] == [20, 20, 10]


async def test_a_foreign_page_cannot_make_this_server_ask(world: World) -> None:
    for path in ("/api/tickers", "/api/book?symbols=BTCUSDT", "/api/depth?symbol=BTCUSDT"):
        response = await world.app.ask("GET", path, {"Sec-Fetch-Site": "cross-site"})
        assert response.status_code == 403
    assert [name for name, _ in world.exchange.calls if name != "exchangeInfo"] == []


async def test_the_embedded_exchange_answers_under_its_own_name(exchange: Simulator) -> None:
    async with (
        running_app(settings_for(exchange)) as app,
        httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False) as client,
    ):
        found = await app.get("/api/book", exchange="simulator", symbols="BTCUSDT")
        assert found.json()["book"][0]["exchange"] == found.json()["exchange"] == "simulator"
        ours = with_digits((await app.get("/api/depth", symbol="BTCUSDT", levels=10)).text)["depth"][0]
        theirs = await client.get(f"{exchange.rest_url}/api/v3/depth?symbol=BTCUSDT&limit=10")
        assert (ours["bids"], ours["asks"]) == (theirs.json()["bids"], theirs.json()["asks"])


async def test_the_methods_are_those_of_every_route(world: World) -> None:
    for path in ("/api/tickers", "/api/book?symbols=BTCUSDT", "/api/depth?symbol=BTCUSDT"):
        head = await world.app.ask("HEAD", path)
        assert (head.status_code, head.text) == (200, "")
        assert head.headers["livemarkets-source"] == "exchange"
        assert (await world.app.ask("OPTIONS", path)).headers["allow"] == "GET, HEAD, OPTIONS"
        wrong = await world.app.ask("POST", path)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
