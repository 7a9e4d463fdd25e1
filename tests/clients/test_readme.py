"""The README of the client library is true: its programs run, through cuts and restarts where it says so."""

from __future__ import annotations

import ast
import contextlib
import re
import shlex
import sys
from pathlib import Path

import pytest

from livemarkets.app import Tuning
from livemarkets_client import Code
from livemarkets_client.command import argument_parser
from tests.clients.test_recording import record
from tests.clients.test_through_faults import CLIENT
from tests.support.app import (
    Process,
    RunningApp,
    running_app,
    running_exchange,
    running_process,
    settings_for,
)
from tests.support.copied_clients import PAIR, Clients, Copied, blocks
from tests.support.helpers import PROJECT_ROOT, eventually, free_port
from tests.support.upstream import quick

CLIENTS = PROJECT_ROOT / "clients" / "python"
README = "clients/python/README.md"
TRADES, STORED, ARRIVAL, CHANNELS, STATES, TESTS, RECORDED = blocks(README, "python")


def program(text: str, port: int, folder: Path) -> contextlib.AbstractAsyncContextManager[Process]:
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace('"simulator"', '"binance"')
    for name in ("position.json", "position.json.new"):
        text = text.replace(f'"{name}"', repr(str(folder / name)))
    return running_process("-c", text, environment=CLIENT)


def cut(app: RunningApp) -> None:
    for connection in list(app.server.server_state.connections):
        connection.transport.abort()


@pytest.mark.long
async def test_the_programs_have_every_trade_through_cuts_restarts_and_their_own_end(tmp_path: Path) -> None:
    port, tuning = free_port(), Tuning(client=quick())
    async with (
        running_exchange() as exchange,
        program(TRADES, port, tmp_path) as trades,
        program(STORED, port, tmp_path) as killed,
    ):
        reading = Clients([Copied("trades", trades.lines, trades), Copied("stored", killed.lines, killed)])
        async with running_app(settings_for(exchange), tuning=tuning, port=port) as app:
            await reading.reach(exchange)
            cut(app)
            await reading.reach(exchange)
            killed.process.kill()
            await killed.ended()
        for symbol in PAIR:
            exchange.faults.burst(symbol=symbol, trades=700)
        async with (
            running_app(settings_for(exchange), tuning=tuning, port=port),
            program(STORED, port, tmp_path) as again,
        ):
            reading.copied[1] = Copied("stored", again.lines, again)
            await reading.reach(exchange)
    reading.copied[1] = Copied("stored", once(killed.lines, again.lines))
    reading.lack_nothing()


def once(before: list[str], after: list[str]) -> list[str]:
    """All lines, without that of the trade in the midst of which the program was killed."""
    return [*before, *(line for line in after if line not in before[-1:])]


async def test_the_other_programs_say_what_they_read(tmp_path: Path) -> None:
    port = free_port()
    async with (
        running_exchange() as exchange,
        running_app(settings_for(exchange), tuning=Tuning(client=quick()), port=port),
        program(CHANNELS, port, tmp_path) as channels,
        program(STATES, port, tmp_path) as states,
        program(ARRIVAL, port, tmp_path) as arrivals,
    ):
        await states.says("BTC/USDT ('BTCUSDT',")
        await states.says("CONNECTED 2 welcomed by livemarkets/")
        for channel in ("candle ", "book BTCUSDT ", "depth (Decimal(", "ticker SOLUSDT "):
            await channels.says(channel)
        await arrivals.says("{'BTCUSDT': 'live'}")
        exchange.faults.rest_down(status=500)
        exchange.faults.lose(stream="btcusdt@trade", count=3)
        last = (await arrivals.says(" have not come yet")).split()[2]
        exchange.faults.clear()
        late = re.compile(rf"{last} [\d.]+ late")
        await eventually(lambda: any(map(late.fullmatch, arrivals.lines)), 20, because="a trade that is late")


async def test_the_test_of_the_readme_passes(tmp_path: Path) -> None:
    async with program(TESTS, 0, tmp_path) as process:
        assert await process.ended() == 0
    assert process.lines == ["passed"]


async def test_a_recording_is_read_as_the_readme_says(tmp_path: Path) -> None:
    record(tmp_path / "trades.jsonl.gz", range(1, 4))
    text = RECORDED.replace('"trades.jsonl.gz"', repr(str(tmp_path / "trades.jsonl.gz")))
    async with program(text, 0, tmp_path) as process:
        assert await process.ended() == 0
    assert process.lines[-1] == "BTCUSDT 3 61837.63000000 0.02000000"


def test_the_commands_of_the_documents_are_understood() -> None:
    texts = [
        (PROJECT_ROOT / name).read_text() for name in (README, "docs/ws-markets.md", "docs/data-science.md")
    ]
    commands = re.findall(r"^livemarkets-client (.+)$", "\n".join(texts), re.MULTILINE)
    named = {argument_parser().parse_args(shlex.split(command)).command for command in commands}
    assert named == {"watch", "record", "convert"}


def test_the_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", (PROJECT_ROOT / README).read_text(), re.MULTILINE)
    assert [(int(number), name) for number, name in rows] == [(code.value, code.name) for code in Code]


def test_the_library_needs_nothing_of_the_server_and_is_small_modules() -> None:
    allowed = {"livemarkets_client", "msgspec", "websockets"}
    for path in sorted((CLIENTS / "livemarkets_client").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 300, path.name
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            optional = {"pyarrow"} if path.name == "tables.py" else set()
            foreign = {name.split(".")[0] for name in names} - allowed - optional
            assert foreign <= sys.stdlib_module_names, (path.name, foreign)
