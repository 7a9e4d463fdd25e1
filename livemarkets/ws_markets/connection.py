"""One client of `/ws/markets`: its limits, its requests, and the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

from fastapi import WebSocket
from loguru import logger

from livemarkets import __version__
from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import CLOSE_TOO_SLOW, Mailbox
from livemarkets.errors import ClientMessageError
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.channels import ALL_SYMBOLS, CHANNELS
from livemarkets.market.clock import Clock
from livemarkets.market.models import StreamKey
from livemarkets.market.stores import RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.protocol.encoding import (
    encode_error,
    encode_heartbeat,
    encode_list,
    encode_pong,
    encode_results,
    encode_status,
    encode_welcome,
)
from livemarkets.protocol.messages import CLOSE_CODES, Subscribed, Unsubscribed
from livemarkets.protocol.requests import (
    ListRequest,
    PingRequest,
    RefusedName,
    SubscribeRequest,
    UnsubscribeRequest,
    parse_request,
)
from livemarkets.rate_limit import Refusals, TokenBucket
from livemarkets.server.turns import Turns
from livemarkets.ws_markets.admission import accepted, admit, refused
from livemarkets.ws_markets.client_streams import ClientStreams
from livemarkets.ws_markets.limits import RouteLimits
from livemarkets.ws_markets.quality import QualityReaders

__all__ = ["SWEEP_SECONDS", "Hub", "MarketsConnection"]

SWEEP_SECONDS = 1.0
"""How often :meth:`MarketsConnection.sweep` is called."""
CLOSE_FLOODING = 1008
_SYMBOLS_WAIT_SECONDS = 2.0
_FEW_NAMES = 20


class Hub(Protocol):
    """What a connection needs of :class:`livemarkets.ws_markets.hub.MarketsHub`."""

    feeds: Mapping[str, ExchangeFeed]
    manager: SubscriptionManager
    trades: RecentTrades
    fanout: Fanout
    quality: QualityReaders
    limits: RouteLimits
    clock: Clock
    turns: Turns
    part_turns: Turns
    refusals: Refusals

    def note_too_slow(self) -> None:
        """Count a client that was disconnected because it stopped reading."""


class MarketsConnection:
    """One client of `/ws/markets`."""

    __slots__ = ("_bucket", "_hub", "_ignored", "_names", "client_id", "mailbox", "streams")

    def __init__(self, hub: Hub, mailbox: Mailbox, address: str) -> None:
        self.client_id = uuid4().hex[:12]
        self.mailbox = mailbox
        self._hub = hub
        limits = hub.limits
        self._bucket = TokenBucket(
            rate_per_second=limits.messages_per_second,
            burst=2 * limits.messages_per_second,
            clock=hub.clock.monotonic,
        )
        self._names = TokenBucket(
            rate_per_second=limits.names_per_second, burst=limits.names_at_once, clock=hub.clock.monotonic
        )
        self.streams = ClientStreams(address, mailbox, hub.manager, hub.trades, hub.fanout, hub.part_turns)
        self._ignored = 0

    async def serve(self, websocket: WebSocket) -> None:
        """Send `welcome`, then answer messages until the client disconnects."""
        self._welcome()
        while not self.mailbox.is_closed:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                logger.debug("client {}: disconnected with code {}", self.client_id, message.get("code"))
                return
            if not self._take_message_slot():
                continue
            await self._handle(message)

    def sweep(self, now: float) -> None:
        """Send a heartbeat if nothing else was sent, and disconnect the client if it stopped reading."""
        if self.mailbox.is_stuck(now, self._hub.limits.stuck_seconds):
            self._hub.note_too_slow()
            self.mailbox.end(CLOSE_TOO_SLOW, CLOSE_CODES[CLOSE_TOO_SLOW])
        quiet_seconds = now - self._hub.fanout.sent_at(self.mailbox)
        if quiet_seconds >= self._hub.limits.heartbeat_seconds - SWEEP_SECONDS / 2:
            self._post(encode_heartbeat(self._hub.clock.now_ms()))

    def release(self) -> None:
        """Release the mailbox and all subscriptions. Idempotent."""
        self.mailbox.close()
        self._hub.quality.forget(self.mailbox, self.streams.keys())
        self.streams.release()

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
                [name for name in CHANNELS if any(name in feed.channels for feed in hub.feeds.values())],
                {
                    "symbols": limits.symbols,
                    "streams": limits.streams,
                    "messages_per_second": limits.messages_per_second,
                    "message_bytes": limits.message_bytes,
                    "buffer_bytes": limits.buffer_bytes,
                },
            )
        )

    def _take_message_slot(self) -> bool:
        """Apply the rate limit. Disconnect a client that keeps sending in spite of the errors."""
        if self._bucket.take():
            self._ignored = 0
            return True
        self._ignored += 1
        self._hub.refusals.note("message", "rate_limited")
        if self._ignored > self._hub.limits.flood_messages:
            self.mailbox.end(CLOSE_FLOODING, CLOSE_CODES[CLOSE_FLOODING])
        elif self._ignored == 1 or self._ignored % 20 == 0:
            rate = self._hub.limits.messages_per_second
            self._post(
                encode_error(ClientMessageError("rate_limited", f"at most {rate} messages per second"))
            )
        return False

    async def _handle(self, message: Mapping[str, Any]) -> None:
        try:
            await self._answer(self._text_of(message))
        except ClientMessageError as error:
            self._hub.refusals.note("message", error.code)
            self._post(encode_error(error))
        except Exception:
            logger.exception("client {}: could not handle a message", self.client_id)
            self._post(encode_error(ClientMessageError("internal", "internal server error; it was logged")))

    async def _may_cost(self, names: int) -> None:
        """Wait until a request about so many names may be handled. Long ones are handled one in a turn."""
        wait = self._names.charge(names)
        if wait > 0:
            await asyncio.sleep(wait)
        if names > _FEW_NAMES:
            await self._hub.turns.wait()

    def _text_of(self, message: Mapping[str, Any]) -> str:
        text = message.get("text")
        if not isinstance(text, str):
            raise ClientMessageError("invalid_message", "a message must be a text frame, not a binary frame")
        limit = self._hub.limits.message_bytes
        if len(text) > limit or (not text.isascii() and len(text.encode(errors="replace")) > limit):
            raise ClientMessageError("message_too_big", f"a message must have at most {limit} bytes")
        return text

    async def _answer(self, text: str) -> None:
        hub = self._hub
        request = parse_request(text, tuple(hub.feeds), snapshot_limit=hub.trades.length)
        if isinstance(request, PingRequest):
            self._post(encode_pong(request.id, hub.clock.now_ms()))
        elif isinstance(request, ListRequest):
            await self._may_cost(len(self.streams.keys()))
            self._post(encode_list(request.id, self.streams.describe()))
        elif isinstance(request, UnsubscribeRequest):
            await self._may_cost(len(request.symbols))
            self._unsubscribe(request)
        else:
            self._check_channel(request)
            await self._may_cost(len(request.symbols) or len(self.streams.keys()))
            names = [name for name in request.symbols if isinstance(name, str) and name != ALL_SYMBOLS]
            await hub.feeds[request.exchange].find_symbols(names, _SYMBOLS_WAIT_SECONDS)
            await self._subscribe(request)

    async def _subscribe(self, request: SubscribeRequest) -> None:
        hub = self._hub
        feed, held = hub.feeds[request.exchange], dict.fromkeys(self.streams.keys())
        names = self._named(request, held)
        keys, results = await admit(
            feed, request.channel, request.interval, names, held, self._hub.turns.wait
        )
        for result in results:
            if not result.ok:
                hub.refusals.note("subscription", str(result.code))
        self._check_limit(keys, request)
        # The first subscription changes the exchange's state, which is sent at once. The reply comes first.
        self._post(encode_results(Subscribed, request, results, held | dict.fromkeys(keys)))
        before = (feed.status.state, feed.status.reason)
        self.streams.want(keys)
        if (feed.status.state, feed.status.reason) == before:
            self._post(encode_status(feed.status))
        if request.is_quality_alone:  # what is subscribed goes on as it is
            self.streams.begin(feed, [key for key in keys if key not in held], request)
        else:
            self.streams.begin(feed, keys, request)
        hub.quality.subscribe(self.mailbox, feed.quality, keys, request.quality)

    def _named(self, request: SubscribeRequest, held: Iterable[StreamKey]) -> Sequence[str | RefusedName]:
        """Return the names of a request. One that names none is about every stream of the channel."""
        if request.symbols:
            return request.symbols
        name = request.exchange, request.channel, request.interval
        return [key.symbol for key in held if (key.exchange, key.channel, key.parameter) == name]

    def _check_channel(self, request: SubscribeRequest | UnsubscribeRequest) -> None:
        channels = self._hub.feeds[request.exchange].channels
        if request.channel not in channels:
            names = ", ".join(name for name in CHANNELS if name in channels)
            text = f"channel must be one of {names} on {request.exchange}, not {request.channel}"
            raise ClientMessageError("unknown_channel", text, request.id)

    def _check_limit(self, keys: Sequence[StreamKey], request: SubscribeRequest) -> None:
        streams = set(self.streams.keys()).union(keys)
        symbols = {(key.exchange, key.symbol) for key in streams}
        limits = self._hub.limits
        for what, total, limit in (
            ("symbols", len(symbols), limits.symbols),
            ("streams", len(streams), limits.streams),
        ):
            if total > limit:
                raise ClientMessageError(
                    "symbol_limit",
                    f"at most {limit} {what} per client are allowed; this request would make {total}",
                    request.id,
                )

    def _unsubscribe(self, request: UnsubscribeRequest) -> None:
        self._check_channel(request)
        feed = self._hub.feeds[request.exchange]
        named = {
            feed.interned(StreamKey(request.exchange, request.channel, symbol, request.interval))
            for symbol in request.symbols
            if isinstance(symbol, str)
        }
        self._hub.quality.end(self.mailbox, named)
        self.streams.end(filter(named.__contains__, self.streams.keys()))
        results = [
            refused(name.shown, name.reason) if isinstance(name, RefusedName) else accepted(name)
            for name in request.symbols
        ]
        self._post(encode_results(Unsubscribed, request, results, self.streams.keys()))
