"""What the exchange does as a child process of the app: tell the address, show signs of life, end with it.

The parent reads two pipes. Standard output has one JSON line with the addresses, then an empty line per
second. Standard error has the log, one record per line: `LEVEL message`. Neither pipe is ever waited for:
what does not fit is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

import msgspec

if TYPE_CHECKING:
    from loguru import Message

__all__ = ["LogPipe", "end_with_parent", "report"]

_STDIN, _STDOUT, _STDERR = range(3)
_HALF_LINE_BYTES = 2000
"""Half of the longest line of the log. A pipe takes up to 4,096 bytes as a whole or not at all."""
_SIGN_OF_LIFE_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that this process gets when its parent ends."""


def end_with_parent() -> None:
    """End this process as soon as its parent has ended or has closed our standard input.

    A thread waits for the end of standard input, so this works also while the event loop does not turn. On
    Linux the kernel kills this process too, even while it is stopped.

    The signals of a terminal go to parent and child alike. They are ignored here: the parent ends its child.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    threading.Thread(target=_end_with_stdin, name="parent", daemon=True).start()


def _end_with_stdin() -> NoReturn:
    with contextlib.suppress(OSError):
        while os.read(_STDIN, 1024):
            pass
    os._exit(0)  # the exchange has nothing to save


async def report(ws_url: str, rest_url: str) -> NoReturn:
    """Tell the parent the addresses, and then show signs of life until cancelled."""
    _never_wait_for(_STDOUT)
    line = msgspec.json.encode({"ws_url": ws_url, "rest_url": rest_url})
    while True:
        with contextlib.suppress(OSError):
            os.write(_STDOUT, line + b"\n")
        line = b""
        await asyncio.sleep(_SIGN_OF_LIFE_SECONDS)


class LogPipe:
    """A sink of loguru: writes each record to standard error as one line, and counts what does not fit."""

    def __init__(self) -> None:
        self._left_out = 0
        _never_wait_for(_STDERR)

    def __call__(self, message: Message) -> None:
        """Write a record, whose exception, if any, is part of its text."""
        level = message.record["level"].name
        text = str(message).rstrip().replace("\n", " | ")
        if self._left_out:
            text += f" ({self._left_out} lines before this one were left out: the pipe was full)"
        line = f"{level} {text}".encode(errors="replace")
        if len(line) > 2 * _HALF_LINE_BYTES:  # the end of a traceback says most
            line = line[:_HALF_LINE_BYTES] + b" ... " + line[-_HALF_LINE_BYTES:]
        try:
            os.write(_STDERR, line + b"\n")
            self._left_out = 0
        except OSError:
            self._left_out += 1


def _never_wait_for(descriptor: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # before Python 3.12, Windows has no such pipes
        os.set_blocking(descriptor, False)
