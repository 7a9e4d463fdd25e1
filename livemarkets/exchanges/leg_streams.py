"""One stream as several legs bring it: who is first and by how much, and what each leg missed. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from livemarkets.market.candles import Candle
from livemarkets.market.models import TradeTick
from livemarkets.market.updates import StreamUpdate, TickersDelta
from livemarkets.server.histogram import Histogram

__all__ = ["LegStream", "LegTally", "Race"]

_NEAR_IDS = 1000
"""A trade this far ahead of all others may be genuine. One farther ahead needs another one near it."""
_SAMPLE_MS = 50
"""Of each stream, one trade in this time is compared between the legs."""
_FORGET_MS = 60_000
"""A sample that no other leg has brought for this long is given up."""
_LATE_SECONDS = 5.0
"""An id that a leg skipped may still come from it for this long, as during a rotation."""
_RESTART_TRADES = 3
"""So many consecutive lower ids with later times show that the exchange restarted its numbering."""
_MOST_MISSED = 1_000_000
"""More at once is a jump of the ids, no loss."""
_LEADS_KEPT = 1000
LEAD_BOUNDS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class LegTally:
    """What one leg has brought, over all of its streams. Counters since the start."""

    __slots__ = ("brought", "disagreed", "first", "lead", "leads", "missed")

    def __init__(self) -> None:
        self.brought = 0
        """Trades read, repeats included."""
        self.first = 0
        """Trades that it brought before every other leg."""
        self.missed = 0
        """Trades that it skipped."""
        self.disagreed = 0
        """Sampled trades that differ from what the first leg brought under the same id."""
        self.lead = Histogram(LEAD_BOUNDS_SECONDS)
        """How many seconds it was ahead of the next leg, by a sample of the trades that it brought first."""
        self.leads: deque[tuple[float, float]] = deque(maxlen=_LEADS_KEPT)
        """The newest of these, with the monotonic times at which they were measured."""

    def note_lead(self, seconds: float, now: float) -> None:
        """Count a sampled trade of which the next leg came this much later."""
        self.lead.add(seconds)
        self.leads.append((now, seconds))


class Race:
    """One stream of trades: which leg brings each trade first.

    Args:
        clock: monotonic seconds.

    """

    __slots__ = ("_clock", "_far", "_sample", "_sampled_at", "_sampled_by", "_sampled_ms", "newest", "place")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.newest = -1
        """The highest id that any leg has brought."""
        self.place = -1
        """The highest place of an update that any leg has brought."""
        self._clock = clock
        self._far = -1  # an id that is too far ahead to be believed alone
        self._sample: TradeTick | None = None
        self._sampled_by: LegTally | None = None
        self._sampled_at = 0.0
        self._sampled_ms = 0

    def take(self, leg: LegTally, ticks: Sequence[TradeTick]) -> None:
        """Note trades that a leg brought together."""
        newest = ticks[-1]
        ahead = newest.id - self.newest
        sample = self._sample
        if ahead > 0:
            if ahead > _NEAR_IDS and not self._is_confirmed(newest.id):
                return
            count = len(ticks)
            leg.first += ahead if ahead < count else count
            self.newest = newest.id
            if newest.recv_ts - self._sampled_ms >= (_SAMPLE_MS if sample is None else _FORGET_MS):
                self._sample, self._sampled_by = newest, leg
                self._sampled_at, self._sampled_ms = self._clock(), newest.recv_ts
                return
        if sample is not None and leg is not self._sampled_by and newest.id >= sample.id:
            self._compare(leg, ticks, sample)

    def restart(self, newest_id: int) -> None:
        """Note that the exchange restarted its numbering."""
        self.newest, self._sample = newest_id, None

    def _is_confirmed(self, trade_id: int) -> bool:
        if self.newest < 0 or 0 < trade_id - self._far <= _NEAR_IDS:
            return True
        self._far = trade_id
        return False

    def _compare(self, leg: LegTally, ticks: Sequence[TradeTick], sample: TradeTick) -> None:
        """Compare the second leg's trade with the sample, which it may have skipped."""
        self._sample = None
        for tick in ticks:
            if tick.id == sample.id and self._sampled_by is not None:
                now = self._clock()
                self._sampled_by.note_lead(now - self._sampled_at, now)
                leg.disagreed += (tick.price, tick.size, tick.side, tick.ts) != (
                    sample.price,
                    sample.size,
                    sample.side,
                    sample.ts,
                )
                return


