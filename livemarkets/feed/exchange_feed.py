"""One exchange's feed handler: connects its client, ledgers and stores, and owns their tasks.

Trades enter through :meth:`ExchangeFeed.on_trades` and leave to the stores and to one publisher. Other data
takes the way through :mod:`livemarkets.feed.update_feeds`. Neither an exchange nor an encoder is imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from livemarkets.exchanges.base import ClientStatus, ExchangePorts, Silence
from livemarkets.feed.backfill import Backfiller
from livemarkets.feed.downstream import Downstream
from livemarkets.feed.gaps import GapRecord
from livemarkets.feed.ledger import Ledger, Outcome
from livemarkets.feed.limits import FeedLimits
from livemarkets.feed.not_traded_log import NotTradedLog
from livemarkets.feed.publisher import Publisher
from livemarkets.feed.quality import QualityMonitor
from livemarkets.feed.resume import Resumer
from livemarkets.feed.staleness import StalenessMonitor
from livemarkets.feed.statistics import FeedStatistics
from livemarkets.feed.status import FeedStatus
from livemarkets.feed.supervision import supervise
from livemarkets.feed.symbol_list import SymbolList
from livemarkets.feed.trade_streams import TradeStreams
from livemarkets.feed.update_feeds import UpdateFeeds
from livemarkets.market.channels import ALL_SYMBOLS, TRADES
from livemarkets.market.clock import Clock
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import ExchangeName, ExchangeState, ExchangeStatus, StreamKey, TradeTick
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from livemarkets.market.updates import StreamUpdate

__all__ = ["ExchangeFeed", "FeedLimits"]

_TASKS = ("client", "backfill", "watch", "updates", "quality", "symbols")


class ExchangeFeed:
    """The feed handler of one exchange: its client, its ledgers, its list of symbols.

    Args:
        exchange: its name. Its ticks carry this name.
        ports: the exchange.
        latest: the store of the newest trade of each stream.
        trades: the store of recent trades.
        updates: the store of the newest updates.
        publisher: receives trades and gaps in order, and updates.
        limits: tolerances and time limits (:class:`FeedLimits`).
        clock: source of the time.

    Raises:
        ValueError: the exchange does not guarantee consecutive ids and a history by id.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        ports: ExchangePorts,
        latest: LatestPriceStore,
        trades: RecentTrades,
        updates: LatestUpdates,
        publisher: Publisher,
        *,
        limits: FeedLimits,
        clock: Clock,
    ) -> None:
        self.exchange: ExchangeName = exchange
        self._received = 0
        self.trade_streams = TradeStreams(limits.ledger, latest, trades)
        self._streams, self._ledgers = self.trade_streams.by_key, self.trade_streams.ledgers
        self._latest, self._trades = latest, trades
        self._publisher, self._limits, self._prepare = publisher, limits, ports.prepare
        self.symbols = SymbolList(
            exchange,
            ports.symbols,
            lambda: {key.symbol for key in self.keys() if key.symbol != ALL_SYMBOLS},
            self._use_list,
            limits=limits.symbols,
            clock=clock,
        )
        self.directory = self.symbols.directory
        """The listed symbols; empty until the list is loaded."""
        self.history = ports.history
        self.latency = ports.latency
        self.channels = ports.channels
        """What can be subscribed on this exchange."""
        self._monotonic = now = clock.monotonic
        self._needed = asyncio.Event()
        self.client = ports.connect(self)
        self.client.guarantee.require(exchange)
        self._status = FeedStatus(exchange, self.client.status, clock)
        self.updates = UpdateFeeds(
            self.client,
            ports,
            updates,
            publisher,
            self.trade_streams,
            self.on_newest,
            self._update_status,
            lambda symbol: self.directory.get(symbol) is not None,
            limits=limits,
            clock=clock,
        )
        self.quality = QualityMonitor(
            self.symbols, self.client, latest, self.updates, self._is_mute, clock=clock
        )
        self.quality.add_listener(NotTradedLog(now).note)
        self._gaps = GapRecord(limits.ledger.far_ids, self.quality.note_gap, clock.monotonic)
        self._downstream = Downstream(latest, trades, publisher, self._gaps)
        self._backfiller = Backfiller(
            exchange, ports.history, self._take, self._downstream.drop_false_id, now, can_ask=ports.can_ask
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
            ports.history, trades, self._ledgers, ports.can_ask, limits=limits.resume, clock=now
        )

    def interned(self, key: StreamKey) -> StreamKey:
        """Return the wanted stream's own key object. Every reader keeps its keys; shared ones save memory."""
        stream = self._streams.get(key)
        return stream.key if stream is not None else self.updates.interned(key) or key

    def keys(self) -> list[StreamKey]:
        """Return the streams that are wanted."""
        return [*self._streams, *self.updates.keys()]

    def is_wanted(self, key: StreamKey) -> bool:
        """Return whether a stream is wanted."""
        return key in self._streams or self.updates.interned(key) is not None

    def ledger(self, key: StreamKey) -> Ledger | None:
        """Return the ledger of a wanted stream, for reading only."""
        return self._ledgers.get(key)

    def handle_wanted(self, key: StreamKey, is_wanted: bool) -> None:
        """Start a stream, or stop it and discard its data. Called by the subscription manager."""
        is_trades = key.channel == TRADES
        if is_wanted:
            self._needed.set()
            if is_trades:
                self.trade_streams.add(key, self._watcher.add)
            else:
                self.updates.add(key)
            if self.symbols.has_room(len(self._streams) + self.updates.count):
                self.client.want(key)
            self.quality.add(key, self._ledgers.get(key))
            return
        self.client.unwant(key)
        self.quality.discard(key)
        if not is_trades:
            self.updates.discard(key)
            return
        self._backfiller.forget(self.trade_streams.discard(key))
        self._watcher.discard(key)

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

    @property
    def status(self) -> ExchangeStatus:
        """The present status of the exchange."""
        return self._status.present

    def statistics(self) -> FeedStatistics:
        """Return the counters since the start and the present sizes."""
        return FeedStatistics(
            received=self._received,
            backfilled=self._backfiller.fetched,
            duplicates=self.trade_streams.duplicates,
            lost=self._gaps.lost,
            gaps=self._gaps.count,
            holes_open=self._backfiller.open_holes,
            streams_wanted=len(self._streams) + self.updates.count,
            updates=self.updates.statistics(),
            candles=self.updates.candles.statistics(),
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

    def on_update(self, key: StreamKey, update: StreamUpdate) -> None:
        """Process an update of a stream other than one of trades."""
        self.updates.on_update(key, update)

    def on_newest(self, key: StreamKey, trade_id: int) -> None:
        """Process an id that something showed as the newest of a stream."""
        self._watcher.note_newest(key, trade_id)

    def on_status(self, status: ClientStatus) -> None:
        """Process a change of the client's status."""
        self._status.client = status
        self._watcher.note_status(is_live=status.state is ExchangeState.LIVE)
        self.updates.note_status()
        self._update_status()
        self.quality.doubt_all()

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a stream means at present."""
        if not self.quality.is_expected(key):
            return Silence.NOT_TRADED
        return (self._watcher if key.channel == TRADES else self.updates).silence_of(key)

    def _is_mute(self, key: StreamKey) -> bool:
        return self._watcher.is_mute(key) or self.updates.is_mute(key)

    def _use_list(self) -> None:
        """Request what was held back while no list was loaded, and look at every stream again."""
        for key in self.keys():
            self.client.want(key)
        self.quality.doubt_all()

    def _update_status(self) -> None:
        """Combine the client's status with staleness, and call the listeners when it changed."""
        mute = self._watcher.mute + self.updates.mute
        for key in (*mute, *self.updates.recovering):
            self.quality.doubt(key)
        self._status.update(mute, len(self._streams) + self.updates.count)

    def _take(self, ledger: Ledger, outcome: Outcome) -> None:
        """Pass on what a call of a ledger changed, and see to its holes."""
        if self._ledgers.get(ledger.key) is not ledger:
            return  # unsubscribed a moment ago
        if ledger.holes:
            self._backfiller.tend(ledger)
            self.quality.doubt(ledger.key)
        self._downstream.apply(ledger, outcome)

    async def run(self) -> None:
        """Run until cancelled. An unexpected error restarts all tasks of this exchange."""
        await supervise(f"{self.exchange}: the feed", self._run)

    async def _run(self) -> None:
        await self._needed.wait()
        if self._prepare is not None:
            await self._prepare()
        try:
            async with asyncio.TaskGroup() as tasks:
                parts = self.client, self._backfiller, self._watcher, self.updates, self.quality, self.symbols
                for name, run in zip(_TASKS, [part.run for part in parts], strict=True):
                    tasks.create_task(run(), name=f"{self.exchange} {name}")
        finally:
            await self.history.aclose()
