"""Answers of `/ws/markets` that help: to other dialects, to plain requests, to wrong addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from livemarkets.simulator import Simulator
from tests.support.app import RunningApp, running_app, settings_for


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange)) as app:
        yield app


@pytest.mark.parametrize(
    "foreign",
    [
        '{"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@trade"],"id":1}',
        '{"op":"subscribe","args":["publicTrade.BTCUSDT","publicTrade.ETHUSDT"],"req_id":"1"}',
        '{"op":"subscribe","id":"1","args":[{"channel":"trades","instId":"BTC-USDT"},{"channel":"trades","instId":"ETH-USDT"}]}',
        '{"type":"subscribe","product_ids":["BTC-USDT","ETH-USDT"],"channel":"market_trades"}',
        '{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USDT","ETH/USDT"]}}',
        '{"action":"subscribe","trades":["BTC/USDT","ETH/USDT"]}',
        '{"action":"subscribe","params":"XT.BTC-USDT,XT.ETH-USDT"}',
    ],
    ids=["binance", "bybit", "okx", "coinbase", "kraken", "alpaca", "polygon"],
)
async def test_the_answer_to_another_dialect_can_be_sent_as_it_stands(app: RunningApp, foreign: str) -> None:
    client = await app.connect()
    await client.socket.send(foreign)
    error = await client.receive()
    assert (error["type"], error["code"]) == ("error", "invalid_message")
    await client.socket.send(error["message"][error["message"].index("{") :])
    reply = await client.receive()
    assert (reply["type"], reply["subscriptions"]) == ("subscribed", ["BTCUSDT", "ETHUSDT"])
    assert [result["ok"] for result in reply["results"]] == [True, True]


async def test_words_in_any_case_are_right(app: RunningApp) -> None:
    client = await app.connect()
    await client.socket.send(
        '{"type":"SUBSCRIBE","exchange":"Binance","channel":"TRADES","symbol":"btcusdt",'
        '"mode":"Latest","order":"ARRIVAL"}'
    )
    assert (await client.receive())["subscriptions"] == ["BTCUSDT"]
    (held,) = (await client.ask("LIST"))["subscriptions"]
    assert (held["mode"], held["order"]) == ("latest", "arrival")


async def test_an_odd_single_name_costs_the_others_nothing(app: RunningApp) -> None:
    client = await app.connect()
    reply = await client.ask("subscribe", exchange="binance", channel="trades", symbol=5, symbols=["BTCUSDT"])
    assert [(result["symbol"], result["ok"]) for result in reply["results"]] == [
        ("5", False),
        ("BTCUSDT", True),
    ]
