"""The connections of `/ws/markets`: accepts connections, serves them, and releases their resources.

Each connection is read by the endpoint's coroutine. It is written to once per turn of the event loop
(:mod:`livemarkets.delivery.fanout`), directly to its transport. Under a server other than
:mod:`livemarkets.server.websocket_protocol`, a task calls `send_text` instead.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping

import msgspec
from fastapi import WebSocket
from msgspec.structs import replace
from starlette.responses import PlainTextResponse, Response

from livemarkets.delivery.fanout import Fanout
from livemarkets.errors import ClientMessageError
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeStatus, StreamQuality
from livemarkets.market.stores import RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.protocol.encoding import encode_error, encode_status
from livemarkets.protocol.messages import SUBPROTOCOL
from livemarkets.rate_limit import Refusals, UsageCounter
from livemarkets.security.addresses import client_address
from livemarkets.server.turns import Turns
from livemarkets.ws_markets.connection import SWEEP_SECONDS, MarketsConnection
from livemarkets.ws_markets.limits import RouteLimits
from livemarkets.ws_markets.quality import QualityReaders
from livemarkets.ws_markets.sinks import open_sink

__all__ = ["HubStatistics", "MarketsHub"]

_RETRY = {"Retry-After": "5"}
_RETRY_STOPPED_SECONDS = 1, 5
_STOPPING = "this server is about to stop"


class HubStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of the clients of `/ws/markets`."""

    clients: int
    """Connections that are open at present."""
    refused: Mapping[str, int]
    """Handshakes refused since the start, by reason: `origin`, `token`, `files`, `full`, `address`,
    `stopping`."""
    closed_slow: int
    """Clients disconnected because they stopped reading."""


class MarketsHub:
    """All connections of `/ws/markets`.

    Args:
        feeds: exchange name → its feed.
        manager: the subscriptions of all subscribers.
        trades: the recent trades of every stream.
        fanout: the delivery to all readers.
        limits: limits of clients (:class:`RouteLimits`).
        clock: source of the time.
        refusals: counts refused messages and subscriptions.
        turns: what the whole program shares.

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
        refusals: Refusals,
        turns: Turns,
    ) -> None:
        self.feeds = feeds
        self.manager = manager
        self.trades = trades
        self.fanout = fanout
        self.quality = QualityReaders(fanout)
        self.limits = limits
        self.clock = clock
        self.refusals = refusals
        self.turns = Turns(turns)
        """Spreads long messages over the turns of the event loop."""
        self.part_turns = Turns(turns)
        """Spreads what is sent before the live streams."""
        self.connections: set[MarketsConnection] = set()
        self._is_draining = False
        self._refused: Counter[str] = Counter()
        self._closed_slow = 0
        self._per_address = UsageCounter()
        for feed in feeds.values():
            feed.add_status_listener(self._handle_status)
            feed.quality.add_listener(self._handle_quality)

    def statistics(self) -> HubStatistics:
        """Return the number of clients and the counters since the start."""
        return HubStatistics(
            clients=len(self.connections), refused=dict(self._refused), closed_slow=self._closed_slow
        )

    def note_too_slow(self) -> None:
        """Count a client that was disconnected because it stopped reading."""
        self._closed_slow += 1

    def note_refusal(self, reason: str) -> None:
        """Count a handshake that was refused, here or by the security middleware."""
        self._refused[reason] += 1

    def is_full(self) -> bool:
        """Return whether the next client would be refused because there are too many."""
        return len(self.connections) >= self.limits.clients

    def drain(self) -> None:
        """Refuse new clients from now on, and tell those with a subscription that the server will stop.

        The state of their exchange is told as it is: nothing has happened to it.
        """
        self._is_draining = True
        for feed in self.feeds.values():
            self._handle_status(replace(feed.status, reason=_STOPPING))

    async def run(self) -> None:
        """Send heartbeats and disconnect clients that stopped reading, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self.clock.monotonic()
            for connection in list(self.connections):
                connection.sweep(now)

    async def serve(self, websocket: WebSocket) -> None:
        """Accept and serve a connection, or refuse it. Return when it has ended."""
        address = client_address(websocket)
        denial, reason = self._denial(address)
        if denial is not None:
            self.note_refusal(reason)
            await websocket.send_denial_response(denial)
            return
        with self._per_address.use(address):
            offered = websocket.scope.get("subprotocols", ())
            await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
            websocket.scope["headers"] = []  # a browser's take kilobytes, and nobody reads them any more
            async with open_sink(websocket) as sink:
                mailbox = self.fanout.open(sink, limit_bytes=self.limits.buffer_bytes)
                connection = MarketsConnection(self, mailbox, address)
                self.connections.add(connection)
                try:
                    await connection.serve(websocket)
                finally:
                    self.connections.discard(connection)
                    connection.release()

    def _denial(self, address: str) -> tuple[Response | None, str]:
        if self._is_draining:
            retry = {"Retry-After": str(random.randint(*_RETRY_STOPPED_SECONDS))}
            return PlainTextResponse(f"{_STOPPING}\n", 503, retry), "stopping"
        if self.is_full():
            return PlainTextResponse("too many clients\n", 503, _RETRY), "full"
        if self._per_address.in_use(address) >= self.limits.clients_per_address:
            return PlainTextResponse("too many clients from this address\n", 429, _RETRY), "address"
        return None, ""

    def _handle_status(self, status: ExchangeStatus) -> None:
        payload = encode_status(status)
        for connection in self.connections:
            if any(key.exchange == status.exchange for key in self.manager.subscriptions(connection.mailbox)):
                self.fanout.post(connection.mailbox, payload)

    def _handle_quality(self, quality: StreamQuality, is_new_state: bool) -> None:
        if is_new_state:
            self.quality.publish(quality)
        if not quality.is_listed:  # whoever subscribed it must know, also without having asked for `quality`
            holders = self.manager.subscribers(quality.key)
            mailboxes = [one.mailbox for one in self.connections if one.mailbox in holders]
            if mailboxes:
                error = ClientMessageError("unknown_symbol", f"{quality.reason}; it stays subscribed")
                self.quality.tell(("error", quality.key), mailboxes, encode_error(error))
