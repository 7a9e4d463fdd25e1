"""The trade-id ledger of one stream: order, duplicates, holes. No I/O.

Trade ids are consecutive per symbol, so the ledger knows what comes next. What arrives in order passes;
what was seen is dropped and counted; what is ahead is held for a short time for late arrivals (two
overlapping connections deliver out of step), and then the missing range is asked for. Downstream sees
ids that rise by exactly 1, or a declared :class:`~livemarkets.market.models.Gap`; nothing twice, nothing out
of order.

Times are monotonic seconds that the caller passes in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from livemarkets.market.models import Gap, GapCause, StreamKey, TradeTick

__all__ = ["Ledger", "LedgerLimits", "Released"]

Released = TradeTick | Gap


class LedgerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one ledger may hold and wait for."""

    hold_seconds: float = 0.25
    """How long a hole may close by itself before its range is asked for."""
    patience_seconds: float = 15.0
    """How long a hole may stay open in all; then it is declared and the stream goes on."""
    held_ticks: int = 50_000
    """How many ticks may wait behind a hole; then it is declared at once."""
    backfill_trades: int = 20_000
    """How many trades of one hole are fetched, the newest; older ones are declared."""
    contradictions: int = 3
    """How many lower ids must arrive after a lone highest id before that one is doubted."""
    contradiction_seconds: float = 2.0
    """For how long they must have been arriving. Two overlapping connections are out of step for less."""
    far_ids: int = 1_000_000
    """A lone id so far beyond all others is doubted as soon as REST denies it. No symbol trades so often
    within the delay of a database."""
    relist_evidence: int = 3
    """So many consecutive lower ids with later times mean that the exchange numbers anew."""


class Ledger:
    """The continuity of one stream. `next_id` is the offset from which everything is reckoned.

    Args:
        key: the stream.
        limits: see there.
        was_released: tells whether this very trade went downstream lately, as far as is remembered. It
            is asked only about ids that lie behind.

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
        """The id that comes next, `None` before the first trade."""
        self.duplicates = 0
        self._held: dict[int, TradeTick] = {}
        self._hole_since: float | None = None
        self._hole_end = -1
        self._peak = -1  # the highest id that the stream brought ahead of its turn
        self._peak_since = 0.0
        self._below_peak = 0  # trades that the stream brought since then, all with lower ids
        self._known_to = -1  # the exchange was seen to have ids up to here
        self._proven_to = -1  # the exchange has no ids up to here but those held
        self._last_ts = 0
        self._was_released = was_released
        self._behind: list[TradeTick] = []

    @property
    def held(self) -> int:
        """How many ticks wait behind a hole."""
        return len(self._held)

    def take_if_next(self, tick: TradeTick) -> bool:
        """Accept the tick if it is the next one and nothing else is going on. Return whether that was so."""
        if tick.id != self.next_id or self._hole_since is not None or self._behind:
            return False
        self.next_id = tick.id + 1
        self._last_ts = tick.ts
        return True

    def accept(self, tick: TradeTick, now: float) -> list[Released]:
        """Take in a tick; return what may go downstream now, in order."""
        expected = self.next_id
        if tick.id == expected or expected is None:
            self.next_id = tick.id + 1
            self._last_ts = tick.ts
            if self._behind:
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
        """Say which id comes first, where the exchange told so and no trade has come yet."""
        if self.next_id is None:
            self.next_id = next_id

    def expect(self, newest_id: int, now: float) -> bool:
        """Note that the exchange has ids up to `newest_id`. Return whether that shows a hole."""
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
        """Return the first hole as its first and last id, `None` when there is none."""
        if self.next_id is None:
            return None
        if self._held:
            return self.next_id, min(self._held) - 1
        return (self.next_id, self._known_to) if self.next_id <= self._known_to else None

    def is_due(self, now: float) -> bool:
        """Tell whether the first hole had its time to close by itself."""
        return self._hole_since is not None and now - self._hole_since >= self.limits.hold_seconds

    def is_overdue(self, now: float) -> bool:
        """Tell whether the first hole has been open for longer than anybody should wait."""
        return self._hole_since is not None and now - self._hole_since >= self.limits.patience_seconds

    def fill(self, ticks: Iterable[TradeTick], covered_to: int, now: float) -> list[Released]:
        """Take in what was fetched for the first hole.

        Args:
            ticks: trades with ids from :attr:`next_id` on, in any order; known ones are ignored.
            covered_to: up to this id the exchange's answer is complete: what it does not contain, the
                exchange does not have. Pass less than :attr:`next_id` when nothing is proven.
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
        """Give up the ids up to and including `to_id`, as far as they are missing; return what follows."""
        released: list[Released] = []
        while self.next_id is not None and self.next_id <= to_id:
            last = min(to_id, min(self._held, default=to_id + 1) - 1)
            released.append(Gap(self.key, self.next_id, last, cause))
            self.next_id = last + 1
            released += self._drain(now)
        return released

    def give_up(self, now: float) -> list[Released]:
        """Declare the first hole as lost by us."""
        hole = self.missing()
        return self.declare(hole[1], "upstream", now) if hole else []

    def retract(self, from_id: int) -> None:
        """Take back what :meth:`expect` noted from `from_id` on: the exchange has no such ids."""
        self._known_to = min(self._known_to, from_id - 1)
        self._end_hole_if_none()

    def drop_impostor(self, now: float, *, denied_from: int | None = None) -> TradeTick | None:
        """Forget the highest held tick, and return it, if it cannot be a trade of this stream.

        REST alone is no proof: its database lags behind the stream by seconds, so it denies genuine trades
        too. The stream itself must contradict the tick. A genuine trade ahead of a hole has neighbours, and
        the stream goes on above it. An id out of nowhere stands alone, and the stream goes on below it.

        Args:
            now: monotonic seconds.
            denied_from: REST has shown no id from here on; `None` when REST could not be asked.

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
        """A lower id is a repeat, unless it is the exchange that counts anew: then times go on rising."""
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
        # What is still open of the old numbers cannot be asked for any more; what is held was real.
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
        """Release what follows without a hole, or behind a hole that the exchange itself has."""
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
            self._hole_since, self._hole_end = now, hole[1]  # another hole begins here
        return released
