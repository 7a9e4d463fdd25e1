"""The order of arrival of one stream of trades: which ids have come, and which are still open. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from livemarkets_client.continuity import Account, Item, gap_of, lagged_of
from livemarkets_client.messages import GapMessage, LaggedMessage, Update
from livemarkets_client.models import Gap, Lagged, Pending, Trade

__all__ = ["ArrivalAccount", "ArrivalPositions", "Ids", "OpenIds"]

Ids = tuple[int, int]
"""A range of ids, both ends included."""


class OpenIds:
    """The ids of a stream that were passed over, and have neither come nor been declared.

    Args:
        after: the id before the first one; `None`: the first one that comes is the first.

    """

    def __init__(self, after: int | None = None) -> None:
        self.next_id = None if after is None else after + 1
        """The id after the highest one that is known; `None` when none is known yet."""
        self._begin: int | None = None
        """The lowest id that has come. Lower ones may turn out to be pending; `None`: they cannot."""
        self._is_begun = after is not None
        self._open: list[Ids] = []

    @property
    def complete_to(self) -> int | None:
        """The id up to which nothing is open; `None` when none is known yet."""
        if self.next_id is None:
            return None
        return (self._open[0][0] if self._open else self.next_id) - 1

    @property
    def known(self) -> list[Ids]:
        """What has come, and what the program had before."""
        return [] if self.next_id is None else _without([(self._begin or 0, self.next_id - 1)], self._open)

    def settle(self, first: int, last: int) -> tuple[list[Ids], list[Ids]]:
        """Note that ids came or were declared. Return those that are open from now on, and the new ones."""
        self._begin_at(first)
        opened = self._expect(first - 1)
        assert self.next_id is not None
        settled = _common(self._open, (first, last))
        if settled:
            self._open = _without(self._open, settled)
        if last >= self.next_id:
            settled.append((max(first, self.next_id), last))
            self.next_id = last + 1
        return opened, settled

    def open(self, first: int, last: int) -> tuple[list[Ids], list[Ids]]:
        """Note that ids are pending. Return those of which nothing was known, and those that had come."""
        self._begin_at(first)
        assert self.next_id is not None
        opened, begin = [], self._begin
        if begin is not None and first < begin:
            opened.append((first, min(last, begin - 1)))
            self._begin = first
        came = _without(
            [(first if begin is None else max(first, begin), min(last, self.next_id - 1))], self._open
        )
        self._open = sorted([*self._open, *opened, *came])
        opened += self._expect(last)
        return opened, came

    def restart(self, next_id: int) -> None:
        """Begin a new numbering of the exchange. Nothing of the old one is open."""
        self.next_id, self._begin, self._is_begun = next_id, None, True
        self._open.clear()

    def _begin_at(self, first: int) -> None:
        if not self._is_begun:
            self.next_id = self._begin = first
            self._is_begun = True

    def _expect(self, newest_id: int) -> list[Ids]:
        assert self.next_id is not None
        if newest_id < self.next_id:
            return []
        opened = (self.next_id, newest_id)
        self._open.append(opened)
        self.next_id = newest_id + 1
        return [opened]


class ArrivalAccount(Account):
    """Every trade of a symbol in the order in which the server reads them, each id once.

    Args:
        after: the id up to which the program has everything; `None`: the account begins with the first one.

    """

    def __init__(self, after: int | None = None) -> None:
        self._ids = OpenIds(after)
        self._earlier = self._ids.known  # from earlier connections; this server may call it pending

    @property
    def after(self) -> int | None:
        """The id up to which nothing is open."""
        return self._ids.complete_to

    def reconnect(self) -> None:
        """Begin a new connection: what its server has not read may be here already."""
        self._earlier = self._ids.known

    def take(self, update: Update) -> Sequence[Item]:
        """Return the trade if its id is new, behind what it shows to be missing."""
        assert isinstance(update, Trade)
        opened, settled = self._ids.settle(update.id, update.id)
        if not settled:  # from now on, this server has it too
            self._earlier = _without(self._earlier, [(update.id, update.id)])
        pending = _pending(update, opened)
        return [*pending, update] if settled else pending

    def take_gap(self, message: GapMessage) -> Sequence[Item]:
        """Return what is new of a gap."""
        if message.to_id < message.from_id:
            self._ids.restart(message.to_id + 1)
            self._earlier = []
            return [gap_of(message, message.from_id, message.to_id)]
        if message.cause == "pending":
            opened, came = self._ids.open(message.from_id, message.to_id)
            again = _without(came, self._earlier)
            for first, last in _without(came, again):
                self._ids.settle(first, last)
            return _pending(message, opened) + _pending(message, again, takes_back=True)
        opened, settled = self._ids.settle(message.from_id, message.to_id)
        return [*_pending(message, opened), *(gap_of(message, first, last) for first, last in settled)]

    def take_lagged(self, message: LaggedMessage) -> Sequence[Item]:
        """Return what is new of it."""
        opened, settled = self._ids.settle(message.from_id, message.to_id)
        return [*_pending(message, opened), *(lagged_of(message, first, last) for first, last in settled)]


class ArrivalPositions:
    """How far a program has read: by symbol, the id up to which nothing is open for it.

    Args:
        after: by symbol, the id up to which it has everything.

    """

    def __init__(self, after: Mapping[str, int]) -> None:
        self._ids = {symbol: OpenIds(last) for symbol, last in after.items()}

    def note(self, item: Item) -> None:
        """Note that the program has read an item."""
        ids = self._ids.setdefault(item.symbol, OpenIds())
        match item:
            case Trade():
                ids.settle(item.id, item.id)
            case Gap() if item.restarts_ids:
                ids.restart(item.to_id + 1)
            case Gap() | Lagged():
                ids.settle(item.from_id, item.to_id)
            case Pending():
                ids.open(item.from_id, item.to_id)

    def by_symbol(self) -> dict[str, int]:
        """Return the positions that are known."""
        return {symbol: last for symbol, ids in self._ids.items() if (last := ids.complete_to) is not None}


def _pending(
    of: Trade | GapMessage | LaggedMessage, ranges: Iterable[Ids], *, takes_back: bool = False
) -> list[Item]:
    return [
        Pending(exchange=of.exchange, symbol=of.symbol, from_id=first, to_id=last, takes_back=takes_back)
        for first, last in ranges
    ]


def _common(ranges: Iterable[Ids], other: Ids) -> list[Ids]:
    """Return the ids of `ranges` that are in `other` too."""
    return [
        (max(first, other[0]), min(last, other[1]))
        for first, last in ranges
        if first <= other[1] and last >= other[0]
    ]


def _without(ranges: Iterable[Ids], others: Iterable[Ids]) -> list[Ids]:
    """Return the ids of `ranges` that are in none of `others`."""
    left = [(first, last) for first, last in ranges if first <= last]
    for low, high in others:
        left = [
            piece
            for first, last in left
            for piece in ((first, min(last, low - 1)), (max(first, high + 1), last))
            if piece[0] <= piece[1]
        ]
    return left
