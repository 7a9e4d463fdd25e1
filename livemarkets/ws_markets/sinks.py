"""Where a mailbox's frames leave the program: the raw writer, or `send_text` where there is none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from livemarkets.delivery.framing import split_frames
from livemarkets.delivery.mailbox import SinkListener
from livemarkets.server.frame_writer import EXTENSION, FrameWriter

__all__ = ["SendTextSink", "open_sink"]

FATAL_MESSAGE_BYTES = 65_536
"""A larger message from a client is not even read: it ends the connection with 1009. Four times what it may
send: honest mistakes get an error message. Where there is no raw writer, the server's limit stays."""
_CLOSE_SECONDS = 5.0
"""How long a goodbye may wait behind what the peer does not take."""


@contextlib.asynccontextmanager
async def open_sink(websocket: WebSocket) -> AsyncIterator[FrameWriter | SendTextSink]:
    """Open the way out of an accepted WebSocket, and end whatever task it needs."""
    writer = websocket.scope.get("extensions", {}).get(EXTENSION)
    if isinstance(writer, FrameWriter):
        writer.limit_messages(FATAL_MESSAGE_BYTES)
        try:
            yield writer
        finally:
            writer.listener = None
        return
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
    """The same through plain ASGI: one task a connection, one `send_text` a message.

    Args:
        websocket: already accepted.
        patience: ends the endpoint when a goodbye cannot be said in time.

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
        """Whether a goodbye is in line."""
        return self._close is not None

    def write(self, frames: bytes) -> None:
        """Put whole frames in line; until they are sent, the mailbox keeps what follows."""
        self._frames.append(frames)
        self.is_paused = True
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """End the connection behind what is in line."""
        self._close = (code, reason)
        self._wake.set()
        self._patience.reschedule(asyncio.get_running_loop().time() + _CLOSE_SECONDS)

    async def run(self) -> None:
        """Send what is in line until the connection ends."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it ended while we were sending
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
