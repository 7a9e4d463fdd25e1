"""One connection to the exchange's market streams: connects, subscribes, and reads until it ends.

A connection object is used once; :mod:`livemarkets.exchanges.binance.client` makes the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Protocol

from loguru import logger
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from livemarkets.errors import ExchangeUnreachable, MalformedMessage
from livemarkets.exchanges.binance.messages import (
    Frame,
    InvalidTrade,
    OtherEvent,
    Reply,
    ServerShutdown,
    parse_frame,
)
from livemarkets.exchanges.binance.pings import Pings
from livemarkets.exchanges.binance.routes import Route, Routes
from livemarkets.exchanges.binance.session import Session
from livemarkets.exchanges.binance.stream_names import is_update_stream, stream_name
from livemarkets.exchanges.binance.timings import ConnectionTimings
from livemarkets.exchanges.dial import dial
from livemarkets.exchanges.failures import first_of, unreachable
from livemarkets.exchanges.latency import TradeWatch
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, StreamKey, TradeTick
from livemarkets.market.updates import StreamUpdate

__all__ = ["Connection", "ConnectionEvents", "ConnectionTimings"]


class ConnectionEvents(Protocol):
    """Receives the events of a connection. Called synchronously; must not raise."""

    def handle_trades(self, connection: Connection, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Trades of one stream arrived in one read, in the order in which the exchange sent them."""

    def handle_invalid(self, connection: Connection, key: StreamKey, trade_id: int) -> None:
        """A trade with impossible values arrived, after the trades that were passed on before."""

    def handle_update(self, connection: Connection, key: StreamKey, update: StreamUpdate) -> None:
        """An update of a stream of another channel arrived."""

    def handle_change(self, connection: Connection) -> None:
        """The connection opened, a reply or data acknowledged streams, or an end was announced."""

    def handle_complaint(self, connection: Connection, kind: str, detail: str) -> None:
        """The exchange sent a malformed message or refused a request. `detail` is for the log."""


