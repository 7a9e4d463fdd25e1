"""The composition root of the services: builds the object graph, starts and stops it in order.

Nothing here lives at module level; a test builds as many graphs as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable

import msgspec
from fastapi import FastAPI
from loguru import logger

from livemarkets import __version__
from livemarkets.config.settings import Settings
from livemarkets.delivery.fanout import Fanout
from livemarkets.exchanges.base import ClientStatus
from livemarkets.exchanges.binance.client import BinanceClient, ClientTimings
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.feed.exchange_feed import Core, ExchangeFeed, FeedLimits
from livemarkets.feed.supervision import supervise
from livemarkets.http_api.routes import http_router
from livemarkets.market.models import ExchangeName, ExchangeStatus, StreamKey, TradeTick
from livemarkets.market.stores import FeedStore, LatestPriceStore
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.market.symbols import SymbolDirectory
from livemarkets.protocol.encoding import encode_lagged
from livemarkets.security.middleware import Door
from livemarkets.security.token_auth import Access
from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.ws_markets.hub import MarketsHub, MarketsRoute, RouteLimits

__all__ = ["Services", "Tuning", "build", "create_app"]

_EXPIRE_SECONDS = 0.1
_STOP_SECONDS = 2.5
"""Longer than any connection to an exchange takes to close."""
_PAGE_SYMBOLS_SECONDS = 10.0


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that are no settings: tests shorten them, nobody else has a reason to."""

    client: ClientTimings = ClientTimings()
    feed: FeedLimits = FeedLimits()
    heartbeat_seconds: int = 5
    connects_per_5_minutes: int = 270
    """To each exchange by itself: what is dialled on this machine spends nothing of Binance's."""


