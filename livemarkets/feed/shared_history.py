"""The history that the resumptions of one exchange share: each question is asked once for all who wait.

After a restart of this server, thousands of readers resume at once, from about the same ids. A question that
nobody waits for any more is not asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Protocol

from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable, RestError, WeightUsedUp
from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades, HistoryStatistics, Purpose
from livemarkets.feed.history_page import HistoryPage
from livemarkets.feed.patience import Patience
from livemarkets.feed.question import Question

__all__ = ["History", "SharedHistory"]

_STRIDE = PAGE_TRADES - 1
"""Pages begin at multiples of this, so that readers at nearby ids share them. Neighbours share one id: an id
that is missing at the seam then lies between two ids of one page."""
_NEWEST_TRADES = PAGE_TRADES - 100
"""Readers within so many ids of the newest one share a page of the newest trades, which the exchange has in
memory. It trades on meanwhile, so a whole page might not reach back."""
_TRADES_KEPT = 250_000
_PAGE_KEPT_SECONDS = 120.0
_KEPT_UNUSED_SECONDS = 5.0
"""How long pages are kept after the last resumption has ended."""
_NEWEST_SECONDS = 1.0
_COLLECT_SECONDS = 0.05
"""How long symbols are collected for one question for the newest ids."""
_CONFIRM_SECONDS = 2.0
"""A replica of the exchange's database may lack trades for a moment. So an id is absent only if it is missing
in two answers."""
_UNCONFIRMED_KEPT = 100
_FIRST_RETRY_SECONDS = 0.25
_LONGEST_RETRY_SECONDS = 2.0
_LONGEST_TOLD_RETRY_SECONDS = 30.0


class History(Protocol):
    """A source of past trades; a part of :class:`livemarkets.exchanges.base.TradeHistory`."""

    async def newest_ids(
        self, symbols: Sequence[str], *, purpose: Purpose = ..., asker: str | None = ...
    ) -> Mapping[str, int]:
        """Return the newest trade id of each symbol that has traded."""

    async def trades_from(
        self,
        symbol: str,
        from_id: int,
        *,
        purpose: Purpose = ...,
        asker: str | None = ...,
        newest_known: int | None = ...,
    ) -> FetchedTrades:
        """Return a page of trades with ids from `from_id` on."""

    def statistics(self) -> HistoryStatistics:
        """Return the counters since the start."""


class _PageQuestion(Question[HistoryPage | None]):
    def __init__(self, asked_from: int, work: Coroutine[Any, Any, HistoryPage | None], name: str) -> None:
        super().__init__(work, name)
        self.asked_from = asked_from

    def will_serve(self, trade_id: int) -> bool:
        return not self.is_over and self.asked_from <= trade_id < self.asked_from + PAGE_TRADES


class _NewestQuestion(Question[Mapping[str, int] | None]):
    def __init__(
        self, symbols: set[str], work: Coroutine[Any, Any, Mapping[str, int] | None], name: str
    ) -> None:
        super().__init__(work, name)
        self.symbols = symbols


class SharedHistory:
    """Pages of trades and newest ids of one exchange.

    Args:
        history: where they come from.
        clock: monotonic seconds.

    """

    def __init__(self, history: History, clock: Callable[[], float]) -> None:
        self._history = history
        self._clock = clock
        self._users = 0
        self._pages: dict[str, list[HistoryPage]] = {}
        self._used: dict[HistoryPage, str] = {}  # the one that was used last is at the end
        self._trades_kept = 0
        self._unconfirmed: dict[str, HistoryPage] = {}  # by symbol: the first of two answers
        self._questions: dict[str, list[_PageQuestion]] = {}
        self._asked_newest: list[_NewestQuestion] = []
        self._collecting: _NewestQuestion | None = None  # the one that symbols can still be added to
        self._newest: dict[str, tuple[float, int | None]] = {}
        self._answered_at = float("-inf")
        self._limited_at = float("-inf")  # when the rate limit was last seen to hold calls up
        self._failures = 0
        self._retry_at = float("-inf")
        self._retrying = asyncio.Lock()
        self._unused: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep pages during the context, and a short time after it."""
        self._users += 1
        if self._unused is not None:
            self._unused.cancel()
            self._unused = None
        try:
            yield
        finally:
            self._users -= 1
            if not self._users and (self._used or self._unconfirmed):
                loop = asyncio.get_running_loop()
                self._unused = loop.call_later(_KEPT_UNUSED_SECONDS, self._drop_all)

    def is_working(self, since: float) -> bool:
        """Return whether the exchange answered since then, or its rate limit held answers up."""
        limit = self._history.statistics().rate_limit
        if limit is not None and Purpose.RESUME in limit.limited:
            self._limited_at = self._clock()
        return max(self._answered_at, self._limited_at) >= since

    async def newest_id(self, symbol: str, patience: Patience) -> int | None:
        """Return the newest trade id of a symbol, at most a second old.

        `None` if it is not known: the symbol has not traded lately, or there was no answer in time.
        """
        at, newest = self._newest.get(symbol, (float("-inf"), None))
        if self._clock() - at < _NEWEST_SECONDS:
            return newest
        asked = self._asked_newest
        question = next((one for one in asked if symbol in one.symbols or one is self._collecting), None)
        if question is None:
            symbols: set[str] = set()
            question = _NewestQuestion(symbols, self._ask_newest(symbols), "newest ids for resumptions")
            self._collecting = question
            asked.append(question)
        question.symbols.add(symbol)
        try:
            answer = await question.answer(patience)
        finally:
            if question.is_over:
                asked.remove(question)
                self._collecting = None if question is self._collecting else self._collecting
        return None if answer is None else answer.get(symbol)

    async def page(
        self, symbol: str, trade_id: int, newest: int | None, asker: str | None, patience: Patience
    ) -> HistoryPage | None:
        """Return a page with this id, or one that shows that there is none.

        Args:
            symbol: the symbol.
            trade_id: the id that is needed first.
            newest: the newest id of the symbol; `None` if it is not known.
            asker: the reader who needs it.
            patience: how long to wait. Without an answer in this time, return `None`.

        """
        for page in self._pages.get(symbol, ()):
            if page.serves(trade_id) and self._clock() - page.fetched_at < _PAGE_KEPT_SECONDS:
                self._used[page] = self._used.pop(page)
                return page
        questions = self._questions.setdefault(symbol, [])
        question = next((one for one in questions if one.will_serve(trade_id)), None)
        if question is None:
            unconfirmed = self._unconfirmed.get(symbol)
            if unconfirmed is not None and unconfirmed.serves(trade_id):
                first = unconfirmed.asked_from
            else:
                first = _first_id(trade_id, newest)
            work = self._ask_page(symbol, first, trade_id if newest is None else newest, asker)
            question = _PageQuestion(first, work, f"history of {symbol} from {first}")
            questions.append(question)
        try:
            return await question.answer(patience)
        finally:
            if question.is_over:
                questions.remove(question)
                if not questions:
                    del self._questions[symbol]

    async def _ask_newest(self, symbols: set[str]) -> Mapping[str, int] | None:
        await asyncio.sleep(_COLLECT_SECONDS)
        try:
            async with self._attempt():
                self._collecting = None
                asked = sorted(symbols)
                found = await self._history.newest_ids(asked, purpose=Purpose.RESUME)
        except ExchangeError as error:
            self._note_failure(error)
            return None
        self._note_answer()
        now = self._clock()
        fresh = {one: known for one, known in self._newest.items() if now - known[0] < _NEWEST_SECONDS}
        self._newest = fresh | {symbol: (now, found.get(symbol)) for symbol in asked}
        return found

    async def _ask_page(self, symbol: str, first: int, newest: int, asker: str | None) -> HistoryPage | None:
        earlier = self._unconfirmed.get(symbol)
        if earlier is None or earlier.asked_from != first:
            page = await self._fetch(symbol, first, newest, asker)
            if page is not None and page.has_holes:
                # Readers may leave before the second answer. Those who come then wait only for the rest.
                self._unconfirmed[symbol] = earlier = page
                if len(self._unconfirmed) > _UNCONFIRMED_KEPT:
                    del self._unconfirmed[next(iter(self._unconfirmed))]
        if earlier is not None and earlier.asked_from == first:
            await asyncio.sleep(max(0.0, earlier.fetched_at + _CONFIRM_SECONDS - self._clock()))
            again = await self._fetch(symbol, first, newest, asker)
            page = None if again is None else again.merged_with(earlier)
            if page is not None:
                self._unconfirmed.pop(symbol, None)
        if page is not None and len(page):
            self._keep(symbol, page)
        return page

    async def _fetch(self, symbol: str, first: int, newest: int, asker: str | None) -> HistoryPage | None:
        try:
            async with self._attempt():
                fetched = await self._history.trades_from(
                    symbol, first, purpose=Purpose.RESUME, asker=asker, newest_known=newest
                )
        except ExchangeError as error:
            self._note_failure(error)
            return None
        self._note_answer()
        return HistoryPage(first, fetched, self._clock())

    @contextlib.asynccontextmanager
    async def _attempt(self) -> AsyncIterator[None]:
        """Make a call in the context. While calls fail, only one at a time tries again, after a delay."""
        if self._failures:
            async with self._retrying:
                await asyncio.sleep(max(0.0, self._retry_at - self._clock()))
                if self._failures:
                    yield
                    return
        yield

    def _note_answer(self) -> None:
        self._failures = 0
        self._answered_at = self._clock()

    def _note_failure(self, error: ExchangeError) -> None:
        """Ask nothing for a short time, whatever the next question is: the exchange is the same."""
        logger.debug("resumptions wait: {}", error)
        if isinstance(error, RestError) and error.status < 500:
            return  # it is this question that the exchange refuses
        if isinstance(error, WeightUsedUp):
            return  # the exchange was not asked; the governor keeps the order of those who wait
        delay = min(_FIRST_RETRY_SECONDS * 2 ** min(self._failures, 10), _LONGEST_RETRY_SECONDS)
        if isinstance(error, ExchangeUnreachable) and error.retry_after_seconds is not None:
            delay = max(delay, min(error.retry_after_seconds, _LONGEST_TOLD_RETRY_SECONDS))
        self._failures += 1
        self._retry_at = self._clock() + delay

    def _keep(self, symbol: str, page: HistoryPage) -> None:
        self._pages.setdefault(symbol, []).append(page)
        self._used[page] = symbol
        self._trades_kept += len(page)
        while self._trades_kept > _TRADES_KEPT and len(self._used) > 1:
            self._drop(next(iter(self._used)))

    def _drop(self, page: HistoryPage) -> None:
        symbol = self._used.pop(page)
        self._trades_kept -= len(page)
        self._pages[symbol].remove(page)
        if not self._pages[symbol]:
            del self._pages[symbol]

    def _drop_all(self) -> None:
        self._unused = None
        self._pages.clear()
        self._used.clear()
        self._unconfirmed.clear()
        self._trades_kept = 0


def _first_id(trade_id: int, newest: int | None) -> int:
    """Return the first id of the page to ask for."""
    if newest is None or newest - trade_id >= PAGE_TRADES:
        return max(1, (trade_id - 1) // _STRIDE * _STRIDE)
    # One page from their own id costs half of two that begin at a multiple.
    oldest_for_one_page = max(trade_id - 1, newest - PAGE_TRADES + 1)
    return max(1, min(oldest_for_one_page, newest - _NEWEST_TRADES))
