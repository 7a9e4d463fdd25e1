"""One reader's outgoing frames: joined once per turn of the event loop, in order, bounded. No I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

__all__ = ["CLOSE_TOO_SLOW", "Mailbox", "Sink"]

CLOSE_TOO_SLOW = 1013


class SinkListener(Protocol):
    """What a connection tells the mailbox that writes to it. Called synchronously."""

    def handle_change(self) -> None:
        """:attr:`Sink.fd` has changed."""

    def resume(self) -> None:
        """The connection takes more again."""


class MailboxOwner(Protocol):
    """What a mailbox tells the fan-out. Called synchronously."""

    def handle_overflow(self, mailbox: Mailbox) -> None:
        """More waits than its limit."""

    def handle_caught_up(self, mailbox: Mailbox) -> None:
        """Nothing waits any more."""


class Place(Protocol):
    """Where a mailbox is served together with others (:mod:`livemarkets.delivery.cohorts`)."""

    def note_change(self) -> None:
        """Look at every reader again before the next flush."""


class Sink(Protocol):
    """Where a mailbox writes to: one connection."""

    is_paused: bool
    """Whether what is written now would only pile up in the transport."""

    fd: int
    """The file descriptor that frames may be written to as they are; what it does not take goes to
    :meth:`write`. -1 while that is not possible."""

    listener: SinkListener | None
    """Who is told; :meth:`livemarkets.delivery.fanout.Fanout.open` sets it."""

    def write(self, frames: bytes) -> None:
        """Send one or more whole frames. Never blocks, never raises."""

    def close(self, code: int, reason: str) -> None:
        """End the connection."""


class Mailbox:
    """One reader's outgoing frames, in order, bounded in bytes. Made by `Fanout.open`.

    Args:
        sink: the reader's connection.
        owner: who is told of overflow and of catching up.
        limit_bytes: how much may wait while the connection takes no more. Beyond it, streams are
            conflated; messages for this reader alone may take as much again, then the connection ends.
        clock: monotonic seconds.

    """

    __slots__ = (
        "_clock",
        "backlog",
        "backlog_bytes",
        "is_closed",
        "limit_bytes",
        "moved_at",
        "owner",
        "pending",
        "place",
        "room",
        "sent_at",
        "sink",
    )

    def __init__(
        self, sink: Sink, owner: MailboxOwner, *, limit_bytes: int, clock: Callable[[], float]
    ) -> None:
        self.sink = sink
        self.owner = owner
        self.limit_bytes = limit_bytes
        self.pending: list[bytes] = []
        """Frames of this turn for this reader alone; only :mod:`livemarkets.delivery.cohorts` appends."""
        self.backlog: deque[bytes] = deque()
        self.backlog_bytes = 0
        self.is_closed = False
        self.room = asyncio.Event()
        """Set while nothing waits that the connection has not taken: time to add more."""
        self.room.set()
        self.sent_at = self.moved_at = clock()
        """When something for this reader alone was last sent, and when the connection last took something."""
        self.place: Place | None = None
        self._clock = clock

    @property
    def is_direct(self) -> bool:
        """Whether frames may be written to the sink's `fd`."""
        return self.sink.fd >= 0 and not self.backlog and not self.is_closed

    def flush(self) -> None:
        """Send the frames of this turn that wait for this reader alone."""
        if not self.pending:
            return
        frames = b"".join(self.pending)
        self.pending.clear()
        self.sent_at = self._clock()
        self.send(frames)

    def send(self, frames: bytes) -> None:
        """Hand whole frames to the connection, or keep them while it takes no more."""
        if self.is_closed:
            return
        if self.backlog or self.sink.is_paused:
            self._keep(frames)
        else:
            self.sink.write(frames)

    def handle_change(self) -> None:
        """Have it found out anew how this reader is written to."""
        if self.place is not None:
            self.place.note_change()

    def resume(self) -> None:
        """Write what was kept, as much as the connection takes; to be called when it takes more again."""
        self.moved_at = self._clock()
        while self.backlog and not self.sink.is_paused and not self.is_closed:
            frames = self.backlog.popleft()
            self.backlog_bytes -= len(frames)
            self.sent_at = self.moved_at
            self.sink.write(frames)
        if not self.backlog and not self.sink.is_paused:
            self.room.set()
            self.owner.handle_caught_up(self)

    def is_stuck(self, now: float, patience_seconds: float) -> bool:
        """Tell whether something has been waiting for so long while the connection took nothing."""
        return bool(self.backlog) and now - self.moved_at >= patience_seconds

    def close(self) -> None:
        """Drop everything; nothing is written any more. Idempotent."""
        self.is_closed = True
        self.handle_change()
        self.room.set()
        self.backlog.clear()
        self.backlog_bytes = 0

    def end(self, code: int, reason: str) -> None:
        """Close, and end the reader's connection."""
        if not self.is_closed:
            self.close()
            self.sink.close(code, reason)

    def _keep(self, frames: bytes) -> None:
        if not self.backlog:
            self.moved_at = self._clock()
            self.room.clear()
        was_over = self.backlog_bytes > self.limit_bytes
        self.backlog.append(frames)
        self.backlog_bytes += len(frames)
        if was_over and self.backlog_bytes > 2 * self.limit_bytes:
            self.end(CLOSE_TOO_SLOW, "too slow: reconnect later")
        elif self.backlog_bytes > self.limit_bytes:
            self.owner.handle_overflow(self)
