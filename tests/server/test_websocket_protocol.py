"""The raw way out of a WebSocket, under a real uvicorn and a strict client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from livemarkets.delivery.framing import text_frame
from livemarkets.server import websocket_protocol as preframed
from livemarkets.server.close_codes import CLOSE_CODES
from livemarkets.server.frame_writer import EXTENSION, FrameWriter
from tests.support.app import serving
from tests.support.helpers import eventually
from tests.support.markets_client import open_client

MEGABYTE = text_frame(b"x" * 1_000_000)


class Endpoint:
    """An ASGI endpoint that hands its writer to the test and reads until told to leave."""

    def __init__(self) -> None:
        self.writer: FrameWriter
        self.server: uvicorn.Server
        self.arrived = asyncio.Event()
        self.leave = asyncio.Event()
        self.ended: list[int] = []

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        assert scope["type"] == "websocket"
        self.writer = scope["extensions"][EXTENSION]
        await receive()
        await send({"type": "websocket.accept"})
        self.arrived.set()
        while not self.leave.is_set():
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.ended.append(message["code"])
                return
            if message.get("text") == "leave":
                await send({"type": "websocket.close", "code": 3000})
                return


@contextlib.asynccontextmanager
async def connected(
    frozen: bool = False, compression: str | None = None, **options: Any
) -> AsyncIterator[tuple[Endpoint, ClientConnection]]:
    endpoint = Endpoint()
    async with serving(endpoint, lifespan="off", **options) as (endpoint.server, port):
        raw = socket.socket()
        if frozen:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
        url = f"ws://127.0.0.1:{port}/"
        async with open_client(url, sock=raw, compression=compression, ping_interval=None) as client:
            await endpoint.arrived.wait()
            if frozen:
                client.socket.transport.pause_reading()
            yield endpoint, client.socket
            if frozen:  # it would wait for an answer to its goodbye
                client.socket.transport.abort()


async def stuff(writer: FrameWriter) -> None:
    """Write until the transport keeps what it cannot send."""
    while not writer.is_paused:
        writer.write(MEGABYTE)
        await asyncio.sleep(0)


@pytest.mark.parametrize("deflate", [False, True])
async def test_joined_frames_arrive_as_messages_also_where_deflate_was_negotiated(deflate: bool) -> None:
    compression = "deflate" if deflate else None
    async with connected(compression=compression, ws_per_message_deflate=deflate) as (endpoint, client):
        assert len(client.protocol.extensions) == deflate
        texts = ["", "a", "ü" * 100, "x" * 125, "x" * 126, "x" * 65_535, "x" * 65_536, '{"type":"trade"}']
        endpoint.writer.write(b"".join(text_frame(text.encode()) for text in texts))
        assert [await client.recv() for _ in texts] == texts
        await client.send("still here " * 100)  # compressed by the client where it was negotiated
        await (await client.ping())


async def test_nothing_follows_a_goodbye_of_the_client() -> None:
    async with connected() as (endpoint, client):
        await client.close(1000)
        await eventually(lambda: endpoint.ended == [1000])
        assert not endpoint.writer.is_open
        endpoint.writer.write(text_frame(b"too late"))
        endpoint.writer.close(1008, "too late")


async def test_nothing_follows_a_goodbye_of_the_endpoint() -> None:
    async with connected() as (endpoint, client):
        await client.send("leave")
        await eventually(lambda: not endpoint.writer.is_open)
        endpoint.writer.write(text_frame(b"too late"))
        await client.wait_closed()
        assert client.close_code == 3000


async def test_nothing_follows_a_goodbye_of_the_writer_which_may_be_said_twice() -> None:
    async with connected() as (endpoint, client):
        endpoint.writer.write(text_frame(b"last words"))
        endpoint.writer.close(1008, "enough")
        endpoint.writer.close(1013, "again")
        endpoint.writer.write(text_frame(b"too late"))
        assert await client.recv() == "last words"
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1008, "enough")
        await eventually(lambda: endpoint.ended == [1008])


async def test_a_goodbye_is_answered_also_when_the_endpoint_reads_no_more() -> None:
    async with connected() as (endpoint, client):
        for _ in range(200):
            await client.send("on and on")
        endpoint.leave.set()
        endpoint.writer.close(1008, "enough")
        async with asyncio.timeout(3):
            await client.wait_closed()
        assert client.close_code == 1008


def is_closed(transport: asyncio.Transport) -> bool:
    """Whether the server has left the connection to the kernel."""
    socket_: socket.socket = transport.get_extra_info("socket")
    return transport.is_closing() and socket_.fileno() < 0


class Listener:
    """Hears what the writer tells."""

    def __init__(self, resumed: asyncio.Event) -> None:
        self.resume = resumed.set

    def handle_change(self) -> None:
        pass


async def test_the_writer_tells_when_the_peer_takes_no_more_and_when_it_does_again() -> None:
    async with connected(frozen=True) as (endpoint, client):
        resumed = asyncio.Event()
        endpoint.writer.listener = Listener(resumed)
        await stuff(endpoint.writer)
        assert not resumed.is_set()
        client.transport.resume_reading()
        async with asyncio.timeout(5):
            await resumed.wait()
        assert not endpoint.writer.is_paused


async def test_the_kernel_keeps_little_for_a_peer_that_takes_nothing() -> None:
    async with connected(frozen=True) as (endpoint, _):
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while taken < 10_000_000:
                taken += os.write(endpoint.writer.fd, MEGABYTE)
        assert 0 < taken < 500_000


@pytest.mark.long
async def test_a_goodbye_to_a_peer_that_takes_nothing_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preframed, "_CLOSE_SECONDS", 0.2)
    async with connected(frozen=True) as (endpoint, _):
        await stuff(endpoint.writer)
        endpoint.writer.close(1013, "too slow")
        await eventually(lambda: endpoint.ended[:1] == [1013])
        await eventually(endpoint.writer._transport.is_closing)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel takes nothing more")
async def test_a_peer_that_was_stopped_finds_the_goodbye_when_the_server_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that was stopped for 50 s found code 1006 (FIELD-2 1D, 35)."""
    monkeypatch.setattr(preframed, "_CLOSE_SECONDS", 0.2)
    async with connected(frozen=True) as (endpoint, client):
        await stuff(endpoint.writer)
        transport: Any = endpoint.writer._transport
        endpoint.writer.close(1013, "too slow")
        await eventually(lambda: is_closed(transport), 10)
        client.transport.resume_reading()
        async with asyncio.timeout(10):
            await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1013, "too slow")


