"""One reader's outgoing frames: joined once per turn of the event loop, in order, bounded. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from livemarkets.server.close_codes import CLOSE_CODES
from livemarkets.server.waiting import Flag

__all__ = ["CLOSE_TOO_SLOW", "Mailbox", "Sink"]

CLOSE_TOO_SLOW = 1013
_NO_BACKLOG: deque[bytes] = deque(maxlen=0)
"""Shared by all readers without a backlog. Nothing can be added to it."""


class SinkListener(Protocol):
    """Receives the events of a connection. Called synchronously."""

    def handle_change(self) -> None:
        """:attr:`Sink.fd` has changed."""

    def resume(self) -> None:
        """The connection accepts more data again."""


class MailboxOwner(Protocol):
    """Receives the events of a mailbox. Called synchronously."""

    def handle_backlog(self, mailbox: Mailbox) -> None:
        """The connection takes no more, and the backlog begins."""

    def handle_overflow(self, mailbox: Mailbox) -> None:
        """The backlog exceeds the limit."""

    def handle_caught_up(self, mailbox: Mailbox) -> None:
        """The backlog is empty."""


class Place(Protocol):
    """The cohort of a mailbox (:mod:`livemarkets.delivery.cohorts`)."""

    def note_change(self) -> None:
        """Compute again, before the next flush, how each reader is written to."""


class Sink(Protocol):
    """The connection to which a mailbox writes."""

    is_paused: bool
    """Whether written data would stay in the transport's buffer."""

    fd: int
    """The file descriptor for direct writes of complete frames; -1 while they are not possible. Bytes that it
    does not accept go to :meth:`write`."""

    listener: SinkListener | None
    """Receives the events; :meth:`livemarkets.delivery.fanout.Fanout.open` sets it."""

    def write(self, frames: bytes) -> None:
        """Send one or more complete frames. It never blocks and never raises."""

    def close(self, code: int, reason: str) -> None:
        """End the connection."""


class Mailbox:
    """One reader's outgoing frames, in order, bounded in bytes. `Fanout.open` makes it.

    Args:
        sink: the reader's connection.
        owner: is called when the backlog begins, when it overflows, and when it is empty again.
        limit_bytes: limit of the backlog while the connection accepts no data. Beyond it, streams are
            conflated. At twice the limit, the connection is closed.
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
        """Frames of this turn for this reader only; :mod:`livemarkets.delivery.cohorts` appends them."""
        self.backlog: deque[bytes] = _NO_BACKLOG
        self.backlog_bytes = 0
        self.is_closed = False
        self.room = Flag()
        """Set while the backlog is empty, so that more can be added."""
        self.sent_at = self.moved_at = clock()
        """When frames for this reader only were last sent; when the connection last accepted data."""
        self.place: Place | None = None
        self._clock = clock

    @property
    def is_direct(self) -> bool:
        """Whether frames may be written to the sink's `fd`."""
        return self.sink.fd >= 0 and not self.backlog and not self.is_closed

    def flush(self) -> None:
        """Send the frames of this turn that are for this reader only."""
        if not self.pending:
            return
        frames = b"".join(self.pending)
        self.pending.clear()
        self.sent_at = self._clock()
        self.send(frames)

    def send(self, frames: bytes) -> None:
        """Write complete frames to the connection, or keep them while it accepts no data."""
        if self.is_closed:
            return
        if self.backlog or self.sink.is_paused:
            self._keep(frames)
        else:
            self.sink.write(frames)

    def handle_change(self) -> None:
        """Report to the cohort that the reader's file descriptor or state has changed."""
        if self.place is not None:
            self.place.note_change()

    def resume(self) -> None:
        """Write the backlog, as far as the connection accepts it. Called when it accepts data again."""
        self.moved_at = self._clock()
        while self.backlog and not self.sink.is_paused and not self.is_closed:
            frames = self.backlog.popleft()
            self.backlog_bytes -= len(frames)
            self.sent_at = self.moved_at
            self.sink.write(frames)
        if not self.backlog and not self.sink.is_paused:
            self.backlog = _NO_BACKLOG
            self.room.set()
            self.owner.handle_caught_up(self)

    def is_stuck(self, now: float, patience_seconds: float) -> bool:
        """Return whether the connection has accepted nothing of a backlog for `patience_seconds`."""
        return bool(self.backlog) and now - self.moved_at >= patience_seconds

    def close(self) -> None:
        """Drop the backlog and write nothing any more. Idempotent."""
        self.is_closed = True
        self.handle_change()
        self.room.set()
        self.backlog = _NO_BACKLOG
        self.backlog_bytes = 0

    def end(self, code: int, reason: str) -> None:
        """Close the mailbox and the reader's connection. Idempotent."""
        if not self.is_closed:
            self.close()
            self.sink.close(code, reason)

    def _keep(self, frames: bytes) -> None:
        if not self.backlog:
            self.moved_at = self._clock()
            self.room.clear()
            self.owner.handle_backlog(self)
            self.backlog = deque()  # few readers ever have one, and an empty one takes 700 bytes
        was_over = self.backlog_bytes > self.limit_bytes
        self.backlog.append(frames)
        self.backlog_bytes += len(frames)
        if was_over and self.backlog_bytes > 2 * self.limit_bytes:
            self.end(CLOSE_TOO_SLOW, CLOSE_CODES[CLOSE_TOO_SLOW])
        elif self.backlog_bytes > self.limit_bytes:
            self.owner.handle_overflow(self)
