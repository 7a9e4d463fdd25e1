"""The trade-id ledger of one stream: order, duplicates, missing ids. No I/O.

Trade ids are consecutive per symbol, so the ledger knows the next id. The next trade is released. A trade
that was released before is dropped and counted. A trade ahead of the next id is held, because two overlapping
connections are not in step. A *hole* is a range of ids that is missing at present; it is fetched when it does
not close soon. A *gap* is a hole that was given up, and is declared. Downstream, ids rise by exactly 1 or
a :class:`~livemarkets.market.models.Gap` stands between them.

Times are monotonic seconds, passed in by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from livemarkets.market.models import Gap, GapCause, StreamKey, TradeTick

__all__ = ["Ledger", "LedgerLimits", "Released"]

Released = TradeTick | Gap


class LedgerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and time limits of one ledger."""

    hold_seconds: float = 0.25
    """How long to wait for late trades before the missing range is fetched."""
    patience_seconds: float = 15.0
    """How long a hole may stay open in total. After that, a gap is declared."""
    held_ticks: int = 50_000
    """How many ticks may be held behind a hole. Beyond that, a gap is declared at once."""
    backfill_trades: int = 20_000
    """How many trades of one hole are fetched: the newest ones. A gap is declared for the older ones."""
    contradictions: int = 3
    """How many lower ids must arrive after an isolated highest id before that one is considered false."""
    contradiction_seconds: float = 2.0
    """For how long they must have been arriving. Two overlapping connections differ by less."""
    far_ids: int = 1_000_000
    """An isolated id this far above all others is considered false as soon as REST denies it. No symbol
    trades so often within the delay of a REST database."""
    relist_evidence: int = 3
    """How many consecutive lower ids with later times show that the exchange restarted its numbering."""


