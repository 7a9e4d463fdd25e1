"""A uvicorn WebSocket protocol that lets an endpoint write complete frames. Pass it to uvicorn as `ws=`.

It puts a :class:`~livemarkets.server.frame_writer.FrameWriter` into
`scope["extensions"]["livemarkets.frames"]`. What the endpoint writes through it goes to the transport
unchanged. uvicorn handles pings, closes and everything else. The frames are never compressed, which is legal
on a connection that negotiated permessage-deflate (RFC 7692, 6: RSV1 = 0).

It uses internals of uvicorn's `WebSocketsSansIOProtocol`, so the dependency is pinned to a minor version.
Without the extension, the route falls back to `send_text`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from livemarkets.server.close_codes import CLOSE_CODES, restarting
from livemarkets.server.frame_writer import EXTENSION, FrameWriter
from livemarkets.server.open_files import KEPT_BACK, SHORT_OF_FILES, files_left
from livemarkets.server.strict_frames import StrictFrameProtocol
from livemarkets.server.waiting import Flag, Inbox

__all__ = ["RawFrameProtocol"]

_CLOSE_SECONDS = 5.0
"""Limit for the peer's part of the closing handshake. A peer that does not read would never complete it."""
_SHUTDOWN_SECONDS = 1.0
"""The same limit while the server shuts down."""
_SLICE_BYTES = 1024
"""Bytes parsed in one turn of the event loop. Frames may have 6 bytes, and one read 256 kB."""
_FRAMES_PER_SECOND = 1000
"""A peer that sends more frames is disconnected: each frame takes 10 to 20 µs of the event loop."""
_FRAGMENTS = 1024
"""The most fragments of a message, whatever their size."""
_LINGER_SECONDS = 1.0
"""How long input is discarded at most after a close."""
_QUIET_SECONDS = 0.1
"""After a close, input is read and discarded until the peer is silent for this time. Closing a socket with
unread data resets the connection, and the close frame would be lost."""