@pytest.mark.long
async def test_a_peer_that_answers_no_ping_is_dropped_with_all_that_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preframed.RawFrameProtocol._end_frames, "__defaults__", (0.2,))
    async with connected(frozen=True, ws_ping_interval=0.1, ws_ping_timeout=0.2) as (endpoint, _):
        await stuff(endpoint.writer)
        await eventually(lambda: endpoint.ended, because="the endpoint hears that its peer is gone")


@pytest.mark.serial(quiet=True)
async def test_a_shutdown_does_not_wait_for_a_peer_that_takes_nothing() -> None:
    async with connected(frozen=True) as (endpoint, _):
        await stuff(endpoint.writer)
        endpoint.server.should_exit = True
        await eventually(lambda: endpoint.ended == [1012])
        began = time.monotonic()
        await eventually(lambda: not endpoint.server.server_state.connections)
        assert time.monotonic() - began < 2


@pytest.mark.serial(quiet=True)
async def test_a_shutdown_is_not_upset_by_a_peer_that_said_goodbye_and_takes_no_answer() -> None:
    async with connected(frozen=True) as (endpoint, client):
        await stuff(endpoint.writer)
        client.protocol.send_close(1000)
        client.transport.write(b"".join(client.protocol.data_to_send()))
        await eventually(lambda: endpoint.ended == [1000])
        assert endpoint.server.server_state.connections
        endpoint.server.should_exit = True
        began = time.monotonic()
        await eventually(lambda: not endpoint.server.server_state.connections)
        assert time.monotonic() - began < 2


