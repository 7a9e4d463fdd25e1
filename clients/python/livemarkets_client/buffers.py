"""What was received and has not been read yet, each bounded in its own way. No I/O."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from msgspec.structs import replace

from livemarkets_client.continuity import Item
from livemarkets_client.models import Book, Candle, Depth, Gap, Lagged, Pending, Ticker, Trade

__all__ = ["Buffer", "CandlesSkipped", "OlderReplaced", "OldestSkipped", "Waiting"]

T = TypeVar("T", bound=Item)


class Buffer(Protocol[T]):
    """Items in the order in which they are to be read."""

    def __len__(self) -> int: ...

    @property
    def is_full(self) -> bool:
        """Whether the connection has to wait until something is read."""

    def put(self, item: T) -> None:
        """Add an item."""

    def pop(self) -> T | None:
        """Take the next item; `None` when there is none."""


class Waiting(Generic[T]):
    """Nothing is skipped: when it is full, the connection is not read, until the server skips something."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Whether there is no room."""
        return len(self._items) >= self._capacity

    def put(self, item: T) -> None:
        """Add an item, beyond the capacity too: one message may bring many."""
        self._items.append(item)

    def pop(self) -> T | None:
        """Take the oldest."""
        return self._items.popleft() if self._items else None


_TradeItem = Trade | Gap | Lagged | Pending


class OldestSkipped:
    """Trades: when it is full, the oldest are skipped, and a `Lagged` says which."""

    is_full = False

    def __init__(self, capacity: int) -> None:
        self._items: deque[_TradeItem] = deque()
        self._capacity = capacity
        self._skipped: dict[str, deque[Gap | Lagged | Pending]] = {}  # by symbol, before all of its items

    def __len__(self) -> int:
        return len(self._items) + sum(map(len, self._skipped.values()))

    def put(self, item: _TradeItem) -> None:
        """Add an item, and skip the oldest one if there is no room for it."""
        self._items.append(item)
        if len(self._items) > self._capacity:
            self._skip(self._items.popleft())

    def pop(self) -> _TradeItem | None:
        """Take the oldest; what was skipped is said first."""
        for symbol, skipped in self._skipped.items():
            item = skipped.popleft()
            if not skipped:
                del self._skipped[symbol]
            return item
        return self._items.popleft() if self._items else None

    def _skip(self, item: _TradeItem) -> None:
        skipped = self._skipped.setdefault(item.symbol, deque())
        if isinstance(item, Pending) or (isinstance(item, Gap) and item.restarts_ids):
            skipped.append(item)
            return
        first, last, count = (
            (item.id, item.id, 1)
            if isinstance(item, Trade)
            else (item.from_id, item.to_id, item.skipped if isinstance(item, Lagged) else 0)
        )
        if skipped and isinstance(before := skipped[-1], Lagged) and before.to_id + 1 == first:
            first, count = before.from_id, before.skipped + count
            skipped.pop()
        skipped.append(
            Lagged(
                exchange=item.exchange,
                symbol=item.symbol,
                from_id=first,
                to_id=last,
                skipped=count,
                by="client",
            )
        )


U = TypeVar("U", Trade, Ticker, Book, Depth)


class OlderReplaced(Generic[U]):
    """Updates of which the newest wins: one for each symbol, which says how many it has replaced."""

    is_full = False

    def __init__(self) -> None:
        self._items: dict[str, U] = {}

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: U) -> None:
        """Put it in the place of the one before of its symbol."""
        before = self._items.get(item.symbol)
        if before is not None:
            item = replace(item, skipped=item.skipped + before.skipped + 1)
        self._items[item.symbol] = item

    def pop(self) -> U | None:
        """Take the one that has waited longest."""
        return self._items.pop(next(iter(self._items))) if self._items else None


class CandlesSkipped:
    """Candles: an update of a running candle replaces the one before; closed candles are never skipped."""

    def __init__(self, capacity: int) -> None:
        self._items: dict[int, Item] = {}
        self._running: dict[str, int] = {}  # symbol → the key of its running candle, if that is unread
        self._capacity = capacity
        self._next = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Whether there is no room: closed candles wait."""
        return len(self._items) >= self._capacity

    def put(self, item: Item) -> None:
        """Add an item."""
        key = self._next
        self._next += 1
        if isinstance(item, Candle):
            before = self._items.pop(self._running.pop(item.symbol, -1), None)
            if isinstance(before, Candle):
                item = replace(item, skipped=item.skipped + before.skipped + 1)
            if not item.closed:
                self._running[item.symbol] = key
        self._items[key] = item

    def pop(self) -> Item | None:
        """Take the oldest."""
        if not self._items:
            return None
        key = next(iter(self._items))
        item = self._items.pop(key)
        if self._running.get(item.symbol) == key:
            del self._running[item.symbol]
        return item
