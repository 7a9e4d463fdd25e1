"""A child process of which this process reads the output, line by line, without ever waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from livemarkets.embedded.pipes import read_pipe
from livemarkets.rate_limit import TokenBucket

__all__ = ["Child", "running_child"]

_LINE_BYTES = 8192
"""The rest of a longer line is dropped."""
_LOG_LINES_PER_SECOND, _LOG_LINES_AT_ONCE = 0.5, 50.0
"""How much of the child's log is read. A full pipe does not stop the child."""
_PAUSE_SECONDS = 10.0
_REAP_SECONDS = 1.0
_POLL_SECONDS = 0.005


class Child:
    """A child process that runs, or has ended. :func:`running_child` makes it."""

    def __init__(
        self, process: subprocess.Popen[bytes], ended: asyncio.Event, is_log_read: asyncio.Event
    ) -> None:
        self._process = process
        self._ended = ended
        self._is_log_read = is_log_read

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    async def exit_code(self) -> int:
        """Wait until the process has ended or has closed its standard output. Return its exit code.

        After a signal, that is the signal's number, negative.
        """
        await self._ended.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REAP_SECONDS):
                await self._is_log_read.wait()
        return await _reap(self._process)


class _Lines:
    """Passes on the lines of a pipe. It alone reads the pipe and closes it.

    Args:
        pipe: what is read until it ends.
        receive: called with each line.
        ended: set when the pipe has ended.
        bucket: how many lines are allowed; `None` for any number. When it is empty, the lines that were read
            are left out and counted, and the pipe is not read for some seconds.

    """

    def __init__(
        self,
        pipe: IO[bytes],
        receive: Callable[[str], None],
        ended: asyncio.Event,
        bucket: TokenBucket | None = None,
    ) -> None:
        self._receive = receive
        self._ended = ended
        self._bucket = bucket
        self._rest = b""
        self._is_closed = False
        self._reader = read_pipe(pipe, self._take)

    def close(self) -> None:
        """Close the pipe. What is in it is lost. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._reader.close()
        if self._rest:
            self._receive(self._rest.decode(errors="replace"))
        self._ended.set()

    def _take(self, data: bytes) -> None:
        if not data:
            self.close()
            return
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:_LINE_BYTES]
        for number, line in enumerate(lines):
            if self._bucket is not None and not self._bucket.take():
                self._pause(len(lines) - number)
                return
            self._receive(line[:_LINE_BYTES].decode(errors="replace"))

    def _pause(self, left_out: int) -> None:
        self._receive(f"WARNING {left_out} lines are left out, and none is read for {_PAUSE_SECONDS:.0f} s")
        self._reader.pause()
        asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._reader.resume)


@contextlib.asynccontextmanager
async def running_child(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    receive_line: Callable[[str], None],
    receive_log: Callable[[str], None],
) -> AsyncIterator[Child]:
    """Run a program until the context ends; then it is killed.

    Its standard input is a pipe that ends with this process, however this process ends.

    Args:
        command: the program and its arguments.
        directory: its working directory.
        environment: all its environment variables.
        receive_line: called with each line of its standard output.
        receive_log: called with each line of its standard error.

    Raises:
        OSError: the program cannot be started.

    """
    loop = asyncio.get_running_loop()
    ended, is_log_read = asyncio.Event(), asyncio.Event()
    bucket = TokenBucket(rate_per_second=_LOG_LINES_PER_SECOND, burst=_LOG_LINES_AT_ONCE, clock=loop.time)
    process = _start(command, directory, environment)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    output = _Lines(process.stdout, receive_line, ended)
    log = _Lines(process.stderr, receive_log, is_log_read, bucket)
    try:
        yield Child(process, ended, is_log_read)
    finally:
        process.kill()
        process.stdin.close()
        output.close()
        log.close()
        await _reap(process)


def _start(
    command: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    # Not asyncio.create_subprocess_exec: uvloop copies the page tables of this process (`fork`), which stops
    # the event loop for some 35 ms per GB of memory. `Popen` uses `vfork`, which takes 0.5 to 5 ms.
    return subprocess.Popen(
        command,
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )


async def _reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a process, kill it if it does not end, and return its exit code."""
    deadline = asyncio.get_running_loop().time() + _REAP_SECONDS
    while (code := process.poll()) is None:
        if asyncio.get_running_loop().time() > deadline:
            process.kill()
            return -9
        await asyncio.sleep(_POLL_SECONDS)
    return code
