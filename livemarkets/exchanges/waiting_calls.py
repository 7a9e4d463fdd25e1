"""The calls of one purpose that wait for their turn, in an order in which thousands cost little. No I/O.

Thousands of readers may wait at once, and each asks whether it still would. So what is asked often, by weight
and by age, is kept up to date with every call that comes and goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import chain
from typing import Generic, Protocol, TypeVar

__all__ = ["WaitingCalls"]


class _Call(Protocol):
    asker: str | None
    weight: int


C = TypeVar("C", bound=_Call)


class _Queue(OrderedDict[C, None], Generic[C]):
    """The calls of one asker, oldest first. Taking the first or any other one costs the same."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    @property
    def first(self) -> C:
        return next(iter(self))


class WaitingCalls(Generic[C]):
    """Calls, of which each asker's oldest one is first."""

    def __init__(self) -> None:
        self._by_age: OrderedDict[C, None] = OrderedDict()
        self._queues: dict[str | None, _Queue[C]] = {}
        self._firsts: dict[int, dict[int, C]] = {}  # by weight and place
        self._places = 0

    def __len__(self) -> int:
        return len(self._by_age)

    @property
    def oldest(self) -> C | None:
        """The call that waits longest."""
        return next(iter(self._by_age), None)

    @property
    def weights(self) -> list[int]:
        """The different weights of the askers' first calls."""
        return list(self._firsts)

    def firsts(self, weights: Iterable[int]) -> Iterable[tuple[int, C]]:
        """Return the first calls of askers that have one of these weights.

        With each comes the asker's place among all: the lower, the earlier it began to wait.
        """
        return chain.from_iterable(self._firsts[weight].items() for weight in weights)

    def first_of(self, asker: str | None) -> C | None:
        """Return the first call of an asker; `None` if it waits for none."""
        queue = self._queues.get(asker)
        return None if queue is None else queue.first

    def add(self, call: C) -> None:
        """Add a call, as the youngest."""
        self._by_age[call] = None
        queue = self._queues.get(call.asker)
        if queue is None:
            self._places += 1
            queue = self._queues[call.asker] = _Queue(self._places)
            self._firsts.setdefault(call.weight, {})[queue.place] = call
        queue[call] = None

    def remove(self, call: C) -> None:
        """Remove a call. One that does not wait is ignored."""
        if call not in self._by_age:
            return
        del self._by_age[call]
        queue = self._queues[call.asker]
        was_first = queue.first is call
        del queue[call]
        if not queue:
            del self._queues[call.asker]
        if was_first:
            same = self._firsts[call.weight]
            del same[queue.place]
            if not same:
                del self._firsts[call.weight]
            if queue:
                self._firsts.setdefault(queue.first.weight, {})[queue.place] = queue.first
