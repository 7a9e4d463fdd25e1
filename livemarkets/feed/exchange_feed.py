"""Joins client → ledger → stores → delivery for one exchange, and owns the tasks.

Ticks enter the core through :meth:`ExchangeFeed.handle_tick` alone, wishes leave it through the client's
`want` and `unwant`: whatever else may one day bring ticks (another exchange, a bus) fits this seam.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import msgspec
from loguru import logger

from livemarkets.delivery.fanout import Fanout
from livemarkets.errors import ExchangeError
from livemarkets.exchanges.base import ClientStatus
from livemarkets.exchanges.binance.client import BinanceClient
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.feed.backfill import Backfiller
from livemarkets.feed.ledger import Ledger, LedgerLimits, Released
from livemarkets.feed.resume import ResumeLimits, Resumer
from livemarkets.feed.silence import Rhythm
from livemarkets.feed.staleness import Watcher, WatchLimits
from livemarkets.feed.supervision import supervise
from livemarkets.market.models import (
    TRADES,
    ExchangeName,
    ExchangeState,
    ExchangeStatus,
    Gap,
    StreamKey,
    TradeTick,
)
from livemarkets.market.stores import FeedStore, LatestPriceStore
from livemarkets.market.symbols import SymbolDirectory
from livemarkets.protocol.encoding import encode_gap, encode_trade

__all__ = ["Core", "ExchangeFeed", "FeedLimits"]

_SYMBOLS_REFRESH_SECONDS = 3600.0
_SYMBOLS_RETRY_SECONDS = 15.0


class Core(msgspec.Struct, frozen=True):
    """What all feeds write to."""

    latest: LatestPriceStore
    trades: FeedStore
    fanout: Fanout


class FeedLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How continuity is kept."""

    ledger: LedgerLimits = LedgerLimits()
    watch: WatchLimits = WatchLimits()
    resume: ResumeLimits = ResumeLimits()
    has_ledger: bool = True
    """Off only in the test that proves that the tests of continuity can fail."""


