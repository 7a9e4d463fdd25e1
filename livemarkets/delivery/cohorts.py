"""What goes out in this turn of the event loop, to whom, in which order. No I/O.

Most readers want the same few streams. Those who get exactly the same ones form a cohort: a frame is put in
line once a cohort, not once a reader, and what falls into one turn is joined once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from livemarkets.delivery.mailbox import Mailbox
from livemarkets.market.models import StreamKey

__all__ = ["Cohorts", "Write"]

Write = Callable[[int, bytes], int]


class _Cohort:
    """Readers of the same streams, and what is in line for all of them."""

    __slots__ = ("direct", "flushed_at", "is_stale", "keys", "mailboxes", "others", "pending", "taken")

    def __init__(self, keys: frozenset[StreamKey]) -> None:
        self.keys = keys
        self.mailboxes: dict[Mailbox, None] = {}
        self.direct: dict[int, Mailbox] = {}
        """By file descriptor: readers whose connection takes bytes at once."""
        self.others: list[Mailbox] = []
        self.is_stale = False
        """Whether `direct` and `others` are to be told apart anew."""
        self.pending: list[bytes] = []
        self.taken: dict[Mailbox, int] = {}
        """Readers with a line of their own in this turn, and how many of `pending` are no more for them."""
        self.flushed_at = -math.inf
        """When something was last handed over, monotonic seconds."""

    def note_change(self) -> None:
        """Look at every reader again before the next flush."""
        self.is_stale = True

    def let_go(self) -> None:
        """Hold on to nobody who may have left. A flush that is going on keeps what it has in hand."""
        self.is_stale, self.direct, self.others = True, {}, []

    def flush(self, write: Write, now: float) -> None:
        """Hand over what is in line, to most readers in the plainest of loops."""
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
        for fd in direct:  # nothing of a reader is touched but a number: what is not in the cache costs most
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
    """Which readers get every trade of which streams, and the frames of this turn that wait for them.

    A reader changes its cohort when the next frame comes, so one that subscribes two hundred streams in
    one message changes it once.

    Args:
        write: `os.write`: takes a file descriptor and bytes; returns how many it took, or raises `OSError`.
        clock: monotonic seconds.

    """

    def __init__(self, write: Write, clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._keys: dict[Mailbox, set[StreamKey]] = {}
        self._counts: dict[StreamKey, int] = {}
        self._unsettled: dict[Mailbox, None] = {}
        self._cohort_of: dict[Mailbox, _Cohort] = {}
        self._by_keys: dict[frozenset[StreamKey], _Cohort] = {}
        self._by_key: dict[StreamKey, dict[_Cohort, None]] = {}
        self._dirty: list[_Cohort] = []
        self._lines: list[Mailbox] = []

    def add(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Give the stream to the reader. Idempotent."""
        keys = self._keys.setdefault(mailbox, set())
        if key not in keys:
            keys.add(key)
            self._counts[key] = self._counts.get(key, 0) + 1
            self._unsettled[mailbox] = None

    def discard(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Give it no more. Idempotent."""
        keys = self._keys.get(mailbox)
        if keys is None or key not in keys:
            return
        keys.remove(key)
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
        self._unsettled[mailbox] = None
        if not keys:
            del self._keys[mailbox]
            self._settle()  # nobody holds on to a reader that is gone

    def keys(self, mailbox: Mailbox) -> list[StreamKey]:
        """Return what the reader gets."""
        return list(self._keys.get(mailbox, ()))

    def has_readers(self, key: StreamKey) -> bool:
        """Tell whether anybody gets every trade of the stream."""
        return key in self._counts

    def readers(self, key: StreamKey) -> int:
        """Count the readers of a stream."""
        return self._counts.get(key, 0)

    def sent_at(self, mailbox: Mailbox) -> float:
        """Return when something was last handed over to the reader, monotonic seconds."""
        cohort = self._cohort_of.get(mailbox)
        return mailbox.sent_at if cohort is None else max(mailbox.sent_at, cohort.flushed_at)

    def put(self, key: StreamKey, frame: bytes) -> int:
        """Put a whole frame in line for the readers of the stream; return how many they are."""
        if self._unsettled:
            self._settle()
        cohorts = self._by_key.get(key)
        if cohorts is None:
            return 0
        for cohort in cohorts:
            if not cohort.pending:
                self._dirty.append(cohort)
            cohort.pending.append(frame)
        return self._counts[key]

    def post(self, mailbox: Mailbox, frame: bytes) -> None:
        """Put a whole frame in line for one reader, behind what it is to get before."""
        cohort = self._cohort_of.get(mailbox)
        if cohort is not None:
            self._part(cohort, mailbox)
        if not mailbox.pending:
            self._lines.append(mailbox)
        mailbox.pending.append(frame)

    @property
    def has_something(self) -> bool:
        """Whether anything is in line."""
        return bool(self._dirty or self._lines)

    def flush(self) -> None:
        """Hand over what is in line: one write a reader."""
        now = self._clock()
        while self._dirty:  # one by one: whatever happens at one, the others stay in line
            self._dirty.pop().flush(self._write, now)
        while self._lines:
            mailbox = self._lines.pop()
            mailbox.flush()
            cohort = self._cohort_of.get(mailbox)
            if cohort is not None and not cohort.pending:
                cohort.taken.pop(mailbox, None)

    def _part(self, cohort: _Cohort, mailbox: Mailbox) -> None:
        """Put the reader's share into a line of its own: what follows there is not for the others."""
        share = cohort.pending[cohort.taken.get(mailbox, 0) :]
        cohort.taken[mailbox] = len(cohort.pending)
        if share:
            if not mailbox.pending:
                self._lines.append(mailbox)
            mailbox.pending += share

    def _settle(self) -> None:
        """Move readers whose streams have changed to where they belong now."""
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
        if cohort.mailboxes:
            return
        del self._by_keys[cohort.keys]
        for key in cohort.keys:
            cohorts = self._by_key[key]
            del cohorts[cohort]
            if not cohorts:
                del self._by_key[key]

    def _enter(self, keys: frozenset[StreamKey], mailbox: Mailbox) -> None:
        cohort = self._by_keys.get(keys)
        if cohort is None:
            cohort = self._by_keys[keys] = _Cohort(keys)
            for key in keys:
                self._by_key.setdefault(key, {})[cohort] = None
        cohort.mailboxes[mailbox] = None
        mailbox.place = cohort
        cohort.note_change()
        if cohort.pending or mailbox.pending:
            cohort.taken[mailbox] = len(cohort.pending)
        self._cohort_of[mailbox] = cohort
