"""Keeps the wanted symbols of one exchange subscribed, through everything that happens to connections.

Spreads the symbols over as many connections as the exchange's limit of streams asks for
(:mod:`livemarkets.exchanges.binance.shard`), passes every trade on, and says how the exchange is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
from loguru import logger

from livemarkets.exchanges.base import ClientStatus
from livemarkets.exchanges.binance.connection import Connection
from livemarkets.exchanges.binance.shard import Shard, ShardTimings
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.market.models import ExchangeName, ExchangeState, TradeTick
from livemarkets.rate_limit import LogLimiter

__all__ = ["BinanceClient", "ClientTimings"]

_COMPLAINT_SECONDS = 60.0
_AMPLE = 0.7
"""Connections are merged only when the rest stays this full at most, so that they do not split again soon."""


class ClientTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about the client that has a number."""

    shard: ShardTimings = ShardTimings()
    streams_per_connection: int = 1000
    """The exchange allows 1024 (`web-socket-streams.md`, "WebSocket Limits")."""


class BinanceClient:
    """The only thing that talks to the exchange's market streams.

    Args:
        exchange: `binance`, or `simulator` for the embedded exchange, which speaks the same protocol.
        urls: base addresses, tried in order; `/stream` is appended.
        on_tick: called with every trade; duplicates and any order are possible.
        on_status: called whenever :attr:`status` changed.
        budget: connection attempts to this exchange; shared by all shards.
        clock: monotonic seconds.
        now_ms: ms since the epoch.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        urls: Sequence[str],
        *,
        on_tick: Callable[[TradeTick], None],
        on_status: Callable[[ClientStatus], None],
        budget: ConnectBudget,
        timings: ClientTimings,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self.exchange = exchange
        self.urls = tuple(urls)
        self.handle_tick = on_tick
        self.complaints: Counter[str] = Counter()
        """What the exchange sent that could not be understood, and what it refused, by kind."""
        self.connects = 0
        self.status = ClientStatus(ExchangeState.IDLE)
        self._on_status = on_status
        self._budget = budget
        self._timings = timings
        self._clock = clock
        self._now_ms = now_ms
        self._shards: list[Shard] = []
        self._shard_of: dict[str, Shard] = {}
        self._moving: dict[str, Shard] = {}  # symbol -> the shard that it leaves
        self._limiter = LogLimiter(interval_seconds=_COMPLAINT_SECONDS, clock=clock)
        self._wake = asyncio.Event()
        self._is_closing = False

    # wishes

    def want(self, symbol: str) -> None:
        """Keep the trades of `symbol` coming from now on."""
        if symbol in self._shard_of:
            return
        shard = next((shard for shard in self._shards if self._has_room(shard)), None) or self._new_shard()
        self._shard_of[symbol] = shard
        shard.add(symbol)
        self.handle_change()

    def unwant(self, symbol: str) -> None:
        """Let go of `symbol`."""
        shard = self._shard_of.pop(symbol, None)
        if shard is not None:
            shard.remove(symbol)
            if source := self._moving.pop(symbol, None):
                source.remove(symbol)
            self._rebalance()
            self.handle_change()

    def resubscribe(self, symbol: str) -> None:
        """Ask the exchange again for a mute stream."""
        if shard := self._shard_of.get(symbol):
            shard.resubscribe(symbol)

    def rotate(self, symbol: str, reason: str) -> None:
        """Replace the connection that carries `symbol`, make before break."""
        if shard := self._shard_of.get(symbol):
            shard.rotate(reason)

    # facts

    def neighbours(self, symbol: str) -> set[str]:
        """Return the symbols that share a connection with `symbol`, itself included."""
        shard = self._shard_of.get(symbol)
        return set(shard.symbols) if shard else set()

    def is_acknowledged(self, symbol: str) -> bool:
        """Whether the exchange confirmed the stream of `symbol`."""
        shard = self._shard_of.get(symbol)
        return shard is not None and shard.is_acknowledged(symbol)

    def rejection(self, symbol: str) -> str | None:
        """Return the exchange's words when it refused `symbol`."""
        shard = self._shard_of.get(symbol)
        return shard.rejection(symbol) if shard else None

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open or opening now."""
        return [c for shard in self._shards for c in (shard.active, shard.standby) if c is not None]

    @property
    def rotations(self) -> int:
        """How many times a connection was replaced while another still delivered."""
        return sum(shard.rotations for shard in self._shards)

    # the task

    async def run(self) -> None:
        """Keep the wishes fulfilled until cancelled; then close everything."""
        self._is_closing = False
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._start_shards(tasks)
            finally:
                self._is_closing = True  # connections that close from here on are no news

    async def _start_shards(self, tasks: asyncio.TaskGroup) -> None:
        started = 0
        while True:
            self._wake.clear()
            for shard in self._shards[started:]:
                tasks.create_task(shard.run(), name=shard.name)
            started = len(self._shards)
            await self._wake.wait()

    def _rebalance(self) -> None:
        """Empty the shard with the fewest symbols when the others have ample room: a connection less to keep.

        The symbols go over make before break: a shard lets one go when the other has it acknowledged.
        """
        busy = [shard for shard in self._shards if shard.symbols]
        if len(busy) < 2 or self._moving:
            return
        source = min(busy, key=lambda shard: len(shard.symbols))
        ample = int(self._timings.streams_per_connection * _AMPLE)
        places = [shard for shard in busy if shard is not source for _ in range(ample - len(shard.symbols))]
        if len(places) < len(source.symbols):
            return
        for symbol, target in zip(list(source.symbols), places, strict=False):
            self._moving[symbol] = source
            self._shard_of[symbol] = target
            target.add(symbol)

    def _finish_moves(self) -> None:
        for symbol, source in list(self._moving.items()):
            target = self._shard_of[symbol]
            if target.is_acknowledged(symbol):
                del self._moving[symbol]
                source.remove(symbol)
            elif target.rejection(symbol) is not None:  # it stays where it was
                del self._moving[symbol]
                self._shard_of[symbol] = source
                target.remove(symbol)

    def _has_room(self, shard: Shard) -> bool:
        return len(shard.symbols) < self._timings.streams_per_connection

    def _new_shard(self) -> Shard:
        shard = Shard(
            f"{self.exchange}-{len(self._shards) + 1}",
            self.exchange,
            self,
            timings=self._timings.shard,
            budget=self._budget,
            clock=self._clock,
        )
        self._shards.append(shard)
        self._wake.set()
        return shard

    # what the shards tell (ShardOwner; handle_tick is the callable given to __init__)

    def new_connection(self, shard: Shard, endpoint: int) -> Connection:
        """Make a connection for a shard, to the endpoint of that number, counted round."""
        self.connects += 1
        return Connection(
            f"{shard.name}.{self.connects}",
            f"{self.urls[endpoint % len(self.urls)].rstrip('/')}/stream",
            self.exchange,
            shard,
            timings=self._timings.shard.connection,
            clock=self._clock,
            now_ms=self._now_ms,
        )

    def handle_complaint(self, connection: Connection, kind: str, detail: str) -> None:
        """Count what the exchange did wrong, and log it once per kind and minute."""
        self.complaints[kind] += 1
        held_back = self._limiter.allow(kind)
        if held_back is not None:
            more = f" ({held_back} more like it were not logged)" if held_back else ""
            logger.warning("{}: {}: {}{}", connection.name, kind, detail, more)

    def handle_change(self) -> None:
        """Work out the status again, and tell when it changed. The one place that changes it."""
        if self._moving:
            self._finish_moves()
        status = self._assess()
        if self._is_closing or status == self.status:
            return
        before, self.status = self.status, status
        if status.state != before.state or status.reason != before.reason:
            logger.info(
                "{}: {}{}", self.exchange, status.state, f" because {status.reason}" if status.reason else ""
            )
        self._on_status(status)

    def _assess(self) -> ClientStatus:
        busy = [shard for shard in self._shards if shard.symbols]
        if not busy:
            return ClientStatus(ExchangeState.IDLE)
        missing = [shard for shard in busy if not shard.is_ready]
        if not missing:
            return ClientStatus(ExchangeState.LIVE)
        worst = max(missing, key=lambda shard: shard.failures)
        state = ExchangeState.DOWN if worst.is_down else ExchangeState.CONNECTING
        return ClientStatus(state, worst.reason, worst.retry_at)
