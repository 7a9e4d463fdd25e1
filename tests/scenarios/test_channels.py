"""The channels in which the newest wins, from genuine recordings and under slow readers."""

from __future__ import annotations

import asyncio
import gzip
import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.exchanges.binance.stream_names import stream_name
from livemarkets.market.channels import CANDLES, CHANNELS
from livemarkets.market.models import StreamKey
from livemarkets.server.websocket_protocol import RawFrameProtocol
from tests.exchanges.binance.test_updates import BOOK_DATA, ROW_DATA
from tests.support.app import running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient
from tests.support.scripted_exchange import scripted_exchange
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import quick

pytestmark = pytest.mark.long

RECORDING = "spot_btc_eth_20240808_trade_book.jsonl.gz"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
FRAMES = 4000
WANTED = {"book": 100, "depth": 20, "ticker": 2, "tickers": 2}
"""How many messages of each type from the embedded exchange are looked at."""


@time_is_simulated
async def test_a_genuine_recording_arrives_digit_for_digit(shared_data: Path) -> None:
    with gzip.open(shared_data / RECORDING) as file:
        frames = [json.loads(line)["frame"] for _, line in zip(range(FRAMES), file, strict=False)]
    async with scripted_exchange(*SYMBOLS) as exchange:
        urls = {"binance_ws_url": exchange.ws_url, "binance_rest_url": exchange.rest_url}
        tuning = Tuning(client=quick())
        async with running_app(settings_for(None, **urls), tuning=tuning, ws=RawFrameProtocol) as app:
            client = await app.connect()
            for channel in ("trades", "book"):
                await client.send(
                    type="subscribe", exchange="binance", channel=channel, symbols=list(SYMBOLS)
                )
            for _ in range(4):
                await client.next("snapshot")
            await eventually(lambda: len(exchange.subscriptions()) == 4)
            sending = asyncio.create_task(send_all(exchange, frames))
            came: dict[tuple[str, str], list[dict[str, Any]]] = {}
            wanted = sum(1 for _ in frames)
            while wanted:
                message = await client.receive(20)
                if message["type"] in ("trade", "book"):
                    came.setdefault((message["type"], message["symbol"]), []).append(message)
                    wanted -= 1 + message.get("skipped", 0)
            await sending
            assert app.services.feeds["binance"].statistics().client.complaints == {}
    for symbol in SYMBOLS:
        data = [frame["data"] for frame in frames if frame["data"]["s"] == symbol]
        books = [each for each in data if "u" in each]
        assert shown(came["book", symbol], ("update_id", "bid", "bid_size", "ask", "ask_size")) == [
            (str(each["u"]), each["b"], each["B"], each["a"], each["A"]) for each in books
        ]
        trades = [each for each in data if "u" not in each]
        assert shown(came["trade", symbol], ("id", "price", "size")) == [
            (str(each["t"]), each["p"], each["q"]) for each in trades
        ]


async def send_all(exchange: Any, frames: list[dict[str, Any]]) -> None:
    for number, frame in enumerate(frames):
        await exchange.send(frame["stream"], frame["data"])
        if number % 50 == 0:
            await asyncio.sleep(0.001)


