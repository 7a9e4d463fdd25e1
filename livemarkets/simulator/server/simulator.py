"""The embedded exchange: its server, the timer that advances its market, its faults and counters."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, cast

from loguru import logger
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from livemarkets.simulator.faults.catalogue import Faults
from livemarkets.simulator.market.source import SimulatorError, Source
from livemarkets.simulator.market.streams import split_stream
from livemarkets.simulator.protocol.connection import ExchangeConnection
from livemarkets.simulator.protocol.control_messages import ErrorShape
from livemarkets.simulator.protocol.limits import ExchangeLimits
from livemarkets.simulator.protocol.rest import RestApi
from livemarkets.simulator.protocol.time_unit import MICROSECOND, TIME_UNITS
from livemarkets.simulator.server.addresses import in_url, why_not_bound
from livemarkets.simulator.server.control_requests import ControlRequests
from livemarkets.simulator.server.fanout import Fanout
from livemarkets.simulator.server.fault_api import answer_control
from livemarkets.simulator.server.http_requests import (
    CONTROL_PATH,
    HttpRequests,
    Wanted,
    wanted_by,
)

__all__ = ["Simulator"]

_PULSE_MIN_SECONDS = 0.001
"""Least time between two updates. Trades within it are sent in one write."""
_PULSE_MAX_SECONDS = 0.25
"""Longest time between two updates, in case the injected clock runs differently from the event loop's."""
_CLOSE_SECONDS = 1.0
"""Time limit for a client's part of the closing handshake."""


