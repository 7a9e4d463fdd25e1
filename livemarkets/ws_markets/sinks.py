"""The connections to which mailboxes write: the raw frame writer, or `send_text` where there is none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from livemarkets.delivery.framing import split_frames
from livemarkets.delivery.mailbox import SinkListener
from livemarkets.server.frame_writer import EXTENSION, FrameWriter

__all__ = ["SendTextSink", "open_sink"]

FATAL_MESSAGE_BYTES = 65_536
"""A larger message from a client closes the connection with 1009, unread. It is four times the limit of a
message, so that messages a little too long get an error reply. Without the raw writer, the server's own limit
applies."""
_CLOSE_SECONDS = 5.0
"""How long a close frame may wait behind data that the peer does not read."""


def open_sink(websocket: WebSocket) -> AbstractAsyncContextManager[FrameWriter | SendTextSink]:
    """Return a context manager: the sink of an accepted WebSocket, whose task it ends afterwards."""
    writer = websocket.scope.get("extensions", {}).get(EXTENSION)
    return _OpenWriter(writer) if isinstance(writer, FrameWriter) else _open_send_text(websocket)


class _OpenWriter(AbstractAsyncContextManager[FrameWriter]):
    """The raw writer of a connection. A generator would take 500 bytes of each."""

    __slots__ = ("_writer",)

    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer

    async def __aenter__(self) -> FrameWriter:
        self._writer.limit_messages(FATAL_MESSAGE_BYTES)
        return self._writer

    async def __aexit__(self, *_: object) -> None:
        self._writer.listener = None


@contextlib.asynccontextmanager
async def _open_send_text(websocket: WebSocket) -> AsyncIterator[SendTextSink]:
    patience = asyncio.timeout(None)
    sink = SendTextSink(websocket, patience)
    task = asyncio.create_task(sink.run(), name="send_text writer")
    try:
        async with patience:
            yield sink
            if sink.is_closing:
                await task
    except TimeoutError:
        if not patience.expired():
            raise
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class SendTextSink:
    """A sink through plain ASGI: one task per connection, one `send_text` per message.

    Args:
        websocket: an accepted WebSocket.
        patience: ends the endpoint if the close frame cannot be sent in time.

    """

    def __init__(self, websocket: WebSocket, patience: asyncio.Timeout) -> None:
        self.is_paused = False
        self.fd = -1
        self.listener: SinkListener | None = None
        self._websocket = websocket
        self._patience = patience
        self._frames: list[bytes] = []
        self._close: tuple[int, str] | None = None
        self._wake = asyncio.Event()

    @property
    def is_closing(self) -> bool:
        """Whether a close frame is queued."""
        return self._close is not None

    def write(self, frames: bytes) -> None:
        """Queue complete frames. The mailbox keeps further frames until these are sent."""
        self._frames.append(frames)
        self.is_paused = True
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Close the connection after the queued frames."""
        self._close = (code, reason)
        self._wake.set()
        self._patience.reschedule(asyncio.get_running_loop().time() + _CLOSE_SECONDS)

    async def run(self) -> None:
        """Send the queued frames until the connection ends."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the connection ended during a send
            while self._close is None:
                await self._wake.wait()
                self._wake.clear()
                frames, self._frames = self._frames, []
                for payload in split_frames(b"".join(frames)):
                    await self._websocket.send_text(payload.decode())
                self.is_paused = False
                if self.listener is not None:
                    self.listener.resume()
            await self._websocket.close(*self._close)