class RawFrameProtocol(WebSocketsSansIOProtocol):
    """uvicorn's sans-I/O WebSocket protocol, with a frame writer for the endpoint.

    It also limits frames per second, fragments per message, and pongs that the peer does not read.
    """

    _writer: FrameWriter | None = None
    _pong = b""
    _unread = b""
    """Received, and not parsed yet. While there is any, the socket is not read."""
    _is_discarding = False
    _discards_until = 0.0
    _second = 0.0
    _frames_this_second = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue = Inbox()  # type: ignore[assignment]
        self.writable = Flag()  # type: ignore[assignment]
        self.conn = StrictFrameProtocol(
            extensions=self.conn.available_extensions, max_size=self.config.ws_max_size, logger=self.logger
        )

    def handle_connect(self, event: Request) -> None:
        """Put the writer into the scope, before the endpoint's task starts."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            if files_left(self.transport) < KEPT_BACK:
                scope[SHORT_OF_FILES] = True
            self._writer = scope["extensions"][EXTENSION] = FrameWriter(self.transport, self)
            self.transport.pause_reading()  # no frame may be processed before the handshake is answered

    def data_received(self, data: bytes) -> None:
        """Parse the data in slices, one in each turn of the event loop."""
        if self._unread:  # somebody has resumed reading meanwhile
            self._unread += data
            self.transport.pause_reading()
        elif self.handshake_initiated:
            self._parse(data)
        else:
            super().data_received(data)
            if not self.handshake_initiated:  # the head is too large: uvicorn would not send the answer
                self._is_discarding = True
                self.transport.write(b"".join(self.conn.data_to_send()))
                self.transport.close()

    def _parse(self, data: bytes) -> None:
        if self._is_discarding:
            self._close_when_quiet()
            return
        super().data_received(data[:_SLICE_BYTES])
        self._keep(data[_SLICE_BYTES:])

    def _keep(self, rest: bytes) -> None:
        if rest and not (self._is_discarding or self.transport.is_closing()):
            self._unread = rest
            self.transport.pause_reading()
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        data, self._unread = self._unread, b""
        if data and not self.transport.is_closing():
            self._parse(data)
            if not (self._unread or self.read_paused or self.transport.is_closing()):
                self.transport.resume_reading()

    async def receive(self) -> Any:
        """Return the next ASGI message. As uvicorn's, but what is read already is parsed first."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if not self._unread:
                self.transport.resume_reading()
        return message

    def handle_events(self) -> None:
        """Handle the parsed events, unless the frame rate is too high."""
        now = self.loop.time()
        if now - self._second >= 1.0:
            self._second, self._frames_this_second = now, 0
        self._frames_this_second += len(self.conn.events)
        if self._frames_this_second > _FRAMES_PER_SECOND:
            self.conn.events_received()
            self._disconnect(1008, CLOSE_CODES[1008])
        else:
            super().handle_events()

    def handle_cont(self, event: Frame) -> None:
        """Add a fragment to its message."""
        if len(self.frames) < _FRAGMENTS:
            super().handle_cont(event)
        else:
            self._disconnect(1009, f"message too big: more than {_FRAGMENTS} fragments")

    def handle_ping(self) -> None:
        """Send a pong. For a peer that does not read, keep only the newest pong (RFC 6455, 5.5.3)."""
        if self._writer is not None and self._writer.is_paused:
            self._pong = b"".join(self.conn.data_to_send()) or self._pong
        else:
            super().handle_ping()

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        super().pause_writing()
        if self._writer is not None:
            self._writer.pause()

    def resume_writing(self) -> None:
        """The peer has read the buffered data."""
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
        """The peer sent a close frame."""
        self._end_frames()
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        """The peer violated the protocol: send a close frame, and discard further input."""
        self._end_frames()
        assert self.conn.close_sent is not None
        self._discard_input(self.conn.close_sent.code, self.conn.close_sent.reason)

    def keepalive_timeout(self) -> None:
        """The peer did not answer a ping. One that waits behind data is no proof: a slow peer reads it later.

        Who writes that data decides when the peer is too slow.
        """
        writer = self._writer
        if writer is not None and writer.is_paused and writer.listener is not None:
            self.pong_timer = self.loop.call_later(self.ping_timeout or 0.0, self.keepalive_timeout)
            return
        self._end_frames()
        super().keepalive_timeout()

    @property
    def is_open(self) -> bool:
        """Whether the peer would read a close frame."""
        return bool(self.handshake_complete) and self.conn.state is State.OPEN

    def shutdown(self) -> None:
        """The server shuts down."""
        is_over = self.handshake_complete and self.conn.state is not State.OPEN
        if is_over and not self.close_sent:
            # The peer's close frame is answered, but the peer has not read the answer. uvicorn would raise an
            # error here, and would then not close the other connections.
            self.stop_keepalive()
            self.loop.call_later(_SHUTDOWN_SECONDS, self.transport.abort)
            return
        self._end_frames(_SHUTDOWN_SECONDS)
        assert isinstance(self.conn, StrictFrameProtocol)
        self.conn.restarting = restarting(len(self.connections))
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        if self._writer is not None:
            self._writer.end()
        super().connection_lost(exc)
        self._unread = b""
        self.conn.parser.close()  # it refers to `conn`: see run.py

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The endpoint has returned."""
        super().on_task_complete(task)
        if self._writer is not None:
            self._writer.end()
            self._writer.forget_peer()

    async def send(self, message: Any) -> None:
        """Process an ASGI message. A close ends raw writes."""
        if message["type"] == "websocket.close":
            self._end_frames()
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # refused; otherwise uvicorn would log an error
        elif message["type"] == "websocket.accept" and not self.transport.is_closing():
            self.request.headers.clear()  # the scope has them too, and a browser's take kilobytes
            self.response.headers.clear()
            self.__dict__ = {**self.__dict__}  # it has grown beyond what it holds, by 750 bytes
            self.transport.resume_reading()

    def limit_messages(self, fatal_bytes: int) -> None:
        """Close with 1009, unread, on a message larger than this."""
        self.conn.max_message_size = fatal_bytes

    def close_now(self, code: int, reason: str) -> None:
        """Send a close frame without waiting for room, and drop the connection if no answer comes."""
        if self._writer is not None:
            self._writer.end()
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self._writer is not None:
            self._writer.leave()
        self.close_timer = self.loop.call_later(_CLOSE_SECONDS, self._give_up)
        if self.read_paused:  # receive() is no longer called, but the peer's answer must still be read
            self.read_paused = False
            self.transport.resume_reading()

    def _disconnect(self, code: int, reason: str) -> None:
        self._end_frames()
        if self.conn.state is State.OPEN:  # a close frame in the same data may have been answered already
            self.conn.send_close(code, reason)
        self._discard_input(code, reason)

    def _discard_input(self, code: int, reason: str) -> None:
        """Send the pending close frame, and discard further input."""
        self._is_discarding = True
        self._discards_until = self.loop.time() + _LINGER_SECONDS
        self.frames = []
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._close_when_quiet()
        self.transport.resume_reading()

    def _close_when_quiet(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
        if self.loop.time() < self._discards_until:
            self.close_timer = self.loop.call_later(_QUIET_SECONDS, self.transport.close)
        else:
            self.transport.abort()

    def _end_frames(self, patience_seconds: float = _CLOSE_SECONDS) -> None:
        if self._writer is not None and self._writer.is_open:
            self._writer.end()
            self.loop.call_later(patience_seconds, self.transport.abort)

    def _give_up(self) -> None:
        """End the connection. What the kernel has taken, it goes on to offer to the peer."""
        if self._writer is not None and self._writer.has_left:
            self.transport.close()
        else:
            self.transport.abort()
