"""Other programs: started, spoken to by lines, measured from outside, and ended by their id."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

__all__ = ["ROOT", "BenchmarkError", "Cpu", "Program", "free_port"]

ROOT = Path(__file__).resolve().parent.parent
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 8.0
_ERROR_LINES = 15


class BenchmarkError(Exception):
    """A benchmark cannot go on; the text says why."""


class Cpu(NamedTuple):
    """CPU time that a process has used, in seconds."""

    user: float
    system: float
    total: float
    """Exact to the nanosecond; the two parts are the kernel's estimates, in steps of 10 ms."""
    waited: float = 0.0
    """How long it could have run and had no core: others had it."""

    def since(self, earlier: Cpu) -> Cpu:
        """Return what was used since an earlier reading."""
        return Cpu(*(now - before for now, before in zip(self, earlier, strict=True)))


class Program:
    """A child process whose standard output is read line by line.

    Args:
        name: for messages.
        command: what to run.
        environment: set in addition to ours.

    """

    def __init__(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        )
        self._threads = [
            threading.Thread(target=target, name=f"{name} {target.__name__}", daemon=True)
            for target in (self._read_output, self._read_errors)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            raise BenchmarkError(f"{self.name} is gone{self._why()}") from None

    def expect(self, start: str, timeout_seconds: float = 20.0) -> str:
        """Return its next line that begins with `start`; others are passed over.

        Raises:
            BenchmarkError: it ended, or the time is over.

        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                raise BenchmarkError(
                    f"{self.name} said no {start!r} in {timeout_seconds:g} s{self._why()}"
                ) from None
            if line is None:
                raise BenchmarkError(f"{self.name} ended{self._why()}")
            if line.startswith(start):
                return line

    def pass_over(self) -> None:
        """Pass over the lines that it has said until now."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()

    def cpu(self) -> Cpu:
        """Return the CPU time of all its threads until now."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            user, system = (int(field) / _TICKS_PER_SECOND for field in fields[11:13])
            tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
            times = [task.read_text().split() for task in tasks]
        except OSError:
            raise BenchmarkError(f"{self.name} ended{self._why()}") from None
        total, waited = (sum(int(time[at]) for time in times) / 1e9 for at in (0, 1))
        return Cpu(user, system, total, waited)

    def memory_bytes(self) -> int:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def wait_for_port(self, port: int, timeout_seconds: float = 20.0) -> None:
        """Wait until it accepts connections on a loopback port."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                return
            time.sleep(0.02)
        raise BenchmarkError(f"{self.name} does not listen on port {port}{self._why()}")

    def stop(self) -> None:
        """End it: politely, then not. Idempotent."""
        process = self._process
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        for thread, pipe in zip(self._threads, (process.stdout, process.stderr), strict=True):
            thread.join(_STOP_SECONDS)
            if pipe is not None:
                pipe.close()

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line.rstrip("\n"))
            del self._errors[:-_ERROR_LINES]

    def _why(self) -> str:
        time.sleep(0.05)  # let the reader of the last words finish
        return "".join(f"\n    {line}" for line in self._errors)


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
