"""A uvicorn WebSocket protocol that lets an endpoint write whole, pre-framed messages.

uvicorn takes a protocol class as `ws=`. This one puts a :class:`FrameWriter` into
`scope["extensions"]["livemarkets.frames"]`; what the endpoint writes through it goes to the transport
as it is. Pings, closes and everything else stay uvicorn's business. Frames are never compressed, which
is legal on a connection that negotiated permessage-deflate (RFC 7692, 6: RSV1 = 0).

It leans on the inside of uvicorn's `WebSocketsSansIOProtocol`; the dependency is pinned to a minor
version for that reason, and the route falls back to `send_text` where the extension is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

__all__ = ["EXTENSION", "FrameWriter", "PreframedProtocol"]

EXTENSION = "livemarkets.frames"
_CLOSE_SECONDS = 5.0
"""How long a peer may take over its part of a goodbye: one that takes no more bytes would take for ever."""
_SHUTDOWN_SECONDS = 1.0


class FrameWriter:
    """Raw access to one WebSocket's transport, for whole server frames."""

    __slots__ = ("_protocol", "_transport", "is_open", "is_paused", "on_resume")

    def __init__(self, protocol: PreframedProtocol) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self.is_open = True
        """False as soon as either side said goodbye: no data frame may follow a close frame."""
        self.is_paused = False
        """Whether the transport's buffer is over its high-water mark."""
        self.on_resume: Callable[[], None] | None = None

    def write(self, frames: bytes) -> None:
        """Send whole frames; nothing once the connection is ending."""
        if self.is_open:
            self._transport.write(frames)

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and end the connection, also when the peer takes nothing any more."""
        if self.is_open:
            self._protocol.close_now(code, reason)


class PreframedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's sans-I/O WebSocket protocol, with a :class:`FrameWriter` for the endpoint."""

    _writer: FrameWriter | None = None

    def handle_connect(self, event: Request) -> None:
        """Offer the writer to the endpoint, whose task exists now but has not begun."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            self._writer = scope["extensions"][EXTENSION] = FrameWriter(self)

    def pause_writing(self) -> None:
        """The peer does not keep up."""
        super().pause_writing()
        if self._writer is not None:
            self._writer.is_paused = True

    def resume_writing(self) -> None:
        """The peer took what was waiting."""
        super().resume_writing()
        if self._writer is not None:
            self._writer.is_paused = False
            if self._writer.on_resume is not None:
                self._writer.on_resume()

    # Every path that sends or answers a close frame ends raw writes first.

    def handle_close(self, event: Frame) -> None:
        """The peer said goodbye."""
        self._end_frames()
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        """The peer broke the protocol."""
        self._end_frames()
        super().handle_parser_exception()

    def keepalive_timeout(self) -> None:
        """The peer did not answer a ping."""
        self._end_frames()
        super().keepalive_timeout()

    def shutdown(self) -> None:
        """The server ends."""
        self._end_frames(_SHUTDOWN_SECONDS)
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._writer is not None:
            self._writer.is_open = False
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Pass an ASGI message on; a close ends raw writes."""
        if message["type"] == "websocket.close":
            self._end_frames()
        await super().send(message)

    def close_now(self, code: int, reason: str) -> None:
        """Send a close frame without waiting for room, and drop the connection if no answer comes."""
        self._end_frames()
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)
        if self.read_paused:  # nobody calls receive() any more, and the answer is still to be read
            self.read_paused = False
            self.transport.resume_reading()

    def _end_frames(self, patience_seconds: float = _CLOSE_SECONDS) -> None:
        if self._writer is not None and self._writer.is_open:
            self._writer.is_open = False
            self.loop.call_later(patience_seconds, self.transport.abort)
