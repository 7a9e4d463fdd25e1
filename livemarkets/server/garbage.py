"""Keeps garbage collections short: what one has left is not looked at again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["FreezingApp"]

_MIDDLE = 1
"""The generation whose collection makes a full one due: some 2,500 objects have come since the one before."""
_THRESHOLDS = (500, 4, 100)
"""Python makes a full collection by itself only when requests hold up ours for long."""


class FreezingApp:
    """ASGI app around the whole that freezes what stays, so that no full collection looks at it again.

    A full collection takes as long as there are objects, and a thousand clients have 80,000. So it is made
    often, between two turns of the event loop, and its survivors are frozen. What is frozen is freed like
    everything else, when nothing refers to it any more. Only a cycle of frozen objects stays for ever.
    Clients and pages break their cycles when they leave. A plain request cannot: the frameworks leave cycles
    for each. So what stays is frozen when no request is under way.

    Args:
        app: the ASGI app.

    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._requests = 0
        self._is_due = False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass on one request or connection. No coroutine for a connection, since each stays in memory."""
        if scope["type"] == "http":
            return self._handle_request(scope, receive, send)
        return self._app(scope, receive, send)

    def begin(self) -> None:
        """Freeze what the start has made, and from now on what each full collection leaves."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        gc.callbacks.append(self.note_collection)

    def note_collection(self, phase: str, info: dict[str, int]) -> None:
        """Note the beginning or the end of a garbage collection."""
        if phase == "stop" and info["generation"] >= _MIDDLE and not self._is_due:
            with contextlib.suppress(RuntimeError):  # after the end of the event loop, or in another thread
                asyncio.get_running_loop().call_soon(self._freeze)
                self._is_due = True

    async def _handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1
            if self._is_due and not self._requests:
                # Not now: the frames of this request are not gone yet.
                asyncio.get_running_loop().call_soon(self._freeze)

    def _freeze(self) -> None:
        if self._is_due and not self._requests:
            gc.collect()
            gc.freeze()
            self._is_due = False
