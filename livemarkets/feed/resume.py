"""`after`: everything since a trade id, then live, with no hole and no repeat at the seam.

From the feed store where it reaches back far enough, else over REST, else declared as a gap of cause
`history`. The offset is the exchange's own trade id, so it works after a restart and on another instance.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec
from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable
from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades
from livemarkets.feed.ledger import Ledger, Released
from livemarkets.market.models import Gap, GapCause, StreamKey
from livemarkets.market.stores import RecentTrades

__all__ = ["ResumeLimits", "ResumePart", "Resumer"]

_RETRY_SECONDS = 0.25
_AT_ONCE = 4
_PAGE_SECONDS = 2.0
"""So long a page serves other readers too: after a restart they all come at once, from about the same id."""
_PAGES_KEPT = 8
"""Of one symbol: readers are at different pages."""


class ResumeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one resumption may cost."""

    history_trades: int = 20_000
    """How far back it reaches, in trades; what is older is declared."""
    patience_seconds: float = 15.0
    """How long it waits for REST, or for a stream that is behind the client; then it declares."""


class History(Protocol):
    """Where older trades can be had; a part of :class:`livemarkets.exchanges.base.TradeHistory`."""

    async def newest_ids(self, symbols: Sequence[str]) -> Mapping[str, int]:
        """Return the newest trade id of each symbol that has traded."""

    async def trades_from(self, symbol: str, from_id: int) -> FetchedTrades:
        """Return a page of trades with ids from `from_id` on."""


class ResumePart(msgspec.Struct, frozen=True):
    """What a reader who resumes gets next."""

    items: Sequence[Released]
    is_last: bool
    """Whether the live stream goes on right behind it. The reader must join that stream in the same turn of
    the event loop: with no `await` in between."""


class _Page(msgspec.Struct, frozen=True):
    """An answer of REST that may serve several readers."""

    from_id: int
    fetched: FetchedTrades
    until: float

    def serves(self, from_id: int, now: float) -> bool:
        """Tell whether a reader who needs `from_id` gets anything out of this page."""
        return now < self.until and self.from_id <= from_id <= self.fetched.covered_to


