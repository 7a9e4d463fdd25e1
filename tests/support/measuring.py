"""The shipped application in a process of its own, and what held its event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import msgspec

from tests.support.app import Process, main_environment, running_process
from tests.support.helpers import eventually
from tests.support.measured_main import Held

__all__ = ["Held", "MeasuredApp", "measured_main"]


class MeasuredApp:
    """A running `main.py`."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    def rss_bytes(self) -> int:
        return self.process.rss_bytes()

    async def held(self, order: str = "") -> Held:
        """What held its event loop since the last time. The order `collect` collects all garbage first."""
        seen = len(self._answers())
        assert self.process.process.stdin is not None
        self.process.process.stdin.write(f"{order}\n".encode())
        await eventually(lambda: len(self._answers()) > seen)
        return msgspec.json.decode(self._answers()[-1], type=Held)

    def _answers(self) -> list[str]:
        return [line for line in self.process.lines if line.startswith('{"ticks"')]


@contextlib.asynccontextmanager
async def measured_main(exchange_url: str, **variables: str) -> AsyncIterator[MeasuredApp]:
    """Run `main.py` with a meter inside until it serves pages."""
    port, environment = main_environment(exchange_url, **variables)
    program = ("-m", "tests.support.measured_main")
    async with running_process(*program, environment=environment, reads_input=True) as process:
        await process.says("Live Markets is listening on")
        yield MeasuredApp(process, port)
