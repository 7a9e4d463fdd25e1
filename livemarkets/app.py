"""The composition root: builds the objects of the program, and starts and stops them in order.

There is no state at module level, so that a test can build several.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from livemarkets.config.settings import Settings, outbound_variables
from livemarkets.embedded.exchange import EmbeddedExchange, EmbeddedTimings
from livemarkets.embedded.faults import FaultControl
from livemarkets.exchanges.base import ClientStatus, ExchangePorts
from livemarkets.exchanges.binance.ports import BinancePorts
from livemarkets.exchanges.binance.timings import ClientTimings
from livemarkets.exchanges.outbound import Outbound
from livemarkets.feed.candle_feed import CandleFeed
from livemarkets.feed.exchange_feed import ExchangeFeed, FeedLimits
from livemarkets.feed.expiry import expire_streams
from livemarkets.feed.publisher import Publisher
from livemarkets.feed.supervision import supervise
from livemarkets.http_api.fetching import FetchGuard
from livemarkets.market.channels import TRADES
from livemarkets.market.clock import Clock, system_clock
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import ExchangeName, ExchangeState, ExchangeStatus, StreamKey, StreamQuality
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.market.symbols import SymbolDirectory
from livemarkets.rate_limit import Refusals, UsageCounter
from livemarkets.security.token_auth import TokenAuth
from livemarkets.server.garbage_pauses import GarbagePauses
from livemarkets.server.loop_delay import LoopDelay
from livemarkets.server.turns import Turns
from livemarkets.status.collector import StatusCollector
from livemarkets.ws_markets.hub import MarketsHub
from livemarkets.ws_markets.limits import RouteLimits
from livemarkets.ws_markets.publisher import MarketsPublisher, new_fanout

if TYPE_CHECKING:
    from livemarkets.bus.node import BusNode

__all__ = ["Services", "Tuning", "build"]

_STOP_SECONDS = 2.0
"""Limit for the shutdown; longer than the closing handshake with an exchange."""
_PAGE_SYMBOLS_SECONDS = 10.0


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that are not settings. Only tests and the fault campaign (`make soak`) change them."""

    client: ClientTimings = ClientTimings()
    feed: FeedLimits = FeedLimits()
    embedded: EmbeddedTimings = EmbeddedTimings()
    heartbeat_seconds: int = 5
    connects_per_5_minutes: int = 270
    """Limit of connection attempts per exchange. The embedded exchange does not count towards Binance's."""


