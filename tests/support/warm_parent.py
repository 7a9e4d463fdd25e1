"""Forks processes that have imported the modules that it is told: that takes longer than most tests.

`tests/support/warm_start.py` starts this program and sends the requests. It only imports, and has neither a
thread nor an event loop. It ends, and ends the processes that it forked, when nobody can send a request any
more. It imports nothing of the tests by itself: the app does not have that either.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REQUEST_BYTES = 2**17
"""A longer request is refused by the socket of its sender, whose buffer is not larger than twice this."""
_DESCRIPTORS = 4


class _Child(NamedTuple):
    pid: int
    report: int
    """Where its end is told."""


class WarmParent:
    """Forks a process for each request, and tells its id and its end.

    Args:
        requests: each message is one request: arguments, environment and whether SIGINT is ignored, in JSON;
            with it come the standard input, output and error of the process, and a pipe. The pipe is told the
            id of the process at once, and its exit code at its end: one line each. After a signal, the exit
            code is the signal's number, negative.

    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._children: dict[int, _Child] = {}  # by a descriptor that can be read when the process has ended
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def fork_on_request(self) -> list[str]:
        """Serve. It returns in forked processes alone, with the arguments of each."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._requests:
                    self._tell_end(key.fd)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._requests, REQUEST_BYTES, _DESCRIPTORS)
                if not message:
                    self._end_all()
                    sys.exit()
                request = json.loads(message)
                if self._is_child(descriptors):
                    _become(request["environment"], descriptors)
                    # A shell lets what runs in its background ignore it, and so do its descendants.
                    ignored = request["ignores_interrupts"]
                    signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
                    arguments: list[str] = request["arguments"]
                    return arguments

    def _is_child(self, descriptors: Sequence[int]) -> bool:
        """Fork. Whether this process is the new one."""
        *streams, report = descriptors
        pid = os.fork()
        if not pid:
            self._forget_all()
            os.close(report)
            return True
        for stream in streams:
            os.close(stream)
        ended = os.pidfd_open(pid)
        self._children[ended] = _Child(pid, report)
        self._selector.register(ended, selectors.EVENT_READ)
        _tell(report, pid)
        return False

    def _tell_end(self, ended: int) -> None:
        child = self._children.pop(ended)
        self._selector.unregister(ended)
        _, status = os.waitpid(child.pid, 0)
        _tell(child.report, os.waitstatus_to_exitcode(status))
        os.close(child.report)
        os.close(ended)

    def _end_all(self) -> None:
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)

    def _forget_all(self) -> None:
        """Close what the parent alone needs."""
        self._selector.close()
        self._requests.close()
        for ended, child in self._children.items():
            os.close(ended)
            os.close(child.report)


def _tell(report: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # who asked has ended
        os.write(report, b"%d\n" % number)


def _become(environment: Mapping[str, str], descriptors: Sequence[int]) -> None:
    """Take over what a process is given at its start. Random numbers are seeded by Python at the fork."""
    for number, stream in enumerate(descriptors[:3]):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)


def _run(arguments: Sequence[str]) -> None:
    """Do as `python` does with these arguments: a file, or `-m` and a module, and those of the program."""
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


def main() -> None:
    # Whoever is at a terminal interrupts the processes, not this one. It is not ignored but held back: a
    # process that was just forked gets it a moment later.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    gc.disable()
    _, requests, *modules = sys.argv
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    assert threading.active_count() == 1, threading.enumerate()
    arguments = WarmParent(socket.socket(fileno=int(requests))).fork_on_request()
    gc.enable()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _run(arguments)


if __name__ == "__main__":
    main()