class Resumer:
    """Resumptions on one exchange.

    Args:
        history: where older trades can be had.
        trades: the recent trades of every stream.
        ledgers: of the streams that are wanted now.
        limits: what one resumption may cost.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        history: History,
        trades: RecentTrades,
        ledgers: Mapping[StreamKey, Ledger],
        *,
        limits: ResumeLimits,
        clock: Callable[[], float],
    ) -> None:
        self._history = history
        self._trades = trades
        self._ledgers = ledgers
        self._limits = limits
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._pages: dict[str, list[_Page]] = {}  # fetched lately, by symbol, the last one last
        self._failures: dict[str, tuple[float, ExchangeError]] = {}  # and when it failed last
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def resume(self, key: StreamKey, after: int) -> AsyncIterator[ResumePart]:
        """Yield what a reader needs to come from `after` up to live, oldest first.

        It asks for more only when the reader asks for more: a reader takes its time by itself.

        Args:
            key: the stream; it must be wanted by somebody already.
            after: the last id that the reader has.

        """
        next_id = await self._oldest_to_be_had(key, after + 1)
        if next_id > after + 1:
            yield ResumePart([Gap(key, after + 1, next_id - 1, "history")], is_last=False)
        since = self._clock()
        while True:
            is_late = self._clock() - since >= self._limits.patience_seconds
            tail = self._tail(key, next_id, is_late)
            if tail is not None:
                yield ResumePart(tail, is_last=True)
                return
            reached = next_id
            if not self._is_ahead(key, next_id):
                fetched = await self._fetch(key, next_id)
                if fetched is not None:
                    items, reached = self._ordered(key, next_id, fetched)
                    if items:
                        yield ResumePart(items, is_last=False)
                    if len(fetched.ticks) < PAGE_TRADES and fetched.covered_to >= next_id - 1:
                        await self._begin(key, reached, fetched.newest_id)
            if reached > next_id:
                next_id, since = reached, self._clock()
            else:
                await asyncio.sleep(_RETRY_SECONDS)

    def _tail(self, key: StreamKey, next_id: int, is_late: bool) -> list[Released] | None:
        """What memory holds from `next_id` on, when nothing older is needed; `None` when something is."""
        live_id = self._live_id(key)
        if live_id is None:
            return None
        if next_id > live_id:  # the reader is ahead of us, or the exchange numbers anew
            renumbered = self._renumbered(key, next_id, live_id)
            if renumbered is not None and renumbered <= live_id:
                return [
                    Gap(key, next_id, renumbered - 1, "venue"),
                    *self._from_memory(key, renumbered, live_id),
                ]
            return [Gap(key, next_id, live_id - 1, "history")] if is_late else None
        oldest = self._trades.oldest_id(key)
        start = live_id if oldest is None else oldest
        if next_id >= start:
            return self._from_memory(key, next_id, live_id)
        return self._from_memory(key, next_id, live_id, "history") if is_late else None

    def _from_memory(
        self, key: StreamKey, next_id: int, live_id: int, cause: GapCause = "upstream"
    ) -> list[Released]:
        """Ticks from `next_id` on, with the holes between them declared once more."""
        causes = {gap.from_id: gap.cause for gap in self._trades.gaps(key)}
        parts: list[Released] = []
        for tick in self._trades.after(key, next_id - 1):
            if tick.id > next_id:
                parts.append(Gap(key, next_id, tick.id - 1, causes.get(next_id, cause)))
            parts.append(tick)
            next_id, cause = tick.id + 1, "upstream"
        if next_id < live_id:
            parts.append(Gap(key, next_id, live_id - 1, causes.get(next_id, cause)))
        return parts

    def _renumbered(self, key: StreamKey, next_id: int, live_id: int) -> int | None:
        """The first id of the newest numbering when `next_id` belongs to an older one, else `None`."""
        for gap in reversed(self._trades.gaps(key)):
            to_the_old, to_the_present = gap.from_id - next_id, next_id - live_id
            if gap.to_id < gap.from_id and 0 <= to_the_old < to_the_present:
                return gap.to_id + 1
        return None

    def _live_id(self, key: StreamKey) -> int | None:
        """The id with which the live stream goes on; `None` before its first trade."""
        ledger = self._ledgers.get(key)
        return None if ledger is None else ledger.next_id

    def _is_ahead(self, key: StreamKey, next_id: int) -> bool:
        live_id = self._live_id(key)
        return live_id is not None and next_id > live_id

    async def _oldest_to_be_had(self, key: StreamKey, next_id: int) -> int:
        """Return `next_id`, or the oldest id that a resumption may fetch where that is greater."""
        oldest, live_id = self._trades.oldest_id(key), self._live_id(key)
        if oldest is not None and next_id >= oldest:
            return next_id  # memory has it all
        try:
            newest = await self._newest_id(key)
        except ExchangeError:
            newest = (live_id or 0) - 1
        return max(next_id, newest + 1 - self._limits.history_trades)

    async def _newest_id(self, key: StreamKey) -> int:
        newest = await self._history.newest_ids([key.symbol])
        return newest.get(key.symbol, 0)

    async def _fetch(self, key: StreamKey, next_id: int) -> FetchedTrades | None:
        """Return a page of older trades; `None` when there is none for now, after a wait."""
        try:
            return await self._page(key.symbol, next_id)
        except ExchangeError as error:
            logger.debug("{}: waiting to resume: {}", key, error)
            wait = error.retry_after_seconds if isinstance(error, ExchangeUnreachable) else None
            await asyncio.sleep(min(wait or 0.0, self._limits.patience_seconds / 4))
            return None

    async def _page(self, symbol: str, from_id: int) -> FetchedTrades:
        """Fetch a page, or share the one that another reader of the symbol has just fetched."""
        asked_at = self._clock()
        turn = self._turns.setdefault(symbol, asyncio.Lock())
        async with turn:  # not while a reader takes its time
            for page in self._pages.get(symbol, ()):
                if page.serves(from_id, self._clock()):
                    return page.fetched
            failed_at, error = self._failures.get(symbol, (-math.inf, None))
            if error is not None and failed_at >= asked_at:
                raise error  # who waited meanwhile need not wait for the same again
            return await self._fetch_page(symbol, from_id)

    async def _fetch_page(self, symbol: str, from_id: int) -> FetchedTrades:
        self._failures.pop(symbol, None)
        try:
            async with self._slots:
                fetched = await self._history.trades_from(symbol, from_id)
        except ExchangeError as error:
            self._failures[symbol] = self._clock(), error
            raise
        now = self._clock()
        for name in [name for name, pages in self._pages.items() if pages[-1].until <= now]:
            del self._pages[name]
        page = _Page(from_id, fetched, now + _PAGE_SECONDS)
        self._pages[symbol] = [*self._pages.get(symbol, ()), page][-_PAGES_KEPT:]
        return fetched

    async def _begin(self, key: StreamKey, next_id: int, newest: int | None) -> None:
        """Let live go on from here, also without a trade so far: all that there is was sent.

        The ledger is everybody's: an empty answer must not move it to whatever id a reader claims to have.
        """
        ledger = self._ledgers.get(key)
        if ledger is None or ledger.next_id is not None:
            return
        if newest is None:
            try:
                newest = await self._newest_id(key)
            except ExchangeError:
                return
        if newest >= next_id - 1:
            ledger.begin(next_id)
        else:  # the reader is ahead of the exchange: only a trade can tell where the stream is
            await asyncio.sleep(self._limits.patience_seconds / 4)

    def _ordered(self, key: StreamKey, next_id: int, fetched: FetchedTrades) -> tuple[list[Released], int]:
        """The part of a page that lies before what memory will give, holes declared."""
        live_id, oldest = self._live_id(key), self._trades.oldest_id(key)
        stop = oldest if oldest is not None else live_id
        proven = fetched.covered_to >= next_id
        parts: list[Released] = []
        for tick in sorted(fetched.ticks, key=lambda tick: tick.id):
            if tick.id < next_id:
                continue
            if stop is not None and tick.id >= stop:
                break
            if tick.id > next_id:
                parts.append(Gap(key, next_id, tick.id - 1, "venue" if proven else "history"))
            parts.append(tick)
            next_id, proven = tick.id + 1, True
        if stop is not None and next_id < stop <= fetched.covered_to:
            parts.append(Gap(key, next_id, stop - 1, "venue"))
            next_id = stop
        return parts, next_id
