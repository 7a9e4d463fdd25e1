"""The holes of one ledger: ranges of missing ids, in order, with what is known about each. No I/O.

Times are monotonic seconds, passed in by the caller.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter

from livemarkets.feed.outcome import LedgerLimits
from livemarkets.market.models import GapCause

__all__ = ["Hole", "Holes"]

_first_of = attrgetter("first")
_last_of = attrgetter("last")


class Hole:
    """A range of ids that is missing at present."""

    __slots__ = ("absent_since", "ask_at", "asks", "cause", "denials", "first", "last", "waiting_since")

    def __init__(self, first: int, last: int, ask_at: float) -> None:
        self.first = first
        self.last = last
        """Included."""
        self.waiting_since: float | None = None
        """When the first trade with a higher id arrived; `None` while no trade waits behind this hole."""
        self.ask_at = ask_at
        """When the exchange may be asked for these ids."""
        self.asks = 0
        """How often the exchange was asked without success."""
        self.denials = 0
        """How many answers ended with the newest trade, without these ids."""
        self.absent_since: float | None = None
        """When an answer first lacked these ids and held ids on both sides of them."""
        self.cause: GapCause | None = None
        """The cause with which these ids are declared as soon as it is their turn; `None`: not decided."""

    def part(self, first: int, last: int) -> Hole:
        """Return a part of this hole. That a part of it arrived refutes that the exchange lacked it."""
        part = Hole(first, last, self.ask_at)
        part.waiting_since, part.asks, part.cause = self.waiting_since, self.asks, self.cause
        return part


class Holes:
    """Holes in the order of their ids.

    A trade behind one hole is behind all earlier holes too. So `waiting_since` never falls from one hole to
    the next, and holes without it come last.
    """

    __slots__ = ("_holes", "_limits", "fetched")

    def __init__(self, limits: LedgerLimits) -> None:
        self.fetched = 0
        """Missing trades that were fetched."""
        self._limits = limits
        self._holes: list[Hole] = []

    def __bool__(self) -> bool:
        return bool(self._holes)

    def __len__(self) -> int:
        return len(self._holes)

    def __iter__(self) -> Iterator[Hole]:
        return iter(self._holes)

    def __getitem__(self, index: int) -> Hole:
        return self._holes[index]

    def add(self, hole: Hole) -> None:
        """Add a hole above all others."""
        self._holes.append(hole)

    def remove_first(self, count: int) -> None:
        """Remove the first `count` holes."""
        del self._holes[:count]

    def remove_above(self, trade_id: int, newest_held: int) -> None:
        """Remove what lies above an id. The highest trade that still waits has the id `newest_held`."""
        holes = self._holes
        while holes and holes[-1].first > trade_id:
            holes.pop()
        if holes and holes[-1].last > trade_id:
            holes[-1].last = trade_id
        for hole in reversed(holes):
            if hole.first < newest_held:
                break
            hole.waiting_since = None

    def close(self, ids: Sequence[int]) -> None:
        """Remove single ids, in rising order, from the holes that contain them."""
        if not ids or not self._holes or ids[0] > self._holes[-1].last:
            return
        start = bisect_left(self._holes, ids[0], key=_last_of)
        end = bisect_right(self._holes, ids[-1], lo=start, key=_first_of)
        parts: list[Hole] = []
        for hole in self._holes[start:end]:
            inside = ids[bisect_left(ids, hole.first) : bisect_right(ids, hole.last)]
            if not inside:
                parts.append(hole)
                continue
            first = hole.first
            for trade_id in (*inside, hole.last + 1):
                if first < trade_id:
                    parts.append(hole.part(first, trade_id - 1))
                first = trade_id + 1
        self._holes[start:end] = parts

    def settle(self, trade_id: int, cause: GapCause) -> None:
        """Decide the cause of one missing id, unless it is decided already."""
        index = bisect_left(self._holes, trade_id, key=_last_of)
        if index == len(self._holes):
            return
        hole = self._holes[index]
        if hole.first > trade_id or hole.cause is not None:
            return
        part = hole.part(trade_id, trade_id)
        part.cause = cause
        self.close([trade_id])
        self._holes.insert(bisect_left(self._holes, trade_id, key=_first_of), part)

    def note_waiting(self, trade_id: int, now: float) -> None:
        """Note that a trade with this id arrived: it waits behind all holes below it."""
        holes = self._holes
        if not holes or holes[-1].waiting_since is not None:
            return
        for hole in reversed(holes):
            if hole.waiting_since is not None:
                return
            if hole.first < trade_id:
                hole.waiting_since = now

    def note_answer(self, lowest_id: int, highest_id: int, now: float) -> None:
        """Note an answer with ids from `lowest_id` to `highest_id`. It holds none of the missing ids.

        An id that two answers lacked, some seconds apart, while they held ids on both sides of it, does not
        exist at the exchange.
        """
        start = bisect_right(self._holes, lowest_id, key=_first_of)
        end = bisect_left(self._holes, highest_id, lo=start, key=_last_of)
        for hole in self._holes[start:end]:
            if hole.absent_since is None:
                hole.absent_since = now
            elif hole.cause is None and now - hole.absent_since >= self._limits.proof_seconds:
                hole.cause = "venue"

    def due(self, now: float) -> Hole | None:
        """Return the first hole for which the exchange should be asked now."""
        for hole in self._holes:
            if hole.cause is None and hole.ask_at <= now:
                return hole
        return None

    def postpone(self, to_id: int | None, now: float, at_least_seconds: float = 0.0) -> None:
        """Note that an answer, or a failure, left holes open. They are asked for again later.

        Args:
            to_id: up to which id; `None`: all holes.
            now: monotonic seconds.
            at_least_seconds: how long not to ask at all.

        """
        limits = self._limits
        for hole in self._holes:
            if to_id is not None and hole.first > to_id:
                return
            if hole.ask_at <= now:
                waits = hole.waiting_since is not None
                most = limits.retry_most_seconds if waits else limits.retry_idle_seconds
                delay = min(limits.retry_seconds * 2 ** min(hole.asks, 16), most)
                hole.ask_at = now + delay
                hole.asks += 1
            hole.ask_at = max(hole.ask_at, now + at_least_seconds)

    def begin_anew(self, now: float) -> None:
        """Count time limits from now on, and ask as soon as somebody can be asked."""
        for hole in self._holes:
            hole.ask_at, hole.asks = min(hole.ask_at, now), 0
            if hole.waiting_since is not None:
                hole.waiting_since = now

    def open(self) -> list[tuple[int, int]]:
        """Return the first and last id of every hole that may still be closed, in order."""
        return [(hole.first, hole.last) for hole in self._holes if hole.cause is None]

    def is_overdue(self, now: float) -> bool:
        """Return whether a trade has waited for the time limit."""
        return bool(self._holes) and self._is_overdue(self._holes[0], now)

    def _is_overdue(self, hole: Hole, now: float) -> bool:
        """Return whether a trade has waited behind this hole for the time limit."""
        since = hole.waiting_since
        return since is not None and now - since >= self._limits.patience_seconds

    def settle_overdue(self, now: float) -> None:
        """Decide that what is overdue is lost."""
        for hole in self._holes:
            if not self._is_overdue(hole, now):
                return
            hole.cause = hole.cause or "upstream"

    def settle_all(self, cause: GapCause) -> None:
        """Decide the cause of all that is not decided."""
        for hole in self._holes:
            hole.cause = hole.cause or cause
