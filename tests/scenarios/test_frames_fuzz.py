"""Any frames, cut into any segments, against the way out of `/ws/markets`.

A model of RFC 6455 says what has to come back. It shares nothing with the server: it knows frames by their
fields, not as bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import pytest
import pytest_asyncio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from livemarkets.server import websocket_protocol as preframed
from tests.support.app import serving
from tests.support.echo import echo

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x5a\x00\xff\x13"
OFFER = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
HEAD = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    f"Sec-WebSocket-Extensions: {OFFER}\r\n\r\n"
).encode()


class Sent(NamedTuple):
    """A frame of the client's."""

    opcode: int
    data: bytes = b""
    fin: bool = True
    rsv: int = 0
    is_masked: bool = True
    length_bytes: int = 0
    """In how many bytes the length is told: 0, 2 or 8; more where it does not fit."""

    def __repr__(self) -> str:
        data = self.data if len(self.data) < 100 else f"{len(self.data)} bytes"
        return f"Sent({self.opcode}, {data!r}, {self.fin}, {self.rsv}, {self.is_masked}, {self.length_bytes})"

    def encode(self) -> bytes:
        length, size = len(self.data), self.length_bytes
        size = max(size, 0 if length < 126 else 2 if length < 65_536 else 8)
        short = length if size == 0 else 126 if size == 2 else 127
        head = bytes((self.fin << 7 | self.rsv << 4 | self.opcode, self.is_masked << 7 | short))
        head += length.to_bytes(size, "big") if size else b""
        if not self.is_masked:
            return head + self.data
        return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(self.data))


GOODBYE = Sent(CLOSE, b"\x03\xe8")


class Failed(Exception):
    """The connection has to end, with one of these close codes."""


class Model:
    """What a server has to make of frames."""

    def __init__(self, *, deflates: bool) -> None:
        self.deflates = deflates
        self.pongs: list[bytes] = []
        self.messages: list[tuple[int, bytes]] = []
        self.codes: tuple[int, ...] = ()
        """The close codes that may come back; none as long as the connection goes on."""
        self.is_goodbye = False
        """Whether they come back because the client said goodbye, and properly."""
        self._opcode = 0
        self._data = b""
        self._inflate: Callable[[bytes], bytes] | None = None

    def take(self, frames: list[Sent]) -> list[Sent]:
        """Return those to send: a client sends nothing after a goodbye, but may after a mistake."""
        for number, frame in enumerate(frames):
            try:
                self._take(frame)
            except Failed:
                return frames[: number + 1] if self.is_goodbye else frames
        return frames

    def _fail(self, *codes: int) -> None:
        self.codes = codes
        raise Failed

    def _take(self, frame: Sent) -> None:
        starts = frame.opcode in (TEXT, BINARY)
        if not frame.is_masked or frame.rsv & ~(4 * (self.deflates and starts)):
            self._fail(1002)
        if frame.opcode in (CONT, TEXT, BINARY):
            if starts == bool(self._opcode):
                self._fail(1002)
            self._take_data(frame)
        elif frame.opcode not in (CLOSE, PING, PONG) or not frame.fin or len(frame.data) > 125:
            self._fail(1002)
        elif frame.opcode == PING:
            self.pongs.append(frame.data)
        elif frame.opcode == CLOSE:
            self._take_goodbye(frame.data)

    def _take_goodbye(self, data: bytes) -> None:
        code = int.from_bytes(data[:2], "big") if data else 1005
        may_be_sent = code in (*range(1000, 1004), *range(1007, 1015)) or 3000 <= code < 5000
        wrong: tuple[int, ...] = () if not data or (len(data) > 1 and may_be_sent) else (1002,)
        wrong += () if is_text(data[2:], whole=True) else (1007,)
        self.is_goodbye = not wrong
        self._fail(*(wrong or (code,)))

    def _take_data(self, frame: Sent) -> None:
        if frame.opcode != CONT:
            self._opcode, self._data = frame.opcode, b""
            self._inflate = zlib.decompressobj(-15).decompress if frame.rsv else None
        try:
            tail = b"\0\0\xff\xff" if frame.fin else b""
            self._data += self._inflate(frame.data + tail) if self._inflate else frame.data
        except zlib.error:
            self._fail(1002, 1007)
        if self._opcode == TEXT and not is_text(self._data, whole=frame.fin):
            self._fail(1007)
        if frame.fin:
            self.messages.append((self._opcode, self._data))
            self._opcode = 0


