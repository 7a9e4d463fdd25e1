"""Conflation: only the newest trade of a stream for one reader, and what was skipped before it. No I/O.

A conflator stands between a stream and a mailbox for one of two reasons: the reader asked for `mode: latest`,
or it is too slow and lags. What a lagging reader was not sent is computed when it has caught up: the ids that
came or were declared since, in ranges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from livemarkets.delivery.arrival import ArrivalOrder, Ids, joined, subtract
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.delivery.newest import with_skipped
from livemarkets.market.models import Gap, Skipped, StreamKey

__all__ = ["Conflator", "EncodeGap", "EncodeSkipped", "Published"]

EncodeGap = Callable[[Gap, int], bytes]
"""Encodes a gap with the id up to which nothing is pending."""
EncodeSkipped = Callable[[StreamKey, Skipped], bytes]
"""Encodes the message that declares skipped trades."""

_RENUMBERINGS_KEPT = 100
_GAPS_KEPT = 1000


class Published:
    """What was published of one stream in one order, and the readers that do not get all of it.

    Args:
        stream: the stream.
        key: its name in the fan-out, one for each order.
        ids: what is known of its ids.

    """

    __slots__ = (
        "_gaps",
        "_newest_at",
        "conflators",
        "count",
        "idle",
        "ids",
        "key",
        "newest",
        "newest_id",
        "stream",
    )

    def __init__(self, stream: StreamKey, key: StreamKey, ids: ArrivalOrder) -> None:
        self.stream = stream
        self.key = key
        self.ids = ids
        self.count = 0
        self.newest = b""
        self.newest_id = -1
        self._newest_at = 0  # the count when it came
        self._gaps: deque[Ids] = deque(maxlen=_GAPS_KEPT)
        self.conflators: dict[Mailbox, Conflator] = {}
        self.idle: dict[Mailbox, Conflator] = {}
        """Those of readers in `mode: latest` for which no timer runs."""

    def put(self, payload: bytes, trade_id: int, *, is_newest: bool) -> bool:
        """Store a trade and count it. Return `False` if its id was published before."""
        if not self.ids.take(trade_id):
            return False
        self.count += 1
        if is_newest:
            self.newest, self.newest_id, self._newest_at = payload, trade_id, self.count
        return True

    def take_idle(self) -> Mapping[Mailbox, Conflator]:
        """Return the conflators without a timer; the caller starts one for each."""
        idle, self.idle = self.idle, {}
        return idle

    def declare(self, from_id: int, to_id: int) -> list[Ids]:
        """Note a gap. Return the ranges that were not published before."""
        settled = self.ids.settle(from_id, to_id)
        self._gaps += settled
        return settled

    def retract(self, trade_id: int) -> bool:
        """Note that a trade was false. Return `False` if it was not published."""
        if not self.ids.reopen(trade_id):
            return False
        if self.newest_id == trade_id:
            self.newest_id, self._newest_at = -1, 0
        return True

    def restart(self, to_id: int, payload: bytes) -> None:
        """Note that the exchange restarted its numbering after `to_id`, and the message that says so."""
        for conflator in self.conflators.values():
            conflator.restart(to_id + 1, payload)
        self.ids.restart(to_id + 1)
        self._gaps.clear()
        self.newest_id = -1

    def newest_since(self, count: int) -> bytes | None:
        """Return the newest trade if it came after so many trades."""
        return self.newest if self._newest_at > count else None

    def trades_among(self, first: int, last: int) -> int:
        """Return how many of these ids are trades. After very many gaps, the oldest count as trades."""
        overlaps = (min(high, last) - max(low, first) + 1 for low, high in self._gaps)
        return last - first + 1 - sum(overlap for overlap in overlaps if overlap > 0)


class Conflator:
    """The newest trade of one stream for one reader, and what was skipped before it.

    Args:
        published: what is published of the stream, in the reader's order.
        interval_seconds: at most one trade is sent in this time; 0 for a reader that lags.
        encode_skipped: encodes the message that declares the skipped trades.
        encode_gap: encodes what is pending.

    """

    __slots__ = (
        "_encode_gap",
        "_encode_skipped",
        "_from_id",
        "_pending",
        "_renumberings",
        "_seen",
        "due_at",
        "interval_seconds",
        "published",
    )

    def __init__(
        self,
        published: Published,
        interval_seconds: float,
        encode_skipped: EncodeSkipped,
        encode_gap: EncodeGap,
    ) -> None:
        self.published = published
        self.interval_seconds = interval_seconds
        self.due_at = 0.0
        """When the next trade may be sent, monotonic seconds."""
        self._encode_skipped = encode_skipped
        self._encode_gap = encode_gap
        self._seen = published.count
        self._from_id = published.ids.next_id
        self._pending: Sequence[Ids] = () if interval_seconds else published.ids.pending
        self._renumberings: list[bytes] = []  # messages about ids of older numberings

    @property
    def complete_to(self) -> int | None:
        """The id up to which the reader was told everything; `None` when nothing was skipped so far."""
        first = self._first_id()
        return None if first is None else (self._pending[0][0] if self._pending else first) - 1

    def restart(self, next_id: int, payload: bytes) -> None:
        """Finish the ranges of old ids, because the exchange restarts its numbering."""
        if self.interval_seconds:
            return
        skipped = [self._skipped(first, last) for first, last in self._unsent()]
        self._renumberings += [*skipped, payload]
        del self._renumberings[:-_RENUMBERINGS_KEPT]
        self._seen, self._from_id, self._pending = self.published.count, next_id, ()

    def take(self) -> list[bytes]:
        """Return the messages for a reader that has caught up.

        They are in order of ids: what was skipped, in ranges, the newest trade, and what is still pending.
        """
        published = self.published
        newest = published.newest_since(self._seen)
        pending = published.ids.pending
        unsent = self._unsent()
        parts: list[tuple[int, bytes]] = []
        if newest is not None:
            unsent = subtract(unsent, [(published.newest_id, published.newest_id)])
            parts.append((published.newest_id, newest))
        parts += [(first, self._skipped(first, last)) for first, last in unsent]
        for first, last in pending:
            gap = Gap(published.stream, first, last, "pending")
            parts.append((first, self._encode_gap(gap, published.ids.complete_to)))
        return [*self._renumberings, *(payload for _, payload in sorted(parts))]

    @property
    def channel(self) -> str:
        """The channel of the stream."""
        return self.published.stream.channel

    def take_newest(self) -> Sequence[bytes]:
        """Return the newest trade if it was not sent, with how many were skipped. Used for `mode: latest`."""
        newest, seen = self.published.newest_since(self._seen), self._seen
        if newest is None:
            return ()  # trades that are older than the last one count as skipped before the next
        self._seen = self.published.count
        return (with_skipped(newest, self._seen - seen - 1),)

    def is_open(self, mailbox: Mailbox) -> bool:
        """Return whether it still stands between the stream and the mailbox."""
        return self.published.conflators.get(mailbox) is self

    def rest(self, mailbox: Mailbox) -> None:
        """Wait for the next trade, without a timer."""
        self.published.idle[mailbox] = self

    def _first_id(self) -> int | None:
        return self.published.ids.first_id if self._from_id is None else self._from_id

    def _unsent(self) -> list[Ids]:
        """Return the ids that came or were declared since the reader lags."""
        ids, first = self.published.ids, self._first_id()
        if first is None or ids.next_id is None:
            return []
        known = [*self._pending]
        if ids.next_id > first:
            known.append((first, ids.next_id - 1))
        return joined(subtract(known, ids.pending))

    def _skipped(self, first: int, last: int) -> bytes:
        count = self.published.trades_among(first, last)
        return self._encode_skipped(self.published.stream, Skipped(first, last, count))