class Connection:
    """One WebSocket to the combined stream endpoint, with its session.

    Args:
        name: for the log, such as `binance-1.3`.
        url: the complete address, `wss://…/stream`.
        exchange: the exchange name of the ticks.
        routes: the wanted streams. What arrives of others is dropped.
        events: receives trades, changes and complaints.
        timings: time limits (:class:`ConnectionTimings`).
        clock: source of the time.
        outbound: which proxy and which certificates.
        latency: measures some of the trades; `None` if nothing does.

    """

    def __init__(
        self,
        name: str,
        url: str,
        exchange: ExchangeName,
        routes: Routes,
        events: ConnectionEvents,
        *,
        timings: ConnectionTimings,
        clock: Clock,
        outbound: Outbound,
        latency: TradeWatch | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self.session = Session(timings.session)
        self.opened_at: float | None = None
        self.proved_at: float | None = None
        """When the exchange first sent a reply or data, monotonic seconds. A handshake proves nothing."""
        self.end_reason: str | None = None
        """Why this connection has to be replaced soon, `None` while it need not be."""
        self._exchange = exchange
        self._routes = routes
        self._events = events
        self._timings = timings
        self._outbound = outbound
        self._latency = latency
        self._clock = clock.monotonic
        self._now_ms = clock.now_ms
        self._wake = asyncio.Event()
        self._retired = False
        self._socket: ClientConnection | None = None
        self.pings: Pings | None = None
        """`None` until it has opened."""

    @property
    def is_open(self) -> bool:
        """Whether the handshake has succeeded and the connection has not ended."""
        return self._socket is not None

    def set_wanted(self, streams: Iterable[str]) -> None:
        """Set the streams of this connection. Requests for the difference are sent within the rate limit."""
        self.session.set_wanted(streams)
        self._wake.set()

    def resubscribe(self, streams: Iterable[str]) -> None:
        """Subscribe again to streams that are acknowledged but mute."""
        self.session.forget(streams)
        self._wake.set()

    def retire(self) -> None:
        """Close the connection with a closing handshake; :meth:`run` then returns."""
        self._retired = True
        self._wake.set()

    async def run(self) -> None:
        """Connect, subscribe and read. Return after :meth:`retire`.

        Raises:
            ExchangeUnreachable: the connection could not be opened, or was lost.

        """
        timings = self._timings
        socket_ = await dial(
            self.url,
            self._outbound,
            on_texts=self._take,
            open_seconds=timings.open_seconds,
            close_seconds=timings.close_seconds,
        )
        try:
            watching = nullcontext() if self._latency is None else self._latency.watching(socket_)
            async with socket_:
                with watching:
                    await self._converse(socket_)
        except* (OSError, WebSocketException, ExchangeUnreachable) as group:
            error = first_of(group)
            if not (self._retired and isinstance(error, ConnectionClosed)):
                raise unreachable(error) from None
        finally:
            self._socket = None

    async def _converse(self, socket_: ClientConnection) -> None:
        self._socket = socket_
        self.opened_at = self._clock()
        self._events.handle_change(self)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(socket_), name=f"{self.name} reader")
            await self._talk(socket_)
            reading.cancel()
            await socket_.close()

    async def _read(self, socket_: ClientConnection) -> None:
        """Read messages that are not plain text frames, until the connection ends."""
        while True:
            self._take([await socket_.recv(decode=False)])

    def _take(self, raws: Sequence[bytes]) -> None:
        """Process the text frames of one read. No error in them ends the connection."""
        recv_ts, exchange = self._now_ms(), self._exchange
        updates: Sequence[tuple[bytes, Route]] = ()
        if self._routes.updates:
            raws, updates = self._routes.split(raws)
        trades: dict[str, list[TradeTick]] = {}  # by symbol: streams do not wait for each other's order
        for raw in raws:
            try:
                message = parse_frame(raw, exchange, recv_ts)
                if type(message) is not TradeTick:
                    if type(message) is InvalidTrade:
                        self._handle_invalid(message, trades.pop(message.symbol, None))
                    else:
                        self._handle_rare(message, raw, recv_ts)
                elif (ticks := trades.get(message.symbol)) is None:
                    trades[message.symbol] = [message]
                else:
                    ticks.append(message)
            except MalformedMessage as error:
                self._complain(error.kind, error.detail)
            except Exception as error:
                self._note_defect(error)
        keys = self._routes.trades
        if trades and self.session.unanswered:
            self._note_data(stream_name(keys[symbol]) for symbol in trades if symbol in keys)
        for symbol, ticks in trades.items():
            key = keys.get(symbol)
            if key is not None:  # else it was unsubscribed a moment ago
                try:
                    self._events.handle_trades(self, key, ticks)
                except Exception as error:  # of our own: it loses these trades, not the connection
                    self._note_defect(error)
        for raw, route in updates:
            self._take_update(raw, route, recv_ts)

    def _take_update(self, raw: bytes, route: Route, recv_ts: int) -> None:
        if self.session.unanswered:
            self._note_data((route.stream,))
        try:
            update = route.parse(raw, route.key, recv_ts, self._complain)
            self._events.handle_update(self, route.key, update)
        except MalformedMessage as error:
            self._complain(error.kind, error.detail)
        except Exception as error:
            self._note_defect(error)

    def _complain(self, kind: str, detail: str) -> None:
        self._events.handle_complaint(self, kind, detail)

    def _handle_invalid(self, trade: InvalidTrade, before: Sequence[TradeTick] | None) -> None:
        """Pass on an invalid trade, after the trades of its stream that came before it."""
        self._complain(trade.problem, trade.detail)
        key = self._routes.trades.get(trade.symbol)
        if key is not None:
            if before:
                self._events.handle_trades(self, key, before)
            self._events.handle_invalid(self, key, trade.trade_id)

    def _note_data(self, streams: Iterable[str]) -> None:
        """Tell the session that data came: to some of its requests it is the answer."""
        now = self._clock()
        if self.session.note_data(streams, now):
            self._note_progress(now, is_proof=True)

    def _note_progress(self, now: float, *, is_proof: bool) -> None:
        if is_proof and self.proved_at is None:
            self.proved_at = now
        self._wake.set()
        self._events.handle_change(self)

    def _note_defect(self, error: Exception) -> None:
        logger.opt(exception=True).debug("{}: could not handle a frame", self.name)
        self._complain("internal error", repr(error))

    def _handle_rare(self, message: Frame, raw: bytes, recv_ts: int) -> None:
        if isinstance(message, Reply):
            now = self._clock()
            complaint = self.session.handle_reply(message, now)
            if complaint:
                self._complain("refused", complaint)
            self._note_progress(now, is_proof=self.session.has_answers)
        elif isinstance(message, ServerShutdown):
            self._ask_to_be_replaced("the exchange announced its shutdown")
        elif isinstance(message, OtherEvent):
            route = self._routes.updates.get(message.stream.encode())
            if route is not None:  # in another spelling than usual, as some proxies write JSON
                self._take_update(raw, route, recv_ts)
            elif not is_update_stream(message.stream):  # else it was unsubscribed a moment ago
                self._complain("unknown event", message.name)

    def _ask_to_be_replaced(self, reason: str) -> None:
        if self.end_reason is None:
            self.end_reason = reason
            self._events.handle_change(self)

    async def _talk(self, socket_: ClientConnection) -> None:
        """Send control messages and pings within the rate limit, until the connection is retired."""
        pings = self.pings = Pings(socket_, self._timings, self._clock())
        while not self._retired:
            self._wake.clear()  # first, so that any change from now on ends the pause
            now = self._clock()
            pings.check(now)
            request = self.session.next_request(now)
            if self.session.lost_answers >= self._timings.lost_answers:
                raise ExchangeUnreachable("the exchange does not answer subscribe requests")
            if self.session.has_answers and self.session.ignored_requests >= self._timings.ignored_requests:
                self._ask_to_be_replaced("the exchange no longer answers subscribe requests")
            if request is not None:
                await socket_.send(request, text=True)
            elif now >= pings.due_at and self.session.reserve(now):
                await pings.send(now)
            await self._pause(now, pings.next_at())

    async def _pause(self, now: float, due: float) -> None:
        session_due = self.session.next_due(now)
        if session_due is not None:
            due = min(due, session_due)
        if due <= now:
            await asyncio.sleep(0.01)  # the rate limit ends in a moment; avoid a busy loop
            return
        try:
            async with asyncio.timeout(due - now):
                await self._wake.wait()
        except TimeoutError:
            pass
