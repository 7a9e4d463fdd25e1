"""A uvicorn WebSocket protocol that lets an endpoint write whole, pre-framed messages.

uvicorn takes a protocol class as `ws=`. This one puts a :class:`FrameWriter` into
`scope["extensions"]["livemarkets.frames"]`; what the endpoint writes through it goes to the transport
as it is. Pings, closes and everything else stay uvicorn's business. Frames are never compressed, which
is legal on a connection that negotiated permessage-deflate (RFC 7692, 6: RSV1 = 0).

It leans on the inside of uvicorn's `WebSocketsSansIOProtocol`; the dependency is pinned to a minor
version for that reason, and the route falls back to `send_text` where the extension is absent.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from livemarkets.server.frame_writer import EXTENSION, FrameWriter
from livemarkets.server.strict_frames import StrictFrameProtocol

__all__ = ["RawFrameProtocol"]

_CLOSE_SECONDS = 5.0
"""How long a peer may take over its part of a goodbye: one that takes no more bytes would take for ever."""
_SHUTDOWN_SECONDS = 1.0
_SLICE_BYTES = 4096
"""So much is parsed before it is looked at whether the peer overdoes it."""
_FRAMES_PER_SECOND = 1000
"""A peer that sends more frames than this is put out: each costs 10 to 20 µs of everybody's time."""
_FRAGMENTS = 1024
"""A message in more pieces than this is too big, however small they are."""
_LINGER_SECONDS = 1.0
_QUIET_SECONDS = 0.1
"""What a peer still sends is thrown away until it is quiet: unread, it would destroy our goodbye."""


class RawFrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's sans-I/O WebSocket protocol, with a :class:`FrameWriter` for the endpoint.

    It also bounds what a peer can make us do: frames a second, fragments of a message, unread pongs.
    """

    _writer: FrameWriter | None = None
    _pong = b""
    _is_deaf = False
    _deaf_until = 0.0
    _second = 0.0
    _frames_this_second = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = StrictFrameProtocol(
            extensions=self.conn.available_extensions, max_size=self.config.ws_max_size, logger=self.logger
        )

    def handle_connect(self, event: Request) -> None:
        """Offer the writer to the endpoint, whose task exists now but has not begun."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            self._writer = scope["extensions"][EXTENSION] = FrameWriter(self.transport, self)
            self.transport.pause_reading()  # no frame may be answered before the handshake is

    def data_received(self, data: bytes) -> None:
        """Read in slices, so that one peer's flood is noticed before it has cost much."""
        for at in range(0, len(data), _SLICE_BYTES):
            if self._is_deaf:
                self._close_when_quiet()
                return
            super().data_received(data[at : at + _SLICE_BYTES])
        if not self.handshake_initiated:  # the head is too big: the answer is there, nobody would send it
            self._is_deaf = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_events(self) -> None:
        """Handle what has arrived, unless it is too much."""
        now = self.loop.time()
        if now - self._second >= 1.0:
            self._second, self._frames_this_second = now, 0
        self._frames_this_second += len(self.conn.events)
        if self._frames_this_second > _FRAMES_PER_SECOND:
            self.conn.events_received()
            self._put_out(1008, "policy: too many messages")
        else:
            super().handle_events()

    def handle_cont(self, event: Frame) -> None:
        """Add a fragment to its message."""
        if len(self.frames) < _FRAGMENTS:
            super().handle_cont(event)
        else:
            self._put_out(1009, f"more than {_FRAGMENTS} fragments")

    def handle_ping(self) -> None:
        """Answer, or keep the latest answer for a peer that takes nothing at the moment (RFC 6455, 5.5.3)."""
        if self._writer is not None and self._writer.is_paused:
            self._pong = b"".join(self.conn.data_to_send()) or self._pong
        else:
            super().handle_ping()

    def pause_writing(self) -> None:
        """The peer does not keep up."""
        super().pause_writing()
        if self._writer is not None:
            self._writer.pause()

    def resume_writing(self) -> None:
        """The peer took what was waiting."""
        super().resume_writing()
        if self._writer is not None:
            self._writer.resume()
            pong, self._pong = self._pong, b""
            if pong:
                self._writer.write(pong)
            if self._writer.listener is not None:
                self._writer.listener.resume()

    # Every path that sends or answers a close frame ends raw writes first.

    def handle_close(self, event: Frame) -> None:
        """The peer said goodbye."""
        self._end_frames()
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        """The peer broke the protocol. It is told, and then no longer listened to."""
        self._end_frames()
        assert self.conn.close_sent is not None
        self._go_deaf(self.conn.close_sent.code, self.conn.close_sent.reason)

    def keepalive_timeout(self) -> None:
        """The peer did not answer a ping."""
        self._end_frames()
        super().keepalive_timeout()

    def shutdown(self) -> None:
        """The server ends."""
        is_over = self.handshake_complete and self.conn.state is not State.OPEN
        if is_over and not self.close_sent:
            # The peer's goodbye is answered, but it has not taken the answer. There is nothing to add, and
            # the error that uvicorn would run into would keep it from telling anybody else.
            self.stop_keepalive()
            self.loop.call_later(_SHUTDOWN_SECONDS, self.transport.abort)
            return
        self._end_frames(_SHUTDOWN_SECONDS)
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._writer is not None:
            self._writer.end()
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Pass an ASGI message on; a close ends raw writes."""
        if message["type"] == "websocket.close":
            self._end_frames()
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # by a refusal; uvicorn would log an error for each
        elif message["type"] == "websocket.accept" and not self.transport.is_closing():
            self.transport.resume_reading()

    def limit_messages(self, fatal_bytes: int) -> None:
        """Close with 1009, unread, on a message larger than this."""
        self.conn.max_message_size = fatal_bytes

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

    def _put_out(self, code: int, reason: str) -> None:
        self._end_frames()
        if self.conn.state is State.OPEN:  # not when a goodbye that came with it is answered already
            self.conn.send_close(code, reason)
        self._go_deaf(code, reason)

    def _go_deaf(self, code: int, reason: str) -> None:
        """Send the close frame that is due, and listen no longer."""
        self._is_deaf = True
        self._deaf_until = self.loop.time() + _LINGER_SECONDS
        self.frames = []
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._close_when_quiet()
        self.transport.resume_reading()

    def _close_when_quiet(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        if self.loop.time() < self._deaf_until:
            self.close_timer = self.loop.call_later(_QUIET_SECONDS, self.transport.close)
        else:
            self.transport.abort()

    def _end_frames(self, patience_seconds: float = _CLOSE_SECONDS) -> None:
        if self._writer is not None and self._writer.is_open:
            self._writer.end()
            self.loop.call_later(patience_seconds, self.transport.abort)
