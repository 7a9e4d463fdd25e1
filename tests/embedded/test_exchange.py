"""The embedded exchange in a process of its own: its start, its faults, its end, its log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loguru import logger
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from livemarkets.app import Services, Tuning
from livemarkets.embedded.exchange import Addresses, EmbeddedExchange, EmbeddedTimings, simulator_command
from livemarkets.errors import ExchangeUnreachable
from livemarkets.simulator import Simulator
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually, measured
from tests.support.markets_client import MarketsClient
from tests.support.processes import is_running
from tests.support.upstream import quick

pytestmark = pytest.mark.process

AT_ONCE = EmbeddedTimings(silence_seconds=0.5, backoff_initial_seconds=0.02, backoff_cap_seconds=0.02)
SIGN_SECONDS = 0.02
"""How often the programs of these tests give a sign of life."""
HELLO = 'print(\'{"ws_url": "ws://127.0.0.1:9", "rest_url": "http://127.0.0.1:9"}\', flush=True)'


class Kept:
    """An embedded exchange, and what it told."""

    def __init__(self, timings: EmbeddedTimings | None = None, script: str | None = None) -> None:
        self.used: list[Addresses] = []
        command = None if script is None else [sys.executable, "-c", script]
        self.exchange = EmbeddedExchange(self.used.append, timings=timings, command=command)

    @property
    def pid(self) -> int:
        assert self.exchange.pid is not None
        return self.exchange.pid

    async def __aenter__(self) -> Kept:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.exchange.aclose()
        assert self.exchange.pid is None


@pytest.fixture
def said() -> Iterator[list[tuple[str, str]]]:
    """Level and text of every line of the log."""
    lines: list[tuple[str, str]] = []
    sink = logger.add(
        lambda line: lines.append((line.record["level"].name, line.record["message"])), level="INFO"
    )
    yield lines
    with contextlib.suppress(ValueError):
        logger.remove(sink)


async def ask(exchange: EmbeddedExchange, **request: Any) -> Any:
    """Ask the fault control of the exchange."""
    assert exchange.addresses is not None
    headers = {"Authorization": f"Bearer {exchange.secret}"}
    async with connect(
        f"{exchange.addresses.ws_url}/simulator/control", proxy=None, additional_headers=headers
    ) as control:
        await control.send(msgspec.json.encode(request).decode())
        reply = msgspec.json.decode(await control.recv())
    assert reply["ok"], reply
    return reply["result"]


def bytes_of(path: str) -> bytes:
    return Path(path).read_bytes()


# The real process


@pytest.fixture
def bare_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working directory from which nothing can be imported, and where nothing can be written; no home."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("LIVE_ACCESS_TOKEN", "the-token-of-the-app")
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o500)


@pytest.mark.usefixtures("bare_surroundings")
async def test_it_is_for_its_parent_alone_and_ends_with_it(said: list[tuple[str, str]]) -> None:
    async with Kept() as kept:
        await asyncio.gather(kept.exchange.ready(), kept.exchange.ready())
        pid = kept.pid
        (addresses,) = kept.used
        assert addresses.ws_url.startswith("ws://127.0.0.1:")
        secret = {"Authorization": f"Bearer {kept.exchange.secret}"}
        refused: dict[tuple[str, int], dict[str, Any]] = {
            ("/simulator/control", 401): {},
            ("/simulator/control?", 401): {"additional_headers": {"Authorization": "Bearer another-secret"}},
            ("/simulator/control", 403): {
                "origin": "https://evil.example",
                "additional_headers": secret,
            },
            ("/ws/btcusdt@trade", 403): {"origin": "https://evil.example"},
        }
        for (path, status), options in refused.items():
            with pytest.raises(InvalidStatus) as caught:
                await connect(addresses.ws_url + path, proxy=None, **options)
            assert caught.value.response.status_code == status
        assert await ask(kept.exchange, query="connections") == []
        if sys.platform == "linux":
            command, environment = (bytes_of(f"/proc/{pid}/{name}") for name in ("cmdline", "environ"))
            assert b"livemarkets.simulator" in command
            assert kept.exchange.secret.encode() not in command
            assert b"the-token-of-the-app" not in environment
        # Ctrl-C in a terminal reaches the whole group: the parent ends its child, once it has ended itself.
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        assert await ask(kept.exchange, query="connections") == []
        began = asyncio.get_running_loop().time()
        await kept.exchange.aclose()
        assert asyncio.get_running_loop().time() - began < 1.0
        assert not is_running(pid)
        await kept.exchange.aclose()
    assert kept.exchange.starts == 1
    assert [level for level, _ in said] == ["INFO"]
    assert addresses.ws_url in said[0][1]


async def test_its_log_reaches_ours(said: list[tuple[str, str]]) -> None:
    async with Kept() as kept:
        await kept.exchange.ready()
        assert kept.exchange.addresses is not None
        async with connect(f"{kept.exchange.addresses.ws_url}/ws/btcusdt@trade", proxy=None) as socket:
            for _ in range(20):
                await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
            await eventually(lambda: [text for level, text in said if level == "WARNING"])
        await asyncio.sleep(0)
    (warning,) = {text for level, text in said if level == "WARNING"}
    assert warning.startswith("simulator: a client exceeded a limit")


# Programs that behave worse


async def test_a_process_that_does_not_start_is_told_in_one_line_and_tried_again(
    said: list[tuple[str, str]],
) -> None:
    script = "import sys; print('first'); print('the reason', file=sys.stderr); sys.exit(3)"
    async with Kept(AT_ONCE, script) as kept:
        for _ in range(2):
            with pytest.raises(ExchangeUnreachable, match="ended with exit code 3 at its start: the reason"):
                await kept.exchange.ready()
    assert kept.exchange.starts >= 2
    assert kept.used == []
    lines = [text for _, text in said]
    assert len(lines) == kept.exchange.starts or len(lines) == kept.exchange.starts - 1
    assert "starting it again in 0.0 s" in lines[0]


async def test_a_program_that_is_not_there_is_told() -> None:
    kept = Kept(AT_ONCE)
    kept.exchange._command = ["/nowhere/python"]
    async with kept:
        with pytest.raises(ExchangeUnreachable, match=r"cannot be started: .*No such file"):
            await kept.exchange.ready()


async def test_a_process_that_ends_is_started_again(said: list[tuple[str, str]]) -> None:
    async with Kept(AT_ONCE, f"{HELLO}; input()") as kept:
        await kept.exchange.ready()
        first = kept.pid
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: len(kept.used) == 2)
        assert kept.pid != first
        await kept.exchange.ready()
    told = [text for level, text in said if level == "WARNING"]
    assert told == ["simulator: the embedded exchange ended with exit code -9; starting it again in 0.0 s"]


async def test_a_process_without_a_sign_of_life_is_replaced(said: list[tuple[str, str]]) -> None:
    async with Kept(AT_ONCE, f"{HELLO}; import signal; signal.pause()") as kept:
        await kept.exchange.ready()
        first = kept.pid
        await eventually(lambda: len(kept.used) == 2)
        assert not is_running(first)
    (warning, *_) = [text for level, text in said if level == "WARNING"]
    assert "showed no sign of life for 0.5 s" in warning


async def test_a_process_that_never_tells_its_address_is_replaced() -> None:
    script = f"import time\nwhile True:\n    print('hello', flush=True)\n    time.sleep({SIGN_SECONDS})"
    async with Kept(AT_ONCE, script) as kept:
        with pytest.raises(ExchangeUnreachable, match=r"no sign of life for 0\.5 s"):
            await kept.exchange.ready()
    assert kept.used == []


async def test_signs_of_life_keep_a_process(said: list[tuple[str, str]]) -> None:
    """They come for longer than a process without them is left in peace."""
    count = round(2 * AT_ONCE.silence_seconds / SIGN_SECONDS)
    signs = f"for _ in range({count}):\n    print(flush=True)\n    time.sleep({SIGN_SECONDS})"
    end = "os.write(2, b'WARNING that was all\\n')\ninput()"
    async with Kept(AT_ONCE, f"import os, time\n{HELLO}\n{signs}\n{end}") as kept:
        await kept.exchange.ready()
        await eventually(lambda: ("WARNING", "simulator: that was all") in said)
        assert kept.exchange.starts == 1


async def test_a_flood_of_lines_is_cut_short_and_stops_nobody(said: list[tuple[str, str]]) -> None:
    flood = (
        "import os\n"
        "os.set_blocking(2, False)\n"
        "for number in range(20000):\n"
        "    try: os.write(2, b'WARNING line %d\\n' % number)\n"
        "    except BlockingIOError: pass\n"
        "os.write(1, b'\\n')\n"
        "input()"
    )
    async with Kept(EmbeddedTimings(), f"{HELLO}\n{flood}") as kept:
        await kept.exchange.ready()
        await eventually(lambda: any("left out" in text for _, text in said))
        kept.exchange._is_heard = False
        await eventually(
            lambda: kept.exchange._is_heard, because="the process has written all that it wanted"
        )
    texts = [text for _, text in said]
    assert len(texts) < 60
    assert "simulator: line 0" in texts


async def test_words_of_the_interpreter_and_long_lines_are_passed_on(
    said: list[tuple[str, str]],
) -> None:
    script = (
        f"{HELLO}\n"
        "import os\n"
        "os.write(2, b'ERROR simulator: broken\\nTraceback\\n' + b'x' * 100_000 + b'\\n\\xff\\nthe end')\n"
        "input()"
    )
    async with Kept(EmbeddedTimings(), script) as kept:
        await kept.exchange.ready()
        await eventually(lambda: len(said) >= 5)
    lines = [(level, text) for level, text in said if level == "ERROR"]
    assert lines[:2] == [("ERROR", "simulator: broken"), ("ERROR", "simulator: Traceback")]
    assert max(len(text) for _, text in lines) < 10_000
    assert lines[3] == ("ERROR", "simulator: �")


# In the app


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    tuning = Tuning(client=quick(), embedded=EmbeddedTimings(backoff_initial_seconds=0.02))
    async with running_app(
        settings_for(exchange), tuning=tuning, prepare=trade_often, has_processes=True
    ) as app:
        yield app


def trade_often(services: Services) -> None:
    """No test waits for a trade."""
    assert services.simulator is not None
    services.simulator._command = [*simulator_command(), "--trades-per-second", "500"]


async def with_both(app: RunningApp) -> tuple[EmbeddedExchange, MarketsClient]:
    """The embedded exchange, and a client that has trades of it and is subscribed to the other as well."""
    client = await app.connect()
    await client.subscribe("BTCUSDT")
    await client.next("status", exchange="binance", state="live")
    await client.subscribe("BTCUSDT", exchange="simulator")
    await client.next("trade", 10, exchange="simulator")
    assert app.services.simulator is not None
    return app.services.simulator, client


async def works(client: MarketsClient, exchange: Simulator) -> None:
    """The app answers, and delivers what the other exchange trades."""
    assert (await client.ask("ping"))["type"] == "pong"
    exchange.faults.burst(symbol="BTCUSDT", trades=10)
    for _ in range(10):
        await client.next("trade", exchange="binance")


async def test_a_process_that_was_killed_comes_back_and_the_other_exchange_does_not_notice(
    app: RunningApp, exchange: Simulator
) -> None:
    simulator, client = await with_both(app)
    assert simulator.pid is not None
    os.kill(simulator.pid, signal.SIGKILL)
    lost = await client.next("status", exchange="simulator")
    assert lost["state"] in ("connecting", "down")
    await works(client, exchange)
    await client.next("status", 10, exchange="simulator", state="live")
    expected: int | None = None
    for _ in range(300):
        message = await client.receive()
        if message.get("exchange") != "simulator" or message["type"] not in ("trade", "gap"):
            continue
        first, last = [
            message[name] for name in (("from_id", "to_id") if "to_id" in message else ("id", "id"))
        ]
        assert expected is None or first == expected
        expected = last + 1
    assert expected is not None
    assert app.services.status("binance").state == "live"
    assert exchange.stats()["connects"] == 1
    lines = (await app.get("/metrics")).text.splitlines()
    assert "livemarkets_simulator_starts_total 2.0" in lines
    assert "livemarkets_simulator_running 1.0" in lines


@pytest.mark.long
@measured
async def test_a_process_that_is_stopped_delays_nobody_and_goes_on(
    app: RunningApp, exchange: Simulator
) -> None:
    simulator, client = await with_both(app)
    assert simulator.pid is not None
    os.kill(simulator.pid, signal.SIGSTOP)
    try:
        for _ in range(5):
            await works(client, exchange)
        await client.next("status", 10, exchange="simulator", state="down")
        await works(client, exchange)
    finally:
        os.kill(simulator.pid, signal.SIGCONT)
    await client.next("status", 10, exchange="simulator", state="live")
    await client.next("trade", 10, exchange="simulator")
    assert simulator.starts == 1
    assert exchange.stats()["connects"] == 1


@pytest.mark.long
async def test_reconnects_to_the_simulator_spend_nothing_of_what_binance_grants(exchange: Simulator) -> None:
    tuning = Tuning(connects_per_5_minutes=2, client=quick())
    async with running_app(
        settings_for(exchange), tuning=tuning, prepare=trade_often, has_processes=True
    ) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT", exchange="simulator")
        await client.trades(1)
        assert app.services.simulator is not None
        await ask(app.services.simulator, fault="drop")

        async def attempts() -> bool:
            assert app.services.simulator is not None
            return bool((await ask(app.services.simulator, query="stats"))["connects"] == 2)

        await eventually(attempts)
        await ask(app.services.simulator, fault="drop")
        await client.subscribe("BTCUSDT")
        await client.next("status", exchange="binance", state="live")
        assert await attempts(), "its own attempts are used up"


async def test_an_exchange_that_does_not_start_is_down_and_says_why(exchange: Simulator) -> None:
    def spoil(services: Services) -> None:
        assert services.simulator is not None
        services.simulator._command = [sys.executable, "-c", "raise SystemExit('no room')"]

    often = EmbeddedTimings(backoff_initial_seconds=0.3, backoff_cap_seconds=0.3)
    tuning = Tuning(embedded=often)
    async with running_app(settings_for(exchange), tuning=tuning, prepare=spoil, has_processes=True) as app:
        client = await app.connect()
        await client.subscribe("BTCUSDT", exchange="simulator")
        down = await client.next("status", exchange="simulator", state="down")
        assert down["reason"] == "the embedded exchange ended with exit code 1 at its start: no room"
        assert app.services.simulator is not None
        trade_often(app.services)
        await client.next("status", 10, exchange="simulator", state="live")
        await client.next("trade", 10, exchange="simulator")
