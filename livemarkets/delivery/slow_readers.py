"""Readers whose connection takes no more: slots keep what each lacks, until it has caught up. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

from livemarkets.delivery.mailbox import Mailbox
from livemarkets.market.models import StreamKey

__all__ = ["SlowReaders", "is_slow"]

_BYTES_AT_ONCE = 65_536
"""How much a reader that has caught up is sent in one turn of the event loop."""

S = TypeVar("S")


def is_slow(mailbox: Mailbox) -> bool:
    """Return whether the connection of a reader takes no more at present."""
    return bool(mailbox.backlog) or mailbox.sink.is_paused


class SlowReaders(Generic[S]):
    """The slots of slow readers, by reader and stream.

    Args:
        take: returns some messages that a slot lacks, and nothing if it lacks nothing. Or it takes the slot
            away itself, and returns `None`.
        finish: called when a slot lacks nothing, after it was taken away.
        post: queues a message for one reader of a stream.
        call_soon: schedules a callable for the next turn of the event loop (`loop.call_soon`).

    """

    def __init__(
        self,
        take: Callable[[StreamKey, Mailbox, S], Sequence[bytes] | None],
        finish: Callable[[StreamKey, Mailbox, S], None],
        post: Callable[[StreamKey, Mailbox, bytes], None],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._take = take
        self._finish = finish
        self._post = post
        self._call_soon = call_soon
        self._slots: dict[Mailbox, dict[StreamKey, S]] = {}

    def __len__(self) -> int:
        """Return how many readers are slow, or are being sent what they lack."""
        return len(self._slots)

    def __contains__(self, mailbox: Mailbox) -> bool:
        return mailbox in self._slots

    def slots(self, mailbox: Mailbox) -> Mapping[StreamKey, S]:
        """Return the slots of a reader."""
        return self._slots.get(mailbox, {})

    def add(self, key: StreamKey, mailbox: Mailbox, slot: S) -> None:
        """Send a reader nothing of a stream until it has caught up."""
        self._slots.setdefault(mailbox, {})[key] = slot

    def discard(self, key: StreamKey, mailbox: Mailbox) -> None:
        """Forget a slot. Idempotent."""
        slots = self._slots.get(mailbox)
        if slots is not None:
            slots.pop(key, None)
            if not slots:
                del self._slots[mailbox]

    def forget(self, mailbox: Mailbox) -> None:
        """Forget a reader. Idempotent."""
        self._slots.pop(mailbox, None)

    def handle_caught_up(self, mailbox: Mailbox) -> None:
        """Send a reader that has caught up what it lacks, some now and the rest soon."""
        slots = self._slots.get(mailbox, {})
        sent = 0
        while slots and sent < _BYTES_AT_ONCE:
            key, slot = next(iter(slots.items()))
            payloads = self._take(key, mailbox, slot)
            if payloads is None:
                continue
            for payload in payloads:
                self._post(key, mailbox, payload)
                sent += len(payload)
            if not payloads:
                del slots[key]
                self._finish(key, mailbox, slot)
        if slots:
            self._call_soon(partial(self._go_on, mailbox))
        else:
            self.forget(mailbox)

    def _go_on(self, mailbox: Mailbox) -> None:
        if not (mailbox.is_closed or is_slow(mailbox)):
            self.handle_caught_up(mailbox)