class Ledger:
    """Order and completeness of one stream.

    Args:
        key: the stream.
        limits: sizes and time limits (:class:`LedgerLimits`).
        was_released: returns whether this trade (id, price and size) was released recently. It is called
            only for ids below the next one.

    """

    __slots__ = (
        "_behind",
        "_below_peak",
        "_held",
        "_hole_end",
        "_hole_since",
        "_known_to",
        "_last_ts",
        "_peak",
        "_peak_since",
        "_proven_to",
        "_was_released",
        "duplicates",
        "key",
        "limits",
        "next_id",
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
        self._held: dict[int, TradeTick] = {}
        self._hole_since: float | None = None
        self._hole_end = -1
        self._peak = -1  # the highest id that the stream delivered ahead of its turn
        self._peak_since = 0.0
        self._below_peak = 0  # trades with lower ids that the stream delivered since then
        self._known_to = -1  # the exchange is known to have ids up to here
        self._proven_to = -1  # up to here, the exchange has no ids except those held
        self._last_ts = 0
        self._was_released = was_released
        self._behind: list[TradeTick] = []

    @property
    def held(self) -> int:
        """How many ticks are held behind a hole."""
        return len(self._held)

    def take_if_next(self, tick: TradeTick) -> bool:
        """Release the tick if it has the next id and there is no hole. Return whether it was released."""
        if tick.id != self.next_id or self._hole_since is not None or self._behind:
            return False
        self.next_id = tick.id + 1
        self._last_ts = tick.ts
        return True

    def accept(self, tick: TradeTick, now: float) -> list[Released]:
        """Process any tick. Return what is released now, in order."""
        expected = self.next_id
        if tick.id == expected or expected is None:
            self.next_id = tick.id + 1
            self._last_ts = tick.ts
            self._behind.clear()
            if self._hole_since is None:
                return [tick]
            self._below_peak += 1
            return [tick, *self._drain(now)]
        if tick.id < expected:
            return self._handle_behind(tick, now)
        if tick.id in self._held:
            self.duplicates += 1
            return []
        self._held[tick.id] = tick
        if tick.id > self._peak:
            self._peak, self._peak_since, self._below_peak = tick.id, now, 0
        else:
            self._below_peak += 1
        if self._hole_since is None:
            self._hole_since, self._hole_end = now, tick.id - 1
        if len(self._held) > self.limits.held_ticks:
            return self.give_up(now)
        return []

    def begin(self, next_id: int) -> None:
        """Set the first id, if no trade has arrived yet."""
        if self.next_id is None:
            self.next_id = next_id

    def expect(self, newest_id: int, now: float) -> bool:
        """Note that the exchange has ids up to `newest_id`. Return whether there is a hole now."""
        if self.next_id is None or newest_id < self.next_id:
            return False
        self._known_to = max(self._known_to, newest_id)
        if self._hole_since is None:
            self._hole_since, self._hole_end = now, self._known_to
        return True

    def newest_seen(self) -> int:
        """Return the newest id that was released or is held; -1 before the first."""
        return max(self._held, default=-1 if self.next_id is None else self.next_id - 1)

    def missing(self) -> tuple[int, int] | None:
        """Return the first and last id of the first hole; `None` when there is no hole."""
        if self.next_id is None:
            return None
        if self._held:
            return self.next_id, min(self._held) - 1
        return (self.next_id, self._known_to) if self.next_id <= self._known_to else None

    def is_due(self, now: float) -> bool:
        """Return whether the first hole is old enough to be fetched."""
        return self._hole_since is not None and now - self._hole_since >= self.limits.hold_seconds

    def is_overdue(self, now: float) -> bool:
        """Return whether the first hole has reached its time limit."""
        return self._hole_since is not None and now - self._hole_since >= self.limits.patience_seconds

    def fill(self, ticks: Iterable[TradeTick], covered_to: int, now: float) -> list[Released]:
        """Process what was fetched for the first hole. Return what is released now, in order.

        Args:
            ticks: trades with ids from :attr:`next_id` on, in any order. Known trades are ignored.
            covered_to: the answer is complete up to this id: ids that it does not contain do not exist.
                A value below :attr:`next_id` proves nothing.
            now: monotonic seconds.

        """
        if self.next_id is None:
            return []
        for tick in ticks:
            if tick.id >= self.next_id:
                self._held.setdefault(tick.id, tick)
        self._proven_to = max(self._proven_to, covered_to)
        return self._drain(now)

    def declare(self, to_id: int, cause: GapCause, now: float) -> list[Released]:
        """Declare gaps for the missing ids up to and including `to_id`. Return what is released now."""
        released: list[Released] = []
        while self.next_id is not None and self.next_id <= to_id:
            last = min(to_id, min(self._held, default=to_id + 1) - 1)
            released.append(Gap(self.key, self.next_id, last, cause))
            self.next_id = last + 1
            released += self._drain(now)
        return released

    def give_up(self, now: float) -> list[Released]:
        """Declare a gap for the first hole, with the cause `upstream`. Return what is released now."""
        hole = self.missing()
        return self.declare(hole[1], "upstream", now) if hole else []

    def retract(self, from_id: int) -> None:
        """Undo :meth:`expect` from `from_id` on: the exchange has no such ids."""
        self._known_to = min(self._known_to, from_id - 1)
        self._end_hole_if_none()

    def drop_impostor(self, now: float, *, denied_from: int | None = None) -> TradeTick | None:
        """Drop the highest held tick if its id is false. Return the tick, or `None` when nothing was dropped.

        REST alone is no proof: its database is seconds behind the stream, so it denies genuine trades too.
        The stream must contradict the tick. A genuine trade above a hole has neighbours, and the stream
        continues above it. A false id is isolated, and the stream continues below it.

        Args:
            now: monotonic seconds.
            denied_from: REST denies the ids from here on; `None` when REST could not be asked.

        """
        peak = self._peak
        if peak not in self._held or peak - 1 in self._held or peak + 1 in self._held:
            return None
        limits = self.limits
        if denied_from is not None and peak < denied_from:
            return None
        is_contradicted = (
            self._below_peak >= limits.contradictions
            and now - self._peak_since >= limits.contradiction_seconds
        )
        if not is_contradicted and (denied_from is None or not self._is_far(peak)):
            return None
        impostor = self._held.pop(peak)
        self._peak, self._peak_since, self._below_peak = max(self._held, default=-1), now, 0
        self._end_hole_if_none()
        return impostor

    def _is_far(self, peak: int) -> bool:
        assert self.next_id is not None
        known = max((trade_id for trade_id in self._held if trade_id != peak), default=self.next_id)
        return peak - max(known, self._known_to) > self.limits.far_ids

    def _end_hole_if_none(self) -> None:
        if self.missing() is None:
            self._hole_since = None

    def _handle_behind(self, tick: TradeTick, now: float) -> list[Released]:
        """Drop a duplicate, or detect that the exchange restarted its numbering: then times still rise."""
        behind = self._behind
        is_repeat = tick.ts <= self._last_ts or self._was_released(tick)
        if is_repeat or (behind and tick.id != behind[-1].id + 1):
            behind.clear()
        if is_repeat:
            self.duplicates += 1
            return []
        behind.append(tick)
        if len(behind) < self.limits.relist_evidence:
            self.duplicates += 1
            return []
        assert self.next_id is not None
        self.duplicates -= len(behind) - 1
        # Missing ids of the old numbering cannot be fetched any more; held ticks are genuine.
        released = self.declare(max([*self._held, self._known_to]), "upstream", now)
        released += [Gap(self.key, self.next_id, behind[0].id - 1, "venue"), *behind]
        self.next_id = tick.id + 1
        self._last_ts = tick.ts
        self._held.clear()
        self._hole_since = None
        self._proven_to = self._known_to = self._peak = -1
        behind.clear()
        return released

    def _drain(self, now: float) -> list[Released]:
        """Release the ticks up to the next hole. Ids that the exchange does not have become gaps."""
        held = self._held
        released: list[Released] = []
        next_id = self.next_id
        assert next_id is not None
        while held or next_id <= self._proven_to:
            tick = held.pop(next_id, None)
            if tick is not None:
                released.append(tick)
                self._last_ts = max(self._last_ts, tick.ts)
                next_id += 1
            elif next_id <= self._proven_to:
                last = min(self._proven_to, min(held, default=self._proven_to + 1) - 1)
                released.append(Gap(self.key, next_id, last, "venue"))
                next_id = last + 1
            else:
                break
        self.next_id = next_id
        hole = self.missing()
        if hole is None:
            self._hole_since = None
        elif self._hole_since is None or hole[1] != self._hole_end:
            self._hole_since, self._hole_end = now, hole[1]  # this is another hole
        return released
