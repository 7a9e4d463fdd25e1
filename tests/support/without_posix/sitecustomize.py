"""Takes from a Python program what Windows has not. A folder of its own, since `PYTHONPATH` names it.

Its event loop there has neither signal handlers nor pipes, and the standard library lacks some modules and
functions. The operating system stays what it is, so paths and sockets are not tried by this.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any, NoReturn

MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "uvloop")
OF_THE_LOOP = ("add_reader", "remove_reader", "add_signal_handler", "remove_signal_handler")
SIGNALS = ("SIGALRM", "SIGHUP", "SIGPIPE", "SIGUSR1", "SIGUSR2")
OF_THE_SYSTEM = ("getuid", "geteuid", "getloadavg", "sched_getaffinity", "set_blocking", "sysconf")
FILES = ("/proc/", "/dev/")


def absent(*_: object, **__: object) -> NoReturn:
    raise NotImplementedError


def hide(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir") and str(arguments[0]).startswith(FILES) and arguments[0] != os.devnull:
        raise FileNotFoundError(2, "there is no such file on Windows", arguments[0])


for name in MODULES:
    sys.modules[name] = None  # type: ignore[assignment]
for name in OF_THE_LOOP:
    setattr(asyncio.SelectorEventLoop, name, absent)
for name in SIGNALS:
    delattr(signal, name)
for name in OF_THE_SYSTEM:
    delattr(os, name)
sys.addaudithook(hide)
