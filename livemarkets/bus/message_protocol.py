"""Reads the messages of a connection to NATS from its socket, and passes each on at once.

The library wakes a task for each read, moves what is unread, and tries a pattern for each kind of line. Here
messages are found where they lie. All else (`PING`, `PONG`, `INFO`, `-ERR`, messages with headers) is rare,
and goes whole to the library.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["MessageProtocol"]

_AT_ONCE = 100
"""How many messages a turn of the event loop handles; then other tasks have theirs."""
_LONGEST_LINE_BYTES = 65_536
_LONGEST_MESSAGE_BYTES = 8 * 1024 * 1024
"""No node sends a sixteenth of it. What claims to be longer is not from a node."""
_END = b"\r\n"
_MESSAGE = b"MSG "
_WITH_HEADERS = b"HMSG"


class _NotNatsError(Exception):
    """What was read cannot come from a NATS server."""


class MessageProtocol(asyncio.Protocol):
    """Takes the place of a connection's protocol, between two lines that are read.

    Args:
        transport: the connection.
        on_message: called with the number of the subscription, the payload, the subject, and the subject for
            the answer, which may be empty; must not raise.

    """

    def __init__(
        self, transport: asyncio.Transport, on_message: Callable[[int, bytes, bytes, bytes], None]
    ) -> None:
        self._transport = transport
        self._on_message = on_message
        library = transport.get_protocol()
        assert isinstance(library, asyncio.Protocol)
        self._library = library
        self._unread = b""
        self._has_more = False  # complete messages in what is unread
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Process bytes from the socket."""
        if self._unread:
            data, self._unread = self._unread + data, b""
        self._has_more = False
        try:
            at = self._read(data)
        except _NotNatsError:
            self._transport.abort()
            return
        if at < len(data):
            self._unread = data[at:]
        if self._has_more:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._has_more and not self._transport.is_closing():
            self._transport.resume_reading()
            self.data_received(b"")

    def _read(self, data: bytes) -> int:
        """Process every complete line with what belongs to it. Return the offset of the first incomplete one.

        Raises:
            _NotNatsError: a line is malformed.

        """
        at, size, left = 0, len(data), _AT_ONCE
        while (start := data.find(_END, at) + 2) > 1:
            kind, end = data[at : at + 4], start
            if kind in (_MESSAGE, _WITH_HEADERS):
                words = data[at:start].split()
                end += _length(words) + 2
                if end > size:
                    return at
            if kind == _MESSAGE:
                if not left:
                    self._has_more = True
                    return at
                left -= 1
                reply = words[3] if len(words) > 4 else b""
                self._on_message(int(words[2]), data[start : end - 2], words[1], reply)
            else:
                self._library.data_received(data[at:end])
            at = end
        if size - at > _LONGEST_LINE_BYTES:
            raise _NotNatsError
        return at

    def eof_received(self) -> bool | None:
        """Pass it on to the library."""
        return self._library.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on to the library."""
        self._has_more = False
        self._library.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on to the library."""
        self._library.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on to the library."""
        self._library.resume_writing()


def _length(words: list[bytes]) -> int:
    """Return the bytes that follow the line of a message."""
    if not 4 <= len(words) <= 6 or not words[2].isdigit() or not words[-1].isdigit():
        raise _NotNatsError
    length = int(words[-1])
    if length > _LONGEST_MESSAGE_BYTES:
        raise _NotNatsError
    return length
