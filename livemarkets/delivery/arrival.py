"""The order of arrival of one stream: which ids have come, and which are pending. No I/O.

In this order nothing waits: a trade is published when it is read. Ids that were passed over are *pending*
until they are settled, by their trade or by a gap. Every id is published once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

__all__ = ["ArrivalOrder", "Ids", "subtract"]

Ids = tuple[int, int]
"""A range of ids, both ends included."""


class ArrivalOrder:
    """The ids of one stream that have come or were declared, and those that are pending.

    In order of ids, nothing is ever pending.

    Args:
        next_id: the id after the highest one that is known; `None` when none is known yet.
        pending: ranges of ids below `next_id` that are missing, in order.

    """

    __slots__ = ("_firsts", "_lasts", "first_id", "next_id")

    def __init__(self, next_id: int | None = None, pending: Iterable[Ids] = ()) -> None:
        self.next_id = next_id
        self.first_id: int | None = None
        """The first id that came when none was known; `None` when `next_id` was given, or before that id."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in pending:
            self._firsts.append(first)
            self._lasts.append(last)

    @property
    def pending(self) -> tuple[Ids, ...]:
        """The ranges that are missing, in order."""
        return tuple(zip(self._firsts, self._lasts, strict=True))

    @property
    def complete_to(self) -> int:
        """The id up to which nothing is pending; -1 when no id is known."""
        return (self._firsts[0] if self._firsts else self.next_id or 0) - 1

    def is_new(self, trade_id: int) -> bool:
        """Return whether the id has neither come nor been declared."""
        if self.next_id is None or trade_id >= self.next_id:
            return True
        at = bisect_right(self._firsts, trade_id) - 1
        return at >= 0 and trade_id <= self._lasts[at]

    def expect(self, newest_id: int) -> Ids | None:
        """Note that ids up to `newest_id` exist. Return those that are pending from now on."""
        first = self.next_id
        if first is None or newest_id < first:
            return None
        if self._lasts and self._lasts[-1] == first - 1:
            self._lasts[-1] = newest_id
        else:
            self._firsts.append(first)
            self._lasts.append(newest_id)
        self.next_id = newest_id + 1
        return first, newest_id

    def take(self, trade_id: int) -> bool:
        """Note a trade. Return whether its id is new. Ids below it that were passed over become pending."""
        if trade_id == self.next_id:
            self.next_id = trade_id + 1
            return True
        return bool(self.settle(trade_id, trade_id))

    def settle(self, first: int, last: int) -> list[Ids]:
        """Note that these ids came or were declared. Return the new ones among them, in order."""
        if self.next_id is None:
            self.first_id = self.next_id = first
        self.expect(first - 1)
        # Of the ranges that are pending, `begin` to `end` contain some of these ids.
        begin, end = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        settled: list[Ids] = []
        if begin < end:
            settled = [
                (max(low, first), min(high, last))
                for low, high in zip(self._firsts[begin:end], self._lasts[begin:end], strict=True)
            ]
            rest = subtract([(self._firsts[begin], self._lasts[end - 1])], [(first, last)])
            self._firsts[begin:end] = [low for low, _ in rest]
            self._lasts[begin:end] = [high for _, high in rest]
        if last >= self.next_id:
            low = max(first, self.next_id)
            if settled and settled[-1][1] == low - 1:
                low = settled.pop()[0]
            settled.append((low, last))
            self.next_id = last + 1
        return settled

    def restart(self, next_id: int) -> None:
        """Begin a new numbering of the exchange. What is pending in the old one is forgotten."""
        self.next_id = next_id
        self._firsts.clear()
        self._lasts.clear()


def subtract(ranges: Iterable[Ids], others: Sequence[Ids]) -> list[Ids]:
    """Return the ids of `ranges` that are in none of `others`. Both are in order and do not overlap."""
    left: list[Ids] = []
    at = 0
    for first, last in ranges:
        while at < len(others) and others[at][1] < first:
            at += 1
        number = at
        while number < len(others) and others[number][0] <= last:
            if others[number][0] > first:
                left.append((first, others[number][0] - 1))
            first = others[number][1] + 1
            number += 1
        if first <= last:
            left.append((first, last))
    return left