class Simulator:
    """An exchange with a part of Binance spot's protocol, WebSocket and REST on one port.

    Args:
        source: the market: a simulated market or a replay (:mod:`livemarkets.simulator.market.source`).
        limits: limits of clients; `None` for Binance's.
        faults: the faults; `None` for an object without active faults.
        error_shape: the shape of error replies: `flat` as documented or `nested` as observed.
        control_secret: the secret of the control API (:mod:`livemarkets.simulator.server.trust`). Empty
            disables the control API; faults are then injected only through `faults`.
        serves_browsers: `False` refuses browsers, and host names that are not loopback.
        tls: serves `wss://` and `https://` with this context; `None` for `ws://` and `http://`.
        clock: ms since the epoch.

    """

    def __init__(
        self,
        source: Source,
        *,
        limits: ExchangeLimits | None = None,
        faults: Faults | None = None,
        error_shape: ErrorShape = "flat",
        control_secret: str = "",
        serves_browsers: bool = True,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = lambda: time.time() * 1000.0,
    ) -> None:
        self.source = source
        self.limits = limits or ExchangeLimits()
        self.faults = faults or Faults()
        self.faults.bind(self)
        self._tls = tls
        self._s = "s" if tls is not None else ""
        self.host = ""
        self.port = 0
        self.now_ms = clock
        self._fanout = Fanout(self.faults.disturbances)
        self.http = HttpRequests(
            RestApi(source),
            source.serves,
            self.limits,
            self.faults,
            pulse=self.pulse,
            now_ms=self.now_ms,
            control_secret=control_secret,
            serves_browsers=serves_browsers,
        )
        self._control_requests = ControlRequests(
            self._fanout,
            source.serves,
            self.limits,
            self.faults,
            error_shape,
            self._violated,
            self._changed,
        )
        self._connections: dict[ExchangeConnection, None] = {}
        self._violations: Counter[str] = self.http.violations
        self._accepted = 0
        self._server: Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closings: set[asyncio.TimerHandle] = set()

    @property
    def ws_url(self) -> str:
        """Base address of the market streams."""
        return f"ws{self._s}://{in_url(self.host)}:{self.port}"

    @property
    def rest_url(self) -> str:
        """Base address of REST."""
        return f"http{self._s}://{in_url(self.host)}:{self.port}"

    @property
    def connections(self) -> Sequence[ExchangeConnection]:
        """The open connections. Each has `number`, `streams` and `age_seconds`."""
        return [connection for connection in self._connections if connection.is_open]

    def subscriptions(self) -> set[str]:
        """Return the subscribed streams of all connections."""
        return self._fanout.streams

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Start listening. Idempotent.

        Args:
            host: address to listen on.
            port: port to listen on; 0 for any free port, which is then in :attr:`port`.

        Raises:
            SimulatorError: the address cannot be bound.

        """
        if self._server is not None:
            return
        # An own logger, because refused handshakes and REST calls need no log lines here.
        wire_log = logging.getLogger("websockets.simulator")
        wire_log.setLevel(logging.WARNING)
        try:
            self._server = await serve(
                self._serve,
                host,
                port,
                create_connection=cast(type[ExchangeConnection], partial(ExchangeConnection, self.http)),
                compression=None,
                server_header=None,
                open_timeout=None,  # a connection can carry REST calls for long before a handshake
                ping_interval=None,
                close_timeout=_CLOSE_SECONDS,
                ssl=self._tls,
                logger=wire_log,
            )
        except OSError as error:
            raise SimulatorError(why_not_bound(error, host, port)) from None
        self.host, self.port = host, self._server.sockets[0].getsockname()[1]
        self._arm()

    async def aclose(self) -> None:
        """Stop listening, close every connection and cancel every timer. Idempotent."""
        server, self._server = self._server, None
        self._disarm()
        self.faults.end()
        for closing in self._closings:
            closing.cancel()
        self._closings.clear()
        if server is None:
            return
        self.http.drop_idle()
        for connection in self.connections:
            if connection.half_open:
                connection.drop()
        server.close(code=1001)
        await server.wait_closed()

    def stats(self) -> dict[str, Any]:
        """Return the counters since the start."""
        trades: Counter[str] = Counter()
        for stream, count in self._fanout.sent.items():
            symbol, kind = split_stream(stream)
            if kind == "trade":
                trades[symbol] += count
        return {
            "attempts": self.http.attempts,
            "connects": self._accepted,
            "refused": self.http.refused,
            "open": len(self.connections),
            "control_messages": self._control_requests.messages,
            "violations": dict(self._violations),
            "frames_sent": sum(self._fanout.sent.values()),
            "trades_sent": dict(trades),
            "rest_calls": dict(self.http.rest_calls),
            "rest_weight": self.http.rest_weight,
            "rest_weight_peak": self.http.rest_weight_peak,
            "faults": dict(self.faults.injected),
        }

    def pulse(self) -> None:
        """Deliver the events until now. A timer calls it when an event is due."""
        try:
            events = self.source.advance(self.now_ms())
            for connection in self._fanout.deliver(events):
                if connection.flush() > self.limits.send_buffer_bytes:
                    self._violated("slow_reader")
                    connection.end(1008, "Too slow")
        except Exception:
            # The market must continue after any error.
            logger.exception("simulator: an update of the market failed")
        self._arm()

    def follow_list(self) -> None:
        """Subscribe the streams of a symbol that is listed from now on, and end those of one that is not."""
        self._changed()

    def announce_shutdown(self, connections: Collection[ExchangeConnection], notice_seconds: float) -> None:
        """Send `serverShutdown` in the shape of each connection, and close after the notice time."""
        event = b'{"e":"serverShutdown","E":%d}' % (int(self.now_ms()) + self.source.skew_ms)
        wrapped = b'{"stream":"!serverShutdown","data":%b}' % event
        loop = asyncio.get_running_loop()
        for connection in connections:
            text = wrapped if connection.combined else event
            connection.outbox.append(connection.framed(text))
            connection.flush()
            self._closings.add(loop.call_later(notice_seconds, connection.end, 1001, "Server shutdown"))
        self._closings = {closing for closing in self._closings if closing.when() > loop.time()}

    async def _serve(self, connection: ServerConnection) -> None:
        """Serve an accepted connection until it ends."""
        client = cast(ExchangeConnection, connection)
        try:
            if client.target.partition("?")[0] == CONTROL_PATH:
                async for message in client:
                    client.reply(answer_control(message, self))
            elif client.doomed_code is not None:
                self._accepted += 1
                if client.doomed_code:
                    client.end(client.doomed_code)
                else:
                    client.drop()
                await client.wait_closed()
            else:
                await self._serve_market(client)
        except ConnectionClosed:
            pass

    async def _serve_market(self, client: ExchangeConnection) -> None:
        self._accepted += 1
        client.watch(self._accepted, self.limits, self._violated)
        wanted = wanted_by(client.target) or Wanted([])
        client.combined, streams = wanted.combined, wanted.streams
        client.in_microseconds = TIME_UNITS.get(wanted.time_unit) == MICROSECOND
        self._connections[client] = None
        try:
            if streams:
                self.pulse()
                self._fanout.add(client, streams)
                self._changed()
            async for message in client:
                self.pulse()
                await self._control_requests.handle(client, message)
        finally:
            del self._connections[client]
            self._fanout.remove(client, list(client.streams))
            self._changed()

    def _violated(self, kind: str) -> None:
        self._violations[kind] += 1
        logger.warning("simulator: a client exceeded a limit: {}", kind)

    def _changed(self) -> None:
        """Pass the present subscriptions to the market."""
        self.source.want(self._fanout.streams, self.now_ms())
        self._arm()

    def _arm(self) -> None:
        """Set the timer to the next event of the market."""
        self._disarm()
        if self._server is None:
            return
        next_ms = self.source.next_ms()
        if next_ms is not None:
            wait_seconds = (next_ms - self.now_ms()) / 1000.0
            wait_seconds = min(max(wait_seconds, _PULSE_MIN_SECONDS), _PULSE_MAX_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(wait_seconds, self.pulse)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