class LegStream:
    """One stream as one leg brings it.

    Trades are counted as missed if the leg goes on without them. A single id ahead of the others proves
    nothing: it may be false. So ids that are ahead wait, until those below have come, or have not come for a
    while.

    Args:
        race: the stream, shared by all legs.
        tally: of the leg.
        clock: monotonic seconds.

    """

    __slots__ = (
        "_ahead",
        "_ahead_first",
        "_ahead_last",
        "_ahead_since",
        "_behind",
        "_behind_id",
        "_clock",
        "_newest_then",
        "arrivals",
        "newest",
        "newest_ts",
        "place",
        "race",
        "tally",
    )

    def __init__(self, race: Race, tally: LegTally, clock: Callable[[], float]) -> None:
        self.race = race
        self.tally = tally
        self.arrivals = 0
        """How often it brought something."""
        self.newest = -1
        """The highest id up to which nothing waits; -1 before the first trade."""
        self.newest_ts = 0
        self.place = -1
        """The place of the last update."""
        self._clock = clock
        self._ahead: set[int] = set()
        self._ahead_first = self._ahead_last = -1  # of those that were there when the hole was found
        self._ahead_since = 0.0
        self._newest_then = -1  # what `newest` was at that time
        self._behind_id = -1
        self._behind = 0  # consecutive lower ids with later times

    def take_trades(self, ticks: Sequence[TradeTick]) -> None:
        """Note trades that came together."""
        self.arrivals += 1
        self.tally.brought += len(ticks)
        first, newest = ticks[0].id, ticks[-1].id
        if first == self.newest + 1 and newest - first == len(ticks) - 1 and not self._ahead:
            self.newest, self.newest_ts = newest, ticks[-1].ts
        else:
            self._take_odd(ticks)
        self.race.take(self.tally, ticks)

    def take_update(self, update: StreamUpdate) -> bool:
        """Note an update. Return whether it is late: another leg has brought a later one.

        A leg that is behind brings the past in its order. Only when what a leg itself brings goes back may
        the exchange have begun a new numbering. A closed candle is never late, because it may fill a hole.
        """
        self.arrivals += 1
        if isinstance(update, TickersDelta):
            return False
        place = update.open_ts if isinstance(update, Candle) else update.place
        before, self.place = self.place, place
        if place >= self.race.place or place < before:
            self.race.place = place
            return False
        return not (isinstance(update, Candle) and update.closed)

    def _take_odd(self, ticks: Sequence[TradeTick]) -> None:
        """Note trades that do not just continue the row."""
        if self.newest < 0:
            self.newest, self.newest_ts = ticks[-1].id, ticks[-1].ts
            return
        for tick in ticks:
            if tick.id <= self.newest:
                self._note_behind(tick)
            else:
                self._ahead.add(tick.id)
                self.newest_ts = max(self.newest_ts, tick.ts)
        self._close()
        if self._ahead:
            now = self._clock()
            if self._ahead_first not in self._ahead:
                self._note_hole(now)
            elif now - self._ahead_since >= _LATE_SECONDS:
                self._decide(now)

    def _close(self) -> None:
        """Continue the row with what was ahead of it."""
        while self.newest + 1 in self._ahead:
            self.newest += 1
            self._ahead.discard(self.newest)

    def _note_hole(self, now: float) -> None:
        self._ahead_first, self._ahead_last = min(self._ahead), max(self._ahead)
        self._ahead_since, self._newest_then = now, self.newest

    def _decide(self, now: float) -> None:
        """Decide about holes that were not closed: they were missed, or the ids above them are false."""
        if self.newest > self._newest_then:
            self._ahead.clear()  # the row goes on below them
        elif len(self._ahead) > 1:
            last = self._ahead_last
            later = {trade_id for trade_id in self._ahead if trade_id > last}
            missing = last - self.newest - (len(self._ahead) - len(later))
            self.tally.missed += missing if missing <= _MOST_MISSED else 0
            self.newest, self._ahead = last, later
            self._close()
            if self._ahead:
                self._note_hole(now)

    def _note_behind(self, tick: TradeTick) -> None:
        if tick.ts <= self.newest_ts:
            self._behind = 0
            return
        self._behind = self._behind + 1 if tick.id == self._behind_id + 1 else 1
        self._behind_id = tick.id
        if self._behind >= _RESTART_TRADES:
            self.newest, self.newest_ts, self._behind = tick.id, tick.ts, 0
            self._ahead.clear()
            self.race.restart(tick.id)
