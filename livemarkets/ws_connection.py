"""One client of `/ws/markets`: what it may do, what it asked for, and the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

import msgspec
from fastapi import WebSocket
from loguru import logger

from livemarkets import __version__
from livemarkets.continuity import Released
from livemarkets.delivery import Fanout, Mailbox
from livemarkets.encoding import (
    encode_error,
    encode_heartbeat,
    encode_list,
    encode_pong,
    encode_released,
    encode_results,
    encode_snapshots,
    encode_status,
    encode_welcome,
)
from livemarkets.errors import ClientMessageError
from livemarkets.feed import Core, ExchangeFeed
from livemarkets.limiting import TokenBucket
from livemarkets.models import TRADES, StreamKey
from livemarkets.protocol import (
    CLOSE_CODES,
    ListRequest,
    PingRequest,
    SubscribeRequest,
    UnsubscribeRequest,
    parse_request,
)
from livemarkets.subscriptions import SubscriptionManager

__all__ = ["SWEEP_SECONDS", "Hub", "MarketsConnection", "RouteLimits"]

SWEEP_SECONDS = 1.0
"""How often :meth:`MarketsConnection.sweep` is called."""
CLOSE_FLOODING = 1008
_SYMBOLS_WAIT_SECONDS = 2.0


class RouteLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may do, and how many there may be."""

    clients: int
    symbols: int
    buffer_bytes: int
    messages_per_second: int = 20
    message_bytes: int = 16_384
    flood_messages: int = 400
    """So many ignored messages in a row end the connection."""
    heartbeat_seconds: int = 5


class Hub(Protocol):
    """What a connection needs of the route (:class:`livemarkets.ws_route.MarketsHub`)."""

    feeds: Mapping[str, ExchangeFeed]
    manager: SubscriptionManager
    core: Core
    limits: RouteLimits
    clock: Callable[[], float]
    now_ms: Callable[[], int]

    @property
    def fanout(self) -> Fanout:
        """Where frames are put in line."""


