"""What an attacker speaks: raw connections, heads and frames."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator

from websockets.frames import Close, Frame, Opcode


class Peer:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> bool:
        """Send until the other side is gone; False when it is."""
        try:
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()
        except ConnectionError:
            return False
        return True

    async def rest(self, timeout_seconds: float = 8.0) -> bytes:
        """Everything until the other side ends the connection."""
        received = b""
        async with asyncio.timeout(timeout_seconds):
            with contextlib.suppress(ConnectionError):
                while chunk := await self.reader.read(65_536):
                    received += chunk
        return received

    async def status(self) -> int:
        """The status of an HTTP answer; 0 when the connection was ended without one."""
        async with asyncio.timeout(8):
            try:
                line = await self.reader.readline()
            except ConnectionError:
                return 0
        return int(line.split()[1]) if line else 0

    async def close_code(self) -> int:
        """The code with which the server says goodbye, or 1006 when it ends without."""
        return close_code(await self.rest())


def close_code(data: bytes) -> int:
    """The code of the close frame in server frames; 1006 when there is none."""
    at = 0
    while at + 2 <= len(data):
        opcode, length, at = data[at] & 15, data[at + 1], at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if opcode == Opcode.CLOSE:
            return Close.parse(data[at : at + length]).code
        at += length
    return 1006


KEY = base64.b64encode(b"0123456789abcdef").decode()
UPGRADE = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def head(headers: dict[str, str], line: str = "GET /ws/markets HTTP/1.1") -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{line}\r\n{fields}\r\n".encode("latin-1")


@contextlib.asynccontextmanager
async def peer(
    port: int,
    *,
    opened: bool = False,
    receive_bytes: int = 0,
    extra: dict[str, str] | None = None,
    address: str = "127.0.0.1",
) -> AsyncIterator[Peer]:
    """A raw connection; `opened`: behind a WebSocket handshake, with `extra` headers.

    `address` is where it comes from, any that begins with 127.
    """
    raw = socket.socket()
    if receive_bytes:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    if address != "127.0.0.1":
        raw.bind((address, 0))
    raw.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=raw)
    except BaseException:
        raw.close()
        raise
    attacker = Peer(reader, writer)
    try:
        if opened:
            await attacker.send(head(UPGRADE | (extra or {})))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 101")
            assert b"permessage-deflate" not in answer
        yield attacker
    finally:
        writer.transport.abort()


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


TEXT, CONT, PING = Opcode.TEXT, Opcode.CONT, Opcode.PING
