"""Readers in `mode: latest`: when each gets the newest trade of a stream. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from livemarkets.delivery.conflation import Conflator, Published
from livemarkets.delivery.mailbox import Mailbox

__all__ = ["LatestReaders"]


class LatestReaders:
    """Sends the newest trade to each reader, at most once in the reader's interval.

    Args:
        call_later: schedules a callable after a delay in seconds (`loop.call_later`).
        clock: monotonic seconds.
        post: queues a message for one reader.

    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float],
        post: Callable[[Mailbox, bytes], None],
    ) -> None:
        self.delivered = 0
        """Trades passed to mailboxes."""
        self._call_later = call_later
        self._clock = clock
        self._post = post

    def note_newest(self, published: Published) -> None:
        """Send the stream's new trade to its readers, now or when their interval is over."""
        idle, published.idle = published.idle, {}
        for mailbox, conflator in idle.items():
            wait = conflator.due_at - self._clock()
            if wait <= 0:
                self._send_newest(mailbox, conflator)
            else:
                self._send_later(wait, mailbox, conflator)

    def _send_later(self, seconds: float, mailbox: Mailbox, conflator: Conflator) -> None:
        self._call_later(seconds, lambda: self._send_newest(mailbox, conflator))

    def _send_newest(self, mailbox: Mailbox, conflator: Conflator) -> None:
        """Send the newest trade, unless the reader has left or has not yet read the one before."""
        published = conflator.published
        if mailbox.is_closed or published.conflators.get(mailbox) is not conflator:
            return
        conflator.due_at = self._clock() + conflator.interval_seconds
        if mailbox.backlog or mailbox.sink.is_paused:
            self._send_later(conflator.interval_seconds, mailbox, conflator)
            return
        published.idle[mailbox] = conflator
        payload, skipped = conflator.take_newest()
        if payload is not None:
            self.delivered += 1
            self._post(mailbox, payload if not skipped else payload[:-1] + b',"skipped":%d}' % skipped)
