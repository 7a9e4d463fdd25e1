"""Tells the socket of a page what its events take, so that it can limit them by their cost."""

from __future__ import annotations

import functools
import inspect
import time
from typing import Any

from nicegui import core

from livemarkets.security.page_socket import PAGE_SOCKET, PacedSocket

__all__ = ["charge_events"]


def charge_events() -> None:
    """Measure each event that the page framework handles. Idempotent."""
    handle = inspect.unwrap(core.sio.handlers["/"]["event"])

    @functools.wraps(handle)
    def handle_and_charge(session_id: str, message: dict[str, Any]) -> None:
        began = time.thread_time()
        try:
            handle(session_id, message)
        finally:
            environ = core.sio.get_environ(session_id) or {}
            socket = environ.get("asgi.scope", {}).get(PAGE_SOCKET)
            if isinstance(socket, PacedSocket):  # not so with another server, and when polling
                socket.charge(time.thread_time() - began)

    core.sio.on("event", handle_and_charge)
