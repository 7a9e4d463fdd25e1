"""Candles on `/ws/markets`, from the exchange's streams and history to the client."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from livemarkets.app import Tuning
from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.limits import FeedLimits
from livemarkets.server.websocket_protocol import RawFrameProtocol
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient
from tests.support.scripted_exchange import ScriptedExchange, scripted_exchange
from tests.support.upstream import quick

SYMBOLS = ("BTCUSDT", "ETHUSDT", "币安人生USDT")
MINUTE_MS = 60_000
NOW_MINUTE = int(time.time()) // 60
FIRST = NOW_MINUTE - 1500
"""The first minute that the exchange has; a minute is named by its number since the epoch."""
LIMITS = CandleLimits(confirm_seconds=0.05, retry_seconds=0.05, resume_seconds=1.0)


class World:
    """An exchange that says what it is told to, and an app that reads it."""

    def __init__(self, exchange: ScriptedExchange, app: RunningApp) -> None:
        self.exchange = exchange
        self.app = app
        self.newest = NOW_MINUTE
        """The newest candle of the history."""
        exchange.answers["klines"] = self._klines

    def _klines(self, parameters: dict[str, str]) -> Any:
        limit = int(parameters["limit"])
        minutes = range(FIRST, self.newest + 1)
        start_ms, end_ms = parameters.get("startTime"), parameters.get("endTime")
        found = [
            minute
            for minute in minutes
            if (start_ms is None or minute * MINUTE_MS >= int(start_ms))
            and (end_ms is None or minute * MINUTE_MS <= int(end_ms))
        ]
        return [row(each) for each in (found[:limit] if start_ms is not None else found[-limit:])]

    async def candle(self, minute: int, trades: int = 9, *, closed: bool = False, **k: Any) -> None:
        """Let the exchange tell a candle."""
        data = kline(minute, trades, closed=closed)
        data["k"] |= k
        await self.exchange.send("btcusdt@kline_1m", data)

    async def subscribed(self, client: MarketsClient, **fields: Any) -> dict[str, Any]:
        """Subscribe, wait until the exchange has the stream, and return the snapshot."""
        await client.send(
            **{
                "type": "subscribe",
                "exchange": "binance",
                "channel": "candles",
                "symbol": "BTCUSDT",
                "interval": "1m",
                **fields,
            }
        )
        answer = await client.next("subscribed")
        assert all(result["ok"] for result in answer["results"]), answer
        snapshot = await client.next("snapshot")
        await eventually(lambda: "btcusdt@kline_1m" in self.exchange.subscriptions())
        return snapshot


def row(minute: int, trades: int = 9) -> list[Any]:
    k = kline(minute, trades)["k"]
    return [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"], k["V"], k["Q"], "0"]


def kline(minute: int, trades: int, *, closed: bool = False) -> dict[str, Any]:
    return {
        "e": "kline",
        "E": int(time.time() * 1000),
        "s": "BTCUSDT",
        "k": {
            "t": minute * MINUTE_MS,
            "T": minute * MINUTE_MS + MINUTE_MS - 1,
            "s": "BTCUSDT",
            "i": "1m",
            "f": 10 * minute,
            "L": 10 * minute + trades - 1,
            "o": "0.00000100",
            "c": "0.00000102",
            "h": "0.00000103",
            "l": "0.00000099",
            "v": f"{trades}.50000000",
            "n": trades,
            "x": closed,
            "q": "0.00000400",
            "V": "0.00000000",
            "Q": "0.00000000",
            "B": "0",
        },
    }


@contextlib.asynccontextmanager
async def running(limits: CandleLimits = LIMITS, **fields: Any) -> AsyncIterator[World]:
    async with scripted_exchange(*SYMBOLS) as exchange:
        urls = {"binance_ws_url": exchange.ws_url, "binance_rest_url": exchange.rest_url}
        settings = settings_for(None, **(urls | fields))
        tuning = Tuning(client=quick(), feed=FeedLimits(candles=limits))
        async with running_app(settings, tuning=tuning, ws=RawFrameProtocol) as app:
            yield World(exchange, app)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


def minutes(candles: Sequence[dict[str, Any]]) -> list[tuple[int, bool]]:
    """Number before or after the present one, and whether closed."""
    return [(each["open_ts"] // MINUTE_MS - NOW_MINUTE, each["closed"]) for each in candles]


async def test_a_candle_has_the_digits_of_the_exchange(world: World) -> None:
    client = await world.app.connect()
    snapshot = await world.subscribed(client, snapshot=0)
    name = {"exchange": "binance", "channel": "candles", "symbol": "BTCUSDT", "interval": "1m"}
    assert snapshot == {"type": "snapshot", **name, "data": []}
    await world.candle(NOW_MINUTE, 7)
    candle = await client.next("candle")
    k = kline(NOW_MINUTE, 7)["k"]
    assert [f"{candle[name]:f}" for name in ("open", "high", "low", "close", "volume", "quote_volume")] == [
        k[name] for name in "ohlcvq"
    ]
    names = (
        "open high low close volume quote_volume taker_buy_volume trades first_id last_id closed ts recv_ts"
    )
    assert " ".join(candle) == "type exchange symbol interval open_ts close_ts " + names
    assert (candle["first_id"], candle["last_id"], candle["trades"]) == (k["f"], k["L"], 7)
    assert candle["closed"] is False


@pytest.fixture
async def patient_world() -> AsyncIterator[World]:
    """A world that asks no second time about candles that ended just now, or before its test began."""
    limits = msgspec.structs.replace(LIMITS, overdue_ms=3_600_000, final_ms=0)
    async with running(limits) as world:
        yield world


async def test_past_candles_come_first_and_the_running_one_last(patient_world: World) -> None:
    world, client = patient_world, await patient_world.app.connect()
    await world.subscribed(client, snapshot=0)
    await world.candle(NOW_MINUTE, 3)
    await client.next("candle")
    again = await world.subscribed(client, snapshot=4)
    assert minutes(again["data"]) == [(-4, True), (-3, True), (-2, True), (-1, True), (0, False)]
    assert again["data"][0]["first_id"] is None
    await world.candle(NOW_MINUTE, 9, closed=True)
    assert minutes([await client.next("candle")]) == [(0, True)]
    (call,) = [parameters for name, parameters in world.exchange.calls if name == "klines"]
    assert call == {
        "symbol": "BTCUSDT",
        "interval": "1m",
        "limit": "5",
        "endTime": str(NOW_MINUTE * MINUTE_MS),
    }


async def test_a_thousand_past_candles_come_in_messages_of_five_hundred(world: World) -> None:
    client = await world.app.connect()
    data = (await world.subscribed(client, snapshot=1000))["data"]
    while len(data) < 1001:
        part = (await client.next("snapshot"))["data"]
        assert len(part) <= 501
        data += part
    offsets = [offset for offset, _ in minutes(data)]
    assert offsets == list(range(offsets[0], offsets[0] + 1001))
    assert [closed for _, closed in minutes(data)] == [True] * 1000 + [False]


async def test_a_client_resumes_after_its_last_closed_candle(world: World) -> None:
    client = await world.app.connect()
    data = (await world.subscribed(client, after={"BTCUSDT": (NOW_MINUTE - 1200) * MINUTE_MS}))["data"]
    while data[-1]["open_ts"] // MINUTE_MS < NOW_MINUTE - 1:
        data += (await client.next("snapshot"))["data"]
    assert [offset for offset, _ in minutes(data)][:1198] == list(range(-1199, -1))
    await world.candle(NOW_MINUTE, 9, closed=True)
    told = minutes(data)
    while told[-1] != (0, True):
        told.append(minutes([await client.next("candle")])[0])
    closed = [offset for offset, is_closed in told if is_closed]
    assert closed == list(range(-1199, 1))


async def test_closed_candles_of_a_cut_come_first_oldest_first(world: World) -> None:
    client = await world.app.connect()
    world.newest = NOW_MINUTE - 3
    await world.subscribed(client, snapshot=0)
    await world.candle(NOW_MINUTE - 3, 2)
    await client.next("candle")
    world.newest = NOW_MINUTE
    await world.candle(NOW_MINUTE, 2)
    told = [await client.next("candle") for _ in range(4)]
    while told[-1]["open_ts"] < NOW_MINUTE * MINUTE_MS:
        told.append(await client.next("candle"))
    assert [each for each in minutes(told) if each[1]] == [(-3, True), (-2, True), (-1, True)]
    assert minutes(told)[-1] == (0, False)


async def test_a_correction_says_that_it_is_one(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client)
    await world.candle(NOW_MINUTE, 5, closed=True)
    first = await client.next("candle", closed=True, open_ts=NOW_MINUTE * MINUTE_MS)
    assert "revised" not in first
    await world.candle(NOW_MINUTE, 6, closed=True)
    again = await client.next("candle")
    assert (again["revised"], again["trades"], again["closed"]) == (True, 6, True)
    other = await world.app.connect()
    snapshot = await world.subscribed(other, snapshot=1)
    assert "revised" not in snapshot["data"][-1]  # it is told to this client for the first time


async def test_only_running_candles_are_conflated(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client, mode="latest", interval_ms=60_000, snapshot=0)
    for trades in range(1, 6):
        await world.candle(NOW_MINUTE, trades)
    await world.candle(NOW_MINUTE, 6, closed=True)
    await world.candle(NOW_MINUTE + 1, 1)
    await world.candle(NOW_MINUTE + 1, 2, closed=True)
    told = [await client.next("candle") for _ in range(3)]
    assert minutes(told) == [(0, False), (0, True), (1, True)]
    assert [each["trades"] for each in told] == [1, 6, 2]


async def test_an_interval_is_a_part_of_the_name(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client, snapshot=0)
    fields = {"exchange": "binance", "channel": "candles"}
    await client.send(type="subscribe", **fields, interval="1m", quality=True)
    quality = await client.next("quality")
    assert (quality["channel"], quality["symbol"], quality["interval"]) == ("candles", "BTCUSDT", "1m")
    answer = await client.ask("subscribe", **fields, symbols=["BTCUSDT", "ETHUSDT"], interval="1M")
    assert (answer["interval"], answer["subscriptions"]) == ("1M", ["BTCUSDT", "ETHUSDT"])
    assert (await client.next("snapshot"))["interval"] == "1M"
    listed = (await client.ask("list"))["subscriptions"]
    assert [(each["symbol"], each["interval"]) for each in listed] == [
        ("BTCUSDT", "1m"),
        ("BTCUSDT", "1M"),
        ("ETHUSDT", "1M"),
    ]
    assert all("order" not in each for each in listed)
    answer = await client.ask("unsubscribe", **fields, symbol="BTCUSDT", interval="1M")
    assert (answer["interval"], answer["subscriptions"]) == ("1M", ["ETHUSDT"])
    await eventually(lambda: {"btcusdt@kline_1m", "ethusdt@kline_1M"} == world.exchange.subscriptions())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "interval is missing"),
        ({"interval": "2m"}, "interval must be one of 1s, 1m, 3m"),
        ({"interval": 60}, "interval must be one of"),
        ({"interval": "1m", "snapshot": 1001}, "snapshot must be a whole number from 0 to 1000"),
        ({"interval": "1m", "order": "id"}, "order is a field of the channel trades"),
        ({"interval": "1m", "after": {"BTCUSDT": "x"}}, "after must have the open_ts, a whole number from 0"),
        ({"interval": "1m", "after": {"ETHUSDT": 1}}, "not a symbol of this message"),
    ],
)
async def test_a_wrong_message_gets_a_clear_error(world: World, fields: dict[str, Any], text: str) -> None:
    client = await world.app.connect()
    await client.send(type="subscribe", exchange="binance", channel="candles", symbol="BTCUSDT", **fields)
    error = await client.next("error")
    assert error["code"] == "invalid_message"
    assert text in error["message"]


async def test_candles_without_an_interval_cannot_be_unsubscribed(world: World) -> None:
    client = await world.app.connect()
    await client.send(type="unsubscribe", exchange="binance", channel="candles", symbol="BTCUSDT")
    assert "interval is missing" in (await client.next("error"))["message"]


async def test_what_cannot_be_had_is_declared(world: World) -> None:
    del world.exchange.answers["klines"]
    client = await world.app.connect()
    await world.subscribed(client, snapshot=0)
    await world.candle(NOW_MINUTE, 1)
    await client.next("candle")
    after = (NOW_MINUTE - 5) * MINUTE_MS
    await client.send(
        type="subscribe",
        exchange="binance",
        channel="candles",
        symbol="BTCUSDT",
        interval="1m",
        after={"BTCUSDT": after},
    )
    gap = await client.next("gap")
    assert gap == {
        "type": "gap",
        "exchange": "binance",
        "channel": "candles",
        "symbol": "BTCUSDT",
        "interval": "1m",
        "from_open_ts": after + 1,
        "to_open_ts": NOW_MINUTE * MINUTE_MS - 1,
        "cause": "history",
    }
    assert minutes((await client.next("snapshot"))["data"]) == [(0, False)]


async def test_nothing_is_left_when_everybody_has_left(world: World) -> None:
    clients = [await world.app.connect() for _ in range(3)]
    for client in clients:
        await world.subscribed(client, snapshot=5)
    for client in clients:
        await client.socket.close()
    feed = world.app.services.feeds["binance"]
    await eventually(lambda: not feed.updates.candles.keys())
    await eventually(lambda: not world.exchange.subscriptions())
    fanout = world.app.services.fanout
    assert not fanout.candles._streams
    assert not fanout.candles._slow


async def test_metrics_show_candles_and_their_comparison_with_trades(world: World) -> None:
    client = await world.app.connect()
    await world.subscribed(client, snapshot=0)
    await world.candle(NOW_MINUTE, 1)
    await client.next("candle")
    text = (await world.app.get("/metrics")).text
    for line in (
        'livemarkets_updates_received_total{channel="candles",exchange="binance"} 1.0',
        'livemarkets_update_streams_wanted{channel="candles",exchange="binance"} 1.0',
        'livemarkets_updates_delivered_total{channel="candles"} 1.0',
        'livemarkets_candles_compared_total{exchange="binance",result="agreed"} 0.0',
        'livemarkets_candles_compared_total{exchange="binance",result="disagreed"} 0.0',
        'livemarkets_candles_revised_total{exchange="binance"} 0.0',
        'livemarkets_candle_gaps_total{exchange="binance"} 0.0',
        'livemarkets_candle_streams_waiting{exchange="binance"} 0.0',
    ):
        assert line in text, line
