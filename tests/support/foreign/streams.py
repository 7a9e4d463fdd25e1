"""One WebSocket connection of the foreign exchange: subscriptions, acknowledgements, events, pings."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError

from tests.support.foreign.frames import FrameWriter, text_of
from tests.support.foreign.market import Listing, Trade
from tests.support.foreign.messages import is_request_id, lower, trade_event
from tests.support.foreign.rules import (
    MESSAGES_PER_SECOND,
    PONG_SECONDS,
    STREAMS_PER_CONNECTION,
    WINDOW_SECONDS,
    MessageRate,
)

if TYPE_CHECKING:
    from tests.support.foreign.exchange import ForeignExchange

ACKS = ("prompt", "late", "never", "doubled", "reordered", "as text", "refused", "refused without id")
_METHODS = {"SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"}


class StreamConnection:
    """A connection from its handshake to its end."""

    def __init__(
        self,
        exchange: ForeignExchange,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: int,
    ) -> None:
        self.streams: dict[str, None] = {}
        self.is_open = False
        self._exchange = exchange
        self._address = address
        self._reader = reader
        self._protocol = WSConnection(ConnectionType.SERVER)
        self.frames = FrameWriter(self._protocol, writer, exchange.market.random)
        self._rate = MessageRate()
        self._is_combined = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._postponed: list[str] = []
        self._text = ""
        self._pings: dict[bytes, tuple[float, list[tuple[Listing, int]]]] = {}
        self._unconfirmed: list[tuple[Listing, int]] = []
        self._ping_numbers = itertools.count(1)
        self._pinged_at = time.monotonic()

    @property
    def is_half_open(self) -> bool:
        """Whether this side has fallen silent without a word."""
        return self.frames.is_mute

    async def run(self) -> None:
        """Read until the other side is gone."""
        try:
            while raw := await self._reader.read(65536):
                if self.frames.is_mute:
                    continue
                try:
                    self._protocol.receive_data(raw)
                    for event in self._protocol.events():
                        self._on_event(event)
                except ProtocolError as error:
                    self._exchange.rules.violate(f"not a WebSocket message: {error}")
                    break
        except ConnectionError:
            pass
        finally:
            self.is_open = False
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.frames.flush()
            await self.frames.aclose()

    def cut(self, manner: str) -> None:
        """End it from this side; see `CUTS`."""
        if manner == "reset":  # bytes on their way are thrown away, on either side
            for listing, trade_id in self._unconfirmed:
                listing.sent_at.pop(trade_id, None)
        self.is_open = False
        self.frames.cut(manner)

    # events of the market

    def push(self, trades: Sequence[tuple[Listing, Trade]]) -> None:
        """Send the trades whose stream this connection carries, in one go."""
        faults, now = self._exchange.faults, time.monotonic()
        texts = []
        for listing, trade in trades:
            if listing.stream not in self.streams or self.frames.is_mute:
                continue
            texts.append(self._text_of(listing.stream, trade_event(listing, trade)))
            listing.sent_at.setdefault(trade.id, now)
            self._unconfirmed.append((listing, trade.id))
        framing = faults.framing
        if framing == "pinged" and texts:  # a pong costs one of the five messages a second
            framing = framing if now > self._pinged_at + 1.5 else "fragmented"
            self._pinged_at = now if framing == "pinged" else self._pinged_at
        self.frames.send_texts(texts, framing)

    def announce_shutdown(self) -> None:
        """Send `serverShutdown`."""
        event = {"e": "serverShutdown", "E": time.time_ns() // 1_000_000}
        self.send_raw(self._text_of("!serverShutdown", event))

    def send_raw(self, text: str) -> None:
        """Send a text that is no event."""
        if self.is_open:
            self.frames.send_texts([text], "plain")

    def ping(self) -> None:
        """Send a ping; its payload comes back with a pong, or a rule is broken."""
        if not self.is_open or self.frames.is_mute:
            return
        now = time.monotonic()
        if any(now - sent_at > PONG_SECONDS for sent_at, _ in self._pings.values()):
            self._exchange.rules.violate(f"no pong within {PONG_SECONDS} s")
            self.cut("1008")
            return
        payload = f"{next(self._ping_numbers)}:{time.time_ns() // 1_000_000}".encode()
        self._pings[payload] = now, self._unconfirmed
        self._unconfirmed = []
        self._pinged_at = now
        self.frames.send(Ping(payload=payload))

    def _text_of(self, stream: str, event: dict[str, Any]) -> str:
        message = {"stream": stream, "data": event} if self._is_combined else event
        return text_of(message, self._exchange.faults.text, self._exchange.market.random)

    # what comes in

    def _on_event(self, event: Event) -> None:
        if not self.is_open and not isinstance(event, Request | CloseConnection):
            return  # it was on its way when this side closed; nothing can be answered any more
        if isinstance(event, Request):
            self._on_handshake(event)
        elif isinstance(event, Ping):
            self._count("a ping")
            if self.is_open:
                self.frames.send(event.response())
        elif isinstance(event, Pong):
            self._count("a pong")
            payload = bytes(event.payload)
            if payload in self._pings:
                del self._pings[payload]
            elif payload not in (b"", b"between fragments"):
                self._exchange.rules.violate(f"a pong with a payload that no ping had: {payload!r}")
        elif isinstance(event, TextMessage):
            self._text += event.data
            if event.message_finished:
                text, self._text = self._text, ""
                self._count(text[:60])
                self._on_request(text)
        elif isinstance(event, BytesMessage):
            self._exchange.rules.violate("a binary message")
        elif isinstance(event, CloseConnection):
            with contextlib.suppress(ProtocolError):
                self.frames.send(event.response())
            self.is_open = False
            self.frames.cut("fin")

    def _count(self, what: str) -> None:
        messages = self._rate.note()
        if messages > MESSAGES_PER_SECOND and self.is_open:
            self._exchange.rules.violate(
                f"{messages} messages within {WINDOW_SECONDS} s, the last one {what}"
            )
            self.cut("1008")

    def _on_handshake(self, request: Request) -> None:
        sickness = self._exchange.faults.sick_addresses.get(self._address)
        refusal = self._exchange.admit()
        if sickness == "hangs":
            self.frames.is_mute = True
            return
        if refusal is not None:
            status, headers, body = refusal
            raw = [(name.encode(), value.encode()) for name, value in headers]
            raw.append((b"content-length", str(len(body)).encode()))
            self.frames.send(RejectConnection(status_code=status, headers=raw, has_body=True))
            self.frames.send(RejectData(data=body))
            self.frames.cut("fin")
            return
        target = urlsplit(request.target)
        path = unquote(target.path)
        self._is_combined = path.startswith("/stream")
        names = (
            parse_qs(target.query).get("streams", [""])[0] if self._is_combined else path.removeprefix("/ws")
        )
        self.frames.send(AcceptConnection())
        self.is_open = True
        if sickness == "answers nothing":
            self.frames.cut("half open")
            return
        self._add(name for name in names.strip("/").split("/") if name)
        if self._exchange.faults.accepted_and_closed > 0:
            self._exchange.faults.accepted_and_closed -= 1
            self.cut("1001")
        elif sickness == "accepts and closes":
            self.cut("1001")

    def _add(self, names: Any) -> None:
        for name in names:
            if (
                name != lower(name)
                and "@" in name
                and name.partition("@")[0] != lower(name.partition("@")[0])
            ):
                self._exchange.rules.violate(f"a symbol that is not lower case: {name}")
            self.streams[name] = None  # one that does not exist is acknowledged and silent, as on Binance
        if len(self.streams) > STREAMS_PER_CONNECTION:
            self._exchange.rules.violate(f"{len(self.streams)} streams on one connection")
            self.cut("1008")

    def _on_request(self, text: str) -> None:
        try:
            message = json.loads(text)
            method, request_id = message["method"], message.get("id")
            parameters = message.get("params", [])
        except (ValueError, KeyError, TypeError, AttributeError):
            self._exchange.rules.violate(f"not a request: {text[:80]}")
            self.send_raw('{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}')
            return
        if method not in _METHODS or not is_request_id(request_id) or not isinstance(parameters, list):
            self._exchange.rules.violate(f"a request that the documents do not know: {text[:80]}")
            self.send_raw('{"code":2,"msg":"Invalid request: unknown variant"}')
            return
        self._answer(method, parameters, request_id)

    def _answer(self, method: str, parameters: list[Any], request_id: Any) -> None:
        result: Any = None
        manner = self._exchange.faults.take_ack()
        if manner.startswith("refused"):
            error = {"code": 2, "msg": "Invalid request: the foreign exchange is in a bad mood"}
            reply = {"error": error, "id": request_id} if manner == "refused" else error
            self._tell(json.dumps(reply), 0.0)
            return
        if method == "SUBSCRIBE":
            self._add(parameters)
        elif method == "UNSUBSCRIBE":
            for name in parameters:
                self.streams.pop(name, None)
        elif method == "LIST_SUBSCRIPTIONS":
            result = list(self.streams)
        reply = {"result": result, "id": str(request_id) if manner == "as text" else request_id}
        text = json.dumps(reply)
        if manner == "never":
            return
        if manner == "reordered":  # this one after the next one, or after a while
            self._postponed.append(text)
            self._later(0.7, self._send_postponed)
            return
        self._tell(text, self._exchange.faults.late_seconds if manner == "late" else 0.0)
        if manner == "doubled":
            self._tell(text, 0.05)
        self._send_postponed()

    def _send_postponed(self) -> None:
        while self._postponed:
            self.send_raw(self._postponed.pop())

    def _tell(self, text: str, delay_seconds: float) -> None:
        if delay_seconds:
            self._later(delay_seconds, lambda: self.send_raw(text))
        else:
            self.send_raw(text)

    def _later(self, seconds: float, action: Any) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            if self.is_open:
                action()

        task = asyncio.create_task(wait(), name="a late answer of the foreign exchange")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
