"""Connections to the exchange's streams that record what comes. They judge nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from livemarkets.doctor.record import Channel, Reply, Request
from livemarkets.doctor.shapes import (
    bar_fault,
    bar_of,
    book_fault,
    day_fault,
    day_of,
    depth_fault,
    lower_case,
    trade_fault,
    trade_of,
)
from livemarkets.errors import ExchangeUnreachable, MalformedMessage
from livemarkets.exchanges.binance.messages import Reply as ParsedReply
from livemarkets.exchanges.binance.messages import ServerShutdown, parse_frame
from livemarkets.exchanges.failures import UNUSABLE, explain
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock
from livemarkets.market.models import TradeTick
from livemarkets.network.tcp import open_tcp

__all__ = ["StreamTap", "opened"]

_CLOSE_SECONDS = 1.0
_SPACING_SECONDS = 0.35
"""Interval of messages: at most 3 a second, and pongs (`web-socket-streams.md`, "WebSocket Limits")."""
_MOST_TRADES = 200_000
"""Trades of one connection that are kept."""
_MOST_KINDS = 50
_SHOWN_CHARACTERS = 120


class _Socket(ClientConnection):
    """A connection that reports the exchange's pings. The library answers them with their payload."""

    def __init__(self, *args: Any, on_ping: Callable[[bytes], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_ping = on_ping

    def process_event(self, event: Event) -> None:
        """Report a ping, then process the frame."""
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self._on_ping(bytes(event.data))
        super().process_event(event)


class StreamTap:
    """One open connection: sends control messages within the limit, and records what comes.

    Args:
        channel: receives what comes.
        clock: source of the time.

    """

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self.channel = channel
        self.full = False
        """The most trades that are kept have come."""
        self._now = clock.monotonic
        self._now_ms = clock.now_ms
        self._socket: ClientConnection | None = None
        self._next_id = 1
        self._next_send = 0.0
        self._kept = 0
        self._symbols: dict[str, str] = {}
        self._asked: set[str] = set()
        self._came = asyncio.Event()

    async def request(self, method: str, streams: Iterable[str] = (), symbols: Iterable[str] = ()) -> Request:
        """Send one control message, not sooner than the limit allows. The reply is recorded when it comes.

        Args:
            method: such as `SUBSCRIBE`.
            streams: the parameters.
            symbols: the symbols of these streams, in the exchange's spelling.

        """
        names = tuple(streams)
        self._asked.update(names)
        self._symbols |= {lower_case(symbol): symbol for symbol in symbols}
        await self._take_turn()
        request = Request(self._next_id, method, names, self._now())
        self._next_id += 1
        self.channel.requests.append(request)
        message: dict[str, Any] = {"method": method, "id": request.id}
        if names:
            message["params"] = names
        await self._send(msgspec.json.encode(message))
        return request

    async def pong(self) -> None:
        """Send a pong that nobody asked for, with an empty payload as the exchange's documents recommend."""
        await self._take_turn()
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.pong()
                self.channel.pong_sent_at = self._now()

    async def wait_for(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until something that came makes the condition true. Return whether it did in that time."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return bool(condition())
        return True

    async def read(self, socket: ClientConnection) -> None:
        """Record what comes until the connection ends."""
        self._socket = socket
        try:
            while True:
                raw = await socket.recv(decode=False)
                self._take(raw)
                self._came.set()
        except ConnectionClosed as error:
            self.channel.failure = explain(error)
            self.channel.close_code = error.rcvd.code if error.rcvd else None
        finally:
            self.channel.ended_at = self._now()
            self._socket = None
            self._came.set()

    def note_ping(self, payload: bytes) -> None:
        """Record a ping, and the pong that the library answers it with."""
        now = self._now()
        self.channel.pings_at.append(now)
        self.channel.ping_payloads.add(len(payload))
        self.channel.sent_at.append(now)

    async def _take_turn(self) -> None:
        wait = self._next_send - self._now()
        if wait > 0:
            await asyncio.sleep(wait)
        self._next_send = self._now() + _SPACING_SECONDS
        self.channel.sent_at.append(self._now())

    async def _send(self, text: bytes) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):  # the reader records how it ended
                await self._socket.send(text, text=True)

    def _take(self, raw: bytes) -> None:
        at = self._now()
        try:
            message = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            self._complain("a frame is not JSON")
            return
        if isinstance(message, dict) and isinstance(message.get("stream"), str):
            self._take_event(message["stream"], message.get("data"), raw, at)
        elif isinstance(message, dict) and ("result" in message or "code" in message or "error" in message):
            self._take_reply(message, raw, at)
        else:
            self._parse(raw, (ServerShutdown,))

    def _take_event(self, stream: str, data: Any, raw: bytes, at: float) -> None:
        if stream not in self._asked:
            self._parse(raw, (ServerShutdown,))  # it may announce its shutdown in this way, and nothing else
            return
        channel = self.channel
        name, _, kind = stream.partition("@")
        symbol = self._symbols.get(name, name)
        channel.last_event_at[stream] = at
        channel.counts[kind] = channel.counts.get(kind, 0) + 1
        if kind == "trade":
            self._parse(raw, (TradeTick,))
            fault = trade_fault(data, symbol)
            if fault is None:
                channel.trades.setdefault(symbol, []).append(trade_of(data, at))
                self._kept += 1
                self.full = self._kept >= _MOST_TRADES
        elif kind.startswith("kline_"):
            interval = kind.removeprefix("kline_")
            fault = bar_fault(data, symbol, interval)
            if fault is None:
                channel.bars.setdefault((symbol, interval), []).append(bar_of(data, at))
        elif kind == "ticker":
            fault = day_fault(data, symbol)
            if fault is None:
                channel.days.setdefault(symbol, []).append(day_of(data, at))
        elif kind == "bookTicker":
            fault = book_fault(data, symbol)
        else:
            fault = depth_fault(data) if kind.startswith("depth") else None
        if fault is not None:
            _count(channel.problems.setdefault(kind, {}), fault)

    def _take_reply(self, message: dict[str, Any], raw: bytes, at: float) -> None:
        self._parse(raw, (ParsedReply,))
        error = message.get("error", message if "code" in message else None)
        text = ""
        if error is not None:
            inner = error if isinstance(error, dict) else {"msg": error}
            text = ascii(f"{inner.get('msg')} (code {inner.get('code')})")[1:-1][:_SHOWN_CHARACTERS]
        self.channel.replies.append(
            Reply(message.get("id"), error is not None, message.get("result"), text, at)
        )

    def _parse(self, raw: bytes, kinds: tuple[type, ...]) -> None:
        """Give a frame to the product's own parser, which must see one of these kinds in it."""
        try:
            parsed = parse_frame(raw, "binance", self._now_ms())
        except MalformedMessage as error:
            self._complain(error.kind)
        else:
            if not isinstance(parsed, kinds):
                self._complain(f"a frame in an unexpected place: {type(parsed).__name__}")

    def _complain(self, text: str) -> None:
        _count(self.channel.refused_by_parser, text)


@contextlib.asynccontextmanager
async def opened(
    channel: Channel, clock: Clock, url: str, outbound: Outbound, open_seconds: float
) -> AsyncIterator[StreamTap | None]:
    """Open a connection and record what comes while the block runs.

    Args:
        channel: receives what comes, or why the connection could not be opened.
        clock: source of the time.
        url: the base address; `/stream` is appended.
        outbound: which proxy and which certificates.
        open_seconds: the longest time for the handshake.

    Yields: the connection; `None` when it could not be opened.

    """
    tap = StreamTap(channel, clock)
    began = clock.monotonic()
    try:
        async with asyncio.timeout(open_seconds):
            socket = await _connect(url, outbound, tap)
    except ExchangeUnreachable as error:
        channel.failure = error.reason
        yield None
        return
    except (OSError, TimeoutError, WebSocketException, *UNUSABLE) as error:
        channel.failure = explain(error)
        yield None
        return
    channel.opened_at = clock.monotonic()
    channel.open_seconds = channel.opened_at - began
    reading = asyncio.create_task(tap.read(socket), name=f"doctor: {channel.name}")
    await asyncio.sleep(0)  # so that the reader has the connection
    try:
        yield tap
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await socket.close()


async def _connect(url: str, outbound: Outbound, tap: StreamTap) -> ClientConnection:
    """Open a connection by the way that the product takes (`exchanges/dial.py`)."""
    parts, is_secure = urlsplit(url), url.startswith("wss:")
    port = parts.port or (443 if is_secure else 80)
    way = await open_tcp(parts.hostname or "", port, outbound.proxy_for(url))
    try:
        return await connect(
            f"{url}/stream",
            compression=None,
            ping_interval=None,
            open_timeout=None,
            close_timeout=_CLOSE_SECONDS,
            max_size=4 * 2**20,
            proxy=None,  # the socket leads through it already
            sock=way,
            ssl=await outbound.tls() if is_secure else None,
            create_connection=partial(_Socket, on_ping=tap.note_ping),  # type: ignore[arg-type]
        )
    except BaseException:
        way.close()
        raise


def _count(counts: dict[str, int], text: str) -> None:
    if text in counts or len(counts) < _MOST_KINDS:
        counts[text] = counts.get(text, 0) + 1
