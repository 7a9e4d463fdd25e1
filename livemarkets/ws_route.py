"""The route `/ws/markets`: one reader a connection, one writer a connection, everything released at the end.

The reader is the endpoint's own coroutine; the writer is the connection's transport, fed once per turn
of the event loop (:mod:`livemarkets.delivery`), or a task with `send_text` where the server does not offer
:mod:`livemarkets.preframed`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from fastapi import APIRouter, WebSocket
from starlette.responses import PlainTextResponse

from livemarkets.delivery import Fanout, Mailbox
from livemarkets.encoding import encode_status
from livemarkets.feed import Core, ExchangeFeed
from livemarkets.models import ExchangeStatus
from livemarkets.origins import is_allowed_origin
from livemarkets.sinks import open_sink
from livemarkets.subscriptions import SubscriptionManager
from livemarkets.ws_connection import SWEEP_SECONDS, MarketsConnection, RouteLimits

__all__ = ["MarketsHub", "RouteLimits"]


class MarketsHub:
    """All connections of `/ws/markets`.

    Args:
        feeds: by exchange.
        manager: who wants what.
        core: stores and fan-out.
        limits: see there.
        allowed_origins: browser origins beside the app's own.
        clock: monotonic seconds.
        now_ms: ms since the epoch.

    """

    def __init__(
        self,
        feeds: Mapping[str, ExchangeFeed],
        manager: SubscriptionManager,
        core: Core,
        *,
        limits: RouteLimits,
        allowed_origins: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int],
    ) -> None:
        self.feeds = feeds
        self.manager = manager
        self.core = core
        self.limits = limits
        self.clock = clock
        self.now_ms = now_ms
        self.connections: set[MarketsConnection] = set()
        self.refused = 0
        self.closed_slow = 0
        self._allowed_origins = tuple(allowed_origins)
        for feed in feeds.values():
            feed.add_status_listener(self._handle_status)

    @property
    def fanout(self) -> Fanout:
        """Where frames are put in line."""
        return self.core.fanout

    def router(self) -> APIRouter:
        """Return the route, to be included in an app."""
        router = APIRouter()
        router.add_api_websocket_route("/ws/markets", self._endpoint)
        return router

    async def run(self) -> None:
        """Send heartbeats to the connections that nothing else was sent to, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self.clock()
            for connection in list(self.connections):
                connection.sweep(now)

    async def _endpoint(self, websocket: WebSocket) -> None:
        if not is_allowed_origin(websocket.headers, self._allowed_origins):
            self.refused += 1
            await websocket.send_denial_response(PlainTextResponse("this origin is not allowed\n", 403))
            return
        if len(self.connections) >= self.limits.clients:
            self.refused += 1
            await websocket.send_denial_response(PlainTextResponse("too many clients\n", 503))
            return
        await websocket.accept()
        async with open_sink(websocket) as sink:
            connection = MarketsConnection(self, Mailbox(sink, limit_bytes=self.limits.buffer_bytes))
            sink.on_resume = connection.mailbox.resume
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
