"""Limits what the socket of one page may cost: its events are paced, and it has to read what it causes.

The page framework handles each event at once, and queues what it sends without a limit. So both are bounded
here, below the framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive, Send

from livemarkets.rate_limit import Refusals, TokenBucket
from livemarkets.security.page_limits import PageSocketLimits
from livemarkets.server.waiting import Flag
from livemarkets.turns import Turns

__all__ = ["PAGE_SOCKET", "PacedSocket"]

PAGE_SOCKET = "livemarkets.page_socket"
"""The key of the ASGI scope of a page's socket that holds its :class:`PacedSocket`."""
_TOO_SLOW = 1013


class PacedSocket:
    """The `receive` and `send` of an ASGI WebSocket, with limits.

    An event above the rate waits, and so do those behind it: TCP slows the page down, and no event is lost.
    While the page does not read, no further event of it is handled. A turn of the event loop handles one
    event of all pages.

    What handling an event takes is told afterwards (:meth:`charge`), and the next events pay for it.

    Args:
        receive: of the server.
        send: of the server.
        close: ends the connection at once; takes a close code and a reason.
        refusals: counts events that had to wait, and pages that were disconnected.
        turns: spreads what pages do over the turns of the event loop.
        limits: limits of the socket; `None` for the defaults.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        close: Callable[[int, str], None],
        refusals: Refusals,
        *,
        turns: Turns,
        limits: PageSocketLimits | None = None,
        clock: Callable[[], float],
    ) -> None:
        self._receive = receive
        self._send = send
        self._close = close
        self._refusals = refusals
        self._turns = turns
        self._limits = limits or PageSocketLimits()
        self._bucket = TokenBucket(
            rate_per_second=self._limits.events_per_second, burst=self._limits.burst, clock=clock
        )
        self._sending = 0
        self._has_read = Flag()

    async def receive(self) -> Message:
        """Return the next message, when it may be handled."""
        message = await self._receive()
        if message["type"] == "websocket.receive":
            size = len(message.get("text") or message.get("bytes") or "")
            wait = self._bucket.charge(1 + size // self._limits.bytes_per_event)
            if wait > 0:
                self._refusals.note("page_event", "delayed")
                await asyncio.sleep(wait)
            await self._has_read.wait()
            await self._turns.wait()
        return message

    def charge(self, busy_seconds: float) -> None:
        """Count what handling an event took, in seconds of CPU time."""
        self._bucket.charge(max(0.0, busy_seconds / self._limits.busy_seconds_per_event - 1))

    async def send(self, message: Message) -> None:
        """Send a message. A page that does not read for too long is disconnected."""
        self._sending += 1
        self._has_read.clear()
        try:
            async with asyncio.timeout(self._limits.stuck_seconds):
                await self._send(message)
        except TimeoutError:
            self._refusals.note("page_socket", "unread")
            self._close(_TOO_SLOW, "the page does not read")
            raise OSError("the page does not read") from None
        finally:
            self._sending -= 1
            if not self._sending:
                self._has_read.set()
