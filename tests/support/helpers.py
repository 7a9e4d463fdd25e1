"""What several test files need: waiting for a condition, a free port, a browser."""

import asyncio
import contextlib
import inspect
import os
import random
import shutil
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, overload

import pytest

T = TypeVar("T")

CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
)
"""Flags under which a Chromium runs anywhere, also as root in a container, and calls nobody by itself."""

measured = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measured through /proc")
"""For tests that look at a process's memory, files or time of the processor."""

WITHOUT_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For HTTP clients that ask plain addresses: without it, each loads all certificates for 20 ms."""

PATIENCE_SECONDS = 20.0
"""How long a busy machine may take for what is a matter of milliseconds."""

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@overload
async def eventually(
    predicate: Callable[[], Awaitable[T]],
    timeout_seconds: float = ...,
    *,
    interval_seconds: float = ...,
    because: str = ...,
) -> T: ...


@overload
async def eventually(
    predicate: Callable[[], T],
    timeout_seconds: float = ...,
    *,
    interval_seconds: float = ...,
    because: str = ...,
) -> T: ...


async def eventually(
    predicate: Callable[[], Any],
    timeout_seconds: float = PATIENCE_SECONDS,
    *,
    interval_seconds: float = 0.01,
    because: str = "",
) -> Any:
    """Call `predicate` until it gives something true, and return that.

    An `AssertionError` inside the predicate counts as "not yet", so a predicate may be a block of asserts
    that ends with `return True`. At the deadline the last one is raised, or else one that names `because`.
    """
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while True:
        failure: AssertionError | None = None
        try:
            outcome = predicate()
            value = await outcome if inspect.isawaitable(outcome) else outcome
            if value:
                return value
        except AssertionError as error:
            failure = error
        if asyncio.get_running_loop().time() >= deadline:
            raise failure or AssertionError(f"not within {timeout_seconds} s: {because or predicate!r}")
        await asyncio.sleep(interval_seconds)


def free_port() -> int:
    """A TCP port that nobody listens on, of those that the system gives to no outgoing connection.

    Otherwise a connection of a test beside this one could take it before it is listened on. All are above
    10080, the highest port that browsers refuse to open (Fetch Standard, "Port blocking").
    """
    while True:
        port = random.randint(10_081, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("", port))
            return port


def chromium_path() -> str | None:
    """The Chromium to drive: $CHROMIUM_PATH, an installed one, else Playwright's own; None without any."""
    named = os.environ.get("CHROMIUM_PATH")
    if named:
        return named
    for command in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        found = shutil.which(command)
        if found:
            return found
    return _playwright_chromium()


def _playwright_chromium() -> str | None:
    """The newest browser that `playwright install chromium` has left in its folder."""
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    roots = [Path(folder)] if folder else [Path.home() / ".cache/ms-playwright"]
    roots.append(Path.home() / "Library/Caches/ms-playwright")
    patterns = (
        "chromium-*/chrome-linux*/chrome",
        "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
        "chromium_headless_shell-*/chrome-*/*headless*shell",
    )
    for pattern in patterns:
        for root in roots:
            found = sorted(root.glob(pattern))
            if found:
                return str(found[-1])
    return None
