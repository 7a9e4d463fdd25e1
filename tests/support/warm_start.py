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
        line = await report.readline()
        assert line, f"the warm parent has ended before process {self.pid}"
        return int(line)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmStart:
    """The warm parent of the processes that this one starts. It runs from now on until `close`."""

    def __init__(self) -> None:
        self._environment = _fixed(os.environ)
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-u", Path(warm_parent.__file__), str(theirs.fileno())],
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

    async def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> WarmProcess:
        """Do as `python -u` with these arguments does, in the project's folder."""
        message = json.dumps({"arguments": arguments, "environment": dict(environment)}).encode()
        with contextlib.ExitStack() as theirs:
            output, output_end = _pipe(theirs)
            report, report_end = _pipe(theirs)
            descriptors = [_STDIN, output_end, output_end, report_end]
            socket.send_fds(self._requests, [message], descriptors)
        stdout, numbers = await _reader(output), await _reader(report)
        line = await numbers.readline()
        assert line, f"the warm parent has ended: {self._last_words()}"
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


def _pipe(theirs: contextlib.ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe()
    theirs.callback(os.close, writing)
    return reading, writing


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=OUTPUT_LINE_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb", 0))
    return reader

