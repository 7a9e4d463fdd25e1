"""The clients of the documents, run as a stranger would: copied, and left alone."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

from livemarkets.http_api.client_script import CLIENT_SCRIPT
from livemarkets.simulator import Simulator
from tests.support.app import Process, RunningApp, running_process
from tests.support.helpers import PROJECT_ROOT, eventually

PAIR = ("BTCUSDT", "ETHUSDT")
"""What they subscribe."""
SHORT = "README"
"""The client that uses the library, and says nothing when it is cut off."""

LIBRARY = {"PYTHONPATH": str(PROJECT_ROOT / "clients" / "python")}
"""Where a program finds the client library of Python."""

_PAUSE_SECONDS = 0.05
_HURRY = f"""\
from functools import partial
from livemarkets_client import Timings
connect = partial(connect, timings=Timings(first_pause_seconds={_PAUSE_SECONDS}))
"""
_REQUIRE = 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);\n'
_TRADE = re.compile(r"([A-Z]+) (\d+) (?:buy|sell) [\d.]+ [\d.]+")
_HOLE = re.compile(r"([Gg]ap|[Ll]agged): ([A-Z]+) (\d+) to (\d+) will not come")
_AGAIN = "; again in "


def blocks(document: str, language: str) -> list[str]:
    """The code of one language in a document."""
    text = (PROJECT_ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def hurried(program: str) -> str:
    """The program with shorter pauses before it connects again, be they its own or those of the library."""
    program = re.sub(r"\bpause ?= ?1\b", f"pause = {_PAUSE_SECONDS}", program)
    return re.sub(
        r"^from livemarkets_client import .*\bconnect$", rf"\g<0>\n{_HURRY}", program, flags=re.MULTILINE
    )


def newest_id(exchange: Simulator, symbol: str) -> int:
    return exchange.source.history(symbol, exchange.now_ms()).recent(1)[0].id


class Event(NamedTuple):
    """A trade, or a hole that was declared."""

    kind: str
    symbol: str
    first_id: int
    last_id: int


class Copied:
    """A client that was copied from a document.

    Args:
        name: which one.
        lines: what it has printed; they grow.
        process: where it runs; `None` for a browser.

    """

    def __init__(self, name: str, lines: list[str], process: Process | None = None) -> None:
        self.name = name
        self.lines = lines
        self._process = process
        self._events: list[Event] = []
        self._read = 0

    def told(self, symbol: str) -> list[Event]:
        """Everything that it was told of a symbol, in order."""
        for line in self.lines[self._read :]:
            self._events += _events(line)
        self._read = len(self.lines)
        return [event for event in self._events if event.symbol == symbol]

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    def ids(self, symbol: str) -> list[int]:
        return [event.first_id for event in self.told(symbol) if event.kind == "trade"]

    def holes(self, symbol: str) -> list[Event]:
        return [event for event in self.told(symbol) if event.kind != "trade"]

    @property
    def attempts(self) -> list[float]:
        """The pauses that it has announced before it connects again, in seconds."""
        announced = [line.rpartition(_AGAIN)[2] for line in self.lines if _AGAIN in line]
        return [float(pause.removesuffix(" s")) for pause in announced]

    async def reaches(self, symbol: str, trade_id: int) -> None:
        """Wait until it has been told of a trade."""
        await self._does(
            lambda: bool(self.told(symbol)) and self.told(symbol)[-1].last_id >= trade_id,
            f"reach {symbol} {trade_id}",
        )

    async def tries_again(self, times: int) -> None:
        """Wait until it has failed to connect, or was cut off, so many times from now on."""
        wanted = len(self.attempts) + times
        await self._does(lambda: len(self.attempts) >= wanted, "try again")

    async def ends(self, reason: str) -> None:
        """Wait for its end; it has said why, and has not tried again."""
        assert await self.process.ended() != 0
        assert reason in self.process.output
        assert self.attempts == []

    async def _does(self, predicate: Callable[[], bool], what: str) -> None:
        try:
            await eventually(predicate, 60, because=what)
        except AssertionError:
            said = "\n".join(self.lines[-20:])
            raise AssertionError(f"{self.name} did not {what}; it has said:\n{said}") from None


def _events(line: str) -> Iterator[Event]:
    """What a line tells, whether the client prints words or the messages themselves."""
    if found := _TRADE.match(line):
        yield Event("trade", found[1], int(found[2]), int(found[2]))
    elif found := _HOLE.match(line):
        yield Event(found[1].lower(), found[2], int(found[3]), int(found[4]))
    elif line.startswith('{"type"'):
        message = json.loads(line)
        if message["type"] in ("trade", "snapshot"):
            for trade in message.get("data", [message]):
                yield Event("trade", trade["symbol"], trade["id"], trade["id"])
        elif message["type"] in ("gap", "lagged"):
            yield Event(message["type"], message["symbol"], message["from_id"], message["to_id"])


class Clients:
    """Several clients that run beside each other."""

    def __init__(self, copied: list[Copied]) -> None:
        self.copied = copied

    async def reach(self, exchange: Simulator) -> None:
        """Wait until all of them have everything that was traded until now."""
        newest = {symbol: newest_id(exchange, symbol) for symbol in PAIR}
        for client in self.copied:
            for symbol in PAIR:
                await client.reaches(symbol, newest[symbol])

    async def try_again(self, times: int = 1) -> None:
        """Wait until each has been without a server so often."""
        telling = [client for client in self.copied if client.name != SHORT]
        await asyncio.gather(*(client.tries_again(times) for client in telling))

    async def are_cut(self, app: RunningApp) -> None:
        """Have all of them connected, then cut them all without a close frame, and let them notice."""
        await eventually(lambda: len(app.services.hub.connections) == len(self.copied), because="connected")
        noticing = asyncio.create_task(self.try_again(), name="clients notice")
        await asyncio.sleep(0)
        for connection in list(app.server.server_state.connections):
            connection.transport.abort()
        await noticing

    def lack_nothing(self) -> None:
        """Each id of each symbol has come once, in order, or is part of a hole that was declared."""
        for client in self.copied:
            for symbol in PAIR:
                told = client.told(symbol)
                assert len(told) > 1
                wrong = [(a, b) for a, b in itertools.pairwise(told) if b.first_id != a.last_id + 1]
                assert wrong == [], f"{client.name}: {wrong[:3]}"


class Programs:
    """The clients of the documents in one language.

    Args:
        folder: for what has to be a file.
        node: Node.js and an environment in which its `require("ws")` works; `None` for Python.

    """

    def __init__(self, folder: Path, node: tuple[str, dict[str, str]] | None) -> None:
        self._folder = folder
        self._node = node

    @property
    def is_python(self) -> bool:
        return self._node is None

    @contextlib.asynccontextmanager
    async def reading(self, port: int, *changes: tuple[str, str]) -> AsyncIterator[Clients]:
        """Run all of them against a port; with changes, those of the manual alone."""
        replaced = [("127.0.0.1:8080", f"127.0.0.1:{port}"), ('"simulator"', '"binance"'), *changes]
        names = ["manual"]
        if self.is_python and not changes:
            names.append(SHORT)
        if self._node is not None and _has_built_in_websocket(self._node[0]):
            names.append("manual, built in")
        async with contextlib.AsyncExitStack() as stack:
            running = [self.running(name, _programs_of(name), *replaced) for name in names]
            yield Clients([await stack.enter_async_context(each) for each in running])

    @contextlib.asynccontextmanager
    async def running(
        self, name: str, program: Mapping[str, str], *changes: tuple[str, str], **environment: str
    ) -> AsyncIterator[Copied]:
        """Run a program, which is given by language, under pauses that are shorter than it says."""
        text = program["Python" if self.is_python else "JavaScript"]
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        async with self._process(hurried(text), environment, is_built_in="built in" in name) as process:
            yield Copied(name, process.lines, process)

    def _process(
        self, text: str, environment: dict[str, str], *, is_built_in: bool
    ) -> AbstractAsyncContextManager[Process]:
        """JavaScript runs under the WebSocket that Node.js brings, or under the `ws` package."""
        if self._node is None:
            return running_process("-c", text, environment=LIBRARY | environment)
        node, inherited = self._node
        is_module = "\nimport " in text
        script = self._folder / f"client-{is_built_in}.{'mjs' if is_module else 'cjs'}"
        required = 'globalThis.WebSocket = require("ws");\n'
        library = "" if is_built_in else f"{_REQUIRE}{required}" if is_module else required
        if is_module:
            shutil.copy(CLIENT_SCRIPT, self._folder / "client.mjs")
        # Where standard output is a full pipe, Node.js lets standard error overtake it: read one of them.
        script.write_text(f"console.warn = console.log;\n{library}{text}")
        flags = ["--experimental-websocket"] if is_built_in else []
        return running_process(*flags, script, environment=inherited | environment, program=node)


def _programs_of(name: str) -> dict[str, str]:
    if name == SHORT:
        return {"Python": blocks("README.md", "python")[0]}
    manual = "docs/ws-markets.md"
    return {"Python": blocks(manual, "python")[0], "JavaScript": blocks(manual, "js")[0]}


@functools.cache
def _has_built_in_websocket(node: str) -> bool:
    """Whether this Node.js brings a WebSocket of its own: behind a flag from 20.10 on."""
    script = ["--experimental-websocket", "--print", "typeof WebSocket"]
    return "function" in subprocess.run([node, *script], capture_output=True, text=True, check=False).stdout
