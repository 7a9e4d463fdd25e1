"""As little Python as possible: an asyncio protocol of 20 lines on uvloop, `transport.write` per reader."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import cast

import uvloop

from benchmarks.servers.contract import follow_orders, parse_port, say
from livemarkets.delivery.framing import text_frame


class _Reader(asyncio.Protocol):
    def __init__(self, transports: dict[asyncio.Transport, None]) -> None:
        self._transports = transports
        self._head = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._transport in self._transports:
            return
        self._head += data
        key = re.search(rb"Sec-WebSocket-Key: (\S+)\r\n.*\r\n\r\n", self._head, re.DOTALL | re.IGNORECASE)
        if key is None:
            return
        digest = hashlib.sha1(
            key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False
        ).digest()
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % base64.b64encode(digest)
        )
        self._transports[self._transport] = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transports.pop(self._transport, None)


async def serve(port: int) -> None:
    """Run until standard input ends."""
    transports: dict[asyncio.Transport, None] = {}

    def publish(messages: list[bytes]) -> None:
        frames = b"".join([text_frame(message) for message in messages])
        for transport in transports:
            transport.write(frames)

    await asyncio.get_running_loop().create_server(lambda: _Reader(transports), "127.0.0.1", port)
    say(f"LISTEN {port}")
    await follow_orders(publish)


if __name__ == "__main__":
    uvloop.run(serve(parse_port()))
