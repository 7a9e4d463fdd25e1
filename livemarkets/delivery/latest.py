"""Readers in `mode: latest`: when each gets the newest message of a stream. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from livemarkets.delivery.mailbox import Mailbox

__all__ = ["Conflation", "LatestReaders"]


class Conflation(Protocol):
    """Stands between a stream and one reader that does not get everything."""

    due_at: float
    """When the next message may be sent, monotonic seconds."""
    interval_seconds: float
    """At most one is sent in this time."""

    @property
    def channel(self) -> str:
        """The channel of the stream."""

    def take_newest(self) -> Sequence[bytes]:
        """Return what is new since the last call; nothing if nothing is."""

    def is_open(self, mailbox: Mailbox) -> bool:
        """Return whether it still stands there."""

    def rest(self, mailbox: Mailbox) -> None:
        """Wait for the next message, without a timer."""


class LatestReaders:
    """Sends the newest message to each reader, at most once in the reader's interval.

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
        self.delivered: Counter[str] = Counter()
        """Messages passed to mailboxes, by channel."""
        self._call_later = call_later
        self._clock = clock
        self._post = post

    def note_newest(self, idle: Mapping[Mailbox, Conflation]) -> None:
        """Send a stream's new message to readers that wait for it, now or when their interval is over."""
        for mailbox, conflation in idle.items():
            wait = conflation.due_at - self._clock()
            if wait <= 0:
                self._send_newest(mailbox, conflation)
            else:
                self._send_later(wait, mailbox, conflation)

    def _send_later(self, seconds: float, mailbox: Mailbox, conflation: Conflation) -> None:
        self._call_later(seconds, lambda: self._send_newest(mailbox, conflation))

    def _send_newest(self, mailbox: Mailbox, conflation: Conflation) -> None:
        """Send the newest message, unless the reader has left or has not yet read the one before."""
        if mailbox.is_closed or not conflation.is_open(mailbox):
            return
        conflation.due_at = self._clock() + conflation.interval_seconds
        if mailbox.backlog or mailbox.sink.is_paused:
            self._send_later(conflation.interval_seconds, mailbox, conflation)
            return
        conflation.rest(mailbox)
        for payload in conflation.take_newest():
            self.delivered[conflation.channel] += 1
            self._post(mailbox, payload)