class Services:
    """The parts of the running program, for pages and routes. :func:`build` makes it."""

    def __init__(
        self,
        settings: Settings,
        tuning: Tuning,
        clock: Clock,
        exchanges: Mapping[ExchangeName, ExchangePorts],
    ) -> None:
        self.settings = settings
        self.started_at = clock.monotonic()
        self.is_draining = False
        self.clock = clock
        self.access = TokenAuth(settings.access_token.get_secret_value(), clock=clock.monotonic)
        self.refusals = Refusals()
        self.fetching = FetchGuard(clock.monotonic, self.refusals)
        self.loop_delay = LoopDelay(clock.monotonic)
        self.turns = Turns()
        self.page_turns = Turns(self.turns)
        self.garbage_pauses = GarbagePauses()
        self.page_sockets = UsageCounter()
        self.latest = LatestPriceStore()
        self.trades = RecentTrades(settings.feed_length)
        self.updates = LatestUpdates()
        self.manager = SubscriptionManager(linger_seconds=settings.linger_seconds, clock=clock.monotonic)
        self.fanout = new_fanout(clock.monotonic)
        self.feeds: dict[str, ExchangeFeed] = {}
        self.simulator: EmbeddedExchange | None = None
        self.faults: FaultControl | None = None
        self._tuning = tuning
        self._outbound = Outbound(settings.proxy_url.get_secret_value(), outbound_variables())
        self._task: asyncio.Task[None] | None = None
        self._publisher: Publisher = MarketsPublisher(self.fanout)
        self.bus = self._join_bus() if settings.stream_enabled else None
        if settings.stream_enabled:
            self._add_feeds(exchanges)
        if self.bus is not None:
            self.bus.use(self.feeds)
        self.manager.add_listener(self._handle_wanted)
        self.hub = MarketsHub(
            self.feeds,
            self.manager,
            self.trades,
            self.fanout,
            limits=RouteLimits.of(settings, heartbeat_seconds=tuning.heartbeat_seconds),
            clock=clock,
            refusals=self.refusals,
            turns=self.turns,
        )
        self.inspection = StatusCollector(self)

    # for pages and routes

    def exchanges(self) -> tuple[str, ...]:
        """Return the names of the exchanges on offer, the real ones first."""
        return tuple(self.feeds)

    def status(self, exchange: str) -> ExchangeStatus:
        """Return the status of an exchange."""
        return self.feeds[exchange].status

    def symbols(self, exchange: str) -> SymbolDirectory:
        """Return the symbols that an exchange lists; empty until the list is loaded."""
        return self.feeds[exchange].directory

    def quality(self, key: StreamKey) -> StreamQuality | None:
        """Return the state of a stream; `None` if nobody is subscribed to it."""
        return self.feeds[key.exchange].quality.of(key)

    def quality_version(self, exchange: str) -> int:
        """Return a number that rises when the state of any stream of an exchange changes."""
        return self.feeds[exchange].quality.version

    def channels(self, exchange: str) -> Set[str]:
        """Return which kinds of data an exchange has."""
        return self.feeds[exchange].channels

    def candles(self, exchange: str) -> CandleFeed:
        """Return the candles of an exchange that are wanted."""
        return self.feeds[exchange].updates.candles

    def seek_symbols(self, exchange: str, symbols: Sequence[str], *, ask: bool) -> None:
        """Load the list of symbols again soon, because somebody wants symbols that it lacks."""
        self.feeds[exchange].symbols.seek(symbols, ask=ask)

    async def ensure_symbols(self, exchange: str) -> None:
        """Load an exchange's list of symbols if it is not loaded. After a failure it stays empty."""
        await self.feeds[exchange].ensure_symbols(_PAGE_SYMBOLS_SECONDS)

    def now_ms(self) -> int:
        """Return the current time, ms since the epoch."""
        return self.clock.now_ms()

    def elapsed_ms(self) -> int:
        """Return the milliseconds since some moment, by a clock that nobody sets."""
        return int(self.clock.monotonic() * 1000)

    # start and stop

    async def start(self) -> None:
        """Start the background tasks. Each exchange is connected to when it is first needed."""
        self.garbage_pauses.start()
        self._task = asyncio.create_task(self._run(), name="services")

    def drain(self) -> None:
        """Tell load balancers and readers that this process is about to end, and take no new readers."""
        self.is_draining = True
        self.hub.drain()

    async def stop(self) -> None:
        """Close every connection and end every task. Idempotent."""
        self.garbage_pauses.stop()
        await self.fetching.aclose()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            _, pending = await asyncio.wait({task}, timeout=_STOP_SECONDS)
            if pending:  # an error in the program; the process must exit nevertheless
                names = sorted(task.get_name() for task in asyncio.all_tasks())
                logger.error("tasks still running {} s after the stop: {}", _STOP_SECONDS, ", ".join(names))
        if self.simulator is not None:
            await self.simulator.aclose()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(supervise("loop delay task", self.loop_delay.run), name="loop delay")
            for feed in self.feeds.values():
                tasks.create_task(feed.run(), name=f"{feed.exchange} feed")
            if self.feeds:
                expire = partial(expire_streams, self.manager, self.turns)
                tasks.create_task(supervise("heartbeat task", self.hub.run), name="heartbeats")
                tasks.create_task(supervise("quality task", self.hub.quality.run), name="quality")
                tasks.create_task(supervise("linger task", expire), name="linger")
            if self.bus is not None:
                tasks.create_task(supervise("the bus", self.bus.run), name="bus")

    def _handle_wanted(self, key: StreamKey, is_wanted: bool) -> None:
        self.feeds[key.exchange].handle_wanted(key, is_wanted)

    # building

    def _join_bus(self) -> BusNode | None:
        """Become an ingest or an edge, if that is the role. Nothing of the bus is imported before."""
        if self.settings.role == "all":
            return None
        from livemarkets.bus.join import join_bus

        bus = join_bus(self.settings, self.manager, self, self.clock)
        self._publisher = bus.publisher or self._publisher
        return bus

    def _add_feeds(self, exchanges: Mapping[ExchangeName, ExchangePorts]) -> None:
        settings = self.settings
        if self.bus is not None and self.bus.ports is not None:
            for exchange in ("binance", *exchanges, *["simulator"] * settings.simulator_enabled):
                self._add_feed(exchange, self.bus.ports(exchange))
            return
        binance = self._binance("binance", settings.binance_ws_url, settings.binance_rest_url)
        self._add_feed("binance", binance.ports())
        for exchange, ports in exchanges.items():
            self._add_feed(exchange, ports)
        if settings.simulator_enabled:
            self._add_simulator()

    def _add_simulator(self) -> None:
        """Add the feed of the embedded exchange. Each start of its process tells new addresses."""
        binance = self._binance("simulator")
        simulator = self.simulator = EmbeddedExchange(
            lambda addresses: binance.use(addresses.ws_url, addresses.rest_url),
            timings=self._tuning.embedded,
        )
        self.faults = FaultControl(simulator, self.clock.monotonic)

        async def prepare() -> None:
            feed = self.feeds["simulator"]
            await simulator.wait(lambda why: feed.on_status(ClientStatus(ExchangeState.DOWN, why)))
            feed.on_status(feed.client.status)

        self._add_feed("simulator", binance.ports(prepare))

    def _add_feed(self, exchange: ExchangeName, ports: ExchangePorts) -> None:
        if exchange in self.feeds or exchange != exchange.lower():
            raise ValueError(f"the exchange name {exchange!r} is taken, or not in lower case")
        self.feeds[exchange] = ExchangeFeed(
            exchange,
            ports,
            self.latest,
            self.trades,
            self.updates,
            self._publisher,
            limits=self._tuning.feed.with_patience(self.settings.gap_patience_seconds),
            clock=self.clock,
        )

    def _binance(
        self, exchange: ExchangeName, ws_urls: Sequence[str] = (), rest_urls: Sequence[str] = ()
    ) -> BinancePorts:
        return BinancePorts(
            exchange,
            ws_urls,
            rest_urls,
            connects_per_5_minutes=self._tuning.connects_per_5_minutes,
            timings=self._tuning.client,
            clock=self.clock,
            outbound=self._outbound,
            deliveries=lambda: self.fanout.statistics().delivered.get(TRADES, 0),
            legs=self.settings.binance_legs,
        )


def build(
    settings: Settings,
    *,
    tuning: Tuning | None = None,
    clock: Clock | None = None,
    exchanges: Mapping[ExchangeName, ExchangePorts] | None = None,
) -> Services:
    """Build everything that runs from the settings. Starts nothing.

    Args:
        settings: what can be set from outside.
        tuning: what only tests change.
        clock: where time comes from; the exchanges given should have the same one.
        exchanges: by name, what is offered beside `binance` and `simulator`. A name is in lower case, and is
            what readers of `/ws/markets`, the API, the pages and the metrics call the exchange.

    Raises:
        ValueError: a name is taken or not in lower case, or an exchange promises too little (see
            :class:`~livemarkets.feed.exchange_feed.ExchangeFeed`).

    """
    return Services(settings, tuning or Tuning(), clock or system_clock(), exchanges or {})
