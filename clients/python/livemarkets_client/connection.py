"""One connection to the server, from its welcome to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from livemarkets_client.backoff import End, Timings
from livemarkets_client.continuity import Item
from livemarkets_client.messages import PROTOCOL, Error, Limits, Subscribed, Welcome, decode, encode
from livemarkets_client.models import ExchangeStatus, Quality, Refusal
from livemarkets_client.requests import subscribe_messages, unsubscribe_message
from livemarkets_client.routing import stream_of, take
from livemarkets_client.states import Code
from livemarkets_client.streams import Streams
from livemarkets_client.subscription import Intake, Stream

__all__ = ["Connection"]

_FIRST_SILENCE_SECONDS = 15.0
_HEARTBEATS = 3
_REST_SECONDS = 1.0
"""How long nothing is asked for after the server has ignored a message."""
_ITEMS_IN_A_TURN = 500
"""After so many the event loop has a turn for others."""
_log = logging.getLogger("livemarkets_client")


class Connection:
    """A conversation: it asks for what is wanted, and gives what comes to the streams.

    Args:
        socket: an open WebSocket.
        streams: what is wanted.
        timings: when silence means the end.
        on_welcome: called with the first message.
        on_status: called with each state of an exchange.
        on_quality: called with each state of a stream.
        on_frame: called with each frame, before it is read.

    """

    def __init__(
        self,
        socket: ClientConnection,
        streams: Streams,
        timings: Timings,
        *,
        on_welcome: Callable[[Welcome], None],
        on_status: Callable[[ExchangeStatus], None],
        on_quality: Callable[[Quality], None] | None,
        on_frame: Callable[[bytes], None] | None,
    ) -> None:
        self.had_data = False
        """Whether anything came for a stream."""
        self._socket = socket
        self._streams = streams
        self._timings = timings
        self._on_welcome = on_welcome
        self._on_status = on_status
        self._on_quality = on_quality
        self._on_frame = on_frame
        self._silence_seconds = timings.silence_seconds or _FIRST_SILENCE_SECONDS
        self._limits = Limits()
        self._is_welcome = asyncio.Event()
        self._asked: dict[int, list[Stream]] = {}  # the id of a message → what it has asked for
        self._ids = 0
        self._rest_seconds = 0.0
        self._full: list[Intake] = []
        self._given = 0

    async def run(self) -> End:
        """Converse until the connection ends, and return why it did."""
        self._streams.forget_connection()
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(self._ask(), name="livemarkets_client asks")
            try:
                return await self._read()
            finally:
                asking.cancel()

    # --- what goes out ----------------------------------------------------------------------------

    async def _ask(self) -> None:
        await self._is_welcome.wait()
        while True:
            await self._streams.changed.wait()
            self._streams.changed.clear()
            rest, self._rest_seconds = self._rest_seconds, 0.0
            await asyncio.sleep(rest)
            try:
                for message in unsubscribe_message(self._streams.take_dropped()):
                    await self._send(message)
                unasked = {stream.name: stream for stream in self._streams.take_unasked()}
                wanted = [(name, each.terms, each.account.after) for name, each in unasked.items()]
                for message, names in subscribe_messages(wanted, self._limits.message_bytes):
                    self._asked[self._ids + 1] = [unasked[name] for name in names]
                    await self._send(message)
            except ConnectionClosed:
                return  # the reader says why

    async def _send(self, message: dict[str, Any]) -> None:
        self._ids += 1
        await self._socket.send(encode(message | {"id": self._ids}), text=True)
        await asyncio.sleep(1 / max(1, self._limits.messages_per_second))

    # --- what comes in ----------------------------------------------------------------------------

    async def _read(self) -> End:
        while True:
            try:
                async with asyncio.timeout(self._silence_seconds):
                    raw = await self._socket.recv(decode=False)
            except TimeoutError:
                self._socket.transport.abort()  # nobody would answer a close frame
                return End(Code.SILENT, f"no message for {self._silence_seconds:g} s")
            except ConnectionClosed as closed:
                if closed.rcvd is None:
                    return End(Code.LOST, f"the connection was lost: {closed}")
                return End.of_close(closed.rcvd.code, closed.rcvd.reason)
            if self._on_frame is not None:
                self._on_frame(raw)
            try:
                end = self._take(raw)
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                return End(Code.UNREADABLE, f"the server sent what is no message: {error}")
            if end is not None:
                return end
            for intake in self._full:
                await intake.room()
            self._full.clear()
            if self._given >= _ITEMS_IN_A_TURN:
                self._given = 0
                await asyncio.sleep(0)  # what has arrived already would be read without a pause

    def _take(self, raw: bytes) -> End | None:
        """Take one message; return the end if there is nothing to hope for after it."""
        message = decode(raw)
        if isinstance(message, Welcome):
            return self._take_welcome(message)
        if not self._is_welcome.is_set():
            return End(Code.UNREADABLE, "the server's first message is no welcome")
        match message:
            case None:
                return None
            case Subscribed():
                self._take_answer(message)
            case ExchangeStatus():
                self._on_status(message)
            case Quality():
                self._take_quality(message)
            case Error():
                return self._take_error(message)
            case _:
                stream = self._streams.find(stream_of(message))
                if stream is not None:
                    self._give(stream.intake, take(stream.account, message))
        return None

    def _give(self, intake: Intake, items: Sequence[Item]) -> None:
        self.had_data = True
        self._given += len(items)
        for item in items:
            intake.put(item)
        if intake.is_full and intake not in self._full:
            self._full.append(intake)

    def _take_welcome(self, message: Welcome) -> End | None:
        if message.protocol != PROTOCOL:
            return End(
                Code.OTHER_PROTOCOL,
                f"the server speaks protocol {message.protocol}, this library {PROTOCOL}",
                is_final=True,
            )
        self._limits = message.limits
        if self._timings.silence_seconds is None:
            self._silence_seconds = _HEARTBEATS * message.heartbeat_seconds
        for exchange, state in message.exchanges.items():
            self._on_status(ExchangeStatus(exchange, state))
        self._on_welcome(message)
        self._is_welcome.set()
        return None

    def _take_answer(self, message: Subscribed) -> None:
        streams = self._asked.pop(message.id, []) if isinstance(message.id, int) else []
        refused = []
        for stream, result in zip(streams, message.results, strict=False):
            if result.ok:
                self._streams.accept(stream)
            else:
                refused.append((stream, result.refusal()))
        self._streams.refuse(refused)

    def _take_quality(self, message: Quality) -> None:
        stream = self._streams.find(stream_of(message))
        if stream is not None and stream.terms.quality:
            stream.intake.quality[message.symbol] = message
            if self._on_quality is not None:
                self._on_quality(message)

    def _take_error(self, message: Error) -> End | None:
        if message.code == "internal":
            return End(Code.SERVER_DEFECT, message.message or "a defect of the server")
        streams = self._asked.pop(message.id, []) if isinstance(message.id, int) else []
        if message.code == "rate_limited":
            self._rest_seconds = _REST_SECONDS
            self._streams.ask_again(streams)
            return None
        if not streams:
            _log.warning("%s: %s", message.code, message.message)
        self._streams.refuse(
            [(each, Refusal(each.name.symbol, message.code, message.message)) for each in streams]
        )
        return None
