"""Starts programs of the project in processes that are forked from a warm parent (`warm_parent.py`)."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import warm_parent
from tests.support.helpers import PROJECT_ROOT

PRELOADED = (
    "livemarkets.app",
    "livemarkets.config.log",
    "livemarkets.config.settings",
    "livemarkets.errors",
    "livemarkets.http_api.web_app",
    "livemarkets.server.run",
    "livemarkets.simulator.faults.commands",
    "livemarkets.simulator.market.replay",
    "livemarkets.simulator.server.parent",
    "livemarkets.simulator.server.simulator",
    "nicegui.ui",
    "pages",
)
"""What `main.py`, `tests/pages/local.py` and the simulator import."""
OUTPUT_LINE_BYTES = 2**20
_END_SECONDS = 10.0
_STDIN = 0


class WarmProcess:
    """A forked process. It has what the tests use of `asyncio.subprocess.Process`."""

    stdin: asyncio.StreamWriter | None = None

    def __init__(self, pid: int, stdout: asyncio.StreamReader, report: asyncio.StreamReader) -> None:
        self.pid = pid
        self.stdout = stdout
        self._end = asyncio.create_task(self._read_end(report), name=f"end of process {pid}")

    @property
    def returncode(self) -> int | None:
        """`None` while it runs. After a signal, the signal's number, negative."""
        return self._end.result() if self._end.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    async def _read_end(self, report: asyncio.StreamReader) -> int:
        told = await report.read()  # up to its end, so that it is closed
        assert told, f"the warm parent has ended before process {self.pid}"
        return int(told)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmStart:
    """The warm parent of the processes that this one starts. It runs from now on until `close`.

    Args:
        modules: what it imports beforehand.

    """

    def __init__(self, modules: Sequence[str] = PRELOADED) -> None:
        self._environment = _fixed(os.environ)
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-u", warm_parent.__file__, str(theirs.fileno()), *modules],
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a process with this environment may be forked: other variables may act at an import."""
        return _fixed(environment) == self._environment

    async def start(self, arguments: Sequence[str | Path], environment: Mapping[str, str]) -> WarmProcess:
        """Do as `python -u` with these arguments does, in the project's folder."""
        request = {
            "arguments": [str(each) for each in arguments],
            "environment": dict(environment),
            "ignores_interrupts": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        }
        with contextlib.ExitStack() as theirs:
            stdout, output = await _pipe(theirs)
            numbers, report = await _pipe(theirs)
            with contextlib.suppress(BrokenPipeError):  # no number comes
                descriptors = [_STDIN, output, output, report]
                socket.send_fds(self._requests, [json.dumps(request).encode()], descriptors)
        line = await numbers.readline()
        if not line:
            await stdout.read()  # up to its end, so that it is closed
            raise AssertionError(f"the warm parent has ended: {self._last_words()}")
        return WarmProcess(int(line), stdout, numbers)

    def _last_words(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.read().decode(errors="replace")

    def close(self) -> None:
        """End it, and whatever it forked. Idempotent."""
        self._requests.close()
        with self._process:
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()


@functools.cache
def warm_start() -> WarmStart | None:
    """The one of this process, which begins with its first use and ends with this process.

    `None` where a process cannot be forked safely.
    """
    if sys.platform != "linux":
        return None
    started = WarmStart()
    atexit.register(started.close)
    return started


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    """What may not change: all but what the app reads when it runs, and what pytest changes in each test."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("LIVE_") and name != "PYTEST_CURRENT_TEST"
    }


async def _pipe(theirs: contextlib.ExitStack) -> tuple[asyncio.StreamReader, int]:
    """A pipe that is read here, and its other end, which is closed here with the stack."""
    reading, writing = os.pipe()
    theirs.callback(os.close, writing)
    reader = asyncio.StreamReader(limit=OUTPUT_LINE_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb", 0))
    return reader, writing
