"""The trade-id ledger of one stream: order, duplicates, missing ids. No I/O.

Trade ids are consecutive per symbol. The next trade is released. One that was released before is dropped and
counted. A trade ahead of the next id is held, because two overlapping connections are not in step. A *hole*
is a range of ids that is missing at present. A *gap* is a hole that was given up, or of which the cause is
known. Downstream, ids rise by exactly 1 or a gap stands between them. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from livemarkets.feed.false_ids import Peak, Renumbering, Suspect
from livemarkets.feed.holes import Hole, Holes
from livemarkets.feed.outcome import NOTHING, LedgerLimits, Outcome, Released, add_gap
from livemarkets.market.models import Gap, StreamKey, TradeTick

__all__ = ["Ledger", "LedgerLimits", "Outcome", "Released"]


class Ledger:
    """Order and completeness of one stream.

    Args:
        key: the stream.
        limits: sizes and time limits (:class:`LedgerLimits`).
        was_released: returns whether this trade (id, price and size) was released recently. It is called
            only for ids below the next one.

    """

    __slots__ = (
        "_held",
        "_is_disturbed",
        "_newest_held",
        "_peak",
        "_renumbering",
        "_top",
        "duplicates",
        "holes",
        "key",
        "last_ts",
        "limits",
        "next_id",
        "suspect",
    )

    def __init__(
        self,
        key: StreamKey,
        limits: LedgerLimits,
        was_released: Callable[[TradeTick], bool] = lambda tick: False,
    ) -> None:
        self.key = key
        self.limits = limits
        self.next_id: int | None = None
        """The next id to release; `None` before the first trade."""
        self.duplicates = 0
        self.suspect = Suspect(limits)
        self.holes = Holes(limits)
        """What is missing. The first hole begins with :attr:`next_id`."""
        # Each id from `next_id` to `_top` is held or in a hole.
        self._held: dict[int, TradeTick] = {}
        self._top = -1  # the highest id that was seen or is known, while there is a hole
        self._newest_held = -1
        self._peak = Peak()
        self.last_ts = 0
        """When the newest released trade was executed, ms since the epoch."""
        self._renumbering = Renumbering(limits, was_released)
        self._is_disturbed = False  # there is a hole, or a sign of a new numbering

    @property
    def held(self) -> int:
        """How many ticks are held behind a hole."""
        return len(self._held)

    @property
    def complete_to(self) -> int | None:
        """The id up to which nothing is missing; `None` before the first trade."""
        return None if self.next_id is None else self.next_id - 1

    def take_if_next(self, tick: TradeTick) -> bool:
        """Release the tick if it has the next id and there is no hole. Return whether it was released."""
        if tick.id != self.next_id or self._is_disturbed:
            return False
        self.next_id = tick.id + 1
        self.last_ts = tick.ts
        return True

    def accept(self, tick: TradeTick, now: float) -> Outcome:
        """Process any tick of the stream."""
        trade_id, expected = tick.id, self.next_id
        if expected is None or trade_id == expected:
            self._renumbering.clear()
            if not self.holes:
                self.next_id, self.last_ts, self._is_disturbed = trade_id + 1, tick.ts, False
                return Outcome([tick], [tick])
        elif trade_id < expected:
            return self._handle_behind(tick)
        elif trade_id == self._top + 1 == self._newest_held + 1 and self.held < self.limits.held_ticks:
            # The next one after the last held: no hole changes.
            self._held[trade_id] = tick
            self._top = self._newest_held = trade_id
            self._peak.note(trade_id, now)
            return Outcome((), (tick,))
        elif trade_id in self._held or self._renumbering.is_of_before(tick):
            self.duplicates += 1
            return NOTHING
        elif self._is_far(trade_id):
            return self._accept_far(tick, now)
        opened = self._hold([tick], now)
        self._peak.note(trade_id, now)
        released: list[Released] = self._drain() if trade_id == expected else []
        while len(self._held) > self.limits.held_ticks:
            self.holes[0].cause = "upstream"
            released += self._drain()
        return Outcome(released, [tick], opened)

    def reject(self, trade_id: int, now: float) -> Outcome:
        """Process an id that the exchange sent with impossible values. It becomes a gap, in its turn."""
        if self.next_id is None or self._is_far(trade_id):
            return NOTHING
        return Outcome(opened=self._settle_invalid(trade_id, now), released=self._drain())

    def begin(self, next_id: int) -> None:
        """Set the first id, if no trade has arrived yet."""
        if self.next_id is None:
            self.next_id = next_id

    def expect(self, newest_id: int, now: float) -> Outcome:
        """Note that the exchange is said to have ids up to `newest_id`. One that is absurdly far is ignored.

        No gap is declared only because of this: if the ids are never seen, the hole is forgotten.
        """
        if self.next_id is None or self._is_far(newest_id):
            return NOTHING
        return Outcome(opened=self._open_to(newest_id, now, due_at=now))

    def newest_seen(self) -> int:
        """Return the newest id that was released or is held; -1 before the first."""
        return -1 if self.next_id is None else max(self._newest_held, self.next_id - 1)

    def newest_known(self) -> int | None:
        """Return the highest id that the exchange is known to have; `None` before the first trade."""
        return None if self.next_id is None else max(self._top, self.next_id - 1)

    def missing(self) -> tuple[int, int] | None:
        """Return the first and last id of the first hole; `None` when there is no hole."""
        return (self.holes[0].first, self.holes[0].last) if self.holes else None

    def waiting(self) -> list[TradeTick]:
        """Return the ticks that are held behind a hole, in the order of ids."""
        return [self._held[trade_id] for trade_id in sorted(self._held)]

    def fill(self, ticks: Iterable[TradeTick], invalid_ids: Iterable[int], now: float) -> Outcome:
        """Process an answer of the exchange: all trades that it has within a range of ids.

        Args:
            ticks: the trades, in any order. Known ones prove that the answer spans what is between them.
            invalid_ids: ids that the exchange has with impossible values.

        """
        if self.next_id is None:
            return NOTHING
        found = {tick.id: tick for tick in ticks if not self._is_far(tick.id)}
        invalid = sorted(trade_id for trade_id in invalid_ids if not self._is_far(trade_id))
        present = sorted([*found, *invalid])
        arrived = [
            found[trade_id]
            for trade_id in sorted(found)
            if trade_id >= self.next_id and trade_id not in self._held
        ]
        opened = self._hold(arrived, now)
        for trade_id in invalid:
            opened += self._settle_invalid(trade_id, now)
        if present:
            self.holes.note_answer(present[0], present[-1], now)
        return Outcome(self._drain(), arrived, opened)

    def give_up(self, now: float) -> Outcome:
        """Declare gaps, cause `upstream`, for the holes that are overdue."""
        self.holes.settle_overdue(now)
        return Outcome(self._drain())

    def forget_expected(self) -> None:
        """Undo :meth:`expect`: what is known beyond the trades that were seen."""
        self._lower_top(self.newest_seen())

    def drop_impostor(self, now: float) -> TradeTick | None:
        """Drop the highest held tick if its id is false (:class:`~livemarkets.feed.false_ids.Peak`).

        Return the tick, or `None` when nothing was dropped.
        """
        peak = self._peak.id
        if peak not in self._held or peak != self._top:
            return None
        if not self._peak.is_false(last := self.holes[-1], self.limits, now):
            return None
        impostor = self._held.pop(peak)
        self._newest_held = max(self._held, default=-1)
        self._peak.lower(self._newest_held, now)
        self._lower_top(last.first - 1)
        return impostor

    def _is_far(self, trade_id: int) -> bool:
        assert self.next_id is not None
        return trade_id - max(self._top, self.next_id) > self.limits.far_ids

    def _accept_far(self, tick: TradeTick, now: float) -> Outcome:
        """Take a tick with an absurdly high id if the one before confirms it, else remember it."""
        arrived = self.suspect.judge(tick)
        if not arrived:
            return NOTHING
        opened = self._hold(arrived, now)
        self._peak.note(arrived[1].id, now)
        return Outcome((), arrived, opened)

    def _hold(self, ticks: Sequence[TradeTick], now: float) -> list[tuple[int, int]]:
        """Hold new ticks, in rising order of ids. Return the ranges that are missing now below them."""
        opened: list[tuple[int, int]] = []
        if not ticks:
            return opened
        self.holes.close([tick.id for tick in ticks])
        for tick in ticks:
            if tick.id > self._top + 1:
                opened += self._open_to(tick.id - 1, now)
            self._held[tick.id] = tick
            if tick.id > self._top:
                self._top = tick.id
        self._newest_held = max(self._newest_held, tick.id)
        self.holes.note_waiting(tick.id, now)
        return opened

    def _settle_invalid(self, trade_id: int, now: float) -> Sequence[tuple[int, int]]:
        opened = self._open_to(trade_id - 1, now)
        self._open_to(trade_id, now)
        self.holes.settle(trade_id, "invalid")
        return opened

    def _open_to(self, last_id: int, now: float, due_at: float | None = None) -> Sequence[tuple[int, int]]:
        """Open a hole above all known ids, if `last_id` is above them."""
        assert self.next_id is not None
        first = max(self._top + 1, self.next_id)
        if last_id < first:
            return ()
        self.holes.add(Hole(first, last_id, now + self.limits.hold_seconds if due_at is None else due_at))
        self._top = last_id
        self._is_disturbed = True
        return ((first, last_id),)

    def _lower_top(self, trade_id: int) -> None:
        """Forget that ids above this one are missing. No trade may be held above it."""
        self._top = trade_id
        self.holes.remove_above(trade_id, self._newest_held)
        self._is_disturbed = bool(self.holes or self._renumbering)

    def _handle_behind(self, tick: TradeTick) -> Outcome:
        """Drop a duplicate, or begin anew after the exchange restarted its numbering."""
        arrived = self._renumbering.judge(tick, self.last_ts)
        self._is_disturbed = bool(self.holes or self._renumbering)
        if not arrived:
            self.duplicates += 1
            return NOTHING
        self.duplicates -= len(arrived) - 1
        # Missing ids of the old numbering cannot be fetched any more; held ticks are genuine.
        self._lower_top(self.newest_seen())
        self.holes.settle_all("upstream")
        released = self._drain()
        assert self.next_id is not None
        self._renumbering.note_end(self.next_id - 1, self.last_ts)
        released += [Gap(self.key, self.next_id, arrived[0].id - 1, "venue"), *arrived]
        self.next_id = tick.id + 1
        self.last_ts = tick.ts
        self._newest_held = self._top = -1
        self._peak, self.suspect = Peak(), Suspect(self.limits)
        return Outcome(released, arrived)

    def _drain(self) -> list[Released]:
        """Release the ticks, and the gaps whose cause is decided, up to the first hole without a cause."""
        held, holes = self._held, self.holes
        released: list[Released] = []
        if (next_id := self.next_id) is None:
            return released
        ended = 0  # holes
        while True:
            if (tick := held.pop(next_id, None)) is not None:
                released.append(tick)
                self.last_ts = max(self.last_ts, tick.ts)
                next_id += 1
                continue
            hole = holes[ended] if ended < len(holes) else None
            if hole is None or hole.cause is None:
                break
            add_gap(released, Gap(self.key, hole.first, hole.last, hole.cause))
            next_id, ended = hole.last + 1, ended + 1
        self.next_id = next_id
        holes.remove_first(ended)
        if not holes:
            self._is_disturbed = bool(self._renumbering)
        return released
