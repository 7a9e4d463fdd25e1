"""`/client.js` in Node.js and in a browser: what holds of the library for Python holds of it too."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

import pytest
from playwright.async_api import async_playwright

from livemarkets.app import Tuning
from livemarkets.http_api.client_script import CLIENT_SCRIPT
from livemarkets_client import Code
from livemarkets_client.testing import MockServer
from tests.clients.test_real_app import cut, is_read, lose_trades, patient
from tests.support.app import (
    Process,
    quiet_market,
    running_app,
    running_exchange,
    running_process,
    settings_for,
)
from tests.support.copied_clients import PAIR, Clients, Copied, blocks
from tests.support.helpers import CHROMIUM_ARGUMENTS, eventually, free_port
from tests.support.upstream import quick

Start = Callable[..., contextlib.AbstractAsyncContextManager[Process]]
QUICK = {"firstPauseMs": 50, "longestPauseMs": 200, "tooSlowPauseMs": 200, "openMs": 5000}
WAIT_SECONDS = 20


@pytest.fixture
def program(node_with_ws: tuple[str, dict[str, str]]) -> Start:
    """Starts the program that uses the library."""
    node, environment = node_with_ws

    def start(url: str, symbols: list[str], **told: Any) -> contextlib.AbstractAsyncContextManager[Process]:
        told = {"module": str(CLIENT_SCRIPT), "url": url, "symbols": symbols, "timings": QUICK} | told
        script = "tests/clients/client.mjs"
        return running_process(script, json.dumps(told), program=node, environment=environment)

    return start


@pytest.fixture
async def server() -> AsyncIterator[MockServer]:
    async with MockServer() as server:
        yield server


@pytest.mark.long
async def test_every_trade_comes_through_cuts_and_restarts(program: Start) -> None:
    port, tuning = free_port(), Tuning(client=quick())
    async with (
        running_exchange() as exchange,
        program(f"http://127.0.0.1:{port}", list(PAIR), sleeps=True, options={"buffer": 40}) as process,
    ):
        reading = Clients([Copied("client.js", process.lines, process)])
        await reading.try_again(2)  # the server is not there yet
        async with running_app(settings_for(exchange), tuning=tuning, port=port) as app:
            await reading.reach(exchange)
            for _ in range(3):
                cut(app)
                await reading.reach(exchange)
        for symbol in PAIR:
            exchange.faults.burst(symbol=symbol, trades=700)
        await reading.try_again(1)
        async with running_app(settings_for(exchange), tuning=tuning, port=port) as app:
            await reading.reach(exchange)
    reading.lack_nothing()
    assert not any(line.startswith(("gap", "lagged")) for line in process.lines)
    assert any(line.startswith("WAITING 11 ") for line in process.lines)  # the buffer of 40 was full


async def test_the_digits_and_the_gaps_are_those_of_the_server(server: MockServer, program: Start) -> None:
    async with program(server.url, ["btcusdt"]) as process:
        await server.subscribed("trades", "BTCUSDT")
        server.send({"type": "a type of tomorrow", "symbol": "BTCUSDT"})
        server.trade("BTCUSDT", price="61837.63000000", size="0.00100000", side="sell")
        server.gap("BTCUSDT", 2, 4)
        server.gap("BTCUSDT", 3, 5)
        server.lagged("BTCUSDT", 6, 9)
        server.trade("BTCUSDT", id=12)
        server.trade("BTCUSDT", id=12)
        await process.says("BTCUSDT 12 ")
        server.cut()
        await eventually(lambda: len(server.requests) == 2, WAIT_SECONDS)
        server.gap("BTCUSDT", 13, 4, "venue")
        server.trade("BTCUSDT", id=5)
        await process.says("BTCUSDT 5 ")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    told = [line for line in process.lines if re.match("BTCUSDT|gap|lagged|position", line)]
    assert told == [
        "BTCUSDT 1 sell 61837.63000000 0.00100000",
        "gap: BTCUSDT 2 to 4 will not come upstream",
        "gap: BTCUSDT 5 to 5 will not come upstream",
        "lagged: BTCUSDT 6 to 9 will not come",
        "gap: BTCUSDT 10 to 11 will not come undeclared",
        "BTCUSDT 12 buy 100.00 1.000",
        "gap: BTCUSDT 13 to 4 will not come venue",
        "BTCUSDT 5 buy 100.00 1.000",
        'position {"BTCUSDT":5}',
    ]
    assert server.requests[1]["after"] == {"BTCUSDT": 12}


async def test_in_order_of_arrival_nothing_waits_and_each_id_comes_once_through_a_cut(program: Start) -> None:
    options = {"order": "arrival", "snapshot": 0, "quality": True}
    async with (
        running_exchange(quiet_market()) as exchange,
        running_app(patient(exchange), tuning=Tuning(client=quick())) as app,
        program(app.http_url, ["BTCUSDT"], options=options) as process,
    ):
        await process.says("quality BTCUSDT live")
        await is_read(app)
        exchange.faults.burst(symbol="BTCUSDT", trades=2)
        first, last = await lose_trades(app, exchange)
        await process.says(f"BTCUSDT {last + 5} ")
        await process.says("quality BTCUSDT recovering")
        cut(app)
        await process.says("WAITING 5 ")
        exchange.faults.burst(symbol="BTCUSDT", trades=2)
        await process.says(f"BTCUSDT {last + 7} ")
        exchange.faults.clear()
        await process.says(f"BTCUSDT {last} ")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    told = [re.match(r"(BTCUSDT \d+|pending.*)", line) for line in process.lines]
    ids = [*range(first - 2, first), *range(last + 1, last + 8), *range(first, last + 1)]
    expected = [f"BTCUSDT {number}" for number in ids]
    expected.insert(2, f"pending: BTCUSDT {first} to {last}")
    assert [found[0] for found in told if found] == expected
    assert f'position {{"BTCUSDT":{last + 7}}}' in process.lines


async def test_each_transition_has_the_code_that_the_python_library_gives(
    server: MockServer, program: Start
) -> None:
    async with program(server.url, ["BTCUSDT"]) as process:
        await server.subscribed("trades", "BTCUSDT")
        asked = len(server.requests)

        async def ends(code: int) -> None:
            nonlocal asked
            await process.says(f"WAITING {code} ")
            await eventually(lambda: len(server.requests) > asked, WAIT_SECONDS)
            asked = len(server.requests)

        server.cut()
        await ends(Code.LOST)
        await server.close_clients(1012, "restarting: reconnect, retry_after_ms=7")
        await ends(1012)
        server.send({"type": "error", "code": "internal", "message": "could not be brought up"})
        await ends(Code.SERVER_DEFECT)
        server.send({"type": "welcome", "protocol": 1, "exchanges": None})
        await ends(Code.UNREADABLE)
        server.refuses_with = HTTPStatus.SERVICE_UNAVAILABLE
        server.cut()
        await process.says("WAITING 503 ")
        server.refuses_with = None
        await server.subscribed("trades", "BTCUSDT")
        await server.close_clients(1008, "policy: too many messages")
        await process.says("ConnectionEnded: policy: too many messages (1008)")
        assert await process.ended() == 0
    scripted = dict(re.findall(r"^  ([A-Z_]+): (\d+),", CLIENT_SCRIPT.read_text(), re.MULTILINE))
    shared = {name: int(number) for name, number in scripted.items() if name != "BUFFER_FULL"}
    assert shared == {code.name: code.value for code in Code if code is not Code.DEFECT}


@pytest.mark.parametrize("token", ["a+b/c?d>e~f", "wrong"])
async def test_the_access_token_is_brought(program: Start, token: str) -> None:
    async with (
        running_exchange() as exchange,
        running_app(settings_for(exchange, access_token="a+b/c?d>e~f")) as app,
        program(app.http_url, ["BTCUSDT"], token=token) as process,
    ):
        await process.says("BTCUSDT " if token != "wrong" else "CLOSED 401 ")


@pytest.mark.long
async def test_refusals_and_the_other_channels(program: Start) -> None:
    async with running_exchange() as exchange, running_app(settings_for(exchange)) as app:
        async with program(app.http_url, ["BTC/USDT", "ETHUSDT"]) as process:
            await process.says("SubscribeError: binance does not list BTC/USDT")
            await process.says("ETHUSDT ")
        async with program(app.http_url, ["NOPE"]) as process:
            await process.says("SubscribeError: binance does not list NOPE")
            assert await process.ended() == 0
        candles = {"channel": "candles", "options": {"interval": "1m", "snapshot": 3}}
        async with program(app.http_url, ["BTCUSDT"], **candles) as process:
            await process.says('"closed":true')
        async with program(app.http_url, ["BTCUSDT"], channel="depth", options={"levels": 5}) as process:
            depth = json.loads(await process.says('"type":"depth"'))
            assert all(isinstance(text, str) for level in depth["bids"] for text in level)
        async with program(app.http_url, "*", channel="tickers") as process:
            ticker = json.loads(await process.says('"symbol":"SOLUSDT"'))
            assert (ticker["type"], type(ticker["last"])) == ("ticker", str)


async def test_a_browser_reads_it_from_the_server(chromium: str) -> None:
    lines: list[str] = []
    (example,) = blocks("docs/ws-markets.md", "javascript")
    told = '"binance", onState: ({ state, code }) => console.log(state, code)'
    example = example.replace('"simulator"', told)
    async with (
        running_exchange() as exchange,
        running_app(settings_for(exchange)) as app,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_ARGUMENTS))
        page = await browser.new_page()
        page.on("console", lambda message: lines.append(message.text))
        await page.goto(f"{app.http_url}/healthz")
        await page.add_script_tag(content=example, type="module")
        reading = Copied("browser", lines)
        await eventually(lambda: len(reading.ids("BTCUSDT")) > 5, WAIT_SECONDS)
        cut(app)
        await eventually(lambda: "WAITING 5" in lines, WAIT_SECONDS)
        target = len(reading.ids("BTCUSDT")) + 20
        await eventually(lambda: len(reading.ids("BTCUSDT")) > target, WAIT_SECONDS)
        await browser.close()
    ids = reading.ids("BTCUSDT")
    assert ids == list(range(ids[0], ids[-1] + 1))


async def test_it_is_gone_with_the_feature_flag() -> None:
    async with running_app(settings_for(None)) as app:
        answer = await app.get("/client.js")
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.text == CLIENT_SCRIPT.read_text()
    async with running_app(settings_for(None, stream_enabled=False)) as app:
        assert (await app.get("/client.js")).status_code == 404
