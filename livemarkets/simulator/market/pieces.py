"""Work that is cut into pieces, so that one turn of the event loop is short."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

__all__ = ["FIRST", "Pieces"]

FIRST = 16
"""The cost of an item that is computed for the first time, usually 1 to 3 ms; else it is 1, under 0.1 ms."""
_MOST_COST = 64

T = TypeVar("T")


class Pieces(Generic[T]):
    """Items that are yet to be done, oldest first."""

    def __init__(self) -> None:
        self._left: deque[T] = deque()

    def __bool__(self) -> bool:
        return bool(self._left)

    def begin(self, items: Iterable[T]) -> None:
        """Set what is to be done."""
        self._left = deque(items)

    def keep(self, is_wanted: Callable[[T], bool]) -> None:
        """Forget the items that are not wanted any more."""
        self._left = deque(item for item in self._left if is_wanted(item))

    def do_some(self, do: Callable[[T], int]) -> None:
        """Do as much as one turn allows. `do` returns the cost of an item."""
        cost = 0
        while self._left and cost < _MOST_COST:
            cost += do(self._left.popleft())
