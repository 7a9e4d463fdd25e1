"""Writes complete WebSocket frames directly to a connection's socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Protocol

__all__ = ["EXTENSION", "FrameWriter"]

EXTENSION = "livemarkets.frames"
"""Where the server puts the writer into `scope["extensions"]`."""
_TLS_BUFFER_BYTES = 65_536
_UNSENT_BYTES = 131_072
"""Limit of unsent bytes in the kernel (TCP_NOTSENT_LOWAT). Bytes in flight do not count."""
_LEFT_BYTES = 4_194_304
"""The same limit when the server is about to leave."""
_LEFT_SECONDS = 60
"""How long the kernel then offers it to a peer that takes nothing (TCP_USER_TIMEOUT)."""
_TCP = (socket.AF_INET, socket.AF_INET6)


class Peer(Protocol):
    """What a writer needs of :mod:`livemarkets.server.websocket_protocol`."""

    def limit_messages(self, fatal_bytes: int) -> None:
        """Close with 1009, unread, on a message larger than this."""

    def close_now(self, code: int, reason: str) -> None:
        """Send a close frame without waiting for room, and drop the connection if no answer comes."""


class WriterListener(Protocol):
    """Receives the events of a writer. Called synchronously."""

    def handle_change(self) -> None:
        """:attr:`FrameWriter.fd` has changed."""

    def resume(self) -> None:
        """The peer has read the buffered data."""


class FrameWriter:
    """Raw access to one WebSocket's transport, for complete frames.

    Args:
        transport: the WebSocket's transport.
        peer: the WebSocket's protocol.

    """

    __slots__ = ("_fd", "_peer", "_transport", "fd", "is_open", "is_paused", "listener")

    def __init__(self, transport: asyncio.Transport, peer: Peer) -> None:
        self._transport = transport
        self._peer: Peer | None = peer
        _limit_unsent(transport)
        self._fd = _plain_socket(transport)
        self.fd = self._fd
        """The file descriptor for direct writes; -1 while frames must be buffered, and always under TLS."""
        self.is_open = True
        """False after a close frame in either direction: no data frame may follow it."""
        self.is_paused = False
        """Whether the transport buffers data (under TLS: much data) that the peer has not read."""
        self.listener: WriterListener | None = None
        # With a limit of 0, asyncio's TLS transport would stay paused: 0 buffered bytes reach that limit.
        transport.set_write_buffer_limits(high=_TLS_BUFFER_BYTES if self._fd < 0 else 0)

    def write(self, frames: bytes) -> None:
        """Send complete frames. It does nothing once the connection is closing.

        A write directly to the socket costs a third less than the transport's write. Bytes that the socket
        does not accept, and all bytes under TLS, go through the transport.
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
        except OSError:  # the connection is lost, and the transport reports that
            self.end()
            self._transport.abort()
            return
        if written < len(frames):
            self._transport.write(memoryview(frames)[written:] if written else frames)

    def pause(self) -> None:
        """The transport buffers data, so that further frames must be buffered behind it."""
        self.is_paused = True
        self._set_fd(-1)

    def resume(self) -> None:
        """The transport's buffer is empty."""
        self.is_paused = False
        self._set_fd(self._fd if self.is_open else -1)

    def end(self) -> None:
        """Stop writing for good."""
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
        if self._peer is not None:
            self._peer.limit_messages(fatal_bytes)

    def leave(self) -> None:
        """Have the kernel take all that is unsent, the close frame last: the connection ends soon.

        A peer that was stopped finds it later, also when the server has closed its end. Under TLS, and where
        the kernel cannot be asked, nothing changes.
        """
        if self._fd >= 0:
            _allow_unsent(self._transport)

    @property
    def has_left(self) -> bool:
        """Whether the kernel has taken everything."""
        return self._fd >= 0 and not self._transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and end the connection, also if the peer no longer reads."""
        if self.is_open and self._peer is not None:
            self._peer.close_now(code, reason)

    def forget_peer(self) -> None:
        """Drop the reference to the protocol, which refers to this writer: nobody writes any more."""
        self._peer = None


def _plain_socket(transport: asyncio.Transport) -> int:
    """Return the file descriptor for direct writes; -1 under TLS, on Windows, and without a socket."""
    socket_ = transport.get_extra_info("socket")
    if socket_ is None or os.name == "nt" or transport.get_extra_info("sslcontext") is not None:
        return -1
    return int(socket_.fileno())


def _allow_unsent(transport: asyncio.Transport) -> None:
    socket_ = transport.get_extra_info("socket")
    if not hasattr(socket, "TCP_USER_TIMEOUT") or socket_.family not in _TCP:
        return
    with contextlib.suppress(OSError):  # the connection is lost
        socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _LEFT_SECONDS)
        # The kernel doubles a size that it is told, so it makes room for as much again.
        size = socket_.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        if size < _UNSENT_BYTES:
            socket_.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _LEFT_BYTES)


def _limit_unsent(transport: asyncio.Transport) -> None:
    """Limit the kernel's send buffer for a peer that does not read.

    Otherwise the kernel buffers up to 4 MB per connection. A few hundred such connections exhaust the TCP
    memory of the machine, which slows every connection.
    """
    socket_ = transport.get_extra_info("socket")
    if hasattr(socket, "TCP_NOTSENT_LOWAT") and socket_ is not None and socket_.family in _TCP:
        socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
