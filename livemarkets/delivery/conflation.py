"""Conflation: only the newest trade of a stream for one reader, and a count of the skipped ones. No I/O.

A conflator stands between a stream and a mailbox for one of two reasons: the reader asked for `mode: latest`,
or it is too slow and lags. The skipped trades are described by a range of ids and their number.
"""

from __future__ import annotations

from collections.abc import Callable

from livemarkets.market.models import Skipped, StreamKey

__all__ = ["Conflator", "LatestTrade"]

_RENUMBERINGS_KEPT = 100


class LatestTrade:
    """The newest trade of one stream and a count of trades. All conflators of the stream share it."""

    __slots__ = ("count", "newest", "newest_id")

    def __init__(self) -> None:
        self.count = 0
        self.newest: bytes | None = None
        self.newest_id = -1

    def put(self, payload: bytes, trade_id: int) -> None:
        """Store a trade and count it."""
        self.count += 1
        self.newest, self.newest_id = payload, trade_id


class Conflator:
    """The newest trade of one stream for one reader, and what was skipped before it.

    Args:
        key: the stream.
        interval_seconds: at most one trade is sent in this time; 0 for a reader that lags.
        encode_skipped: encodes the message that declares the skipped trades.
        head: the stream's newest trade. Trades that it has counted before are not skipped ones.

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
        self._settled: list[bytes] = []  # messages about ids of an older numbering
        self._first_id: int | None = None
        self._last_id = -1
        self._count = 0
        self._newest: bytes | None = None
        self._newest_id = -1

    def _absorb(self) -> None:
        """Account for the trades since the last call. Their ids rise by 1; a gap is reported separately."""
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
        """Add a gap to the skipped range."""
        self._absorb()
        if to_id < from_id:  # the exchange restarted its numbering: finish the range of old ids first
            self._settled += [*self._skipped(self._last_id), payload]
            del self._settled[:-_RENUMBERINGS_KEPT]
            self._forget()
            return
        if self._first_id is None:
            self._first_id = from_id
        self._last_id = to_id

    def take(self) -> list[bytes]:
        """Return the messages for the reader, and start again: the skipped range, then the newest trade."""
        self._absorb()
        messages, self._settled = self._settled, []
        if self._newest is not None:
            messages += [*self._skipped(self._newest_id - 1, sent=1), self._newest]
            self._first_id, self._count = self._newest_id + 1, 0
        messages += self._skipped(self._last_id)  # a gap after the newest trade
        self._forget()
        return messages

    def take_newest(self) -> tuple[bytes | None, int]:
        """Return the newest trade and how many were skipped before it. Used for `mode: latest`."""
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
