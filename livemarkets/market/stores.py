"""The two stores of market data per stream: the latest trade, and a bounded list of recent trades.

Both are synchronous and in memory. Only :mod:`livemarkets.feed` writes to them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from itertools import islice
from operator import attrgetter

from livemarkets.market.models import Gap, StreamKey, TradeTick

__all__ = ["LatestPriceStore", "RecentTrades"]

_GAPS_KEPT = 100
_id_of = attrgetter("id")


class _Latest:
    __slots__ = ("tick", "version")

    def __init__(self, tick: TradeTick) -> None:
        self.tick = tick
        self.version = 0


class LatestPriceStore:
    """The latest tick of every stream, with a version number for questions about changes."""

    def __init__(self) -> None:
        self._entries: dict[StreamKey, _Latest] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """A number that rises with every :meth:`put`, for use with :meth:`changed_since`."""
        return self._version

    def put(self, key: StreamKey, tick: TradeTick) -> bool:
        """Store `tick` as the latest of its stream, unless a later one is stored (backfilled trades).

        Return whether it was stored.
        """
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Latest(tick)
        elif tick.id < entry.tick.id and tick.ts <= entry.tick.ts:
            return False
        self._version += 1
        entry.tick, entry.version = tick, self._version
        return True

    def get(self, key: StreamKey) -> TradeTick | None:
        """Return the latest tick; `None` when the stream has none."""
        entry = self._entries.get(key)
        return None if entry is None else entry.tick

    def changed_since(self, version: int, keys: Iterable[StreamKey]) -> list[TradeTick]:
        """Return the latest ticks of those `keys` that changed after `version`, in the order of `keys`."""
        entries = map(self._entries.get, keys)
        return [entry.tick for entry in entries if entry is not None and entry.version > version]

    def discard(self, key: StreamKey) -> None:
        """Remove a stream that is no longer wanted."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


class RecentTrades:
    """The newest `length` ticks of every stream, oldest first. Their ids rise.

    Raises:
        ValueError: `length` is less than 1.

    """

    def __init__(self, length: int) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, not {length}")
        self.length = length
        self._feeds: dict[StreamKey, deque[TradeTick]] = {}
        self._gaps: dict[StreamKey, deque[Gap]] = {}

    def append(self, key: StreamKey, tick: TradeTick) -> None:
        """Add the newest tick, and remove the oldest beyond `length`."""
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = deque(maxlen=self.length)
        feed.append(tick)

    def note_gap(self, gap: Gap) -> None:
        """Store a gap, so that a resumption across it declares the same gap.

        When the exchange restarts its numbering (`to_id` below `from_id`), the older ticks are dropped,
        because their ids may occur again.
        """
        if gap.to_id < gap.from_id:
            self._feeds.pop(gap.key, None)
        gaps = self._gaps.get(gap.key)
        if gaps is None:
            gaps = self._gaps[gap.key] = deque(maxlen=_GAPS_KEPT)
        gaps.append(gap)

    def gaps(self, key: StreamKey) -> list[Gap]:
        """Return the stored gaps, oldest first."""
        return list(self._gaps.get(key, ()))

    def oldest_id(self, key: StreamKey) -> int | None:
        """Return the id of the oldest stored tick; `None` when there is none."""
        feed = self._feeds.get(key)
        return feed[0].id if feed else None

    def count(self, key: StreamKey) -> int:
        """Return how many ticks of a stream are stored."""
        return len(self._feeds.get(key, ()))

    def recent(self, key: StreamKey, count: int) -> list[TradeTick]:
        """Return at most the newest `count` ticks, oldest first. The cost grows with `count` alone."""
        newest = list(islice(reversed(self._feeds.get(key, ())), max(0, count)))
        newest.reverse()
        return newest

    def start_of(self, key: StreamKey, count: int) -> int | None:
        """Return the id of the first of the newest `count` ticks; `None` when there is none."""
        feed = self._feeds.get(key, ())
        count = min(count, len(feed))
        return feed[-count].id if count > 0 else None

    def after(self, key: StreamKey, trade_id: int, limit: int | None = None) -> list[TradeTick]:
        """Return the stored ticks with an id greater than `trade_id`, oldest first.

        All of them, or the first `limit`. The cost grows with what is returned.
        """
        if limit is not None:
            feed = self._feeds.get(key, ())
            start = bisect_right(feed, trade_id, key=_id_of)
            return list(islice(feed, start, start + limit))
        found: list[TradeTick] = []
        for tick in reversed(self._feeds.get(key, ())):
            if tick.id <= trade_id or (found and tick.id >= found[-1].id):  # the second: an older numbering
                break
            found.append(tick)
        found.reverse()
        return found

    def contains(self, key: StreamKey, tick: TradeTick) -> bool:
        """Return whether a trade with the same id, price and size is stored."""
        feed = self._feeds.get(key, ())
        place = bisect_left(feed, tick.id, key=_id_of)
        if place == len(feed) or feed[place].id != tick.id:
            return False
        return feed[place].price == tick.price and feed[place].size == tick.size

    def discard(self, key: StreamKey) -> None:
        """Remove a stream that is no longer wanted."""
        self._feeds.pop(key, None)
        self._gaps.pop(key, None)

    def __len__(self) -> int:
        """Return how many ticks of all streams are stored."""
        return sum(len(feed) for feed in self._feeds.values())
