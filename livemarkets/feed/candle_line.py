"""The candles of one stream in their order: which are told as closed, and which wait. No I/O.

A candle is told as closed once, with its final figures: when the stream says so, or when the exchange's
history is believed (:class:`CandleLimits`). A later candle waits until all before it are closed. Open times
are the exchange's: a candle follows another one directly if it begins where that ends, or if the history has
nothing between them. Times are monotonic seconds, or ms of the exchange's clock where the name says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from msgspec.structs import replace

from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.candle_memory import CandleMemory
from livemarkets.feed.candle_proof import CandleProof
from livemarkets.market.candles import Candle, CandleGap, ReleasedCandle, same_figures, with_ids
from livemarkets.market.models import StreamKey

__all__ = ["CandleLine"]

_CHECKED_AGAIN = 10
"""So many of the newest closed candles are in each answer, for comparison."""


class CandleLine:
    """The closed candles of one stream, the running one, and those that wait.

    Args:
        key: the stream.
        limits: sizes and time limits (:class:`CandleLimits`).

    """

    def __init__(self, key: StreamKey, limits: CandleLimits) -> None:
        self.key = key
        self.memory = CandleMemory(limits.kept)
        """What was told as closed."""
        self.running: Candle | None = None
        """The newest version of the candle after these, as it was told; `None` before it came."""
        self.told_to = -1
        """Of what opened up to this time, only revisions are told from now on."""
        self._limits = limits
        self._bars: dict[int, Candle] = {}  # open time -> what is known of a candle not told as closed
        self._since: dict[int, float] = {}  # open time -> when it was first heard of
        self._proof = CandleProof(limits)
        self._unproved: dict[int, int] = {}  # open time -> when it is compared again, ms
        self._back_since: float | None = None  # since when only candles of the past come

    # what arrives

    def accept(self, candle: Candle, now: float) -> Sequence[ReleasedCandle]:
        """Process a candle of the stream. Return what is released."""
        open_ts = candle.open_ts
        if open_ts <= self.told_to:
            return self._accept_late(candle, now)
        self._back_since = None
        known = self._bars.get(open_ts)
        if known is None:
            self._since[open_ts] = now
        elif not _is_newer(candle, known):
            return ()
        self._bars[open_ts] = candle
        return self._drain()

    def answer(self, found: Sequence[Candle], now: float, now_ms: int) -> Sequence[ReleasedCandle]:
        """Process an answer of the history to :attr:`ask_from`. Return what is released."""
        released: list[ReleasedCandle] = []
        for candle, later in zip_longest(found, found[1:]):
            if candle.open_ts <= self.told_to:
                released += self._compare(candle, now, now_ms, has_later=later is not None)
            else:
                self._take(candle, now, now_ms, has_later=later is not None)
        if self.closed and self._bars:
            self._proof.note_neighbours(self.closed[-1].open_ts, min(self._bars), found, now)
        released += self._drain()
        if self._bars and self._proof.is_forgotten(self._newest_asked, found, now):
            while self.waiting_since is not None and self._is_before(found[0].open_ts):
                released += self._give_up()
        return released

    def begin(self, found: Sequence[Candle], now: float, now_ms: int) -> Sequence[ReleasedCandle]:
        """Process the newest candles of the history, if nothing is known yet. Return what is released.

        The older ones become known without being released, since nobody can have read what followed them.
        """
        if self.told_to >= 0 or self._bars:
            return ()
        older = list(found)
        for at, candle in enumerate(found):
            if at == len(found) - 1 or not self._proof.is_final(candle, now, now_ms):
                older = older[:at]
                break
        self.memory.prepend([replace(candle, closed=True) for candle in older])
        if self.closed:
            self.told_to = self.closed[-1].open_ts
        return self.answer(found[len(older) :], now, now_ms)

    def prepend(self, found: Sequence[Candle], now: float, now_ms: int) -> bool:
        """Process older candles, up to and including the oldest known one. Return whether they were used.

        They are not used while one of them may change, or while the history lags the stream.
        """
        oldest = self.oldest
        if oldest is None or not found or found[-1].open_ts != oldest.open_ts:
            return False
        older = found[:-1]
        if not all([self._proof.is_final(candle, now, now_ms) for candle in older]):
            return False
        self.memory.prepend([replace(candle, closed=True) for candle in older])
        for candle in older:
            self._proof.forget(candle.open_ts)
        return True

    def give_up(self, now: float) -> Sequence[ReleasedCandle]:
        """Declare a gap if a candle has waited for too long. Return what is released."""
        since = self.waiting_since
        if since is None:
            return ()
        if now - since < self._limits.patience_seconds and len(self._bars) <= self._limits.kept:
            return ()
        return self._give_up()

    def _give_up(self) -> list[ReleasedCandle]:
        first, *rest = sorted(self._bars)
        from_ts = self.told_to + 1
        if self._follows(self._bars[first]):
            self._remove(first)
            end_ts = rest[0] - 1
        else:
            end_ts = first - 1
            from_ts = min(max(from_ts, self.closed[-1].close_ts + 1), end_ts)
        return [self._cut(CandleGap(self.key, from_ts, end_ts, "upstream")), *self._drain()]

    # questions

    @property
    def closed(self) -> list[Candle]:
        """The newest candles that were told as closed, oldest first, with none missing between them."""
        return self.memory.candles

    @property
    def oldest(self) -> Candle | None:
        """The oldest known candle; `None` when none is known."""
        if self.closed:
            return self.closed[0]
        return self._bars[min(self._bars)] if self._bars else None

    @property
    def waiting_since(self) -> float | None:
        """Since when a candle waits for one before it; `None` when none does."""
        if not self._bars:
            return None
        first, *rest = sorted(self._bars)
        if not self._follows(self._bars[first]):
            return self._since[first]
        return self._since[rest[0]] if rest else None

    def is_overdue(self, now_ms: int) -> bool:
        """Return whether the running candle should have been told as closed."""
        return self.running is not None and now_ms - self.running.close_ts >= self._limits.overdue_ms

    def is_unproved(self, now_ms: int) -> bool:
        """Return whether a fetched candle can be compared with the history now."""
        kept = {candle.open_ts for candle in self.closed[-_CHECKED_AGAIN:]}
        self._unproved = {open_ts: due_ms for open_ts, due_ms in self._unproved.items() if open_ts in kept}
        return any(due_ms <= now_ms for due_ms in self._unproved.values())

    @property
    def ask_from(self) -> int | None:
        """The open time from which on the history should be asked; `None` when nothing is known."""
        if self.closed:
            return self.closed[-_CHECKED_AGAIN:][0].open_ts
        return min(self._bars) if self._bars else None

    @property
    def _newest_asked(self) -> int:
        """The open time of the newest candle that the answer to :attr:`ask_from` should have."""
        return self.closed[-1].open_ts if self.closed else min(self._bars)

    # changes

    def _accept_late(self, candle: Candle, now: float) -> Sequence[ReleasedCandle]:
        """Process a candle that was told as closed, or is older: a repeat, a correction, or a new clock."""
        if candle.closed:
            return self._revise(candle)
        self._back_since = now if self._back_since is None else self._back_since
        if now - self._back_since < self._limits.back_seconds:
            return ()
        gap = CandleGap(self.key, self.told_to + 1, candle.open_ts - 1, "venue")
        self._bars.clear()
        self._since.clear()
        self._cut(gap)
        return [gap, *self.accept(candle, now)]

    def _cut(self, gap: CandleGap) -> CandleGap:
        """Begin anew after a gap. What is before it can be fetched again."""
        self.memory.clear(gap.to_open_ts)
        self._unproved.clear()
        self._proof.clear()
        self.running, self.told_to = None, gap.to_open_ts
        return gap

    def _compare(
        self, candle: Candle, now: float, now_ms: int, *, has_later: bool
    ) -> Sequence[ReleasedCandle]:
        """Compare a fetched candle with the one that was told. The history is believed if it insists."""
        at = self.memory.place(candle.open_ts)
        if at is None or not has_later:
            return ()
        if same_figures(self.closed[at], candle):
            self._proof.forget(candle.open_ts)
            if now_ms >= self._unproved.get(candle.open_ts, now_ms):
                self._unproved.pop(candle.open_ts, None)
            return ()
        is_proved = self._proof.is_repeated(candle, now) and self._proof.is_old(candle, now_ms)
        return self._revise(candle) if is_proved else ()

    def _revise(self, candle: Candle) -> Sequence[ReleasedCandle]:
        at = self.memory.place(candle.open_ts)
        if at is None:
            return ()
        told = self.closed[at]
        self._unproved.pop(candle.open_ts, None)
        self._proof.forget(candle.open_ts)
        if same_figures(told, candle):
            self.closed[at], self._back_since = with_ids(told, candle), None  # a repeat: no time was set back
            return ()
        revised = self.closed[at] = replace(candle, closed=True, revised=True)
        return [revised]

    def _take(self, candle: Candle, now: float, now_ms: int, *, has_later: bool) -> None:
        """Take a fetched candle that was not told as closed."""
        open_ts = candle.open_ts
        known = self._bars.get(open_ts)
        if known is not None and known.closed:
            return
        is_old, is_repeated = self._proof.is_old(candle, now_ms), self._proof.is_repeated(candle, now)
        is_behind = known is not None and known.trades > candle.trades
        if is_behind or not has_later:
            is_final = is_repeated and is_old and (has_later or self._proof.is_ended(candle, now_ms))
        else:
            is_final = is_repeated or is_old
        self._since.setdefault(open_ts, now)
        if is_final:
            candle = replace(candle, closed=True)
            if known is not None and same_figures(candle, known):
                candle = with_ids(candle, known)
            self._unproved[open_ts] = max(candle.close_ts, now_ms if is_old else 0) + self._limits.final_ms
            self._bars[open_ts] = candle
        elif known is None or candle.trades > known.trades:
            self._bars[open_ts] = candle

    def _drain(self) -> list[ReleasedCandle]:
        released: list[ReleasedCandle] = []
        for open_ts in sorted(self._bars):
            candle = self._bars[open_ts]
            if not self._follows(candle):
                break
            if candle is not self.running:
                released.append(candle)
            if not candle.closed:
                self.running, self.told_to = candle, open_ts - 1
                self.memory.start_at(open_ts)
                break
            self._remove(open_ts)
            self.running, self.told_to = None, open_ts
            self.memory.append(candle)
        return released

    def _remove(self, open_ts: int) -> None:
        del self._bars[open_ts], self._since[open_ts]
        self._proof.forget(open_ts)

    def _is_before(self, open_ts: int) -> bool:
        """Return whether something is awaited that opened before this time."""
        first = min(self._bars)
        return first < open_ts or not self._follows(self._bars[first])

    def _follows(self, candle: Candle) -> bool:
        """Return whether nothing is missing between the last closed candle and this one."""
        if not self.closed:
            return True
        last = self.closed[-1]
        return candle.open_ts == last.close_ts + 1 or self._proof.are_neighbours(last.open_ts, candle.open_ts)


def _is_newer(candle: Candle, known: Candle) -> bool:
    """Return whether a candle of the stream replaces what is known of it. Two connections may bring it."""
    if candle.closed or known.closed:
        return candle.closed
    if candle.trades != known.trades:
        return candle.trades > known.trades
    return candle.ts > known.ts or (known.first_id is None and candle.first_id is not None)
