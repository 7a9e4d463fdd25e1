"""One exchange's feed handler: connects its client, ledgers and stores, and owns their tasks.

Trades enter through :meth:`ExchangeFeed.on_trades` and leave to the stores and to one publisher. The feed
uses the ports of :mod:`livemarkets.exchanges.base`. It imports neither an exchange nor an encoder, so that
another exchange or a message bus can take the place of either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from livemarkets.exchanges.base import ClientStatus, ExchangePorts, Silence
from livemarkets.feed.backfill import Backfiller
from livemarkets.feed.downstream import Downstream
from livemarkets.feed.gaps import GapRecord
from livemarkets.feed.ledger import Ledger, Outcome
from livemarkets.feed.limits import FeedLimits
from livemarkets.feed.publisher import TradePublisher
from livemarkets.feed.quality import QualityMonitor
from livemarkets.feed.resume import Resumer
from livemarkets.feed.silence import SilenceDetector
from livemarkets.feed.staleness import StalenessMonitor
from livemarkets.feed.statistics import FeedStatistics
from livemarkets.feed.status import FeedStatus
from livemarkets.feed.supervision import supervise
from livemarkets.feed.symbol_list import SymbolList
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, ExchangeState, ExchangeStatus, StreamKey, TradeTick
from livemarkets.market.stores import LatestPriceStore, RecentTrades

__all__ = ["ExchangeFeed", "FeedLimits"]


class _Stream:
    """One wanted stream. The hot path finds all that it needs with one look-up."""

    __slots__ = ("key", "ledger", "silence")

    def __init__(self, ledger: Ledger, silence: SilenceDetector) -> None:
        self.key = ledger.key
        self.ledger = ledger
        self.silence = silence


class ExchangeFeed:
    """The feed handler of one exchange: its client, its ledgers, its list of symbols.

    Args:
        exchange: its name. Its ticks carry this name.
        ports: the exchange.
        latest: the store of the newest trade of each stream.
        trades: the store of recent trades.
        publisher: receives the trades and gaps, in order.
        limits: tolerances and time limits (:class:`FeedLimits`).
        clock: source of the time.

    Raises:
        ValueError: the exchange does not guarantee consecutive ids and a history by id. No other guarantee is
            supported so far.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        ports: ExchangePorts,
        latest: LatestPriceStore,
        trades: RecentTrades,
        publisher: TradePublisher,
        *,
        limits: FeedLimits,
        clock: Clock,
    ) -> None:
        self.exchange: ExchangeName = exchange
        self._received = self._duplicates = 0
        self._streams: dict[StreamKey, _Stream] = {}
        self._ledgers: dict[StreamKey, Ledger] = {}
        self._latest = latest
        self._trades = trades
        self._publisher = publisher
        self._limits = limits
        self._prepare = ports.prepare
        self.symbols = SymbolList(
            exchange,
            ports.symbols,
            lambda: [key.symbol for key in self._streams],
            self._use_list,
            limits=limits.symbols,
            clock=clock,
        )
        self.directory = self.symbols.directory
        """The listed symbols; empty until the list is loaded."""
        self.history = ports.history
        self._monotonic = clock.monotonic
        self._needed = asyncio.Event()
        self.client = ports.connect(self)
        guarantee = self.client.guarantee
        if (guarantee.ids, guarantee.history) != ("consecutive", "by_id"):
            raise ValueError(f"{exchange}: consecutive ids and a history by id are required, not {guarantee}")
        self._status = FeedStatus(exchange, self.client.status, clock)
        self.quality = QualityMonitor(
            self.symbols, self.client, latest, lambda key: self._watcher.is_mute(key), clock=clock
        )
        self._gaps = GapRecord(limits.ledger.far_ids, self.quality.note_gap, clock.monotonic)
        self._downstream = Downstream(latest, trades, publisher, self._gaps)
        self._backfiller = Backfiller(
            exchange, ports.history, self._take, self._downstream.drop_false_id, clock.monotonic
        )
        self._watcher = StalenessMonitor(
            self.client,
            ports.history,
            self._take,
            self._update_status,
            self.quality.is_expected,
            limits=limits.staleness,
            clock=clock.monotonic,
        )
        self.resumer = Resumer(
            ports.history, trades, self._ledgers, limits=limits.resume, clock=clock.monotonic
        )

    # subscriptions

    def interned(self, key: StreamKey) -> StreamKey:
        """Return the wanted stream's own key object, which equals `key`.

        Every reader keeps its keys. Shared objects save memory.
        """
        stream = self._streams.get(key)
        return key if stream is None else stream.key

    def keys(self) -> list[StreamKey]:
        """Return the streams that are wanted."""
        return list(self._streams)

    def ledger(self, key: StreamKey) -> Ledger | None:
        """Return the ledger of a wanted stream, for reading only."""
        return self._ledgers.get(key)

    def handle_wanted(self, key: StreamKey, is_wanted: bool) -> None:
        """Start a stream, or stop it and discard its data. Called by the subscription manager."""
        if is_wanted:
            self._needed.set()
            ledger = Ledger(key, self._limits.ledger, partial(self._trades.contains, key))
            self._streams[key] = _Stream(ledger, self._watcher.add(ledger))
            self._ledgers[key] = ledger
            if self.symbols.has_room(len(self._streams)):
                self.client.want(key)
            self.quality.add(ledger)
            return
        self.client.unwant(key)
        del self._streams[key]
        ledger = self._ledgers.pop(key)
        self._duplicates += ledger.duplicates
        self._backfiller.forget(ledger)
        self._watcher.discard(key)
        self.quality.discard(key)
        self._latest.discard(key)
        self._trades.discard(key)

    async def ensure_symbols(self, timeout_seconds: float) -> None:
        """Wait until the list of symbols is loaded or its first request has failed, up to a time limit."""
        self._needed.set()
        await self.symbols.ensure(timeout_seconds)

    async def find_symbols(self, symbols: Sequence[str], timeout_seconds: float, *, ask: bool = True) -> None:
        """Load the list of symbols if it is not loaded, and again if it lacks one; up to a time limit."""
        began = self._monotonic()
        await self.ensure_symbols(timeout_seconds)
        left = max(timeout_seconds - (self._monotonic() - began), 0.0)
        await self.symbols.find(symbols, left, ask=ask)

    def add_status_listener(self, listener: Callable[[ExchangeStatus], None]) -> None:
        """Call `listener` synchronously with every new status."""
        self._status.add_listener(listener)

    # state

    @property
    def status(self) -> ExchangeStatus:
        """The present status of the exchange."""
        return self._status.present

    def statistics(self) -> FeedStatistics:
        """Return the counters since the start and the present sizes."""
        return FeedStatistics(
            received=self._received,
            backfilled=self._backfiller.fetched,
            duplicates=self._duplicates + sum(ledger.duplicates for ledger in self._ledgers.values()),
            lost=self._gaps.lost,
            gaps=self._gaps.count,
            holes_open=self._backfiller.open_holes,
            streams_wanted=len(self._streams),
            symbols_known=len(self.symbols.directory),
            symbols_skipped=self.symbols.skipped,
            qualities=self.quality.counts(),
            client=self.client.statistics(),
            history=self.history.statistics(),
        )

    # events of the client (ExchangeEvents)

    def on_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Process trades of one stream. The hot path."""
        count = len(ticks)
        self._received += count
        stream = self._streams.get(key)
        if stream is None:
            return  # unsubscribed a moment ago
        now = self._monotonic()
        silence, ledger = stream.silence, stream.ledger
        silence.last_at = now
        silence.arrivals += count
        for tick in ticks:
            if ledger.take_if_next(tick) or not self._limits.has_ledger:
                self._latest.put(key, tick)
                self._trades.append(key, tick)
                self._publisher.publish_trade(key, tick)
            else:
                self._take(ledger, ledger.accept(tick, now))
                if ledger.suspect.tick is tick:
                    self._gaps.note_false_id(key, tick.id)

    def on_invalid(self, key: StreamKey, trade_id: int) -> None:
        """Declare the id of a trade with impossible values."""
        stream = self._streams.get(key)
        if stream is not None:
            stream.silence.last_at = now = self._monotonic()
            stream.silence.arrivals += 1
            self._take(stream.ledger, stream.ledger.reject(trade_id, now))

    def on_newest(self, key: StreamKey, trade_id: int) -> None:
        """Process an id that something showed as the newest of a stream."""
        self._watcher.note_newest(key, trade_id)

    def on_status(self, status: ClientStatus) -> None:
        """Process a change of the client's status."""
        self._status.client = status
        self._watcher.note_status(is_live=status.state is ExchangeState.LIVE)
        self._update_status()
        self.quality.doubt_all()

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a stream means at present."""
        if not self.quality.is_expected(key):
            return Silence.NATURAL
        return self._watcher.silence_of(key)

    def _use_list(self) -> None:
        """Request what was held back while no list was loaded, and look at every stream again."""
        for key in self._streams:
            self.client.want(key)
        self.quality.doubt_all()

    def _update_status(self) -> None:
        """Combine the client's status with staleness, and call the listeners when it changed."""
        mute = self._watcher.mute
        for key in mute:
            self.quality.doubt(key)
        self._status.update(mute)

    # downstream

    def _take(self, ledger: Ledger, outcome: Outcome) -> None:
        """Pass on what a call of a ledger changed, and see to its holes."""
        if self._ledgers.get(ledger.key) is not ledger:
            return  # unsubscribed a moment ago
        if ledger.holes:
            self._backfiller.tend(ledger)
            self.quality.doubt(ledger.key)
        self._downstream.apply(ledger, outcome)

    # tasks

    async def run(self) -> None:
        """Run until cancelled. An unexpected error restarts all tasks of this exchange."""
        await supervise(f"{self.exchange}: the feed", self._run)

    async def _run(self) -> None:
        await self._needed.wait()
        if self._prepare is not None:
            await self._prepare()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.client.run(), name=f"{self.exchange} client")
                tasks.create_task(self._backfiller.run(), name=f"{self.exchange} backfill")
                tasks.create_task(self._watcher.run(), name=f"{self.exchange} watch")
                tasks.create_task(self.quality.run(), name=f"{self.exchange} quality")
                tasks.create_task(self.symbols.run(), name=f"{self.exchange} symbols")
        finally:
            await self.history.aclose()
