"""Resumption (`after`): every trade since an id, then the live stream, with nothing missing and no repeat.

Trades come from :class:`~livemarkets.market.stores.RecentTrades` where it reaches back far enough, otherwise
over REST. A gap with the cause `history` is declared for the rest. The offset is the exchange's trade id, so
it stays valid after a restart and on another instance.
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
"""How long a fetched page is shared. After a restart, many readers resume at once from about the same id."""
_PAGES_KEPT = 8
"""Pages kept per symbol, because readers are at different positions."""


class ResumeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one resumption."""

    history_trades: int = 20_000
    """How far back it reaches, in trades. A gap is declared for older ones."""
    patience_seconds: float = 15.0
    """How long it waits without progress, for REST or for a stream that is behind the client. After that, a
    gap is declared."""


class History(Protocol):
    """A source of past trades; a part of :class:`livemarkets.exchanges.base.TradeHistory`."""

    async def newest_ids(self, symbols: Sequence[str]) -> Mapping[str, int]:
        """Return the newest trade id of each symbol that has traded."""

    async def trades_from(self, symbol: str, from_id: int) -> FetchedTrades:
        """Return a page of trades with ids from `from_id` on."""


class ResumePart(msgspec.Struct, frozen=True):
    """The next part of a resumption."""

    items: Sequence[Released]
    is_last: bool
    """Whether the live stream follows. The caller must then subscribe the reader to the live stream in the
    same turn of the event loop, without an `await` in between."""


class _Page(msgspec.Struct, frozen=True):
    """A REST answer that several readers may share."""

    from_id: int
    fetched: FetchedTrades
    until: float

    def serves(self, from_id: int, now: float) -> bool:
        """Return whether this page is still fresh and contains `from_id`."""
        return now < self.until and self.from_id <= from_id <= self.fetched.covered_to


class Resumer:
    """Resumptions on one exchange.

    Args:
        history: source of older trades.
        trades: the recent trades of every stream.
        ledgers: the ledgers of the wanted streams.
        limits: limits of one resumption.
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
        self._pages: dict[str, list[_Page]] = {}  # recently fetched, by symbol, newest last
        self._failures: dict[str, tuple[float, ExchangeError]] = {}  # time and error of the last failure
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def resume(self, key: StreamKey, after: int) -> AsyncIterator[ResumePart]:
        """Yield the trades and gaps from `after` up to the live stream, oldest first.

        The next page is fetched only when the caller asks for the next part: a slow reader slows only itself.

        Args:
            key: the stream. It must be wanted already.
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
        """Return the trades in memory from `next_id` on; `None` when older ones must be fetched first."""
        live_id = self._live_id(key)
        if live_id is None:
            return None
        if next_id > live_id:  # the reader is ahead of us, or the exchange restarted its numbering
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
        """Return the ticks in memory from `next_id` on, with the gaps between them declared again."""
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

    def _is_ahead(self, key: StreamKey, next_id: int) -> bool:
        live_id = self._live_id(key)
        return live_id is not None and next_id > live_id

    async def _oldest_to_be_had(self, key: StreamKey, next_id: int) -> int:
        """Return `next_id`, or the oldest id that a resumption may fetch where that is greater."""
        oldest, live_id = self._trades.oldest_id(key), self._live_id(key)
        if oldest is not None and next_id >= oldest:
            return next_id  # everything needed is in memory
        try:
            newest = await self._newest_id(key)
        except ExchangeError:
            newest = (live_id or 0) - 1
        return max(next_id, newest + 1 - self._limits.history_trades)

    async def _newest_id(self, key: StreamKey) -> int:
        newest = await self._history.newest_ids([key.symbol])
        return newest.get(key.symbol, 0)

    async def _fetch(self, key: StreamKey, next_id: int) -> FetchedTrades | None:
        """Return a page of older trades. After a failure, wait and return `None`."""
        try:
            return await self._page(key.symbol, next_id)
        except ExchangeError as error:
            logger.debug("{}: waiting to resume: {}", key, error)
            wait = error.retry_after_seconds if isinstance(error, ExchangeUnreachable) else None
            await asyncio.sleep(min(wait or 0.0, self._limits.patience_seconds / 4))
            return None

    async def _page(self, symbol: str, from_id: int) -> FetchedTrades:
        """Fetch a page, or return the one that was just fetched for another reader of the symbol."""
        asked_at = self._clock()
        turn = self._turns.setdefault(symbol, asyncio.Lock())
        async with turn:  # held only during the call, never while a reader is slow
            for page in self._pages.get(symbol, ()):
                if page.serves(from_id, self._clock()):
                    return page.fetched
            failed_at, error = self._failures.get(symbol, (-math.inf, None))
            if error is not None and failed_at >= asked_at:
                raise error  # the call failed while this one waited for its turn
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
        """Set the ledger's first id if no trade has arrived yet: the reader has every trade so far.

        All readers share the ledger, so an empty answer must not set it to an id that one reader claims.
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
        else:  # the reader is ahead of the exchange: only a trade shows where the stream is
            await asyncio.sleep(self._limits.patience_seconds / 4)

    def _ordered(self, key: StreamKey, next_id: int, fetched: FetchedTrades) -> tuple[list[Released], int]:
        """Return the part of a page that is older than what memory holds, with gaps, and the next id."""
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