class MarketsConnection:
    """One client: what it may do, and what it asked for."""

    def __init__(self, hub: Hub, mailbox: Mailbox) -> None:
        self.client_id = uuid4().hex[:12]
        self.mailbox = mailbox
        self._hub = hub
        limits = hub.limits
        self._bucket = TokenBucket(
            rate_per_second=limits.messages_per_second, burst=2 * limits.messages_per_second, clock=hub.clock
        )
        self._resumptions: dict[StreamKey, asyncio.Task[None]] = {}
        self._ignored = 0
        self._written = 0
        self._quiet_since = hub.clock()

    async def serve(self, websocket: WebSocket) -> None:
        """Greet, then answer messages until the client is gone."""
        self._welcome()
        while not self.mailbox.is_closed:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                logger.debug("client {}: gone with {}", self.client_id, message.get("code"))
                return
            if not self._may_send():
                continue
            await self._handle(message)

    def sweep(self, now: float) -> None:
        """Send a heartbeat when nothing was sent for its interval."""
        if self.mailbox.written != self._written:
            self._written, self._quiet_since = self.mailbox.written, now
        elif now - self._quiet_since >= self._hub.limits.heartbeat_seconds - SWEEP_SECONDS / 2:
            self._post(encode_heartbeat(self._hub.now_ms()))

    def release(self) -> None:
        """Give back everything, however the connection ended. Idempotent."""
        self.mailbox.close()
        for key in list(self._resumptions):
            self._cancel_resumption(key)
        for key in self._hub.manager.release(self):
            self._hub.fanout.leave(key, self.mailbox)

    def _post(self, payload: bytes) -> None:
        self._hub.fanout.post(self.mailbox, payload)

    def _welcome(self) -> None:
        hub, limits = self._hub, self._hub.limits
        self._post(
            encode_welcome(
                self.client_id,
                f"livemarkets/{__version__}",
                limits.heartbeat_seconds,
                {exchange: feed.status.state.value for exchange, feed in hub.feeds.items()},
                {
                    "symbols": limits.symbols,
                    "messages_per_second": limits.messages_per_second,
                    "message_bytes": limits.message_bytes,
                    "buffer_bytes": limits.buffer_bytes,
                },
            )
        )

    def _may_send(self) -> bool:
        """Apply the rate limit; a client that goes on in spite of the errors is put out."""
        if self._bucket.take():
            self._ignored = 0
            return True
        self._ignored += 1
        if self._ignored > self._hub.limits.flood_messages:
            self.mailbox.close()
            self.mailbox.sink.close(CLOSE_FLOODING, CLOSE_CODES[CLOSE_FLOODING])
        elif self._ignored == 1 or self._ignored % 20 == 0:
            rate = self._hub.limits.messages_per_second
            self._post(encode_error(ClientMessageError("rate_limited", f"at most {rate} messages a second")))
        return False

    async def _handle(self, message: Mapping[str, Any]) -> None:
        try:
            await self._answer(self._text_of(message))
        except ClientMessageError as error:
            self._post(encode_error(error))
        except Exception:
            logger.exception("client {}: a message could not be handled", self.client_id)
            self._post(encode_error(ClientMessageError("internal", "a defect of this server; it was logged")))

    def _text_of(self, message: Mapping[str, Any]) -> str:
        text = message.get("text")
        if not isinstance(text, str):
            raise ClientMessageError("invalid_message", "messages are text frames, not binary ones")
        limit = self._hub.limits.message_bytes
        if len(text) > limit or (not text.isascii() and len(text.encode(errors="replace")) > limit):
            raise ClientMessageError("message_too_big", f"a message has at most {limit} bytes")
        return text

    async def _answer(self, text: str) -> None:
        hub = self._hub
        request = parse_request(text, tuple(hub.feeds), snapshot_limit=hub.core.trades.length)
        if isinstance(request, PingRequest):
            self._post(encode_pong(request.id, hub.now_ms()))
        elif isinstance(request, ListRequest):
            self._post(
                encode_list(
                    request.id, [(key, self._last_id(key)) for key in hub.manager.subscriptions(self)]
                )
            )
        elif isinstance(request, UnsubscribeRequest):
            self._unsubscribe(request)
        else:
            await hub.feeds[request.exchange].ensure_symbols(_SYMBOLS_WAIT_SECONDS)
            self._subscribe(request)

    def _subscribe(self, request: SubscribeRequest) -> None:
        hub = self._hub
        feed = hub.feeds[request.exchange]
        results = [_verdict(feed, symbol) for symbol in request.symbols]
        keys = [StreamKey(feed.exchange, TRADES, result["symbol"]) for result in results if result["ok"]]
        self._check_limit(keys, request)
        # The first wish of all changes the exchange's state, which is told at once: the reply goes first.
        held = dict.fromkeys([*hub.manager.subscriptions(self), *keys])
        self._post(encode_results("subscribed", request, results, held))
        before = (feed.status.state, feed.status.reason)
        for key in keys:
            hub.manager.subscribe(self, key)
        if (feed.status.state, feed.status.reason) == before:
            self._post(encode_status(feed.status))
        for key in keys:
            self._cancel_resumption(key)
            if key.symbol in request.after:
                hub.fanout.leave(key, self.mailbox)
                self._resume(feed, key, request.after[key.symbol])
                continue
            for payload in encode_snapshots(key, hub.core.trades.recent(key, request.snapshot)):
                self._post(payload)
            hub.fanout.join(key, self.mailbox)

    def _resume(self, feed: ExchangeFeed, key: StreamKey, after: int) -> None:
        """Bring a stream up from `after`, beside the reader: other messages are answered meanwhile."""

        async def send(parts: Sequence[Released]) -> None:
            for payload in encode_released(key, parts):
                self._post(payload)
            await self.mailbox.room.wait()

        def finish(parts: Sequence[Released]) -> None:
            for payload in encode_released(key, parts) or encode_snapshots(key, ()):
                self._post(payload)
            self._hub.fanout.join(key, self.mailbox)

        async def run() -> None:
            try:
                await feed.resumer.resume(key, after, send, finish)
            except Exception:
                logger.exception("client {}: {} could not be resumed", self.client_id, key.symbol)
                self._post(encode_error(ClientMessageError("internal", f"{key.symbol} could not be resumed")))

        task = asyncio.create_task(run(), name=f"resume {key.symbol} for {self.client_id}")
        self._resumptions[key] = task
        task.add_done_callback(lambda done: self._forget_resumption(key, done))

    def _cancel_resumption(self, key: StreamKey) -> None:
        task = self._resumptions.pop(key, None)
        if task is not None:
            task.cancel()

    def _forget_resumption(self, key: StreamKey, task: asyncio.Task[None]) -> None:
        if self._resumptions.get(key) is task:
            del self._resumptions[key]

    def _check_limit(self, keys: Sequence[StreamKey], request: SubscribeRequest) -> None:
        limit = self._hub.limits.symbols
        held = set(self._hub.manager.subscriptions(self))
        total = len(held.union(keys))
        if total > limit:
            raise ClientMessageError(
                "symbol_limit", f"at most {limit} symbols a client; this would make {total}", request.id
            )

    def _unsubscribe(self, request: UnsubscribeRequest) -> None:
        hub = self._hub
        for symbol in request.symbols:
            key = StreamKey(hub.feeds[request.exchange].exchange, TRADES, symbol)
            self._cancel_resumption(key)
            hub.fanout.leave(key, self.mailbox)
            hub.manager.unsubscribe(self, key)
        results = [{"symbol": symbol, "ok": True} for symbol in request.symbols]
        self._post(encode_results("unsubscribed", request, results, hub.manager.subscriptions(self)))

    def _last_id(self, key: StreamKey) -> int | None:
        recent = self._hub.core.trades.recent(key, 1)
        return recent[0].id if recent else None


def _verdict(feed: ExchangeFeed, symbol: str) -> dict[str, Any]:
    if feed.directory.accepts(symbol):
        return {"symbol": symbol, "ok": True}
    return {
        "symbol": symbol,
        "ok": False,
        "code": "unknown_symbol",
        "message": f"{feed.exchange} does not list {symbol}",
        "did_you_mean": feed.directory.suggest(symbol),
    }
