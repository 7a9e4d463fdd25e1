"""A `websockets` connection that passes text frames to a callable as they are read, without a queue.

Market data arrives as small, unfragmented, uncompressed text frames. These are parsed here and passed to the
callable at once. Everything else (handshake, pings, closes, fragments, protocol errors) goes to the library
as whole frames. `docs/performance.md` compares this with the library's `recv`.

It overrides `data_received` of `websockets.asyncio.client.ClientConnection`. That method is asyncio's
interface, but the dependency is still pinned to a major version.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.protocol import State

__all__ = ["StreamSocket"]

_TEXT = 0x81
"""FIN, no reserved bit, opcode 1 (RFC 6455, 5.2)."""
_MASKED = 0x80
_LONGEST_HEAD_BYTES = 65_536
_LONGEST_FRAME_BYTES = 2**63 - 1
_FRAMES_AT_ONCE = 250
"""How many text frames a turn of the event loop handles, in 3 ms. After a moment without processor time, one
read has a thousand."""


class StreamSocket(ClientConnection):
    """A WebSocket connection whose text frames go to a callable.

    Args:
        on_texts: called with the payloads of the text frames of one read, in order; must not raise.
        args: passed to `ClientConnection`.
        kwargs: passed to `ClientConnection`.

    """

    def __init__(self, *args: Any, on_texts: Callable[[list[bytes]], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_texts = on_texts
        """Called with the text frames of each read; whoever measures some reads replaces it."""
        self._unread = b""
        self._has_more = False  # complete frames in what is unread

    def data_received(self, data: bytes) -> None:
        """Process bytes from the socket."""
        self._has_more = False
        if self._unread:
            data, self._unread = self._unread + data, b""
        if self.protocol.state is State.CONNECTING:
            data = self._shake_hands(data)
        if data:
            if self.protocol.state is State.OPEN:
                self._unread = data[self._read_frames(data) :]
                if self._has_more:
                    self.transport.pause_reading()
                    self.loop.call_soon(self._go_on)
            else:
                super().data_received(data)

    def eof_received(self) -> None:
        """Pass an incomplete frame to the library, which reports the error."""
        self._read_all()
        unread, self._unread = self._unread, b""
        if unread:
            super().data_received(unread)
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Process what was read before."""
        self._read_all()
        super().connection_lost(exc)

    def _go_on(self) -> None:
        if self._has_more:
            if not self.transport.is_closing():
                self.transport.resume_reading()
            self.data_received(b"")

    def _read_all(self) -> None:
        while self._has_more:
            self.data_received(b"")

    def _shake_hands(self, data: bytes) -> bytes:
        """Pass the head of the handshake response to the library. Return the bytes after it."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(data) <= _LONGEST_HEAD_BYTES:
                self._unread = data
                return b""
            end = len(data)
        super().data_received(data[:end])
        return data[end:]

    def _read_frames(self, data: bytes) -> int:
        """Process every complete frame. Return the offset of the first incomplete one."""
        at, size = 0, len(data)
        limit = self.protocol.max_message_size
        if limit is None:
            limit = _LONGEST_FRAME_BYTES
        texts: list[bytes] = []
        self._has_more = False
        while size - at >= 2:
            length = data[at + 1]
            start = at + 2
            if length == 126:
                start = at + 4
                length = int.from_bytes(data[at + 2 : start], "big")
            elif length == 127:
                start = at + 10
                length = int.from_bytes(data[at + 2 : start], "big")
            if length > limit or (length & _MASKED and start == at + 2):
                self._hand_over(texts)
                self._leave(data[at:])  # a protocol error: the library reports it
                return size
            end = start + length
            if end > size:
                break
            if data[at] == _TEXT:
                if len(texts) == _FRAMES_AT_ONCE:
                    self._has_more = True
                    break
                texts.append(data[start:end])
            else:
                self._hand_over(texts)
                super().data_received(data[at:end])
                if self.protocol.state is not State.OPEN:
                    self._leave(data[end:])
                    return size
            at = end
        self._hand_over(texts)
        return at

    def _hand_over(self, texts: list[bytes]) -> None:
        """Pass on the texts so far, so that order is kept with what the library handles next."""
        if texts:
            self.on_texts(texts[:])
            texts.clear()

    def _leave(self, rest: bytes) -> None:
        """Pass the rest to the library and end the connection, also if the peer keeps TCP open."""
        if rest:
            super().data_received(rest)
        self.loop.call_later(self.close_timeout or 0.0, self.transport.abort)