class Services:
    """Everything that runs, as pages and routes see it. Made by :func:`build`."""

    def __init__(self, settings: Settings, tuning: Tuning, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.started_at = clock()
        self.clock = clock
        self.access = Access(settings.access_token.get_secret_value(), clock=clock)
        self.latest = LatestPriceStore()
        self.trades = FeedStore(settings.feed_length)
        self.manager = SubscriptionManager(linger_seconds=settings.linger_seconds, clock=clock)
        self.fanout = Fanout(
            lambda callback: asyncio.get_running_loop().call_soon(callback),
            lambda seconds, callback: asyncio.get_running_loop().call_later(seconds, callback),
            clock,
            os.write,
            encode_lagged,
        )
        self.feeds: dict[str, ExchangeFeed] = {}
        self.simulator: Simulator | None = None
        self.simulator_secret = secrets.token_urlsafe(32)
        self._tuning = tuning
        self._task: asyncio.Task[None] | None = None
        self._core = Core(self.latest, self.trades, self.fanout)
        if settings.stream_enabled:
            self._add_feeds()
        self.manager.add_listener(self._handle_wanted)
        self.hub = MarketsHub(
            self.feeds,
            self.manager,
            self._core,
            limits=RouteLimits(
                clients=settings.max_clients,
                symbols=settings.max_symbols_per_client,
                buffer_bytes=settings.client_buffer_bytes,
                heartbeat_seconds=tuning.heartbeat_seconds,
            ),
            clock=clock,
            now_ms=self.now_ms,
        )

    # what pages and routes ask

    def exchanges(self) -> tuple[str, ...]:
        """Return the names of the exchanges on offer, the real one first."""
        return tuple(self.feeds)

    def status(self, exchange: str) -> ExchangeStatus:
        """Return the state of an exchange, why, and since when."""
        return self.feeds[exchange].status

    def symbols(self, exchange: str) -> SymbolDirectory:
        """Return what an exchange lists; empty until it is known."""
        return self.feeds[exchange].directory

    async def ensure_symbols(self, exchange: str) -> None:
        """Load an exchange's list of symbols unless it is there; a failure leaves it empty for now."""
        await self.feeds[exchange].ensure_symbols(_PAGE_SYMBOLS_SECONDS)

    def now_ms(self) -> int:
        """Return the current time, ms since the epoch."""
        return time.time_ns() // 1_000_000

    # start and stop

    async def start(self) -> None:
        """Start the background tasks. Nothing connects anywhere until somebody wants something."""
        self._task = asyncio.create_task(self._run(), name="services")

    async def stop(self) -> None:
        """Close every connection and end every task. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            _, pending = await asyncio.wait({task}, timeout=_STOP_SECONDS)
            if pending:  # a defect; the process must end all the same
                names = sorted(task.get_name() for task in asyncio.all_tasks())
                logger.error("not everything ended within {} s: {}", _STOP_SECONDS, ", ".join(names))
        simulator, self.simulator = self.simulator, None
        if simulator is not None:
            await simulator.aclose()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for feed in self.feeds.values():
                tasks.create_task(feed.run(), name=f"{feed.exchange} feed")
            if self.feeds:
                tasks.create_task(supervise("the task of the heartbeats", self.hub.run), name="heartbeats")
                tasks.create_task(supervise("the task of the linger", self._expire), name="linger")

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRE_SECONDS)
            self.manager.expire()

    def _handle_wanted(self, key: StreamKey, is_wanted: bool) -> None:
        self.feeds[key.exchange].handle_wanted(key, is_wanted)

    # building

    def _add_feeds(self) -> None:
        settings = self.settings
        self._add_feed("binance", settings.binance_ws_url, settings.binance_rest_url)
        if settings.simulator_enabled:
            self._add_feed("simulator", (), ())

    def _add_feed(self, exchange: ExchangeName, ws_urls: tuple[str, ...], rest_urls: tuple[str, ...]) -> None:
        client = BinanceClient(
            exchange,
            ws_urls,
            on_tick=lambda tick: self._handle_tick(exchange, tick),
            on_status=lambda status: self._handle_status(exchange, status),
            budget=ConnectBudget(limit=self._tuning.connects_per_5_minutes),
            timings=self._tuning.client,
            clock=self.clock,
            now_ms=self.now_ms,
        )
        feed = self.feeds[exchange] = ExchangeFeed(
            exchange,
            client,
            BinanceRest(exchange, rest_urls, clock=self.clock, now_ms=self.now_ms),
            self._core,
            limits=self._tuning.feed,
            prepare=self._start_simulator if exchange == "simulator" else _nothing,
            clock=self.clock,
            now_ms=self.now_ms,
        )
        client.handle_tick = feed.handle_tick

    def _handle_tick(self, exchange: str, tick: TradeTick) -> None:
        self.feeds[exchange].handle_tick(tick)

    def _handle_status(self, exchange: str, status: ClientStatus) -> None:
        self.feeds[exchange].handle_status(status)

    async def _start_simulator(self) -> None:
        """Start the embedded exchange, on a loopback port, the first time that anybody wants it."""
        if self.simulator is None:
            self.simulator = Simulator(
                SimulatedMarket(), control_secret=self.simulator_secret, serves_browsers=False
            )
            await self.simulator.start()
            logger.info("simulator: the embedded exchange listens on {}", self.simulator.ws_url)
        feed = self.feeds["simulator"]
        feed.client.urls = (self.simulator.ws_url,)
        feed.rest.urls = (self.simulator.rest_url,)


async def _nothing() -> None:
    """Binance needs no preparation."""


def build(
    settings: Settings, *, tuning: Tuning | None = None, clock: Callable[[], float] = time.monotonic
) -> Services:
    """Build everything that runs from the settings. Starts nothing."""
    return Services(settings, tuning or Tuning(), clock)


def create_app(services: Services) -> FastAPI:
    """Return the web app: HTTP routes and, when the feature is on, `/ws/markets`. Pages come on top.

    Its lifespan starts and stops the services.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await services.stop()

    app = FastAPI(
        title="Live Markets",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    if services.settings.stream_enabled:
        app.add_middleware(MarketsRoute, hub=services.hub)
    app.add_middleware(  # the last one is the first that a request meets
        Door,
        access=services.access,
        allowed_origins=services.settings.allowed_origins,
        note_refusal=services.hub.note_refusal,
    )
    app.include_router(http_router(services))
    return app
