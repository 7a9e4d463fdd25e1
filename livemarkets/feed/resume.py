"""Resumption (`after`): every trade since an id, then the live stream, with nothing missing and no repeat.

Trades come from :class:`~livemarkets.market.stores.RecentTrades` where it reaches back far enough, otherwise
over REST. A gap with the cause `history` is declared for the rest. The offset is the exchange's trade id, so
it stays valid after a restart and on another instance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import NamedTuple

from livemarkets.feed.history_page import HistoryPage, ResumePart
from livemarkets.feed.ledger import Ledger, Released
from livemarkets.feed.patience import Patience, ResumeLimits
from livemarkets.feed.shared_history import History, SharedHistory
from livemarkets.market.models import Gap, GapCause, StreamKey
from livemarkets.market.stores import RecentTrades

__all__ = ["ResumeLimits", "ResumePart", "Resumer"]

_PART_TRADES = 1_000
"""The most trades of one part. Memory may have a hundred times as many."""
_AHEAD_IDS = 1_000
"""A reader that is ahead of us by more was not served by another instance a moment ago: its id never was."""
_FAR_AHEAD_IDS = 1_000_000
"""The same of a reader that is ahead of what REST says, which may lag by seconds."""


class _Tail(NamedTuple):
    """Trades and gaps in memory, in order."""

    items: list[Released]
    rest: int | None = None
    """The next id, if memory has more than one part may hold; `None` if the live stream follows."""


class Resumer:
    """Resumptions on one exchange.

    Args:
        history: source of older trades.
        trades: the recent trades of every stream.
        ledgers: the ledgers of the wanted streams.
        can_ask: returns whether there is anybody to ask.
        limits: limits of one resumption.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        history: History,
        trades: RecentTrades,
        ledgers: Mapping[StreamKey, Ledger],
        can_ask: Callable[[], bool] = lambda: True,
        *,
        limits: ResumeLimits,
        clock: Callable[[], float],
    ) -> None:
        self._shared = SharedHistory(history, clock)
        self._trades = trades
        self._ledgers = ledgers
        self._can_ask = can_ask
        self._limits = limits
        self._clock = clock

    def _is_working(self, since: float) -> bool:
        return self._shared.is_working(since) or not self._can_ask()

    async def resume(
        self, key: StreamKey, after: int, asker: str | None = None
    ) -> AsyncGenerator[ResumePart, None]:
        """Yield the trades and gaps from `after` up to the live stream, oldest first.

        The next page is fetched only when the caller asks for the next part: a slow reader slows only itself.
        A part without items comes before the last one, so that a reader that is slow can have the last part
        when it has room.

        Args:
            key: the stream. It must be wanted already.
            after: the last id that the reader has.
            asker: the reader. Its share of the exchange's rate limit is bounded.

        """
        patience = Patience(self._limits, self._is_working, self._clock)
        next_id = after + 1
        newest: int | None = None
        with self._shared.in_use():
            if not self._is_in_memory(key, next_id):
                newest = await self._shared.newest_id(key.symbol, patience)
            if self._is_ahead(key, next_id, newest):
                yield ResumePart([], is_last=False, has_everything=True)
            is_bounded = False
            while True:
                if not is_bounded and self._newest(key, newest) is not None:
                    is_bounded = True
                    first = self._oldest_to_be_had(key, next_id, newest)
                    if first > next_id:
                        yield ResumePart([Gap(key, next_id, first - 1, "history")], is_last=False)
                        next_id = first
                if is_late := patience.is_over():
                    newest = await self._confirmed(key, next_id, newest, patience)
                if self._tail(key, next_id, newest, is_late) is not None:
                    yield ResumePart([], is_last=False)
                    tail = self._tail(key, next_id, newest, is_late)
                    if tail is not None:
                        yield ResumePart(tail.items, is_last=tail.rest is None)
                        if tail.rest is None:
                            return
                        next_id = tail.rest
                        patience.note_progress()
                        continue
                reached = next_id
                if not self._is_ahead(key, next_id, newest):
                    page = await self._shared.page(
                        key.symbol, next_id, self._newest(key, newest), asker, patience
                    )
                    if page is not None:
                        if page.reaches_newest:
                            newest = _newest_of(page, newest)
                        part, reached = page.part_from(key, next_id, self._stop(key))
                        if part.items:
                            yield part
                        if page.reaches_newest and self._begin(key, reached, newest):
                            next_id = reached
                            continue
                if reached > next_id:
                    next_id = reached
                    patience.note_progress()
                else:
                    await asyncio.sleep(patience.retry_seconds())

    async def _confirmed(
        self, key: StreamKey, next_id: int, newest: int | None, patience: Patience
    ) -> int | None:
        """Return the newest id, asked for again if a reader is about to be told that it is ahead of it.

        One answer may lag, and all readers get the numbering that is begun from it.
        """
        if newest is None or next_id <= newest + 1 or self._live_id(key) is not None:
            return newest
        again = await self._shared.newest_id(key.symbol, patience)
        return newest if again is None else max(newest, again)

    def _tail(self, key: StreamKey, next_id: int, newest: int | None, is_late: bool) -> _Tail | None:
        """Return the trades in memory from `next_id` on; `None` when older ones must be fetched first."""
        live_id = self._live_id(key)
        if live_id is None:
            if self._begin(key, next_id, newest):
                return _Tail([])
            if newest is None or next_id <= newest + 1:
                return None
            if not (is_late or next_id > newest + _FAR_AHEAD_IDS):
                return None
            self._ledgers[key].begin(newest + 1)
            return _Tail([Gap(key, next_id, newest, "history")])
        if next_id > live_id:  # the reader is ahead of us, or the exchange restarted its numbering
            renumbered = self._renumbered(key, next_id, live_id)
            if renumbered is not None and renumbered <= live_id:
                tail = self._from_memory(key, renumbered, live_id)
                return _Tail([Gap(key, next_id, renumbered - 1, "venue"), *tail.items], tail.rest)
            if is_late or next_id > live_id + _AHEAD_IDS:
                return _Tail([Gap(key, next_id, live_id - 1, "history")])
            return None
        oldest = self._trades.oldest_id(key)
        start = live_id if oldest is None else oldest
        if next_id >= start:
            return self._from_memory(key, next_id, live_id)
        return self._from_memory(key, next_id, live_id, "history") if is_late else None

    def _from_memory(self, key: StreamKey, next_id: int, live_id: int, cause: GapCause = "upstream") -> _Tail:
        """Return the ticks in memory from `next_id` on, with the gaps between them declared again."""
        causes = {gap.from_id: gap.cause for gap in self._trades.gaps(key)}
        parts: list[Released] = []
        ticks = self._trades.after(key, next_id - 1, _PART_TRADES + 1)
        for tick in ticks[:_PART_TRADES]:
            if tick.id > next_id:
                parts.append(Gap(key, next_id, tick.id - 1, causes.get(next_id, cause)))
            parts.append(tick)
            next_id, cause = tick.id + 1, "upstream"
        if len(ticks) > _PART_TRADES:
            return _Tail(parts, next_id)
        if next_id < live_id:
            parts.append(Gap(key, next_id, live_id - 1, causes.get(next_id, cause)))
        return _Tail(parts)

    def _renumbered(self, key: StreamKey, next_id: int, live_id: int) -> int | None:
        """Return the first id of the present numbering if `next_id` belongs to an older one, else `None`."""
        for gap in reversed(self._trades.gaps(key)):
            to_the_old, to_the_present = gap.from_id - next_id, next_id - live_id
            if gap.to_id < gap.from_id and 0 <= to_the_old < to_the_present:
                return gap.to_id + 1
        return None

    def _live_id(self, key: StreamKey) -> int | None:
        """Return the next id of the live stream; `None` before its first trade."""
        ledger = self._ledgers.get(key)
        return None if ledger is None else ledger.next_id

    def _newest(self, key: StreamKey, newest: int | None) -> int | None:
        """Return the newest id that is known; `None` if none is."""
        live_id = self._live_id(key)
        return newest if live_id is None else max(live_id - 1, newest or 0)

    def _is_ahead(self, key: StreamKey, next_id: int, newest: int | None) -> bool:
        known = self._newest(key, newest)
        return known is not None and next_id > known + 1

    def _is_in_memory(self, key: StreamKey, next_id: int) -> bool:
        start = self._stop(key)
        return start is not None and next_id >= start

    def _oldest_to_be_had(self, key: StreamKey, next_id: int, newest: int | None) -> int:
        """Return `next_id`, or the oldest id that a resumption may fetch where that is greater."""
        known = self._newest(key, newest)
        if known is None or self._is_in_memory(key, next_id):
            return next_id
        return max(next_id, known + 1 - self._limits.history_trades)

    def _stop(self, key: StreamKey) -> int | None:
        """Return the first id that is not needed from history; `None` if no trade has arrived yet."""
        oldest = self._trades.oldest_id(key)
        return self._live_id(key) if oldest is None else oldest

    def _begin(self, key: StreamKey, next_id: int, newest: int | None) -> bool:
        """Set the ledger's first id if no trade has arrived yet, and the reader has every trade so far.

        All readers share the ledger, so only what the exchange says may set it, never what a reader claims.
        """
        ledger = self._ledgers.get(key)
        if ledger is None or ledger.next_id is not None or newest is None or next_id != newest + 1:
            return False
        ledger.begin(next_id)
        return True


def _newest_of(page: HistoryPage, newest: int | None) -> int | None:
    """Return the newest id after a page that reaches it; 0 if the symbol has never traded.

    An empty page says only that there is nothing from its first id on.
    """
    if page.newest_id is not None:
        return max(newest or 0, page.newest_id)
    return newest or 0 if page.asked_from <= 1 else newest
