"""The route `/ws/markets`: one reader a connection, one writer a connection, everything released at the end.

The reader is the endpoint's own coroutine; the writer is the connection's transport, fed once per turn
of the event loop (:mod:`livemarkets.delivery.fanout`), or a task with `send_text` where the server is not
:mod:`livemarkets.server.websocket_protocol`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from fastapi import WebSocket
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from livemarkets.delivery.fanout import Fanout
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeStatus
from livemarkets.market.stores import RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.protocol.encoding import encode_status
from livemarkets.protocol.messages import SUBPROTOCOL
from livemarkets.rate_limit import UsageCounter
from livemarkets.security.addresses import client_address
from livemarkets.security.middleware import MARKETS_PATH
from livemarkets.ws_markets.connection import SWEEP_SECONDS, MarketsConnection, RouteLimits
from livemarkets.ws_markets.sinks import open_sink

__all__ = ["HubStatistics", "MarketsHub", "MarketsRoute", "RouteLimits"]


class HubStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of `/ws/markets`."""

    clients: int
    """Connections that are open now."""
    refused: int
    """Handshakes refused since the start."""
    closed_slow: int
    """Clients disconnected because they stopped reading."""


class MarketsHub:
    """All connections of `/ws/markets`.

    Args:
        feeds: by exchange.
        manager: who wants what.
        trades: the recent trades of every stream.
        fanout: who gets which stream.
        limits: what clients may do.
        clock: where time comes from.

    """

    def __init__(
        self,
        feeds: Mapping[str, ExchangeFeed],
        manager: SubscriptionManager,
        trades: RecentTrades,
        fanout: Fanout,
        *,
        limits: RouteLimits,
        clock: Clock,
    ) -> None:
        self.feeds = feeds
        self.manager = manager
        self.trades = trades
        self.fanout = fanout
        self.limits = limits
        self.clock = clock
        self.connections: set[MarketsConnection] = set()
        self._refused = 0
        self._closed_slow = 0
        self._per_address = UsageCounter()
        for feed in feeds.values():
            feed.add_status_listener(self._handle_status)

    def statistics(self) -> HubStatistics:
        """Return how many clients there are, and what became of others since the start."""
        return HubStatistics(
            clients=len(self.connections), refused=self._refused, closed_slow=self._closed_slow
        )

    def note_too_slow(self) -> None:
        """Count a client that was disconnected because it stopped reading."""
        self._closed_slow += 1

    def note_refusal(self) -> None:
        """Count a handshake that was refused, here or at the door."""
        self._refused += 1

    async def run(self) -> None:
        """Send heartbeats to the connections that nothing else was sent to, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self.clock.monotonic()
            for connection in list(self.connections):
                connection.sweep(now)

    async def serve(self, websocket: WebSocket) -> None:
        """Take a connection in, or refuse it. Returns when it has ended."""
        address = client_address(websocket)
        denial = self._denial(address)
        if denial is not None:
            self.note_refusal()
            await websocket.send_denial_response(denial)
            return
        with self._per_address.use(address):
            await self._serve(websocket)

    def _denial(self, address: str) -> Response | None:
        if len(self.connections) >= self.limits.clients:
            return PlainTextResponse("too many clients\n", 503)
        if self._per_address.in_use(address) >= self.limits.clients_per_address:
            return PlainTextResponse("too many clients from this address\n", 429)
        return None

    async def _serve(self, websocket: WebSocket) -> None:
        offered = websocket.scope.get("subprotocols", ())
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        async with open_sink(websocket) as sink:
            connection = MarketsConnection(self, self.fanout.open(sink, limit_bytes=self.limits.buffer_bytes))
            self.connections.add(connection)
            try:
                await connection.serve(websocket)
            finally:
                self.connections.discard(connection)
                connection.release()

    def _handle_status(self, status: ExchangeStatus) -> None:
        payload = encode_status(status)
        for connection in self.connections:
            if any(key.exchange == status.exchange for key in self.manager.subscriptions(connection)):
                self.fanout.post(connection.mailbox, payload)


class MarketsRoute:
    """ASGI middleware that gives `/ws/markets` to its hub, and everything else to the app.

    A route in the app's router would be wrapped by everything that is made for requests: twice the memory a
    connection, and every message from a client would wake two dozen coroutines instead of ten.
    """

    def __init__(self, app: ASGIApp, hub: MarketsHub) -> None:
        self._app = app
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket" and scope["path"] == MARKETS_PATH:
            await self._hub.serve(WebSocket(scope, receive, send))
        else:
            await self._app(scope, receive, send)