def is_text(data: bytes, *, whole: bool) -> bool:
    """Whether this is UTF-8, or, unless it is the whole, may become it."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        # The first two bytes of a surrogate are wrong too, but Python waits for the third: soon enough.
        is_half_a_surrogate = data[-2:-1] == b"\xed" and error.start == len(data) - 2
        return not whole and (error.reason == "unexpected end of data" or is_half_a_surrogate)
    return True


# --- what is sent --------------------------------------------------------------------------------------

payloads = st.binary(max_size=40) | st.sampled_from([b"x" * size for size in (125, 126, 65_535, 65_536)])
texts = st.text(max_size=20).map(str.encode)
broken_texts = st.tuples(texts, st.sampled_from([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90"]), texts)
controls = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)).map(lambda fields: Sent(*fields))
goodbyes = st.builds(
    lambda code, reason: Sent(CLOSE, code.to_bytes(2, "big") + reason),
    st.integers(999, 1016) | st.sampled_from([0, 2999, 3000, 4999, 5000, 65_535]),
    texts | st.binary(max_size=3),
) | st.binary(max_size=1).map(lambda data: Sent(CLOSE, data))
anything = st.tuples(
    st.integers(0, 15),
    payloads,
    st.booleans(),
    st.sampled_from([0, 0, 0, 1, 2, 4]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([0, 2, 8]),
).map(lambda fields: Sent(*fields))


@st.composite
def messages(draw: st.DrawFn) -> list[Sent]:
    """A message in fragments, perhaps compressed, perhaps with frames between that may stand there."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    data = draw(payloads if opcode == BINARY else st.one_of(texts, texts, texts, broken_texts.map(b"".join)))
    is_compressed = draw(st.sampled_from([False, False, True]))
    if is_compressed:
        deflate = zlib.compressobj(wbits=-12)
        data = (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    frames: list[Sent] = []
    for number, piece in enumerate(pieces):
        if number:
            frames += draw(st.lists(controls, max_size=2))
        rsv = 4 if is_compressed and not number else 0
        frames.append(Sent(CONT if number else opcode, piece, number == len(pieces) - 1, rsv))
    return frames


scripts = st.lists(
    st.one_of(
        *[messages()] * 6,
        controls.map(lambda frame: [frame]),
        messages().map(lambda frames: frames[:-1]),
        goodbyes.map(lambda frame: [frame]),
        anything.map(lambda frame: [frame]),
    ),
    max_size=8,
).map(lambda lists: [frame for frames in lists for frame in frames])
segments = st.lists(st.sampled_from([1, 2, 3, 7, 50, 4096]) | st.integers(1, 200), max_size=12)


# --- what comes back -----------------------------------------------------------------------------------


class Client:
    """A raw connection, and what came back on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.pongs: list[bytes] = []
        self.messages: list[tuple[int, bytes]] = []

    async def send(self, data: bytes, sizes: list[int]) -> None:
        """Send in segments of these sizes, and the rest at once."""
        for size in sizes:
            self.writer.write(data[:size])
            data = data[size:]
            for _ in range(3):  # turns of the loop that we share with the server: it reads
                await asyncio.sleep(0)
        self.writer.write(data)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame, which is one that a server may send."""
        first, length = await self.reader.readexactly(2)
        assert first in (0x81, 0x82, 0x88, 0x8A), "whole, nothing reserved, an opcode that makes sense"
        assert length < 128, "a server masks nothing"
        if length >= 126:
            assert first < 0x88
            size, least = (2, 126) if length == 126 else (8, 65_536)
            length = int.from_bytes(await self.reader.readexactly(size), "big")
            assert length >= least, "no more bytes for a length than it takes"
        return first & 15, await self.reader.readexactly(length)

    async def read(self, *, until: Callable[[], bool]) -> int | None:
        """Read until then, or until a goodbye; returns its code. Nothing may follow that."""
        while not until():
            opcode, data = await self.frame()
            if opcode == CLOSE:
                self.writer.write_eof()  # or it would wait for us to be quiet
                assert await self.reader.read() == b""
                return int.from_bytes(data[:2], "big") if data else 1005
            if opcode == PONG:
                self.pongs.append(data)
            else:
                self.messages.append((opcode, data))
        return None


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[False, True], ids=["plain", "deflate"])
async def target(request: pytest.FixtureRequest) -> AsyncIterator[tuple[int, bool]]:
    """A port, and whether permessage-deflate is agreed on there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "_QUIET_SECONDS",
            "_LINGER_SECONDS",
        ):  # on a slow machine, we may be slow to send the rest
            patch.setattr(preframed, name, 5.0)
        async with serving(echo, lifespan="off", ws_per_message_deflate=request.param) as (_, port):
            yield port, request.param


@contextlib.asynccontextmanager
async def connected(port: int, *, deflates: bool) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(HEAD)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert (b"permessage-deflate" in answer) == deflates
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


EXAMPLES = 3 * settings().max_examples


@pytest.mark.long
@pytest.mark.asyncio(loop_scope="module")
@given(frames=scripts, sizes=segments, goodbye_bytes=st.sampled_from([8, 8, 8, 0, 1, 5, 7]))
@settings(
    max_examples=EXAMPLES, derandomize=True, phases=[Phase.generate]
)  # hanging ones would shrink for ever
async def test_what_comes_back_is_what_rfc_6455_asks(
    target: tuple[int, bool], frames: list[Sent], sizes: list[int], goodbye_bytes: int
) -> None:
    port, deflates = target
    model = Model(deflates=deflates)
    frames = model.take(frames)
    async with asyncio.timeout(5), connected(port, deflates=deflates) as client:
        await client.send(b"".join(map(Sent.encode, frames)), sizes)
        if not model.codes:
            wanted = len(model.messages), len(model.pongs)
            code = await client.read(until=lambda: (len(client.messages), len(client.pongs)) == wanted)
            assert code is None
            assert client.messages == model.messages
            model.take([GOODBYE])
            client.writer.write(GOODBYE.encode()[:goodbye_bytes])
            if goodbye_bytes < len(GOODBYE.encode()):
                client.writer.write_eof()
                assert await client.reader.read() == b"", "there is nobody to answer"
                return
        code = await client.read(until=lambda: False)
    assert code in model.codes
    assert client.pongs == model.pongs
    assert client.messages == model.messages[: len(client.messages)], "no answer but the right ones, in order"
