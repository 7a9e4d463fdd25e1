"""The newest update of each name, for readers that do not get every update. No I/O.

A name is a stream in one form, such as the order book of a symbol with five levels. A reader that asked for
`mode: latest`, or that is slow, has a slot for the name. The slot remembers how many updates the reader has
seen; what it missed is kept once for all readers. So a reader that takes nothing costs no memory for updates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from livemarkets.delivery.mailbox import Mailbox
from livemarkets.market.models import StreamKey

__all__ = ["ROWS_AT_ONCE", "EncodeRows", "Newest", "NewestRows", "Slot", "with_skipped"]

ROWS_AT_ONCE = 200
"""The most rows of one message."""

EncodeRows = Callable[[StreamKey, Sequence[bytes]], bytes]
"""Encodes a message of some rows, which are encoded already."""


def with_skipped(payload: bytes, skipped: int) -> bytes:
    """Return a message that says how many were left out before it."""
    return payload[:-1] + b',"skipped":%d}' % skipped if skipped > 0 else payload


class Newest:
    """The newest update of one name, and the readers that do not get every update."""

    __slots__ = ("count", "idle", "key", "payload", "slots")

    def __init__(self, key: StreamKey) -> None:
        self.key = key
        self.count = 0
        """Updates so far."""
        self.payload = b""
        self.slots: dict[Mailbox, Slot] = {}
        self.idle: dict[Mailbox, Slot] = {}
        """Those of readers in `mode: latest` for which no timer runs."""

    def put(self, payload: bytes) -> None:
        """Store an update in place of the one before."""
        self.count += 1
        self.payload = payload

    def open(self, mailbox: Mailbox, interval_seconds: float) -> Slot:
        """Return a new slot of a reader that has seen everything so far."""
        slot = self.slots[mailbox] = Slot(self, interval_seconds)
        return slot

    def close(self, mailbox: Mailbox) -> None:
        """Remove the slot of a reader. Idempotent."""
        self.slots.pop(mailbox, None)
        self.idle.pop(mailbox, None)

    def take_idle(self) -> Mapping[Mailbox, Slot]:
        """Return the slots without a timer; the caller starts one for each."""
        idle, self.idle = self.idle, {}
        return idle

    def since(self, slot: Slot, most: int | None) -> list[bytes]:
        """Return the messages that a slot lacks, at most so many, and note that it has them."""
        skipped = self.count - slot.seen - 1
        if skipped < 0:
            return []
        slot.seen = self.count
        return [with_skipped(self.payload, skipped)]


class NewestRows(Newest):
    """The newest row of each symbol in a stream about many, for readers that do not get every update.

    An update that is left out would lose the symbols that are not in the next one. So what a reader lacks are
    the rows that changed since its last message. They are kept in the order of their last change.

    Args:
        key: the name.
        encode: encodes a message.

    """

    __slots__ = ("_changes", "_encode", "_rows")

    def __init__(self, key: StreamKey, encode: EncodeRows) -> None:
        super().__init__(key)
        self._encode = encode
        self._changes = 0
        self._rows: dict[str, tuple[int, bytes]] = {}

    def put_rows(self, rows: Mapping[str, bytes], *, is_new: bool) -> None:
        """Store rows, which begin an update or go on with it."""
        self.count += is_new
        for symbol, row in rows.items():
            self._changes += 1
            self._rows.pop(symbol, None)  # so that it moves to the end
            self._rows[symbol] = self._changes, row

    def open(self, mailbox: Mailbox, interval_seconds: float) -> Slot:
        """Return a new slot of a reader that has seen everything so far."""
        slot = super().open(mailbox, interval_seconds)
        slot.row = self._changes
        return slot

    def since(self, slot: Slot, most: int | None) -> list[bytes]:
        """Return the messages that a slot lacks, at most so many, and note that it has them."""
        missing: list[tuple[int, bytes]] = []
        for change in reversed(self._rows.values()):
            if change[0] <= slot.row:
                break
            missing.append(change)
        missing.reverse()
        payloads = []
        for start in range(0, len(missing), ROWS_AT_ONCE)[:most]:
            part = missing[start : start + ROWS_AT_ONCE]
            payloads.append(self._encode(self.key, [row for _, row in part]))
            slot.row = part[-1][0]
        if payloads:
            payloads[0] = with_skipped(payloads[0], self.count - slot.seen - 1)
            slot.seen = self.count
        return payloads


class Slot:
    """How much of a name one reader has seen."""

    __slots__ = ("due_at", "interval_seconds", "newest", "row", "seen")

    def __init__(self, newest: Newest, interval_seconds: float) -> None:
        self.newest = newest
        self.interval_seconds = interval_seconds
        self.due_at = 0.0
        """When the next update may be sent, monotonic seconds."""
        self.seen = newest.count
        self.row = 0
        """The number of the last change of a row that was sent; see :class:`NewestRows`."""

    @property
    def channel(self) -> str:
        """The channel of the name."""
        return self.newest.key.channel

    def take_newest(self) -> Sequence[bytes]:
        """Return the messages that the reader lacks."""
        return self.newest.since(self, None)

    def take_one(self) -> Sequence[bytes]:
        """Return the first of these messages; nothing if there is none."""
        return self.newest.since(self, 1)

    def is_open(self, mailbox: Mailbox) -> bool:
        """Return whether the reader still has this slot."""
        return self.newest.slots.get(mailbox) is self

    def rest(self, mailbox: Mailbox) -> None:
        """Wait for the next update, without a timer."""
        self.newest.idle[mailbox] = self
