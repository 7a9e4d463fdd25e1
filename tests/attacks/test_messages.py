"""Floods, bombs and messages without end, against the shipped application.

Each gets the documented answer, while a client beside it misses nothing and waits for nothing; what was
taken is given back (see the fixture `target`).
"""

from __future__ import annotations

import asyncio
import struct
import time
import zlib

import pytest
from websockets.frames import Frame, Opcode

from livemarkets.server import websocket_protocol as preframed
from livemarkets.simulator import Simulator
from tests.attacks.attacker import CONT, PING, TEXT, frame, peer
from tests.attacks.target import Target
from tests.support.app import running_app, settings_for
from tests.support.helpers import eventually, measured

one_loop = pytest.mark.asyncio(loop_scope="session")
pytestmark = measured


@pytest.mark.parametrize(
    "flood",
    [
        frame(TEXT, b'{"type":"ping"}'),
        frame(PING, b""),
        frame(PING, b"x" * 125),
        frame(Opcode.PONG, b""),
        frame(TEXT, b""),
        frame(Opcode.BINARY, b"\x00"),
        frame(TEXT, b"", fin=False) + frame(CONT, b""),
    ],
    ids=["messages", "pings", "long pings", "pongs", "empty messages", "binary", "fragments"],
)
@one_loop
async def test_flooding_is_ended_with_1008(target: Target, flood: bytes) -> None:
    began = time.monotonic()
    async with peer(target.port, opened=True) as attacker:
        pieces = (flood * 500 for _ in range(200))
        code, _ = await asyncio.gather(attacker.close_code(), attacker.send(*pieces))
        assert code == 1008
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("first", "piece", "count"),
    [
        (b"\x81\xff" + struct.pack("!Q", 100_000_000) + b"mask", b"x" * 1_000_000, 100),
        (b"\x81\xff" + struct.pack("!Q", 2**62) + b"mask", b"x" * 1_000_000, 100),
        (frame(TEXT, b"x", fin=False), frame(CONT, b"x" * 1_000, fin=False), 100_000),
        (frame(TEXT, b"x", fin=False), frame(CONT, b"x" * 60_000, fin=False), 2_000),
    ],
    ids=["100 MB", "4 EB", "fragments without end", "large fragments without end"],
)
@one_loop
async def test_a_message_without_reason_ends_with_1009_and_is_not_kept(
    target: Target, first: bytes, piece: bytes, count: int
) -> None:
    memory = target.rss_bytes()
    async with peer(target.port, opened=True) as attacker:
        pieces = (piece for _ in range(count))
        code, _ = await asyncio.gather(attacker.close_code(), attacker.send(first, *pieces))
        assert code == 1009
        assert target.rss_bytes() < memory + 10_000_000


@one_loop
async def test_a_compressed_bomb_is_not_unpacked(target: Target) -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(b"x" * 50_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    memory = target.rss_bytes()
    async with peer(
        target.port,
        opened=True,
        extra={"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
    ) as attacker:
        await attacker.send(b"\xc1" + frame(TEXT, bomb[:-4])[1:])  # RSV1: compressed
        assert await attacker.close_code() == 1002
    assert target.rss_bytes() < memory + 10_000_000


async def test_fragments_of_nothing_have_an_end_too(
    exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preframed, "_FRAMES_PER_SECOND", 10**9)
    async with running_app(settings_for(exchange)) as app, peer(app.port, opened=True) as attacker:
        await attacker.send(frame(TEXT, b"", fin=False), frame(CONT, b"", fin=False) * 2_000)
        assert await attacker.close_code() == 1009


async def test_unread_answers_to_pings_do_not_pile_up(
    exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preframed, "_FRAMES_PER_SECOND", 10**9)
    async with (
        running_app(settings_for(exchange)) as app,
        peer(app.port, opened=True, receive_bytes=4096) as attacker,
    ):
        attacker.writer.transport.pause_reading()  # type: ignore[attr-defined]
        last = frame(PING, b"the last")
        await attacker.send(*(frame(PING, b"x" * 125) * 1_000 for _ in range(200)), last)
        (connection,) = app.server.server_state.connections
        await eventually(lambda: connection._pong)  # type: ignore[union-attr]
        assert connection.transport.get_write_buffer_size() < 500_000
        attacker.writer.transport.resume_reading()  # type: ignore[attr-defined]
        received, answer = b"", Frame(Opcode.PONG, b"the last").serialize(mask=False)
        async with asyncio.timeout(5):
            while answer not in received:
                received = received[-100:] + await attacker.reader.read(65_536)
