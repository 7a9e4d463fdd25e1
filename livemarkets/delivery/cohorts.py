"""The frames to send in this turn of the event loop, per group of readers. No I/O.

Many readers subscribe the same streams. Readers of exactly the same streams form a cohort. A frame is queued
once per cohort instead of once per reader, and the frames of one turn are joined once per cohort.

A write takes some microseconds, so thousands of readers take long. After 1,000 writes the rest waits for the
next turn of the event loop. A cohort has at most 1,000 readers, so that it is always written to as a whole,
and no reader is between two turns.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from livemarkets.delivery.mailbox import Mailbox
from livemarkets.market.models import StreamKey

__all__ = ["WRITES_AT_ONCE", "Cohorts", "Write"]

Write = Callable[[int, bytes], int]

WRITES_AT_ONCE = 1_000
"""The most writes in one turn of the event loop. They take some 5 ms."""


class _Cohort:
    """Readers of the same streams, and the frames queued for all of them."""

    __slots__ = ("direct", "flushed_at", "is_stale", "keys", "mailboxes", "others", "pending", "taken")

    def __init__(self, keys: frozenset[StreamKey]) -> None:
        self.keys = keys
        self.mailboxes: dict[Mailbox, None] = {}
        self.direct: dict[int, Mailbox] = {}
        """Readers whose socket may be written to directly, by file descriptor."""
        self.others: list[Mailbox] = []
        self.is_stale = False
        """Whether `direct` and `others` must be computed again."""
        self.pending: list[bytes] = []
        self.taken: dict[Mailbox, int] = {}
        """Readers with frames of their own in this turn → how many of `pending` they have already got."""
        self.flushed_at = -math.inf
        """When frames were last sent, monotonic seconds."""

    def note_change(self) -> None:
        """Compute again, before the next flush, how each reader is written to."""
        self.is_stale = True

    def let_go(self) -> None:
        """Drop references to readers that may have left. A flush in progress keeps its own."""
        self.is_stale, self.direct, self.others = True, {}, []

    def flush(self, write: Write, now: float) -> None:
        """Send the queued frames to every reader."""
        self.flushed_at = now
        pending, self.pending = self.pending, []
        taken, self.taken = self.taken, {}
        if self.is_stale:
            self._sort()
        direct, others = self.direct, self.others
        if taken:
            apart = {mailbox.sink.fd for mailbox in taken}
            direct = {fd: mailbox for fd, mailbox in direct.items() if fd not in apart}
            others = [mailbox for mailbox in others if mailbox not in taken]
            for mailbox, count in taken.items():
                mailbox.pending += pending[count:]
                mailbox.flush()
        frames = b"".join(pending) if len(pending) > 1 else pending[0]
        size = len(frames)
        # Uses only the descriptor of each reader: access to the reader's object would miss the CPU cache.
        for fd in direct:
            try:
                sent = write(fd, frames)
            except OSError:
                sent = 0
            if sent < size:
                direct[fd].sink.write(frames[sent:])
        for mailbox in others:
            mailbox.send(frames)

    def _sort(self) -> None:
        self.is_stale, self.direct, self.others = False, {}, []
        for mailbox in self.mailboxes:
            if mailbox.is_direct:
                self.direct[mailbox.sink.fd] = mailbox
            else:
                self.others.append(mailbox)


class Cohorts:
    """Which readers get every trade of which streams, and the frames queued for them in this turn.

    A reader changes its cohort when the next frame is published. A reader that subscribes 200 streams in one
    message changes it once.

    Args:
        write: `os.write`: takes a file descriptor and bytes, returns the number of bytes written, raises
            `OSError`.
        clock: monotonic seconds.
        writes_at_once: the most writes of one :meth:`flush`, and the most readers of a cohort.

    """

    def __init__(
        self, write: Write, clock: Callable[[], float], *, writes_at_once: int = WRITES_AT_ONCE
    ) -> None:
        self._write = write
        self._clock = clock
        self._writes_at_once = writes_at_once
        self._keys: dict[Mailbox, set[StreamKey]] = {}
        self.counts: dict[StreamKey, int] = {}
        """How many readers get every trade of a stream; only streams with readers are here."""
        self._unsettled: dict[Mailbox, None] = {}
        self._cohort_of: dict[Mailbox, _Cohort] = {}
        self._with_room: dict[frozenset[StreamKey], dict[_Cohort, None]] = {}
        """Streams → their cohorts that more readers may enter, the oldest first."""
        self._by_key: dict[StreamKey, dict[_Cohort, None]] = {}
        self._queue: deque[_Cohort | Mailbox] = deque()
        """Who has queued frames, in the order in which they are written to, so that nobody waits for ever."""

    def add(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Subscribe the reader to the stream. Idempotent."""
        keys = self._keys.setdefault(mailbox, set())
        if key not in keys:
            keys.add(key)
            self.counts[key] = self.counts.get(key, 0) + 1
            self._unsettled[mailbox] = None

    def discard(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Unsubscribe the reader from the stream. Idempotent."""
        keys = self._keys.get(mailbox)
        if keys is None or key not in keys:
            return
        keys.remove(key)
        self.counts[key] -= 1
        if not self.counts[key]:
            del self.counts[key]
        self._unsettled[mailbox] = None
        if not keys:
            del self._keys[mailbox]
            self._settle()  # so that no reference to a closed reader stays

    def keys(self, mailbox: Mailbox) -> list[StreamKey]:
        """Return the streams of the reader."""
        return list(self._keys.get(mailbox, ()))

    def readers(self, key: StreamKey) -> int:
        """Return the number of readers of a stream."""
        return self.counts.get(key, 0)

    def sent_at(self, mailbox: Mailbox) -> float:
        """Return when frames were last sent to the reader, monotonic seconds."""
        cohort = self._cohort_of.get(mailbox)
        return mailbox.sent_at if cohort is None else max(mailbox.sent_at, cohort.flushed_at)

    def put(self, key: StreamKey, frame: bytes) -> int:
        """Queue a complete frame for the readers of the stream. Return the number of readers."""
        if self._unsettled:
            self._settle()
        cohorts = self._by_key.get(key)
        if cohorts is None:
            return 0
        for cohort in cohorts:
            if not cohort.pending:
                self._queue.append(cohort)
            cohort.pending.append(frame)
        return self.counts[key]

    def post(self, mailbox: Mailbox, frame: bytes) -> None:
        """Queue a complete frame for one reader, behind its other frames."""
        cohort = self._cohort_of.get(mailbox)
        if cohort is not None:
            self._part(cohort, mailbox)
        if not mailbox.pending:
            self._queue.append(mailbox)
        mailbox.pending.append(frame)

    @property
    def has_something(self) -> bool:
        """Whether any frame is queued."""
        return bool(self._queue)

    def flush(self) -> None:
        """Send queued frames, with one write per reader. What is too much for one turn stays queued."""
        now, queue = self._clock(), self._queue
        left = self._writes_at_once
        while queue:  # one at a time: after an error, the others stay queued
            first = queue[0]
            left -= len(first.mailboxes) if isinstance(first, _Cohort) else 1
            if left < 0:
                return
            queue.popleft()
            if isinstance(first, _Cohort):
                first.flush(self._write, now)
            else:
                self._flush_own(first)

    def _flush_own(self, mailbox: Mailbox) -> None:
        """Send the frames in the reader's own queue."""
        mailbox.flush()
        cohort = self._cohort_of.get(mailbox)
        if cohort is not None and not cohort.pending:
            cohort.taken.pop(mailbox, None)

    def _part(self, cohort: _Cohort, mailbox: Mailbox) -> None:
        """Move the reader's frames to its own queue, because the next frame is for this reader only."""
        share = cohort.pending[cohort.taken.get(mailbox, 0) :]
        cohort.taken[mailbox] = len(cohort.pending)
        if share:
            if not mailbox.pending:
                self._queue.append(mailbox)
            mailbox.pending += share

    def _settle(self) -> None:
        """Move readers whose streams have changed to their new cohorts."""
        unsettled, self._unsettled = self._unsettled, {}
        for mailbox in unsettled:
            keys = frozenset(self._keys.get(mailbox, ()))
            cohort = self._cohort_of.get(mailbox)
            if cohort is not None:
                if cohort.keys == keys:
                    continue
                self._part(cohort, mailbox)
                self._leave(cohort, mailbox)
            if keys:
                self._enter(keys, mailbox)

    def _leave(self, cohort: _Cohort, mailbox: Mailbox) -> None:
        del self._cohort_of[mailbox], cohort.mailboxes[mailbox]
        cohort.taken.pop(mailbox, None)
        mailbox.place = None
        mailbox.sent_at = max(mailbox.sent_at, cohort.flushed_at)
        cohort.let_go()
        roomy = self._with_room.setdefault(cohort.keys, {})
        if cohort.mailboxes:
            roomy[cohort] = None
            return
        roomy.pop(cohort, None)
        if not roomy:
            del self._with_room[cohort.keys]
        for key in cohort.keys:
            cohorts = self._by_key[key]
            del cohorts[cohort]
            if not cohorts:
                del self._by_key[key]

    def _enter(self, keys: frozenset[StreamKey], mailbox: Mailbox) -> None:
        roomy = self._with_room.setdefault(keys, {})
        cohort = next(iter(roomy), None)
        if cohort is None:
            cohort = _Cohort(keys)
            roomy[cohort] = None
            for key in keys:
                self._by_key.setdefault(key, {})[cohort] = None
        cohort.mailboxes[mailbox] = None
        if len(cohort.mailboxes) >= self._writes_at_once:
            del roomy[cohort]
            if not roomy:
                del self._with_room[keys]
        mailbox.place = cohort
        cohort.note_change()
        if cohort.pending or mailbox.pending:
            cohort.taken[mailbox] = len(cohort.pending)
        self._cohort_of[mailbox] = cohort
