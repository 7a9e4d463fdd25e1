"""Keeps the wanted streams of one exchange subscribed, and reports trades, updates and status.

The streams are distributed over as many connections as the exchange's limit per connection requires
(:mod:`livemarkets.exchanges.binance.shard`).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from livemarkets.exchanges.base import (
    ClientStatistics,
    ClientStatus,
    Evidence,
    ExchangeEvents,
    Guarantee,
    StreamState,
)
from livemarkets.exchanges.binance.attempts import Attempts
from livemarkets.exchanges.binance.connection import Connection, ConnectionEvents
from livemarkets.exchanges.binance.describe import describe_client
from livemarkets.exchanges.binance.placement import Placement
from livemarkets.exchanges.binance.routes import Routes
from livemarkets.exchanges.binance.shard import Shard
from livemarkets.exchanges.binance.stream_names import STREAM_CHANNELS
from livemarkets.exchanges.binance.suspicion import Remedy, Suspicions
from livemarkets.exchanges.binance.timings import ClientTimings
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.exchanges.latency import TradeWatch
from livemarkets.exchanges.outage_log import OutageLog
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, ExchangeState, StreamKey
from livemarkets.rate_limit import LogLimiter

__all__ = ["BinanceClient", "ClientTimings"]


class BinanceClient:
    """The client of Binance's market streams (an :class:`~livemarkets.exchanges.base.ExchangeClient`).

    Args:
        exchange: `binance`, or `simulator` for the embedded exchange, which speaks the same protocol.
        urls: base addresses, tried in order; `/stream` is appended.
        events: receives trades, updates and status.
        budget: of connection attempts; one per exchange.
        timings: limits and time limits (:class:`ClientTimings`).
        clock: source of the time.
        outbound: which proxy and which certificates; `None` for direct connections.
        latency: measures some of the trades; `None` if nothing does.
        name: for the log and the connections, if the exchange has several clients; else the exchange's.

    """

    guarantee = Guarantee(ids="consecutive", history="by_id")
    """`rest-api.md`, "Old trade lookup": `fromId` requests trades by id. Ids are consecutive per symbol."""

    channels = STREAM_CHANNELS

    def __init__(
        self,
        exchange: ExchangeName,
        urls: Sequence[str],
        events: ExchangeEvents,
        *,
        budget: ConnectBudget,
        timings: ClientTimings,
        clock: Clock,
        outbound: Outbound | None = None,
        latency: TradeWatch | None = None,
        name: str = "",
    ) -> None:
        self.exchange = exchange
        self._name = name or exchange
        self.status = ClientStatus(ExchangeState.IDLE)
        self._events = events
        self.handle_trades = events.on_trades  # no call in between: this is the hot path
        self.handle_update = events.on_update
        self.silence_of = events.silence_of
        self._attempts = Attempts(urls, budget, timings.shard.attempts, random.uniform)
        self._outbound = outbound or Outbound()
        self._latency = latency
        self._timings = timings
        self._clock = clock
        self._complaints: Counter[str] = Counter()
        self._connects = 0
        self._routes = Routes()
        self._placement = Placement(timings.streams_per_connection, self._new_shard)
        self._shards = self._placement.shards
        self._suspicions = Suspicions(events.silence_of, resubscribe_seconds=timings.resubscribe_seconds)
        self._log = OutageLog(self._name, LogLimiter(interval_seconds=60.0, clock=clock.monotonic))
        self._wake = asyncio.Event()
        self._is_closing = False

    @property
    def urls(self) -> tuple[str, ...]:
        """The base addresses, the preferred one first."""
        return tuple(self._attempts.addresses)

    @urls.setter
    def urls(self, urls: Sequence[str]) -> None:
        self._attempts.use_addresses(urls)
        self.handle_outcome()

    # subscriptions

    def want(self, key: StreamKey) -> None:
        """Keep this stream subscribed from now on. Idempotent.

        Raises:
            ValueError: the exchange has no such channel.

        """
        if self._placement.shard_of(key) is not None:
            return
        self._placement.add(key)
        self._routes.add(key)
        self.handle_change()

    def unwant(self, key: StreamKey) -> None:
        """Unsubscribe the stream. Idempotent."""
        if self._placement.discard(key):
            self._routes.discard(key)
            self._suspicions.forget(key)
            self.handle_change()

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Resubscribe a stream that may be mute, or replace its connection (make before break)."""
        shard = self._placement.shard_of(key)
        if shard is None:
            return
        neighbours = [other for other in shard.streams if other != key]
        remedy = self._suspicions.judge(key, evidence, neighbours, self._clock.monotonic())
        if remedy is Remedy.RESUBSCRIBE:
            self._log.warn("mute", f"{key}: nothing arrives, though it should; subscribing again")
            shard.resubscribe(key)
        elif remedy is Remedy.ROTATE:
            shard.rotate(f"nothing arrives for {key}", is_mute=True)

    # state

    def state_of(self, key: StreamKey) -> StreamState:
        """Return the subscription state of a stream."""
        if self.acknowledged_at(key) is not None:
            return StreamState.ACKNOWLEDGED
        return StreamState.PENDING if self.rejection(key) is None else StreamState.REJECTED

    def acknowledged_at(self, key: StreamKey) -> float | None:
        """Return when the exchange confirmed the present subscription; `None` if it did not."""
        shard = self._placement.shard_of(key)
        return None if shard is None else shard.acknowledged_at(key)

    def rejection(self, key: StreamKey) -> str | None:
        """Return the exchange's error text if it refused the stream, else `None`."""
        shard = self._placement.shard_of(key)
        return shard.rejection(key) if shard else None

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open or opening."""
        return [c for shard in self._shards for c in (shard.active, shard.standby) if c is not None]

    def statistics(self) -> ClientStatistics:
        """Return the counters since the start."""
        now, counted = self._clock.monotonic(), (self._connects, self._complaints)
        return describe_client(self._shards, self._attempts, self._outbound, *counted, now)

    async def run(self) -> None:
        """Run until cancelled, then close every connection."""
        self._is_closing = False
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._start_shards(tasks)
            finally:
                self._is_closing = True  # connections that close from now on do not change the status
                if self.status.state is not ExchangeState.IDLE:
                    self._log.note_stop(self._clock.monotonic())

    async def _start_shards(self, tasks: asyncio.TaskGroup) -> None:
        started = 0
        while True:
            self._wake.clear()
            for shard in self._shards[started:]:
                tasks.create_task(shard.run(), name=shard.name)
            started = len(self._shards)
            await self._wake.wait()

    def _new_shard(self, number: int) -> Shard:
        self._wake.set()
        return Shard(
            f"{self._name}-{number}",
            self,
            timings=self._timings.shard,
            attempts=self._attempts,
            clock=self._clock.monotonic,
        )

    # events of the shards (ShardOwner)

    def new_connection(self, shard: str, url: str, events: ConnectionEvents) -> Connection:
        """Return a new connection of the shard of this name to a base address."""
        self._connects += 1
        return Connection(
            f"{shard}.{self._connects}",
            f"{url.rstrip('/')}/stream",
            self.exchange,
            self._routes,
            events,
            timings=self._timings.shard.connection,
            clock=self._clock,
            outbound=self._outbound,
            latency=self._latency,
        )

    def handle_invalid(self, key: StreamKey, trade_id: int) -> None:
        """Pass on the id of an invalid trade."""
        self._events.on_invalid(key, trade_id)

    def handle_complaint(self, connection: Connection, kind: str, detail: str) -> None:
        """Count an error of the exchange, and log it once per kind and minute."""
        self._complaints[kind] += 1
        self._log.warn(kind, f"{connection.name}: {kind}: {detail}")

    def handle_outcome(self) -> None:
        """Let every shard see whether an attempt is due."""
        for shard in self._shards:
            shard.wake()

    def handle_failure(self, what: str, delay_seconds: float, *, is_covered: bool) -> None:
        """Log a failure."""
        if is_covered:
            self._log.warn("covered", f"{self._name}: {what}; another connection delivers its streams")
        elif not self._is_closing:
            self._log.note_failure(what, delay_seconds, self._clock.monotonic())

    def handle_change(self) -> None:
        """Compute the status again, and report it if it changed. The only place that changes it."""
        self._placement.finish_moves()
        status = self._assess()
        if self._is_closing or status == self.status:
            return
        before, self.status = self.status, status
        if status.state != before.state:
            self._log.note_status(status, self._clock.monotonic())
        self._events.on_status(status)

    def _assess(self) -> ClientStatus:
        busy = [shard for shard in self._shards if shard.streams]
        if not busy:
            return ClientStatus(ExchangeState.IDLE)
        missing = [shard for shard in busy if not shard.is_ready]
        if not missing:
            return ClientStatus(ExchangeState.LIVE)
        attempts = self._attempts
        state = ExchangeState.DOWN if attempts.is_down else ExchangeState.CONNECTING
        waits = [shard.retry_at for shard in missing if shard.active is None and shard.retry_at is not None]
        return ClientStatus(state, attempts.reason, min(waits, default=None))