def shown(messages: list[dict[str, Any]], names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [
        tuple(f"{v:f}" if isinstance(v := message[name], Decimal) else str(v) for name in names)
        for message in messages
    ]


@time_is_simulated
async def test_a_client_that_reads_nothing_costs_little_and_ends_on_the_newest() -> None:
    """20 MB of updates are published while it does not read; it is neither closed nor a burden."""
    symbols = [f"S{number}USDT" for number in range(300)]
    async with scripted_exchange(*symbols) as exchange:
        urls = {"binance_ws_url": exchange.ws_url, "binance_rest_url": exchange.rest_url}
        tuning = Tuning(client=quick())
        async with running_app(settings_for(None, **urls), tuning=tuning, ws=RawFrameProtocol) as app:
            mute, lively = await app.connect(), await app.connect()
            for client in (mute, lively):
                await client.send(type="subscribe", exchange="binance", channel="book", symbol="S0USDT")
                await client.send(type="subscribe", exchange="binance", channel="tickers", symbols="*")
                for _ in range(2):
                    await client.next("snapshot")
            streams = {"s0usdt@bookTicker", "!ticker_1d@arr"}
            await eventually(lambda: exchange.subscriptions() == streams)
            mute.socket.transport.pause_reading()
            for number in range(1, 251):
                row = ROW_DATA | {"E": ROW_DATA["E"] + number, "n": number}
                await exchange.send("!ticker_1d@arr", [row | {"s": symbol} for symbol in symbols])
                await exchange.send("s0usdt@bookTicker", BOOK_DATA | {"s": "S0USDT", "u": number})
                while (await lively.next("book"))["update_id"] < number:
                    pass
            boxes = [connection.mailbox for connection in app.services.hub.connections]
            assert max(box.backlog_bytes for box in boxes) < 200_000
            assert not any(box.is_closed for box in boxes)
            mute.socket.transport.resume_reading()
            books, deltas, rows = 0, 0, dict[str, int]()
            while True:
                message = await mute.receive(10)
                if message["type"] == "book":
                    books += 1 + message.get("skipped", 0)
                elif message["type"] == "tickers":
                    deltas += 1
                    rows |= {row["symbol"]: row["trades"] for row in message["data"]}
                if books == 250 and rows == dict.fromkeys(symbols, 250):
                    break
            assert deltas < 250, "most were merged"


async def listed(client: MarketsClient) -> set[tuple[str, str, str | None]]:
    """What a client holds, as the server lists it."""
    answer = await client.ask("list")
    return {(each["channel"], each["symbol"], each.get("interval")) for each in answer["subscriptions"]}


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(n, marks=pytest.mark.verify) for n in range(3, 30))]
)
@time_is_simulated
async def test_the_exchange_sends_what_anybody_reads_and_nothing_else(seed: int) -> None:
    """Clients subscribe and unsubscribe at random, over all channels, wait for no answer, and vanish.

    Meanwhile the exchange cuts connections.
    """
    random = Random(seed)
    names: list[tuple[str, str, str | None]] = [
        (channel, symbol, interval)
        for channel in CHANNELS
        for symbol in SYMBOLS
        for interval in (("1m", "1M") if channel == CANDLES else (None,))
    ]
    names.append(("tickers", "*", None))
    async with scripted_exchange(*SYMBOLS) as exchange:
        urls = {"binance_ws_url": exchange.ws_url, "binance_rest_url": exchange.rest_url}
        tuning = Tuning(client=quick())
        async with running_app(settings_for(None, **urls), tuning=tuning, ws=RawFrameProtocol) as app:
            clients = [await app.connect() for _ in range(3)]
            held: list[set[tuple[str, str, str | None]]] = [set(), set(), set()]
            awaited: list[list[str]] = [[], [], []]  # the types of answers

            def is_reconciled() -> bool:
                wanted = {stream_name(StreamKey("binance", *name)) for name in set[Any]().union(*held)}
                return exchange.subscriptions() == wanted

            for turn in range(45):
                number, name = random.randrange(3), random.choice(names)
                kind = "subscribe" if random.random() < 0.6 else "unsubscribe"
                fields: dict[str, Any] = {"exchange": "binance", "channel": name[0], "symbol": name[1]}
                fields |= {"interval": name[2]} if name[2] is not None else {}
                if kind == "subscribe":  # how it is read is no part of the name
                    fields |= {"mode": random.choice(("all", "latest")), "snapshot": random.choice((0, 1))}
                    fields |= {"levels": random.choice((5, 10, 20))} if name[0] == "depth" else {}
                await clients[number].send(type=kind, **fields)
                awaited[number].append(f"{kind}d")
                (held[number].add if kind == "subscribe" else held[number].discard)(name)
                if turn % 15 == 7:
                    await exchange.drop()
                if turn % 15 == 14:  # until now nobody has waited for an answer
                    for client, names_held, answers in zip(clients, held, awaited, strict=True):
                        for answer in answers:
                            await client.next(answer)
                        answers.clear()
                        assert await listed(client) == names_held
                    await eventually(is_reconciled, 10)
            for client, names_held in zip(clients, held, strict=True):
                names_held.clear()
                client.socket.transport.abort()
            await eventually(lambda: exchange.connections == {}, 10)
            assert app.services.manager.counts() == (0, 0, 0)
            assert len(app.services.updates) == 0
            assert app.services.feeds["binance"].keys() == []


@time_is_simulated
async def test_the_embedded_exchange_serves_every_channel() -> None:
    """All that it says is understood; one kind of message never contradicts another."""
    async with running_exchange() as exchange:
        tuning = Tuning(client=quick())
        async with running_app(settings_for(exchange), tuning=tuning, ws=RawFrameProtocol) as app:
            client = await app.connect()
            for fields in (
                {"channel": "book", "symbol": "BTCUSDT"},
                {"channel": "depth", "symbol": "BTCUSDT", "levels": 10},
                {"channel": "tickers", "symbol": "BTCUSDT"},
                {"channel": "tickers", "symbols": "*"},
            ):
                await client.send(type="subscribe", exchange="binance", **fields)
                snapshot = await client.next("snapshot", 10)
                assert snapshot["data"] or fields["channel"] == "depth"
            came: dict[str, list[dict[str, Any]]] = {}
            while {kind: len(came.get(kind, ())) for kind in WANTED} != WANTED:
                message = await client.receive(15)
                if len(came.setdefault(message["type"], [])) < WANTED.get(message["type"], 0):
                    came[message["type"]].append(message)
            for kind in ("book", "depth"):
                ids = [message["update_id"] for message in came[kind]]
                assert ids == sorted(set(ids))
            books = {book["update_id"]: book for book in came["book"]}
            for depth in came["depth"]:
                assert (len(depth["bids"]), len(depth["asks"])) == (10, 10)
                assert depth["bids"][0][0] < depth["asks"][0][0]
                book = books.get(depth["update_id"])
                assert book is None or [book["bid"], book["bid_size"]] == depth["bids"][0]
            for ticker in came["ticker"]:
                assert ticker["low"] <= ticker["last"] <= ticker["high"]
                assert ticker["change"] == ticker["last"] - ticker["open"]
            feed = app.services.feeds["binance"]
            assert feed.statistics().client.complaints == {}
            assert feed.quality.troubled() == []
