"""Fetches missing trades over REST, until a ledger has no hole left or the time limit is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable, RestError
from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades
from livemarkets.feed.ledger import Ledger, Released
from livemarkets.market.models import TradeTick

__all__ = ["Backfiller", "TradesByID"]

_CHECK_SECONDS = 0.05
_RETRY_CHECKS = 10
_LAG_CHECKS = 4
_LAG_ATTEMPTS = 10
"""How many answers without the expected ids are explained by a delay of REST behind the stream."""


class TradesByID(Protocol):
    """A source of past trades; a part of :class:`livemarkets.exchanges.base.TradeHistory`."""

    async def trades_from(self, symbol: str, from_id: int) -> FetchedTrades:
        """Return a page of trades with ids from `from_id` on.

        Raises:
            ExchangeError: there is no usable answer.

        """


class Backfiller:
    """Fills the holes in the ledgers of one exchange.

    A stream has one backfill task. The task fetches the first hole until no hole is left.

    Args:
        source: where to fetch trades.
        release: called with the trades and gaps that a ledger releases.
        clock: monotonic seconds.
        check_seconds: interval between two checks of a ledger with a hole. After a failed call, REST is
            asked again after 10 intervals. When REST is behind the stream, it is asked again after 4.

    """

    def __init__(
        self,
        source: TradesByID,
        release: Callable[[Iterable[Released]], None],
        clock: Callable[[], float],
        *,
        check_seconds: float = _CHECK_SECONDS,
    ) -> None:
        self.fetched = 0
        """Trades that were fetched over REST and delivered."""
        self._source = source
        self._release = release
        self._clock = clock
        self._check_seconds = check_seconds
        self._open: dict[Ledger, asyncio.Task[None] | None] = {}
        self._wake = asyncio.Event()

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
        if ledger.is_overdue(now) and not self._drop_impostor(ledger, None):
            logger.warning(
                "{}: missing trade ids not fetched in time: {}", ledger.key.symbol, ledger.missing()
            )
            self._release(ledger.give_up(now))
        if ledger.missing() is None:
            self.forget(ledger)
            return
        task = self._open[ledger]
        if (task is None or task.done()) and ledger.is_due(now):
            self._open[ledger] = tasks.create_task(self._fill(ledger), name=f"backfill {ledger.key.symbol}")

    async def _fill(self, ledger: Ledger) -> None:
        empty_answers = 0
        while (hole := ledger.missing()) is not None:
            first = max(hole[0], hole[1] + 1 - ledger.limits.backfill_trades)
            try:
                fetched = await self._source.trades_from(ledger.key.symbol, first)
            except RestError as error:
                if error.status != 400:
                    await self._wait_after(ledger, first, error)
                    continue
                fetched = FetchedTrades([], first - 1, None)  # the exchange does not know such an id
            except ExchangeError as error:
                await self._wait_after(ledger, first, error)
                continue
            if fetched.newest_id is None or fetched.newest_id <= first:
                empty_answers += 1
            if empty_answers >= _LAG_ATTEMPTS:
                denied_from = max(first, (fetched.newest_id or 0) + 1)
                ledger.retract(denied_from)
                if self._drop_impostor(ledger, denied_from):
                    continue
            self._apply(ledger, fetched, first)
            if fetched.covered_to <= hole[1] and len(fetched.ticks) < PAGE_TRADES:
                await asyncio.sleep(self._check_seconds * _LAG_CHECKS)  # REST lags behind the stream

    async def _wait_after(self, ledger: Ledger, first: int, error: ExchangeError) -> None:
        logger.warning("{}: backfill from {} failed: {}", ledger.key.symbol, first, error)
        wait = error.retry_after_seconds if isinstance(error, ExchangeUnreachable) else None
        await asyncio.sleep(max(wait or 0.0, self._check_seconds * _RETRY_CHECKS))

    def _drop_impostor(self, ledger: Ledger, denied_from: int | None) -> bool:
        impostor = ledger.drop_impostor(self._clock(), denied_from=denied_from)
        if impostor is not None:
            logger.warning(
                "{}: ignoring a trade with the id {}: no other trade confirms this id",
                ledger.key.symbol,
                impostor.id,
            )
        return impostor is not None

    def _apply(self, ledger: Ledger, fetched: FetchedTrades, first: int) -> None:
        now = self._clock()
        covered_to = fetched.covered_to if fetched.covered_to >= first else -1  # else it proves nothing
        if fetched.ticks:
            oldest = min(tick.id for tick in fetched.ticks)
            if covered_to < first:  # an address that serves the newest trades only
                first, covered_to = oldest, fetched.newest_id or covered_to
            if ledger.next_id is not None and ledger.next_id < first:
                self._release(ledger.declare(first - 1, "upstream", now))
        held = ledger.held
        released = ledger.fill(fetched.ticks, covered_to, now)
        # What was held already has come by the stream.
        self.fetched += sum(isinstance(item, TradeTick) for item in released) + ledger.held - held
        self._release(released)
