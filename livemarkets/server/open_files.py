"""Keeps open files back for what must not fail: health checks, the exchanges, REST.

Each connection needs a file descriptor, and the kernel gives the lowest free number. So the number of a
connection's descriptor tells how many were left when it was accepted, without counting them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

__all__ = [
    "KEPT_BACK",
    "LAST_FILES",
    "SHORT_OF_FILES",
    "files_left",
    "files_limit",
    "free_files",
    "open_files",
]

SHORT_OF_FILES = "livemarkets.short_of_files"
"""The key of the ASGI scope of a connection that was accepted when fewer than :data:`KEPT_BACK` were left."""
KEPT_BACK = 48
"""While fewer are left, nothing but health checks is served."""
_DESCRIPTORS = "/proc/self/fd"
LAST_FILES = 16
"""While fewer are left, a new connection is closed unread."""


def files_left(transport: asyncio.BaseTransport) -> int:
    """Return how many descriptors were left when this connection was accepted."""
    connection = transport.get_extra_info("socket")
    return sys.maxsize if connection is None else _left_above(connection.fileno())


def free_files() -> int:
    """Return how many descriptors are left now."""
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return 0
    os.close(descriptor)
    return _left_above(descriptor)


def open_files() -> int | None:
    """Return how many files the process has open; `None` where the system does not tell (only Linux does)."""
    try:
        # Newer kernels tell the number as the size of the folder. Its entries take a millisecond a thousand.
        return os.stat(_DESCRIPTORS).st_size or len(os.listdir(_DESCRIPTORS)) - 1
    except OSError:
        return None


def files_limit() -> int | None:
    """Return how many files the process may open; `None` if there is no limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no module `resource`
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if soft == resource.RLIM_INFINITY else soft
    return None


def _left_above(descriptor: int) -> int:
    limit = files_limit()
    return sys.maxsize if limit is None else limit - descriptor