class ExchangeFeed:
    """Everything about one exchange that is running: its client, its ledgers, its list of symbols.

    Args:
        client: already given :meth:`handle_tick` and :meth:`handle_status` by whoever builds both.
        rest: for symbols and backfill.
        core: what to write to.
        limits: see there.
        prepare: awaited once, before anything is sent to the exchange (the simulator is started by it).
        clock: monotonic seconds.
        now_ms: ms since the epoch.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        client: BinanceClient,
        rest: BinanceRest,
        core: Core,
        *,
        limits: FeedLimits,
        prepare: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self.exchange: ExchangeName = exchange
        self.client = client
        self.rest = rest
        self.directory = SymbolDirectory()
        self.status = ExchangeStatus(exchange=exchange, state=ExchangeState.IDLE, reason=None, ts=now_ms())
        self.received = 0
        """Trades read from the stream, duplicates included."""
        self.gaps = 0
        self.lost = 0
        """Trades declared missing for our own fault (`upstream`)."""
        self.ledgers: dict[str, Ledger] = {}
        self._duplicates = 0
        self._core = core
        self._limits = limits
        self._prepare = prepare
        self._clock = clock
        self._now_ms = now_ms
        self.backfiller = Backfiller(rest, self._release, clock)
        self.watcher = Watcher(
            client, rest, self.backfiller.tend, self._update_status, limits=limits.watch, clock=clock
        )
        self.resumer = Resumer(rest, core.trades, self.ledgers, limits=limits.resume, clock=clock)
        self._rhythms: dict[str, Rhythm] = {}
        self._client_status = client.status
        self._listeners: list[Callable[[ExchangeStatus], None]] = []
        self._needed = asyncio.Event()
        self._symbols_tried = asyncio.Event()

    @property
    def duplicates(self) -> int:
        """Trades dropped because their id was seen."""
        return self._duplicates + sum(ledger.duplicates for ledger in self.ledgers.values())

    # wishes

    def key(self, symbol: str) -> StreamKey:
        """Return the key of a symbol's trades: the same object for all who want the stream."""
        ledger = self.ledgers.get(symbol)
        return StreamKey(self.exchange, TRADES, symbol) if ledger is None else ledger.key

    def handle_wanted(self, key: StreamKey, is_wanted: bool) -> None:
        """Follow the subscription manager: keep a stream, or let it and its data go."""
        if is_wanted:
            self._needed.set()
            ledger = Ledger(key, self._limits.ledger, partial(self._core.trades.contains, key))
            self.ledgers[key.symbol] = ledger
            self._rhythms[key.symbol] = self.watcher.add(ledger)
            self.client.want(key.symbol)
            return
        self.client.unwant(key.symbol)
        ledger = self.ledgers.pop(key.symbol)
        self._duplicates += ledger.duplicates
        self.backfiller.forget(ledger)
        self.watcher.discard(key.symbol)
        del self._rhythms[key.symbol]
        self._core.latest.discard(key)
        self._core.trades.discard(key)

    async def ensure_symbols(self, timeout_seconds: float) -> None:
        """Wait until the list of symbols is there or cannot be had for now, at most for the time given."""
        self._needed.set()
        if not self.directory.is_loaded:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._symbols_tried.wait()
            except TimeoutError:
                self._symbols_tried.set()  # nobody else shall wait that long for the same answer

    def add_status_listener(self, listener: Callable[[ExchangeStatus], None]) -> None:
        """Have `listener` called, synchronously, with every new status."""
        self._listeners.append(listener)

    # what the client tells

    def handle_tick(self, tick: TradeTick) -> None:
        """Take in one trade from the stream. The hot path."""
        self.received += 1
        ledger = self.ledgers.get(tick.symbol)
        if ledger is None:
            return  # unsubscribed a moment ago
        now = self._clock()
        rhythm = self._rhythms[tick.symbol]
        rhythm.last_at = now
        rhythm.arrivals += 1
        if ledger.passes(tick) or not self._limits.has_ledger:
            self._deliver(ledger.key, tick)
            return
        released = ledger.accept(tick, now)
        if ledger.held:
            self._core.latest.put(ledger.key, tick)  # a price on a screen need not wait for a hole to close
            self.backfiller.tend(ledger)
        if released:
            self._release(released)

    def handle_status(self, status: ClientStatus) -> None:
        """Take in the client's view of its connections."""
        self._client_status = status
        self._update_status()

    def _update_status(self) -> None:
        """Join what the client and the watcher say, and tell it to everybody when it changed."""
        status = self._client_status
        if status.state is ExchangeState.LIVE and (mute := self.watcher.mute):
            names = ", ".join(mute[:5]) + (" and more" if len(mute) > 5 else "")
            status = ClientStatus(ExchangeState.STALE, f"no trades arrive for {names}")
        retry_ts = None
        if status.retry_at is not None:
            retry_ts = self._now_ms() + int((status.retry_at - self._clock()) * 1000)
        changed = (status.state, status.reason) != (self.status.state, self.status.reason)
        self.status = ExchangeStatus(
            exchange=self.exchange,
            state=status.state,
            reason=status.reason,
            ts=self._now_ms() if changed else self.status.ts,
            retry_ts=retry_ts,
        )
        if changed:
            for listener in self._listeners:
                listener(self.status)

    def _release(self, released: Iterable[Released]) -> None:
        for item in released:
            if isinstance(item, Gap):
                self._declare(item)
                continue
            ledger = self.ledgers.get(item.symbol)
            if ledger is None:
                continue  # nobody wants the stream any more
            self._deliver(ledger.key, item)

    def _deliver(self, key: StreamKey, tick: TradeTick) -> None:
        core = self._core
        core.latest.put(key, tick)
        core.trades.append(key, tick)
        if core.fanout.has_readers(key):
            core.fanout.publish(key, encode_trade(tick), tick.id)

    def _declare(self, gap: Gap) -> None:
        self.gaps += 1
        if gap.cause == "upstream":
            self.lost += gap.to_id - gap.from_id + 1
        logger.warning("{} {}: gap from {} to {} ({})", *gap.key[::2], gap.from_id, gap.to_id, gap.cause)
        self._core.trades.note_gap(gap)
        self._core.fanout.publish_gap(gap.key, encode_gap(gap), gap.from_id, gap.to_id)

    # the tasks

    async def run(self) -> None:
        """Run until cancelled. After a defect in here, everything of this exchange starts again."""
        await supervise(f"{self.exchange}: the feed", self._run)

    async def _run(self) -> None:
        await self._needed.wait()
        await self._prepare()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.client.run(), name=f"{self.exchange} client")
                tasks.create_task(self.backfiller.run(), name=f"{self.exchange} backfill")
                tasks.create_task(self.watcher.run(), name=f"{self.exchange} watch")
                tasks.create_task(self._keep_symbols(), name=f"{self.exchange} symbols")
        finally:
            await self.rest.aclose()

    async def _keep_symbols(self) -> None:
        while True:
            delay = _SYMBOLS_REFRESH_SECONDS
            try:
                self.directory.replace(await self.rest.symbols())
                logger.info("{}: {} symbols", self.exchange, len(self.directory))
            except ExchangeError as error:
                delay = _SYMBOLS_RETRY_SECONDS
                logger.warning("{}: the list of symbols cannot be had: {}", self.exchange, error)
            self._symbols_tried.set()
            await asyncio.sleep(delay)
