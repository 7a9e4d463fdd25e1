"""Answers of `/ws/markets` that help: to other dialects, to plain requests, to wrong addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

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


# plain requests and wrong addresses


async def test_a_plain_request_is_told_to_upgrade_and_how(app: RunningApp) -> None:
    for path in ("/ws/markets", "/ws/markets/"):
        response = await app.get(path)
        assert response.status_code == 426
        assert response.headers["upgrade"] == "websocket"
        assert response.headers["connection"] == "Upgrade"
        assert response.headers["content-type"].startswith("text/plain")
    client = await app.connect()
    await client.socket.send(response.text[response.text.index("{") : response.text.rindex("}") + 1])
    assert (await client.receive())["type"] == "subscribed"


async def test_other_methods_on_it_behave(app: RunningApp) -> None:
    head = await app.ask("HEAD", "/ws/markets")
    assert (head.status_code, head.text, head.headers["upgrade"]) == (426, "", "websocket")
    for method, status in (("OPTIONS", 204), ("POST", 405)):
        response = await app.ask(method, "/ws/markets")
        assert response.status_code == status
        assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


async def test_a_slash_at_the_end_does_no_harm(app: RunningApp) -> None:
    client = await app.connect(path="/ws/markets/")
    assert await client.works()
    assert (await app.get("/healthz/")).status_code == 200


async def refusal(app: RunningApp, path: str, **headers: str) -> Response:
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"ws://127.0.0.1:{app.port}{path}", proxy=None, additional_headers=headers)
    return caught.value.response


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/other", "/ws/markets/BTCUSDT", "/labs", "/api/latest"])
async def test_a_handshake_on_an_unknown_path_is_told_the_right_one(app: RunningApp, path: str) -> None:
    response = await refusal(app, path)
    assert response.status_code == 404
    assert response.body == b"not found: the WebSocket for programs is at /ws/markets\n"
    prefixed = await refusal(app, path, **{"X-Forwarded-Prefix": "/m"})
    assert prefixed.body == b"not found: the WebSocket for programs is at /m/ws/markets\n"


async def test_with_the_flag_off_it_is_an_unknown_path(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange, stream_enabled=False)) as app:
        for path in ("/ws/markets", "/ws/markets/", "/ws/other"):
            response = await refusal(app, path)
            assert (response.status_code, response.body) == (404, b"not found\n")
            plain, unknown = await app.get(path), await app.get("/nowhere")
            assert plain.status_code == unknown.status_code == 404
            assert plain.text == unknown.text
            assert "upgrade" not in plain.headers
