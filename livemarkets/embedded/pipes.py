"""Reads a pipe without waiting for it: by the event loop, or in a thread where that cannot watch pipes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import IO, Protocol

__all__ = ["PipeReader", "read_pipe"]

_READ_BYTES = 65_536


class PipeReader(Protocol):
    """Reads a pipe, which it alone closes."""

    def pause(self) -> None:
        """Read nothing for the present."""

    def resume(self) -> None:
        """Go on to read."""

    def close(self) -> None:
        """Read nothing any more. What is in the pipe is lost. Idempotent."""


def read_pipe(pipe: IO[bytes], receive: Callable[[bytes], None]) -> PipeReader:
    """Read a pipe from now on.

    Args:
        pipe: the pipe.
        receive: called in the event loop with what was read; with nothing when the pipe has ended.

    """
    try:
        return _Watched(pipe, receive)
    except NotImplementedError:  # the event loop of Windows
        return _InThread(pipe, receive)


class _Watched:
    """Reads whenever the event loop says that there is something.

    A transport of the event loop would not do: uvloop closes the descriptor itself and then the file too. By
    then the number may belong to somebody else, whose connection ends with it.
    """

    def __init__(self, pipe: IO[bytes], receive: Callable[[bytes], None]) -> None:
        self._pipe = pipe
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self.resume()
        os.set_blocking(pipe.fileno(), False)

    def pause(self) -> None:
        self._loop.remove_reader(self._pipe.fileno())

    def resume(self) -> None:
        if not self._pipe.closed:
            self._loop.add_reader(self._pipe.fileno(), self._read)

    def close(self) -> None:
        if not self._pipe.closed:
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()

    def _read(self) -> None:
        try:
            data = os.read(self._pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._receive(data)


class _InThread:
    """Waits for the pipe in a thread of its own, which ends with the pipe: when its other end is closed."""

    def __init__(self, pipe: IO[bytes], receive: Callable[[bytes], None]) -> None:
        self._pipe = pipe
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._is_paused = self._is_closed = False
        self._may_read = threading.Event()
        self._may_read.set()
        threading.Thread(target=self._run, name="pipe of a child process", daemon=True).start()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._may_read.set()

    def close(self) -> None:
        self._is_closed = True
        self._may_read.set()

    def _run(self) -> None:
        data = None
        with self._pipe, contextlib.suppress(RuntimeError):  # the event loop has ended
            while data != b"" and not self._is_closed:
                self._may_read.wait()
                self._may_read.clear()
                try:
                    data = os.read(self._pipe.fileno(), _READ_BYTES)
                except OSError:
                    data = b""
                self._loop.call_soon_threadsafe(self._pass_on, data)

    def _pass_on(self, data: bytes) -> None:
        if self._is_closed:
            return
        self._receive(data)
        if not self._is_paused:
            self._may_read.set()
