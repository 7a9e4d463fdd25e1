"""Keeping only the newest trade of a stream for one reader, and counting what it was not sent. No I/O.

A lane stands between a stream and a mailbox, for one of two reasons: the reader asked for `mode: latest`,
or it was too slow for everything and lags. What a lane leaves out is a range of ids with a number of trades.
"""

from __future__ import annotations

from collections.abc import Callable

from livemarkets.market.models import Skipped, StreamKey

__all__ = ["Conflator", "LatestTrade"]

_RENUMBERINGS_KEPT = 100


class LatestTrade:
    """The newest trade of one stream and how many there were: written once a trade, read by every lane."""

    __slots__ = ("count", "newest", "newest_id")

    def __init__(self) -> None:
        self.count = 0
        self.newest: bytes | None = None
        self.newest_id = -1

    def put(self, payload: bytes, trade_id: int) -> None:
        """Take a trade."""
        self.count += 1
        self.newest, self.newest_id = payload, trade_id


class Conflator:
    """The newest trade of one stream for one reader, and what was left out before it.

    Args:
        head: the stream's; what it has counted already is not this lane's business.
        interval_seconds: at most one trade in this time; 0 for a lane that only waits for its reader.
        encode_skipped: makes the message that declares what was left out.

    """

    __slots__ = (
        "_count",
        "_encode_skipped",
        "_first_id",
        "_head",
        "_last_id",
        "_newest",
        "_newest_id",
        "_seen",
        "_settled",
        "due_at",
        "interval_seconds",
        "key",
    )

    def __init__(
        self,
        key: StreamKey,
        interval_seconds: float,
        encode_skipped: Callable[[StreamKey, Skipped], bytes],
        head: LatestTrade,
    ) -> None:
        self.key = key
        self._head = head
        self._seen = head.count
        self.interval_seconds = interval_seconds
        self.due_at = 0.0
        """When the next trade may be sent, monotonic seconds."""
        self._encode_skipped = encode_skipped
        self._settled: list[bytes] = []  # messages about an older numbering
        self._first_id: int | None = None
        self._last_id = -1
        self._count = 0
        self._newest: bytes | None = None
        self._newest_id = -1

    def _absorb(self) -> None:
        """Take what came since: ids rise by one, a hole is declared by itself."""
        head = self._head
        count = head.count - self._seen
        if not count:
            return
        self._seen = head.count
        if self._first_id is None:
            self._first_id = head.newest_id - count + 1
        self._count += count
        self._newest, self._newest_id, self._last_id = head.newest, head.newest_id, head.newest_id

    def offer_gap(self, payload: bytes, from_id: int, to_id: int) -> None:
        """Take the declaration of a hole; it becomes part of what is left out."""
        self._absorb()
        if to_id < from_id:  # the exchange numbers anew: what belongs to the old ids is settled first
            self._settled += [*self._skipped(self._last_id), payload]
            del self._settled[:-_RENUMBERINGS_KEPT]
            self._forget()
            return
        if self._first_id is None:
            self._first_id = from_id
        self._last_id = to_id

    def take(self) -> list[bytes]:
        """Return what the reader is to get now: what was left out, then the newest trade; and begin again."""
        self._absorb()
        messages, self._settled = self._settled, []
        if self._newest is not None:
            messages += [*self._skipped(self._newest_id - 1, sent=1), self._newest]
            self._first_id, self._count = self._newest_id + 1, 0
        messages += self._skipped(self._last_id)  # a hole that came last
        self._forget()
        return messages

    def take_newest(self) -> tuple[bytes | None, int]:
        """Return the newest trade and how many were left out before it; for readers who asked for this."""
        self._absorb()
        newest, count = self._newest, self._count
        self._settled.clear()
        self._forget()
        return newest, max(0, count - 1)

    def _skipped(self, last_id: int, sent: int = 0) -> list[bytes]:
        if self._first_id is None or last_id < self._first_id:
            return []
        return [self._encode_skipped(self.key, Skipped(self._first_id, last_id, self._count - sent))]

    def _forget(self) -> None:
        self._first_id = self._newest = None
        self._last_id = self._newest_id = -1
        self._count = 0
