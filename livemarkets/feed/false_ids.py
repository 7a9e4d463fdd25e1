"""Recognises false ids: a trade ahead of all others, and a numbering that began anew. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from livemarkets.feed.holes import Hole
from livemarkets.feed.outcome import LedgerLimits
from livemarkets.market.models import TradeTick

__all__ = ["Peak", "Renumbering", "Suspect"]


class Peak:
    """The highest id that the stream delivered ahead of its turn, and what speaks against it.

    REST alone is no proof: its database is seconds behind the stream, so it denies genuine trades too.
    The stream must contradict the trade. A genuine trade above a hole has neighbours, and the stream
    continues above it. A false id is isolated, and the stream continues below it.
    """

    __slots__ = ("_below", "_since", "id")

    def __init__(self) -> None:
        self.id = -1
        self._since = 0.0
        self._below = 0  # trades with lower ids that the stream delivered since then

    def note(self, trade_id: int, now: float) -> None:
        """Note a trade that the stream delivered while there is a hole."""
        if trade_id > self.id:
            self.id, self._since, self._below = trade_id, now, 0
        else:
            self._below += 1

    def lower(self, trade_id: int, now: float) -> None:
        """Note that the peak was false, and which id is the highest now."""
        self.id, self._since, self._below = trade_id, now, 0

    def is_false(self, last: Hole, limits: LedgerLimits, now: float) -> bool:
        """Return whether the highest id, behind the last hole, is false."""
        return (
            last.last == self.id - 1  # else it has a neighbour
            and last.cause is None
            and self._below >= limits.contradictions
            and now - self._since >= limits.contradiction_seconds
        )


class Suspect:
    """A trade with an absurdly high id. It is taken only when another trade confirms its id."""

    __slots__ = ("_limits", "tick")

    def __init__(self, limits: LedgerLimits) -> None:
        self._limits = limits
        self.tick: TradeTick | None = None
        """The last such trade; `None` if there was none, or it was taken."""

    def judge(self, tick: TradeTick) -> list[TradeTick]:
        """Process a trade with an absurdly high id. Return two that confirm each other, in order, or none."""
        before, self.tick = self.tick, tick
        if before is None or tick.id == before.id or abs(tick.id - before.id) > self._limits.far_ids:
            return []
        self.tick = None
        return [before, tick] if before.id < tick.id else [tick, before]


class Renumbering:
    """Trades with too low an id: repeats, or signs that the exchange restarted its numbering.

    Args:
        limits: the limits of the ledger.
        was_released: returns whether this trade (id, price and size) was released recently.

    """

    __slots__ = ("_limits", "_old_to", "_old_ts", "_signs", "_was_released")

    def __init__(self, limits: LedgerLimits, was_released: Callable[[TradeTick], bool]) -> None:
        self._limits = limits
        self._was_released = was_released
        self._signs: list[TradeTick] = []
        self._old_to = self._old_ts = -1  # the last id of the numbering before, and its time

    def __bool__(self) -> bool:
        return bool(self._signs)

    def clear(self) -> None:
        """Forget the signs, because a trade of the present numbering arrived."""
        self._signs.clear()

    def note_end(self, last_id: int, last_ts: int) -> None:
        """Note the last trade of a numbering that has ended."""
        self._old_to, self._old_ts = last_id, last_ts

    def is_of_before(self, tick: TradeTick) -> bool:
        """Return whether a trade is a repeat from the numbering before, not one far ahead."""
        return tick.id <= self._old_to and tick.ts <= self._old_ts

    def judge(self, tick: TradeTick, last_ts: int) -> list[TradeTick]:
        """Process a trade with too low an id.

        Args:
            tick: the trade.
            last_ts: the time of the last trade that was released, ms. After a restart times still rise.

        Returns:
            The first trades of the new numbering; empty if there is none, and the tick is to be dropped.

        """
        signs = self._signs
        is_repeat = tick.ts <= last_ts or self._was_released(tick)
        if is_repeat or (signs and tick.id != signs[-1].id + 1):
            signs.clear()
        if is_repeat:
            return []
        signs.append(tick)
        if len(signs) < self._limits.relist_evidence:
            return []
        self._signs = []
        return signs
