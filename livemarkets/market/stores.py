"""The two stores of market data: the latest tick, and a bounded feed, per stream.

Both are synchronous, in memory only, and written from one place (:mod:`livemarkets.feed.exchange_feed`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from livemarkets.market.models import Gap, StreamKey, TradeTick

__all__ = ["LatestPriceStore", "RecentTrades"]

_GAPS_KEPT = 100


class _Latest:
    __slots__ = ("tick", "version")

    def __init__(self, tick: TradeTick) -> None:
        self.tick = tick
        self.version = 0


class LatestPriceStore:
    """The last tick of every stream, with a version number so that a reader can ask what changed."""

    def __init__(self) -> None:
        self._entries: dict[StreamKey, _Latest] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """A number that rises with every :meth:`put`. Keep it, and pass it to :meth:`changed_since`."""
        return self._version

    def put(self, key: StreamKey, tick: TradeTick) -> None:
        """Make `tick` the latest of its stream, unless a later one is there (backfilled trades come late)."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Latest(tick)
        elif tick.id < entry.tick.id and tick.ts <= entry.tick.ts:
            return
        self._version += 1
        entry.tick, entry.version = tick, self._version

    def get(self, key: StreamKey) -> TradeTick | None:
        """Return the latest tick, `None` when the stream has none."""
        entry = self._entries.get(key)
        return None if entry is None else entry.tick

    def changed_since(self, version: int, keys: Iterable[StreamKey]) -> list[TradeTick]:
        """Return the latest ticks of those of `keys` that were put after `version`, in their order."""
        entries = map(self._entries.get, keys)
        return [entry.tick for entry in entries if entry is not None and entry.version > version]

    def discard(self, key: StreamKey) -> None:
        """Forget a stream that nobody wants any more."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


class RecentTrades:
    """The last `length` ticks of every stream, oldest first, newest last."""

    def __init__(self, length: int) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, not {length}")
        self.length = length
        self._feeds: dict[StreamKey, deque[TradeTick]] = {}
        self._gaps: dict[StreamKey, deque[Gap]] = {}

    def append(self, key: StreamKey, tick: TradeTick) -> None:
        """Add the newest tick; the oldest falls out when the feed is full."""
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = deque(maxlen=self.length)
        feed.append(tick)

    def note_gap(self, gap: Gap) -> None:
        """Remember a declared hole, so that who resumes across it is told the same.

        Where the exchange numbers anew (`to_id` below `from_id`), the older ticks are dropped: no id of
        theirs could be told from a new one.
        """
        if gap.to_id < gap.from_id:
            self._feeds.pop(gap.key, None)
        gaps = self._gaps.get(gap.key)
        if gaps is None:
            gaps = self._gaps[gap.key] = deque(maxlen=_GAPS_KEPT)
        gaps.append(gap)

    def gaps(self, key: StreamKey) -> list[Gap]:
        """Return the declared holes that are remembered, oldest first."""
        return list(self._gaps.get(key, ()))

    def oldest_id(self, key: StreamKey) -> int | None:
        """Return the id of the oldest tick kept, `None` when there is none."""
        feed = self._feeds.get(key)
        return feed[0].id if feed else None

    def count(self, key: StreamKey) -> int:
        """Return how many ticks of a stream are kept."""
        return len(self._feeds.get(key, ()))

    def recent(self, key: StreamKey, count: int) -> list[TradeTick]:
        """Return the newest `count` ticks, oldest first; fewer when there are fewer."""
        feed = self._feeds.get(key)
        if feed is None or count <= 0:
            return []
        return list(islice(feed, max(0, len(feed) - count), None))

    def after(self, key: StreamKey, trade_id: int) -> list[TradeTick]:
        """Return every kept tick with an id greater than `trade_id`, oldest first."""
        found: list[TradeTick] = []
        for tick in reversed(self._feeds.get(key, ())):
            if tick.id <= trade_id or (found and tick.id >= found[-1].id):  # reached, or an older numbering
                break
            found.append(tick)
        found.reverse()
        return found

    def contains(self, key: StreamKey, tick: TradeTick) -> bool:
        """Tell whether this very trade is kept: same id, price and size."""
        for kept in reversed(self._feeds.get(key, ())):
            if kept.id == tick.id:
                return kept.price == tick.price and kept.size == tick.size
        return False

    def discard(self, key: StreamKey) -> None:
        """Forget a stream that nobody wants any more."""
        self._feeds.pop(key, None)
        self._gaps.pop(key, None)

    def __len__(self) -> int:
        """Count the ticks kept, of all streams."""
        return sum(len(feed) for feed in self._feeds.values())