async def test_a_refused_handshake_needs_no_writer() -> None:
    async def refuse(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async with serving(refuse, lifespan="off") as (_, port):
        with pytest.raises(Exception, match="403"):
            await connect(f"ws://127.0.0.1:{port}/", proxy=None)


HEAD = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


@contextlib.asynccontextmanager
async def raw_connection(
    endpoint: Any, **options: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection whose handshake is asked for and not yet answered; options are uvicorn's."""
    async with serving(endpoint, lifespan="off", **options) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        try:
            async with asyncio.timeout(8):
                yield reader, writer
        finally:
            writer.transport.abort()


TEXT, PING, PONG = Opcode.TEXT, Opcode.PING, Opcode.PONG
GOODBYE = frame(Opcode.CLOSE, (1000).to_bytes(2, "big"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(TEXT, b"x", fin=False) + GOODBYE, 1000, id="goodbye between fragments"),
        pytest.param(frame(TEXT, b"\xff") + GOODBYE, 1007, id="invalid UTF-8 and goodbye in one segment"),
        pytest.param(frame(TEXT, b"x" * 5000 + b"\xe2") + GOODBYE, 1007, id="half a character at the end"),
        pytest.param(frame(TEXT, b"\xff", fin=False), 1007, id="invalid UTF-8 of a message without end"),
        pytest.param(frame(PONG) * 1010 + GOODBYE, 1000, id="flood and goodbye in one segment"),
    ],
)
async def test_what_comes_together_with_a_goodbye_is_answered_with_one(
    data: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = Endpoint()
    async with raw_connection(endpoint) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        answer = await reader.read()
        assert (answer[:1], answer[2:4]) == (b"\x88", code.to_bytes(2, "big"))
        await eventually(lambda: endpoint.ended)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_read_of_many_frames_is_spread_over_the_turns_of_the_loop() -> None:
    """Each frame takes 15 µs, and one read may have thousands."""
    said: list[str] = []

    async def listener(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            said.append(message["text"])

    async with raw_connection(listener) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        words = [str(number) for number in range(100)]
        writer.write(frame(PING) * 600 + b"".join(frame(TEXT, word.encode()) for word in words))
        first = await reader.read(65_536)
        assert first.startswith(b"\x8a\x00")
        assert len(first) < 1200, "not all of them were answered in one turn"
        await reader.readexactly(1200 - len(first))
        writer.write(frame(TEXT, b"more"))
        await eventually(lambda: said == [*words, "more"])


async def test_frames_that_come_before_the_handshake_is_answered_are_read_after_it() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def hesitant(scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        await receive()
        asked.set()
        await answer.wait()
        await send({"type": "websocket.accept"})
        message = await receive()
        scope["extensions"][EXTENSION].write(text_frame(message["text"].encode()))
        await receive()

    async with raw_connection(hesitant) as (reader, writer):
        await asked.wait()
        writer.write(frame(PING, b"early") + frame(TEXT, b"hello"))
        for _ in range(10):  # turns of the loop that we share with the server: it could have read them now
            await asyncio.sleep(0)
        answer.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(14) == b"\x8a\x05early\x81\x05hello"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"x" * 2000), 1009),
        (frame(TEXT, b"x", fin=False) + frame(Opcode.CONT, b"x" * 2000), 1009),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), 1002),
        (frame(PING) * 1100, 1008),
    ],
    ids=["too big", "too big in fragments", "invalid UTF-8", "a message within another", "flood"],
)
async def test_each_close_has_its_reason_in_words_of_ours(data: bytes, code: int) -> None:
    async with raw_connection(Endpoint(), ws_max_size=1000) as (reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        answer = await reader.read()
        closing = answer[answer.rindex(code.to_bytes(2, "big")) :]
        assert closing[2:].decode() == CLOSE_CODES[code]


async def test_who_answers_no_ping_is_told_so() -> None:
    async with raw_connection(Endpoint(), ws_ping_interval=0.05, ws_ping_timeout=0.05) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        assert (await reader.read()).endswith((1011).to_bytes(2, "big") + CLOSE_CODES[1011].encode())


async def test_a_shutdown_tells_to_connect_again() -> None:
    async with connected() as (endpoint, client):
        endpoint.server.should_exit = True
        await client.wait_closed()
        assert client.close_code == 1012
        assert (client.close_reason or "").startswith(f"{CLOSE_CODES[1012]}; retry_after_ms=")
