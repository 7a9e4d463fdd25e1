"""An order book: price levels with their sizes, and what changed for those who follow it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

__all__ = ["Changes", "Depth", "OrderBook", "Side"]


class Depth(msgspec.Struct, frozen=True, gc=False):
    """Some levels of a book as (price, size), the best first; amounts in 10⁻⁸."""

    update_id: int
    bids: Sequence[tuple[int, int]]
    asks: Sequence[tuple[int, int]]


class Side:
    """One side of a book. The keys of its levels rise towards the best: prices of bids, of asks negated.

    Args:
        sign: 1 for bids, -1 for asks.

    """

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.sizes: list[int] = []

    @property
    def best(self) -> int:
        """The best price; the side must have a level."""
        return self.keys[-1] * self.sign

    def size_at(self, key: int) -> int:
        """Return the size of a level; 0 where there is none."""
        at = bisect_left(self.keys, key)
        return self.sizes[at] if at < len(self.keys) and self.keys[at] == key else 0

    def top(self, limit: int) -> list[tuple[int, int]]:
        """Return (price, size) of the best levels, the best first."""
        sign = self.sign
        keys, sizes = self.keys[: -limit - 1 : -1], self.sizes[: -limit - 1 : -1]
        return [(key * sign, size) for key, size in zip(keys, sizes, strict=True)]


class Changes:
    """The levels of a book that changed since they were last taken.

    Args:
        update_id: the update of the book until which everything is known.

    """

    def __init__(self, update_id: int) -> None:
        self.until_id = update_id
        self.keys: set[int] = set()


class OrderBook:
    """Both sides of a book, and the number of its last update.

    Every change of a level is one update.

    Args:
        update_id: the number of the last update.

    """

    def __init__(self, update_id: int) -> None:
        self.bids = Side(1)
        self.asks = Side(-1)
        self.update_id = update_id
        self._followers: list[Changes] = []

    def follow(self) -> Changes:
        """Return a record of the changes from now on. Without one, changes are not recorded."""
        changes = Changes(self.update_id)
        self._followers.append(changes)
        return changes

    def unfollow(self, changes: Changes) -> None:
        """End a record."""
        self._followers.remove(changes)

    def take(self, changes: Changes) -> tuple[int, int, Depth] | None:
        """Return first and last update and the changed levels since the last call; `None` without a change.

        The size of a level that is gone is 0.
        """
        if changes.until_id == self.update_id:
            return None
        first_id = changes.until_id + 1
        keys = sorted(changes.keys, reverse=True)
        bids = [(key, self.bids.size_at(key)) for key in keys if key > 0]
        asks = [(-key, self.asks.size_at(key)) for key in keys if key < 0]
        changes.keys.clear()
        changes.until_id = self.update_id
        return first_id, self.update_id, Depth(self.update_id, bids, asks)

    def depth(self, limit: int) -> Depth:
        """Return the best levels of both sides."""
        return Depth(self.update_id, self.bids.top(limit), self.asks.top(limit))

    def note(self, key: int) -> None:
        """Count an update of a level whose size was changed in place."""
        self.update_id += 1
        for changes in self._followers:
            changes.keys.add(key)

    def pop(self, side: Side) -> None:
        """Remove the best level."""
        side.sizes.pop()
        self.note(side.keys.pop())

    def push(self, side: Side, key: int, size: int) -> None:
        """Add a level that is better than all others."""
        side.keys.append(key)
        side.sizes.append(size)
        self.note(key)

    def put(self, side: Side, key: int, size: int) -> None:
        """Set the size of any level; 0 removes it."""
        at = bisect_left(side.keys, key)
        exists = at < len(side.keys) and side.keys[at] == key
        if size and exists:
            side.sizes[at] = size
        elif size:
            side.keys.insert(at, key)
            side.sizes.insert(at, size)
        elif exists:
            del side.keys[at], side.sizes[at]
        else:
            return
        self.note(key)

    def forget(self, side: Side, count: int) -> None:
        """Remove the `count` worst levels."""
        for key in side.keys[:count]:
            self.note(key)
        del side.keys[:count], side.sizes[:count]

    def prepend(self, side: Side, keys: Sequence[int], sizes: Sequence[int]) -> None:
        """Add levels that are worse than all others, the worst first."""
        side.keys[:0] = keys
        side.sizes[:0] = sizes
        for key in keys:
            self.note(key)
