"""Limits what the socket of one page may cost: its events are paced, and it has to read what it causes.

The page framework handles each event at once, and queues what it sends without a limit. So both are bounded
here, below the framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from starlette.types import Message, Receive, Send

from livemarkets.rate_limit import Refusals, TokenBucket
from livemarkets.server.waiting import Flag

__all__ = ["PacedSocket", "PageSocketLimits"]

_TOO_SLOW = 1013


class PageSocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one page's socket."""

    events_per_second: float = 20.0
    burst: float = 100.0
    """Events at once: somebody types fast, or a page with many elements opens."""
    bytes_per_event: int = 1024
    """A longer message costs as much as several events."""
    stuck_seconds: float = 20.0
    """A page that reads nothing for this time is disconnected. A browser connects again by itself."""


class PacedSocket:
    """The `receive` and `send` of an ASGI WebSocket, with limits.

    An event above the rate waits, and so do those behind it: TCP slows the page down, and no event is lost.
    While the page does not read, no further event of it is handled.

    Args:
        receive: of the server.
        send: of the server.
        close: ends the connection at once; takes a close code and a reason.
        refusals: counts events that had to wait, and pages that were disconnected.
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
        limits: PageSocketLimits | None = None,
        clock: Callable[[], float],
    ) -> None:
        self._receive = receive
        self._send = send
        self._close = close
        self._refusals = refusals
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
        return message

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
