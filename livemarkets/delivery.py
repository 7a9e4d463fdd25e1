"""From one tick to many readers: mailboxes, and who gets which stream. No I/O.

A message is encoded and framed once; every mailbox gets the same bytes object. Whatever falls into one
turn of the event loop is joined and written once per reader, so the cost of a delivery falls as the
load rises, and at low load nothing waits. No task, queue or `await` per reader is on that path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from livemarkets.models import StreamKey

__all__ = ["CLOSE_TOO_SLOW", "Fanout", "Mailbox", "Sink", "text_frame"]

CLOSE_TOO_SLOW = 1013
_TEXT = 0x81  # FIN and opcode 1 (RFC 6455, 5.2); RSV1 = 0 says "not compressed", whatever was negotiated


def text_frame(payload: bytes) -> bytes:
    """Return a whole, unmasked WebSocket text frame (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((_TEXT, length)) + payload
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


class Sink(Protocol):
    """Where a mailbox writes to: one connection."""

    is_paused: bool
    """Whether what is written now would only pile up in the transport."""

    def write(self, frames: bytes) -> None:
        """Send one or more whole frames. Never blocks, never raises."""

    def close(self, code: int, reason: str) -> None:
        """End the connection."""


class Mailbox:
    """One reader's outgoing frames, in order, bounded in bytes.

    Args:
        sink: the reader's connection.
        limit_bytes: how much may wait while the connection takes no more.

    """

    __slots__ = ("backlog", "backlog_bytes", "is_closed", "limit_bytes", "pending", "room", "sink", "written")

    def __init__(self, sink: Sink, *, limit_bytes: int) -> None:
        self.sink = sink
        self.limit_bytes = limit_bytes
        self.pending: list[bytes] = []
        """Frames of this turn of the event loop; appended to by :class:`Fanout` alone."""
        self.backlog: list[bytes] = []
        self.backlog_bytes = 0
        self.is_closed = False
        self.room = asyncio.Event()
        """Set while nothing waits that the connection has not taken: time to add more."""
        self.room.set()
        self.written = 0
        """Flushes so far: how a heartbeat knows that nothing else was sent."""

    def flush(self) -> None:
        """Hand the frames of this turn to the connection, or keep them while it takes no more."""
        frames = b"".join(self.pending) if len(self.pending) > 1 else self.pending[0]
        self.pending.clear()
        if self.is_closed:
            return
        if self.backlog or self.sink.is_paused:
            self._keep(frames)
        else:
            self.written += 1
            self.sink.write(frames)

    def resume(self) -> None:
        """Write what was kept; to be called when the connection takes more again."""
        while self.backlog and not self.sink.is_paused and not self.is_closed:
            frames = b"".join(self.backlog)
            self.backlog.clear()
            self.backlog_bytes = 0
            self.written += 1
            self.sink.write(frames)
            self.room.set()

    def close(self) -> None:
        """Drop everything; nothing is written any more. Idempotent."""
        self.is_closed = True
        self.room.set()
        self.backlog.clear()
        self.backlog_bytes = 0

    def _keep(self, frames: bytes) -> None:
        self.room.clear()
        self.backlog.append(frames)
        self.backlog_bytes += len(frames)
        if self.backlog_bytes > self.limit_bytes:
            self.close()
            self.sink.close(CLOSE_TOO_SLOW, "too slow: reconnect later")


class Fanout:
    """Who gets which stream, and the one flush per turn of the event loop.

    Args:
        call_soon: schedules a callable for the next turn of the event loop (`loop.call_soon`).

    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._mailboxes: dict[StreamKey, dict[Mailbox, None]] = {}
        self._dirty: list[Mailbox] = []
        self.delivered = 0
        """Trades handed to mailboxes since the start."""

    def join(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Deliver the stream to the mailbox from the next trade on."""
        self._mailboxes.setdefault(key, {})[mailbox] = None

    def leave(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Deliver it no more. Idempotent."""
        mailboxes = self._mailboxes.get(key)
        if mailboxes is not None:
            mailboxes.pop(mailbox, None)
            if not mailboxes:
                del self._mailboxes[key]

    def has_readers(self, key: StreamKey) -> bool:
        """Tell whether anybody gets the stream; if not, nothing needs to be encoded."""
        return key in self._mailboxes

    def readers(self, key: StreamKey) -> int:
        """Count the mailboxes that get the stream."""
        return len(self._mailboxes.get(key, ()))

    def publish(self, key: StreamKey, frame: bytes) -> None:
        """Put one whole frame into every mailbox of the stream."""
        mailboxes = self._mailboxes.get(key)
        if mailboxes is None:
            return
        self.delivered += len(mailboxes)
        dirty = self._dirty
        if not dirty:
            self._call_soon(self._flush)
        for mailbox in mailboxes:
            pending = mailbox.pending
            if not pending:
                dirty.append(mailbox)
            pending.append(frame)

    def post(self, mailbox: Mailbox, payload: bytes) -> None:
        """Put one message for this reader alone in line behind what it already has."""
        if not self._dirty:
            self._call_soon(self._flush)
        if not mailbox.pending:
            self._dirty.append(mailbox)
        mailbox.pending.append(text_frame(payload))

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for mailbox in dirty:
            mailbox.flush()
