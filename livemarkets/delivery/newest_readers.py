"""Fan-out of updates of which the newest wins. No I/O.

A reader gets every update through its cohort, at the cost of a trade. When its connection takes no more, its
names leave the cohort and get slots instead: nothing is queued for it any more. When it has read what waited,
it is sent the newest of each name that changed, some at a time, and its names return to the cohort.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from livemarkets.delivery.cohorts import Cohorts
from livemarkets.delivery.framing import text_frame
from livemarkets.delivery.latest import LatestReaders
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.delivery.newest import ROWS_AT_ONCE, EncodeRows, Newest, NewestRows, Slot
from livemarkets.delivery.slow_readers import SlowReaders, is_slow
from livemarkets.market.channels import ALL_SYMBOLS, NEWEST_WINS
from livemarkets.market.models import StreamKey

__all__ = ["NewestReaders"]


class _Part(NamedTuple):
    """Some rows of an update, for one message."""

    key: StreamKey
    rows: Mapping[str, bytes]
    is_first: bool
    is_last: bool


class NewestReaders:
    """Which reader gets which names, and how.

    Args:
        cohorts: the readers that get everything.
        latest: the readers in `mode: latest`.
        send: queues a complete frame for the readers of a name. It returns their number.
        post: queues a message for one reader.
        call_soon: schedules a callable for the next turn of the event loop (`loop.call_soon`).
        encode_rows: encodes a message of some rows.

    """

    def __init__(
        self,
        cohorts: Cohorts,
        latest: LatestReaders,
        send: Callable[[StreamKey, bytes], int],
        post: Callable[[Mailbox, bytes], None],
        call_soon: Callable[[Callable[[], None]], object],
        encode_rows: EncodeRows,
    ) -> None:
        self.delivered: Counter[str] = Counter()
        """Updates passed to the mailboxes of readers that get everything, and of slow ones, by channel."""
        self._cohorts = cohorts
        self._latest = latest
        self._send = send
        self._post = post
        self._call_soon = call_soon
        self._encode_rows = encode_rows
        self._by_key: dict[StreamKey, Newest] = {}
        self._slow: SlowReaders[Slot] = SlowReaders(
            lambda key, mailbox, slot: slot.take_one(), self._set_quick, self._post_missed, call_soon
        )
        self._parts: deque[_Part] = deque()  # what is not sent yet, oldest first

    def join(self, key: StreamKey, mailbox: Mailbox, interval_seconds: float | None = None) -> None:
        """Deliver a name to the mailbox from the next update on.

        Args:
            key: the name.
            mailbox: the reader's.
            interval_seconds: `None` for every update; otherwise at most one, the newest, in this time.

        """
        self.leave(key, mailbox)
        if interval_seconds is not None:
            self._open(key, mailbox, interval_seconds).rest(mailbox)
        elif is_slow(mailbox) or mailbox in self._slow:
            self._slow.add(key, mailbox, self._open(key, mailbox, 0.0))
        else:
            self._cohorts.add(key, mailbox)

    def leave(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Stop delivering a name to the mailbox. Idempotent."""
        self._cohorts.discard(key, mailbox)
        self._slow.discard(key, mailbox)
        self._close(key, mailbox)

    def forget(self, mailbox: Mailbox) -> None:
        """Forget a reader that has left all of its names. Idempotent."""
        self._slow.forget(mailbox)

    def has_readers(self, key: StreamKey) -> bool:
        """Return whether a name has readers. Without readers, nothing needs to be encoded."""
        return key in self._cohorts.counts or key in self._by_key

    def publish(self, key: StreamKey, payload: bytes) -> None:
        """Send an update to the readers of its name. The hot path."""
        self.delivered[key.channel] += self._send(key, text_frame(payload))
        if self._by_key and (newest := self._by_key.get(key)) is not None:
            newest.put(payload)
            if newest.idle:
                self._latest.note_newest(newest.take_idle())

    def publish_rows(self, key: StreamKey, rows: Mapping[str, bytes]) -> None:
        """Send an update about many symbols, whose rows are encoded already, by symbol.

        Thousands of rows to hundreds of readers are many megabytes. So each message has a turn of the event
        loop of its own.
        """
        entries = list(rows.items())
        starts = range(0, len(entries), ROWS_AT_ONCE)
        is_idle = not self._parts
        for start in starts:
            part = dict(entries[start : start + ROWS_AT_ONCE])
            self._parts.append(_Part(key, part, start == 0, start == starts[-1]))
        if is_idle and self._parts:
            self._send_part()

    def _send_part(self) -> None:
        part = self._parts.popleft()
        try:
            self._publish_part(part)
        finally:
            if self._parts:
                self._call_soon(self._send_part)

    def _publish_part(self, part: _Part) -> None:
        key = part.key
        if key in self._cohorts.counts:
            payload = self._encode_rows(key, list(part.rows.values()))
            self.delivered[key.channel] += self._send(key, text_frame(payload))
        newest = self._by_key.get(key)
        if isinstance(newest, NewestRows):
            newest.put_rows(part.rows, is_new=part.is_first)
            if part.is_last:
                self._latest.note_newest(newest.take_idle())

    # slow readers

    def handle_backlog(self, mailbox: Mailbox) -> None:
        """Queue no more updates for a reader whose connection takes no more."""
        for key in self._cohorts.keys(mailbox):
            if key.channel in NEWEST_WINS:
                self._slow.add(key, mailbox, self._open(key, mailbox, 0.0))
                self._cohorts.discard(key, mailbox)

    def handle_caught_up(self, mailbox: Mailbox) -> None:
        """Send a reader that has caught up the newest of what changed, some now and the rest soon."""
        self._slow.handle_caught_up(mailbox)

    def _post_missed(self, key: StreamKey, mailbox: Mailbox, payload: bytes) -> None:
        self.delivered[key.channel] += 1
        self._post(mailbox, payload)

    def _set_quick(self, key: StreamKey, mailbox: Mailbox, slot: Slot) -> None:
        self._close(key, mailbox)
        self._cohorts.add(key, mailbox)

    def _open(self, key: StreamKey, mailbox: Mailbox, interval_seconds: float) -> Slot:
        newest = self._by_key.get(key)
        if newest is None:
            is_rows = key.symbol == ALL_SYMBOLS
            newest = NewestRows(key, self._encode_rows) if is_rows else Newest(key)
            self._by_key[key] = newest
        return newest.open(mailbox, interval_seconds)

    def _close(self, key: StreamKey, mailbox: Mailbox) -> None:
        newest = self._by_key.get(key)
        if newest is not None:
            newest.close(mailbox)
            if not newest.slots:
                del self._by_key[key]
