"""Fetches missing trades over REST, until a ledger has no hole left or the time limit is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable, RestError
from livemarkets.exchanges.base import FetchedTrades, Purpose
from livemarkets.feed.holes import Hole
from livemarkets.feed.ledger import Ledger, Outcome
from livemarkets.market.models import StreamKey
from livemarkets.rate_limit import LogLimiter

__all__ = ["Backfiller", "TradesByID"]

_CHECK_SECONDS = 0.05
_DENIALS = 10
"""After how many answers the exchange is believed that it has no ids of which only a ticker spoke. They are
spread over about two minutes."""
_LOG_SECONDS = 60.0
_NEWS_SECONDS = 600.0


class TradesByID(Protocol):
    """A source of past trades; a part of :class:`livemarkets.exchanges.base.TradeHistory`."""

    async def trades_from(
        self,
        symbol: str,
        from_id: int,
        *,
        purpose: Purpose = Purpose.HOLE,
        newest_known: int | None = None,
    ) -> FetchedTrades:
        """Return a page of trades with ids from `from_id` on.

        Raises:
            ExchangeError: there is no usable answer.

        """


class Backfiller:
    """Fills the holes in the ledgers of one exchange.

    Each stream with a hole has at most one call at a time. How many streams call at once is decided by the
    source, which keeps the exchange's rate limit.

    Args:
        name: the exchange, for the log.
        source: where to fetch trades.
        take: called with a ledger, and what an answer or the time limit changed in it.
        note_false_id: called with a stream, and the id of a trade that is dropped because the id is false.
        clock: monotonic seconds.
        check_seconds: interval between two checks of a ledger with a hole.
        can_ask: returns whether there is anybody to ask. Time without does not count as patience.

    """

    def __init__(
        self,
        name: str,
        source: TradesByID,
        take: Callable[[Ledger, Outcome], None],
        note_false_id: Callable[[StreamKey, int], None],
        clock: Callable[[], float],
        *,
        check_seconds: float = _CHECK_SECONDS,
        can_ask: Callable[[], bool] = lambda: True,
    ) -> None:
        self.fetched = 0
        """Trades that were fetched over REST and delivered."""
        self._name = name
        self._source = source
        self._take = take
        self._note_false_id = note_false_id
        self._clock = clock
        self._check_seconds = check_seconds
        self._can_ask = can_ask
        self._open: dict[Ledger, asyncio.Task[None] | None] = {}
        self._wake = asyncio.Event()
        self._outage = _Outage(name, clock)

    @property
    def open_holes(self) -> int:
        """How many streams have a hole."""
        return len(self._open)

    def tend(self, ledger: Ledger) -> None:
        """Start filling the hole of this ledger. Idempotent."""
        if ledger not in self._open:
            self._open[ledger] = None
            self._wake.set()

    def forget(self, ledger: Ledger) -> None:
        """Stop filling this ledger, because its stream is no longer wanted. Idempotent."""
        task = self._open.pop(ledger, None)
        if task is not None:
            task.cancel()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                if not self._open:
                    self._wake.clear()
                    await self._wake.wait()
                for ledger in list(self._open):
                    self._look_at(ledger, tasks)
                await asyncio.sleep(self._check_seconds)

    def _look_at(self, ledger: Ledger, tasks: asyncio.TaskGroup) -> None:
        now = self._clock()
        if not self._can_ask():
            ledger.holes.begin_anew(now)
            return
        impostor = ledger.drop_impostor(now)
        if impostor is not None:
            self._note_false_id(ledger.key, impostor.id)
        if ledger.holes.is_overdue(now):
            self._take(ledger, ledger.give_up(now))
        if not ledger.holes:
            self.forget(ledger)
            return
        task = self._open[ledger]
        if (task is None or task.done()) and ledger.holes.due(now) is not None:
            self._open[ledger] = tasks.create_task(self._fill(ledger), name=f"backfill {ledger.key.symbol}")

    async def _fill(self, ledger: Ledger) -> None:
        """Ask for the holes that are due. The page begins with the id before the hole, as a proof."""
        while (hole := ledger.holes.due(self._clock())) is not None:
            first = hole.first
            try:
                fetched = await self._source.trades_from(
                    ledger.key.symbol, max(0, first - 1), newest_known=ledger.newest_known()
                )
            except ExchangeError as error:
                if not (isinstance(error, RestError) and error.status == 400):
                    self._outage.note_failure(ledger, error)
                    wait = error.retry_after_seconds if isinstance(error, ExchangeUnreachable) else None
                    ledger.holes.postpone(None, self._clock(), wait or 0.0)
                    return
                fetched = FetchedTrades([], first - 1, None)  # the exchange does not know such an id
            self._outage.note_success()
            self._apply(ledger, hole, fetched)

    def _apply(self, ledger: Ledger, hole: Hole, fetched: FetchedTrades) -> None:
        now, first = self._clock(), hole.first
        outcome = ledger.fill(fetched.ticks, fetched.invalid_ids, now)
        self.fetched += len(outcome.arrived)
        ledger.holes.fetched += len(outcome.arrived)
        newest = max([first, *fetched.invalid_ids, *(tick.id for tick in fetched.ticks)])
        is_short = fetched.reaches_newest or newest == first
        ledger.holes.postpone(None if is_short else newest, now)
        hole.denials += is_short
        if hole.waiting_since is None and hole.denials >= _DENIALS:
            ledger.forget_expected()
        self._take(ledger, outcome)


class _Outage:
    """Logs once when trades cannot be fetched, and once when they can be fetched again."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._lines = LogLimiter(interval_seconds=_LOG_SECONDS, clock=clock)
        self._since: float | None = None
        self._failed_at = 0.0
        self._failures = 0

    def note_failure(self, ledger: Ledger, error: ExchangeError) -> None:
        """A call failed."""
        self._failures += 1
        self._failed_at = self._clock()
        if self._since is None and self._lines.suppressed_since_last("outage") is not None:
            self._since, self._failures = self._clock(), 1
            logger.warning(
                "{}: missing trades of {} cannot be fetched: {}. It is tried again; "
                "trades wait behind a hole for at most {:.0f} s",
                self._name,
                ledger.key.symbol,
                error,
                ledger.limits.patience_seconds,
            )

    def note_success(self) -> None:
        """A call succeeded."""
        if self._since is not None:
            since, self._since = self._since, None
            # While nothing is missing, nothing is asked: an end that is noticed long after is no news.
            if self._clock() - self._failed_at > _NEWS_SECONDS:
                return
            logger.info(
                "{}: missing trades can be fetched again; {} failed, the first {:.0f} s ago",
                self._name,
                "1 call" if self._failures == 1 else f"{self._failures} calls",
                self._clock() - since,
            )
