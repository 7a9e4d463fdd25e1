"""Whole, pre-framed messages straight to a WebSocket's socket, past what is made for single ones."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Protocol

__all__ = ["EXTENSION", "FrameWriter"]

EXTENSION = "livemarkets.frames"
"""Where the server puts the writer into `scope["extensions"]`."""
_TLS_BUFFER_BYTES = 65_536
_UNSENT_BYTES = 131_072
"""So much may wait in the kernel without being on its way; what is on its way is not bounded by this."""
_TCP = (socket.AF_INET, socket.AF_INET6)


class Peer(Protocol):
    """What a writer needs of :mod:`livemarkets.server.websocket_protocol`."""

    def limit_messages(self, fatal_bytes: int) -> None:
        """Close with 1009, unread, on a message larger than this."""

    def close_now(self, code: int, reason: str) -> None:
        """Send a close frame without waiting for room, and drop the connection if no answer comes."""


class WriterListener(Protocol):
    """What a writer tells whoever writes to it. Called synchronously."""

    def handle_change(self) -> None:
        """:attr:`FrameWriter.fd` has changed."""

    def resume(self) -> None:
        """The peer took what was waiting."""


class FrameWriter:
    """Raw access to one WebSocket's transport, for whole server frames.

    Args:
        transport: the WebSocket's.
        peer: the protocol that it belongs to.

    """

    __slots__ = ("_fd", "_peer", "_transport", "fd", "is_open", "is_paused", "listener")

    def __init__(self, transport: asyncio.Transport, peer: Peer) -> None:
        self._transport = transport
        self._peer = peer
        _limit_unsent(transport)
        self._fd = _plain_socket(transport)
        self.fd = self._fd
        """Where whole frames may be written to directly; -1 while they have to queue, and under TLS."""
        self.is_open = True
        """False as soon as either side said goodbye: no data frame may follow a close frame."""
        self.is_paused = False
        """Whether the transport holds anything (under TLS: much) that the peer has not taken."""
        self.listener: WriterListener | None = None
        # asyncio's TLS transport is paused for ever with a limit of 0, since even nothing reaches it.
        transport.set_write_buffer_limits(high=_TLS_BUFFER_BYTES if self._fd < 0 else 0)

    def write(self, frames: bytes) -> None:
        """Send whole frames; nothing once the connection is ending.

        Straight to the socket where nothing is in the way: a third cheaper than the transport's own
        write. What the socket does not take, and everything under TLS, goes through the transport.
        """
        if not self.is_open:
            return
        if self.fd < 0:
            self._transport.write(frames)
            return
        try:
            written = os.write(self.fd, frames)
        except BlockingIOError:
            written = 0
        except OSError:  # the peer is gone; the transport finds out by itself and says so
            self.end()
            self._transport.abort()
            return
        if written < len(frames):
            self._transport.write(memoryview(frames)[written:] if written else frames)

    def pause(self) -> None:
        """The transport holds something: whatever follows has to queue behind it."""
        self.is_paused = True
        self._set_fd(-1)

    def resume(self) -> None:
        """The transport is empty."""
        self.is_paused = False
        self._set_fd(self._fd if self.is_open else -1)

    def end(self) -> None:
        """Write nothing any more."""
        self.is_open = False
        self._set_fd(-1)

    def _set_fd(self, fd: int) -> None:
        if fd == self.fd:
            return
        self.fd = fd
        if self.listener is not None:
            self.listener.handle_change()

    def limit_messages(self, fatal_bytes: int) -> None:
        """Close with 1009, unread, on a message larger than this."""
        self._peer.limit_messages(fatal_bytes)

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and end the connection, also when the peer takes nothing any more."""
        if self.is_open:
            self._peer.close_now(code, reason)


def _plain_socket(transport: asyncio.Transport) -> int:
    """The socket to write to directly; -1 where something stands between (TLS), or it is no file."""
    socket_ = transport.get_extra_info("socket")
    if socket_ is None or os.name == "nt" or transport.get_extra_info("sslcontext") is not None:
        return -1
    return int(socket_.fileno())


def _limit_unsent(transport: asyncio.Transport) -> None:
    """Have the kernel take less from us for a peer that reads nothing.

    Else it takes up to 4 MB for each, and a few hundred of those bring the machine's TCP memory under
    pressure, which slows every connection.
    """
    socket_ = transport.get_extra_info("socket")
    if hasattr(socket, "TCP_NOTSENT_LOWAT") and socket_ is not None and socket_.family in _TCP:
        socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
