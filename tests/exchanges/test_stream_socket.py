"""The socket against a real server that cuts its bytes anywhere."""

import asyncio
import base64
import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial
from random import Random
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State

from livemarkets.exchanges.stream_socket import StreamSocket

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


def accept(request: bytes) -> bytes:
    key = next(
        line.split(b": ")[1]
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    proof = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
    )


@contextlib.asynccontextmanager
async def server(
    cut: Callable[[bytes], list[bytes]], after_head: bytes, *, ends: bool = False
) -> AsyncIterator[tuple[str, bytearray]]:
    """A server that says a fixed text after the handshake, in pieces, and keeps what it is told."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        for piece in cut(accept(request) + after_head):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            while not ends and (data := await reader.read(1000)):
                heard.extend(data)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/", heard


async def read_until_closed(
    url: str, heard: list[bytes], on_texts: Callable[[list[bytes]], None] | None = None
) -> ConnectionClosed:
    async with connect(
        url,
        create_connection=partial(StreamSocket, on_texts=on_texts or heard.extend),  # type: ignore[arg-type]
        compression=None,
        ping_interval=None,
        close_timeout=0.1,
        max_size=100_000,
        proxy=None,
    ) as socket:
        assert isinstance(socket, ClientConnection)
        try:
            while True:
                heard.append(b"queued " + await socket.recv(decode=False))
        except ConnectionClosed as ended:
            return ended


def in_pieces(random: Random, longest: int) -> Callable[[bytes], list[bytes]]:
    def cut(data: bytes) -> list[bytes]:
        pieces, at = [], 0
        while at < len(data):
            size = random.randint(1, longest)
            pieces.append(data[at : at + size])
            at += size
        return pieces

    return cut


@pytest.mark.parametrize("longest", [1, 7, 200, 100_000])
async def test_frames_come_whole_and_in_order_however_they_are_cut(longest: int) -> None:
    random = Random(longest)
    texts = [bytes(random.choices(b"abc{}", k=size)) for size in (0, 1, 125, 126, 127, 300, 65_535, 65_536)]
    texts += [b"%d" % number for number in range(100)]
    said = b"".join(frame(Opcode.TEXT, text) for text in texts) + frame(
        Opcode.CLOSE, Close(1001, "bye").serialize()
    )
    if longest == 1:
        texts, said = texts[:6], b"".join(frame(Opcode.TEXT, t) for t in texts[:6]) + said[-7:]
    heard: list[bytes] = []
    async with server(in_pieces(random, longest), said) as (url, _):
        ended = await read_until_closed(url, heard)
    assert heard == texts
    assert ended.rcvd is not None
    assert ended.rcvd.code == 1001


@pytest.mark.parametrize("is_cut_off", [False, True])
async def test_a_read_of_many_frames_is_spread_over_the_turns_of_the_loop(is_cut_off: bool) -> None:
    texts = [b"%d" % number for number in range(5_000)]
    said = b"".join(frame(Opcode.TEXT, text) for text in texts)
    if not is_cut_off:
        said += frame(Opcode.CLOSE, Close(1000, "").serialize())
    heard: list[bytes] = []
    turn, most_in_turn = 0, Counter[int]()

    def note(some: list[bytes]) -> None:
        heard.extend(some)
        most_in_turn[turn] += len(some)

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    async with server(lambda data: [data], said, ends=is_cut_off) as (url, _):
        await read_until_closed(url, heard, note)
    counting.cancel()
    assert heard == texts
    assert max(most_in_turn.values()) <= 500  # what was left, and a new read


async def test_who_closes_with_many_frames_unread_is_closed() -> None:
    """It looked for ever at frames that a closing connection no longer reads."""
    said = b"".join(frame(Opcode.TEXT, b"%d" % number) for number in range(5_000))
    closings: list[asyncio.Task[None]] = []
    sockets: list[StreamSocket] = []

    def close(_: list[bytes]) -> None:
        if not closings:
            closings.append(asyncio.create_task(sockets[0].close()))

    def make(*args: Any, **kwargs: Any) -> StreamSocket:
        sockets.append(StreamSocket(*args, on_texts=close, **kwargs))
        return sockets[0]

    async with server(lambda data: [data], said, ends=True) as (url, _):
        async with asyncio.timeout(5), connect(url, create_connection=make, close_timeout=1) as socket:  # type: ignore[arg-type]
            await socket.wait_closed()
        assert socket.state is State.CLOSED
    await asyncio.wait(closings)


async def test_what_is_not_a_plain_text_frame_is_the_library_s_business() -> None:
    said = (
        frame(Opcode.TEXT, b"one")
        + frame(Opcode.PING, b"are you there")
        + frame(Opcode.TEXT, b"two ", fin=False)
        + frame(Opcode.CONT, b"halves")
        + frame(Opcode.BINARY, b"\x00\xff")
        + frame(Opcode.TEXT, b"three")
        + frame(Opcode.CLOSE, Close(1000, "").serialize())
    )
    heard: list[bytes] = []
    async with server(lambda data: [data], said) as (url, told):
        await read_until_closed(url, heard)
        assert b"".join(sorted(heard)) == b"onequeued \x00\xffqueued two halvesthree"
        assert [text for text in heard if not text.startswith(b"queued")] == [b"one", b"three"]
    assert told[0] == 0x8A, "the ping was answered with a pong"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x81\x84abcdtext", 1002),  # a server must not mask
        (b"\xc1\x01x", 1002),  # a reserved bit
        (frame(Opcode.TEXT, b"x" * 100_001), 1009),
        (b"\x81\x7f" + (2**62).to_bytes(8, "big"), 1009),
        (b"\x83\x00", 1002),  # an opcode that does not exist
    ],
    ids=["masked", "reserved", "too big", "enormous", "opcode"],
)
async def test_what_breaks_the_protocol_ends_the_connection_as_the_library_says(
    said: bytes, code: int
) -> None:
    heard: list[bytes] = []
    async with server(lambda data: [data], frame(Opcode.TEXT, b"before") + said) as (url, _):
        ended = await read_until_closed(url, heard)
    assert heard == [b"before"]
    assert ended.sent is not None
    assert ended.sent.code == code


async def test_a_frame_cut_off_by_the_end_is_a_lost_connection() -> None:
    heard: list[bytes] = []
    whole = frame(Opcode.TEXT, b"whole")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accept(await reader.readuntil(b"\r\n\r\n")) + whole + whole[:4])
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        ended = await read_until_closed(f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/", heard)
    assert heard == [b"whole"]
    assert ended.rcvd is None
