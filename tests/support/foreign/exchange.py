"""The server: two addresses for streams, two for REST."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial

import h11

from tests.support.foreign.faults import Faults
from tests.support.foreign.http import RestConnection
from tests.support.foreign.market import Listing, Market, Trade, Truth
from tests.support.foreign.rest import RestCalls
from tests.support.foreign.rules import Rules
from tests.support.foreign.streams import StreamConnection

ADDRESSES = 2
"""Of either kind, as in the settings of the product; both lead to the same exchange."""


class ForeignExchange:
    """A running exchange; `foreign_exchange()` makes one."""

    def __init__(self, market: Market, *, ping_seconds: float = 3.0, host: str = "127.0.0.1") -> None:
        self.market = market
        self._host = host
        self.truth = Truth(market)
        self.rules = Rules()
        self.faults = Faults(self)
        self.connections: list[StreamConnection] = []
        self.ping_seconds = ping_seconds
        self._calls = RestCalls(self)
        self._servers: list[asyncio.Server] = []
        self._ports: list[int] = []
        self._tasks: set[asyncio.Task[None]] = set()
        market.on_trades = self._push

    @property
    def ws_urls(self) -> list[str]:
        """Its two addresses for streams."""
        return [f"ws://{self._host}:{port}" for port in self._ports[:ADDRESSES]]

    @property
    def rest_urls(self) -> list[str]:
        """Its two addresses for REST."""
        return [f"http://{self._host}:{port}" for port in self._ports[ADDRESSES:]]

    @property
    def ws_url(self) -> str:
        """For `LIVE_BINANCE_WS_URL`: both addresses."""
        return ",".join(self.ws_urls)

    @property
    def rest_url(self) -> str:
        """For `LIVE_BINANCE_REST_URL`: both addresses."""
        return ",".join(self.rest_urls)

    @property
    def carried(self) -> set[str]:
        """The streams that its open connections carry; half-open ones count for nothing."""
        alive = (each for each in self.connections if each.is_open and not each.is_half_open)
        return {stream for connection in alive for stream in connection.streams}

    @property
    def open_connections(self) -> int:
        """How many stream connections are open, and not half open."""
        return sum(each.is_open and not each.is_half_open for each in self.connections)

    def push(self, trades: Sequence[tuple[str, Trade]]) -> None:
        """Send trades to whoever carries their streams, in this order."""
        self._push([(self.market.listings[symbol], trade) for symbol, trade in trades])

    def admit(self) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Count a dial, and return the refusal if there is one."""
        if not self.rules.dial():
            headers, body = self.rules.dial_ban.answer()
            return 418, headers, body
        if self.faults.refusals:
            status = self.faults.refusals.pop(0)
            return status, [("Retry-After", "1")] if status in (418, 429) else [], b'{"code":0,"msg":"no"}'
        return None

    async def start(self) -> None:
        """Listen on free ports."""
        for serve in (self._serve_streams, self._serve_rest):
            for address in range(ADDRESSES):
                server = await asyncio.start_server(partial(serve, address), self._host, 0)
                self._servers.append(server)
                self._ports.append(server.sockets[0].getsockname()[1])
        self._own(asyncio.create_task(self._keep_pinging(), name="pings of the foreign exchange"))

    async def aclose(self) -> None:
        """End every connection and task."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def trade_by_itself(self, per_second: float) -> None:
        """From now on symbols trade by themselves, at times in bursts; for a campaign."""
        self._own(asyncio.create_task(self._keep_trading(per_second), name="trades of the foreign exchange"))

    async def _keep_trading(self, per_second: float) -> None:
        random = self.market.random
        while True:
            await asyncio.sleep(random.expovariate(per_second))
            names = [each.symbol for each in self.market.listed() if each.status == "TRADING"]
            if names and random.random() < 0.9:
                self.market.trade(random.choice(names))
            elif names:
                self.market.trade(*random.sample(names, k=min(3, len(names))), count=random.randint(1, 10))

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _push(self, trades: Sequence[tuple[Listing, Trade]]) -> None:
        for connection in self.connections:
            if connection.is_open:
                connection.push(trades)
        for listing, trade in trades:
            if trade.id == listing.next_id - 1:
                listing.is_newest_withheld = False

    async def _keep_pinging(self) -> None:
        while True:
            await asyncio.sleep(self.ping_seconds)
            for connection in self.connections:
                connection.ping()

    async def _serve_streams(
        self, address: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._own(task)
        connection = StreamConnection(self, reader, writer, address)
        self.connections.append(connection)
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await connection.run()
            finally:
                self.connections.remove(connection)

    async def _serve_rest(
        self, address: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._own(task)
        try:
            await RestConnection(self, self._calls, reader, writer, address).run()
        except (ConnectionError, h11.ProtocolError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def foreign_exchange(
    symbols: dict[str, tuple[str, str]] | None = None,
    *,
    seed: int = 1,
    ping_seconds: float = 3.0,
    host: str = "127.0.0.1",
) -> AsyncIterator[ForeignExchange]:
    """Run the foreign exchange in this event loop.

    Args:
        symbols: base and quote asset by symbol; by default those of `market.SYMBOLS`.
        seed: decides sizes, sides, and where frames are split.
        ping_seconds: how often it sends a ping (Binance: 20 s).
        host: the address on which it listens.

    """
    exchange = ForeignExchange(Market(symbols, seed=seed), ping_seconds=ping_seconds, host=host)
    await exchange.start()
    try:
        yield exchange
    finally:
        await exchange.aclose()
