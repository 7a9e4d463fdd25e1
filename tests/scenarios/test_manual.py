"""The manual of `/ws/markets` and of HTTP is true: its examples are what the code says, its clients run."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser

from livemarkets.app import Tuning
from livemarkets.errors import ClientMessageError
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import LedgerLimits
from livemarkets.market.models import StreamKey
from livemarkets.protocol.encoding import encode_error
from livemarkets.protocol.messages import CLIENT_MESSAGE_TYPES, SERVER_MESSAGE_TYPES
from livemarkets.protocol.requests import parse_request
from livemarkets.server.websocket_protocol import RawFrameProtocol
from livemarkets.simulator import Simulator
from pages import examples as home
from pages.examples import examples
from tests.support.app import RunningApp, quiet_market, running_app, running_exchange, settings_for
from tests.support.copied_clients import PAIR, SHORT, Clients, Copied, Programs, blocks, hurried, newest_id
from tests.support.helpers import eventually, free_port
from tests.support.upstream import quick

MESSAGES = [line for block in blocks("docs/ws-markets.md", "json") for line in block.splitlines()]
(JAVASCRIPT,) = blocks("docs/ws-markets.md", "js")


@pytest.fixture
async def app() -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(None), ws=RawFrameProtocol) as app:
        yield app


def test_every_example_is_a_message_and_every_message_has_an_example() -> None:
    types = {json.loads(line)["type"] for line in MESSAGES}
    assert types == {*CLIENT_MESSAGE_TYPES, *SERVER_MESSAGE_TYPES}


def test_every_example_of_a_clients_message_is_accepted() -> None:
    accepted = 0
    for line in MESSAGES:
        if json.loads(line)["type"] in CLIENT_MESSAGE_TYPES:
            parse_request(line, ("binance", "simulator"), snapshot_limit=1000)
            accepted += 1
    assert accepted >= 8


@pytest.mark.long
async def test_the_fields_of_the_examples_are_those_on_the_wire(app: RunningApp) -> None:
    client = await app.connect(greet=False)
    examples = {example["type"]: example for example in map(json.loads, reversed(MESSAGES))}
    messages = [await client.receive()]
    messages.append(await client.subscribe("BTCUSDT", exchange="simulator", snapshot=10))
    messages += [await client.next(kind) for kind in ("status", "snapshot", "trade")]
    messages += [await client.ask("list"), await client.ask("ping"), await client.ask("nonsense")]
    messages.append(await client.unsubscribe("BTCUSDT", exchange="simulator"))
    for message in messages:
        assert message.keys() == examples[message["type"]].keys(), message["type"]


def quick_app(exchange: Simulator, port: int, **fields: Any) -> AbstractAsyncContextManager[RunningApp]:
    """The app, which soon believes its exchange that some ids do not exist."""
    tuning = Tuning(client=quick(), feed=FeedLimits(ledger=LedgerLimits(proof_seconds=0.3)))
    return running_app(settings_for(exchange, **fields), tuning=tuning, port=port)


@pytest.fixture(params=["python", "javascript"])
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> Programs:
    node = request.getfixturevalue("node_with_ws") if request.param == "javascript" else None
    return Programs(tmp_path, node)


def test_the_home_page_has_the_programs_of_the_readme_and_of_the_manual() -> None:
    assert blocks("README.md", "python") == [home.PYTHON]
    (script,) = blocks("docs/ws-markets.md", "javascript")
    _, _, program = home.JAVASCRIPT.partition("\n\n")
    assert script.partition("\n\n")[2] == program.replace(
        '"ws://127.0.0.1:8080/ws/markets"', "location.origin"
    )


def test_the_home_page_names_the_server_that_it_is_of() -> None:
    programs = examples("wss://markets.example/live/ws/markets", has_token=False)
    assert 'connect("wss://markets.example/live/ws/markets", exchange="binance")' in programs["Python"]
    assert "curl -o client.mjs https://markets.example/live/client.js" in programs["JavaScript"]
    assert "127.0.0.1" not in "".join(programs.values())


async def test_the_clients_have_every_trade_through_cuts_restarts_and_absences(programs: Programs) -> None:
    port = free_port()
    async with running_exchange() as exchange, programs.reading(port) as reading:
        await reading.try_again(2)  # the server is not there yet
        async with quick_app(exchange, port) as app:
            await reading.reach(exchange)
            first = {symbol: newest_id(exchange, symbol) for symbol in PAIR}
            for _ in range(3):
                await reading.are_cut(app)
                await reading.reach(exchange)
            await reading.are_cut(app)
            for symbol in PAIR:  # comes as several snapshots, most of it not from memory
                exchange.faults.burst(symbol=symbol, trades=1700)
            await reading.reach(exchange)
        for symbol in PAIR:
            exchange.faults.burst(symbol=symbol, trades=700)
        await reading.try_again(3)  # the server is away
        async with quick_app(exchange, port):
            await reading.reach(exchange)
        async with quick_app(exchange, port):
            await reading.reach(exchange)
    reading.lack_nothing()
    for client in reading.copied:
        for symbol in PAIR:
            assert client.holes(symbol) == []
            assert client.ids(symbol)[0] <= first[symbol]


async def test_the_clients_tell_of_what_will_not_come_and_go_on_behind_it(programs: Programs) -> None:
    port = free_port()
    async with (
        running_exchange() as exchange,
        quick_app(exchange, port) as app,
        programs.reading(port) as reading,
    ):
        await reading.reach(exchange)
        hole = newest_id(exchange, "BTCUSDT") + 1
        exchange.faults.hole(symbol="BTCUSDT", count=5)
        await reading.reach(exchange)
        for client in reading.copied:
            await client.reaches("BTCUSDT", hole + 5)
            client.process.signal(signal.SIGSTOP)
        for symbol in PAIR:  # more than the sockets take
            exchange.faults.burst(symbol=symbol, trades=8000)
        await eventually(lambda: app.services.fanout.statistics().lagging == len(reading.copied), 20)
        for symbol in PAIR:  # and of each stream something that they will not get
            exchange.faults.burst(symbol=symbol, trades=10)
            key, newest = StreamKey.trades("binance", symbol), newest_id(exchange, symbol)
            await eventually(lambda k=key, n=newest: app.services.trades.recent(k, 1)[0].id >= n, 20)  # type: ignore[misc]
        for client in reading.copied:
            client.process.signal(signal.SIGCONT)
        await reading.reach(exchange)
        await reading.are_cut(app)
        await reading.reach(exchange)
    reading.lack_nothing()
    for client in reading.copied:
        assert ("gap", "BTCUSDT", hole, hole + 4) in client.holes("BTCUSDT")
        for symbol in PAIR:
            assert "lagged" in {event.kind for event in client.holes(symbol)}


async def test_the_clients_get_everything_that_can_be_had_from_0_on_and_tell_what_was_refused(
    programs: Programs,
) -> None:
    port = free_port()
    beginning = ("last = {}", f"last = {json.dumps(dict.fromkeys(PAIR, 0))}")
    misspelt = ('"BTCUSDT",', '"BTCUSDT", "BTC/USDT",')
    async with (
        running_exchange() as exchange,
        quick_app(exchange, port),
        programs.reading(port, beginning, misspelt) as reading,
    ):
        oldest = {symbol: exchange.source.history(symbol, exchange.now_ms()).trades[0].id for symbol in PAIR}
        await reading.reach(exchange)
    reading.lack_nothing()
    for client in reading.copied:
        assert "binance does not list BTC/USDT" in client.process.output
        for symbol in PAIR:
            assert client.told(symbol)[0].first_id == 1
            assert client.holes(symbol)[-1].last_id == oldest[symbol] - 1
            assert client.ids(symbol)[0] == oldest[symbol]


async def test_the_clients_end_when_the_server_does_not_understand_them(programs: Programs) -> None:
    port = free_port()
    async with (
        running_exchange() as exchange,
        quick_app(exchange, port),
        programs.reading(port, ('"binance"', '"nowhere"')) as reading,
    ):
        for client in reading.copied:
            await client.ends("unknown_exchange: exchange must be one of")


async def test_the_clients_end_when_they_are_closed_for_what_they_did(programs: Programs) -> None:
    port = free_port()
    async with (
        running_exchange() as exchange,
        quick_app(exchange, port) as app,
        programs.reading(port, ("BTCUSDT", "SHIBUSDT")) as reading,
    ):
        for client in reading.copied:
            await client.process.says("SHIBUSDT ")
        for connection in list(app.services.hub.connections):
            connection.mailbox.end(1008, "the client floods")
        for client in reading.copied:
            await client.ends("1008")


async def test_the_clients_end_without_the_access_token(programs: Programs) -> None:
    port = free_port()
    async with (
        running_exchange() as exchange,
        quick_app(exchange, port, access_token="secret"),
        programs.reading(port) as reading,
    ):
        for client in reading.copied:
            await client.ends("HTTP 401")


async def test_the_clients_end_where_there_is_no_such_route(programs: Programs) -> None:
    port = free_port()
    async with (
        running_exchange() as exchange,
        quick_app(exchange, port, stream_enabled=False),
        programs.reading(port) as reading,
    ):
        for client in reading.copied:
            await client.ends("HTTP 404")


@pytest.mark.parametrize("brought", ["a+b/c?d>e~f", "wrong"])
async def test_the_programs_of_the_home_page_bring_the_access_token(programs: Programs, brought: str) -> None:
    port, token = free_port(), "a+b/c?d>e~f"
    program = examples(f"ws://127.0.0.1:{port}/ws/markets", has_token=True)
    async with (
        running_exchange() as exchange,
        quick_app(exchange, port, access_token=token),
        programs.running("home", program, LIVE_ACCESS_TOKEN=brought) as client,
    ):
        if brought == token:
            for symbol in PAIR:
                await client.reaches(symbol, newest_id(exchange, symbol))
        else:
            await client.ends("HTTP 401")
        assert token not in "".join(program.values())


async def test_the_clients_come_back_to_a_server_that_was_full_and_wait_longer_when_too_slow(
    programs: Programs,
) -> None:
    port = free_port()
    async with running_exchange() as exchange, quick_app(exchange, port) as app:
        hub = app.services.hub
        limits = hub.limits
        hub.limits = msgspec.structs.replace(limits, clients=0)  # so the answer is 503
        async with programs.reading(port) as reading:
            await reading.try_again(2)
            assert hub.statistics().refused["full"] >= 2
            hub.limits = limits
            await reading.reach(exchange)
            for connection in list(hub.connections):
                connection.mailbox.end(1013, "too slow")
            for client in reading.copied:
                if client.name != SHORT:
                    await client.process.says("too slow")  # prices and ids may have the digits of a code
                    assert client.attempts[-1] >= 15


async def test_the_clients_begin_anew_after_a_defect_of_the_server(programs: Programs) -> None:
    port = free_port()
    error = encode_error(ClientMessageError("internal", "could not be brought up"))
    async with (
        running_exchange() as exchange,
        quick_app(exchange, port) as app,
        programs.reading(port) as reading,
    ):
        await reading.reach(exchange)
        for connection in list(app.services.hub.connections):
            app.services.fanout.post(connection.mailbox, error)
        for client in reading.copied:
            if client.name != SHORT:
                assert "; again in" in await client.process.says("could not be brought up")
        for symbol in PAIR:
            exchange.faults.burst(symbol=symbol, trades=5)
        await reading.reach(exchange)
    reading.lack_nothing()


async def test_the_clients_leave_a_line_on_which_nothing_is_heard(programs: Programs) -> None:
    port = free_port()
    patience = ("timeout(15)", "timeout(0.3)") if programs.is_python else ("15000", "300")
    async with (
        running_exchange(quiet_market()) as exchange,
        quick_app(exchange, port),
        programs.reading(port, patience) as reading,
    ):
        for client in reading.copied:
            await client.process.says("no answer; again in ")


@pytest.mark.verify
@pytest.mark.asyncio(loop_scope="session")
async def test_the_javascript_client_runs_in_a_browser(shared_chrome: Browser) -> None:
    port = free_port()
    program = JAVASCRIPT.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace('"simulator"', '"binance"')
    lines: list[str] = []
    reading = Clients([Copied("browser", lines)])
    async with running_exchange() as exchange, await shared_chrome.new_context() as context:
        async with quick_app(exchange, port) as app:
            page = await context.new_page()
            page.on("console", lambda message: lines.append(message.text))
            await page.goto(f"http://127.0.0.1:{port}/healthz")  # the same origin
            await page.evaluate(hurried(program))
            await reading.reach(exchange)
            await reading.are_cut(app)
            await reading.reach(exchange)
        for symbol in PAIR:
            exchange.faults.burst(symbol=symbol, trades=700)
        await reading.try_again()
        async with quick_app(exchange, port):
            await reading.reach(exchange)
    reading.lack_nothing()


def test_every_example_of_http_is_json() -> None:
    assert len([json.loads(block) for block in blocks("docs/http.md", "json")]) == 12
