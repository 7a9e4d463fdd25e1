"""Clients that resume, many of them in one process of their own.

They read frames by themselves: a thousand clients of a library would need most of the machine. In the process
of the server they would hold its event loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tests.support.contract import hold_to_contract

__all__ = ["Crowd"]

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_PAUSE_SECONDS = 0.005


class Crowd(msgspec.Struct):
    """What the process is told: one line of JSON on its command line."""

    port: int
    clients: int
    after: dict[str, int]
    newest: dict[str, int]
    """It says `all have all` when each client has these ids. After a line of input it says `fine`."""


class Frames:
    """What the messages say. Many readers get the same bytes, which are read once."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, str, int, int]] = {}

    def read(self, frame: bytes) -> tuple[str, str, int, int]:
        """Return type, symbol, first and last id; the ids of a snapshot rise by 1."""
        found = self._known.get(frame)
        if found is None:
            found = self._known[frame] = self._decode(frame)
        return found

    @staticmethod
    def _decode(frame: bytes) -> tuple[str, str, int, int]:
        message: dict[str, Any] = _decode(frame)
        hold_to_contract(message)
        symbol = message.get("symbol", "")
        if message["type"] == "trade":
            return "trade", symbol, message["id"], message["id"]
        if message["type"] == "snapshot":
            ids = [tick["id"] for tick in message["data"]]
            if not ids:
                return "snapshot", symbol, 0, -1
            assert ids == list(range(ids[0], ids[-1] + 1))
            return "snapshot", symbol, ids[0], ids[-1]
        return message["type"], symbol, message.get("from_id", 0), message.get("to_id", 0)


class Returning(asyncio.Protocol):
    """A client that resumes, and checks that each id follows the one before."""

    def __init__(self, number: int, frames: Frames, after: dict[str, int]) -> None:
        self.local_address = f"127.0.{number // 250}.{number % 250 + 1}"
        self.last = dict(after)
        self.error: Exception | None = None
        self.is_lost = False
        self._request: dict[str, Any] = {"type": "subscribe", "exchange": "binance", "channel": "trades"}
        self._request |= {"symbols": list(after), "after": after}
        self._frames = frames
        self._buffer = bytearray()
        self._is_open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            b"GET /ws/markets HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            if self._is_open or self._open():
                self._read_frames()
        except (AssertionError, KeyError, ValueError) as error:
            self.error = self.error or error

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True

    def close(self) -> None:
        assert self._transport is not None
        self._transport.abort()

    def _open(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        assert self._buffer.startswith(b"HTTP/1.1 101 "), bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        text = msgspec.json.encode(self._request)
        assert self._transport is not None
        head = b"\x81\xfe" + len(text).to_bytes(2) if len(text) > 125 else bytes((0x81, 0x80 | len(text)))
        self._transport.write(head + bytes(4) + text)  # masked with zeros
        self._is_open = True
        return True

    def _read_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, begin = buffer[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(buffer[at + 2 : at + 4]), at + 4
            elif size == 127:
                size, begin = int.from_bytes(buffer[at + 2 : at + 10]), at + 10
            if begin > len(buffer) or len(buffer) - begin < size:
                break
            kind = buffer[at] & 0x0F
            if kind == 1:
                self._take(bytes(buffer[begin : begin + size]))
            else:
                assert kind == 9, f"closed: {bytes(buffer[begin : begin + size])!r}"
                assert self._transport is not None
                self._transport.write(bytes((0x8A, 0x80 | size)) + bytes(4) + buffer[begin : begin + size])
            at = begin + size
        del buffer[:at]

    def _take(self, frame: bytes) -> None:
        kind, symbol, first, last = self._frames.read(frame)
        if kind in ("trade", "snapshot") and last >= first:
            assert first == self.last[symbol] + 1, (symbol, first, self.last[symbol])
            self.last[symbol] = last
        elif kind in ("gap", "lagged", "error"):
            raise ValueError(f"{kind} of {symbol}: {first} to {last}")

    def has_all(self, newest: dict[str, int]) -> bool:
        return all(last >= newest[symbol] for symbol, last in self.last.items())


async def run(crowd: Crowd) -> None:
    frames = Frames()
    n = 0
    clients = [Returning(number, frames, crowd.after) for number in range(crowd.clients)]
    for client in clients:  # they have noticed the restart at different moments
        await connect(client, crowd.port)
        await asyncio.sleep(_PAUSE_SECONDS)
    print("connected", flush=True)
    while not all(client.has_all(crowd.newest) for client in clients):
        check(clients)
        await asyncio.sleep(0.1)
        n += 1
        if n % 100 == 0:
            lack = [
                (
                    c.local_address,
                    {k: crowd.newest[k] - v for k, v in c.last.items() if v < crowd.newest[k]},
                    c._is_open,
                    len(c._buffer),
                )
                for c in clients
                if not c.has_all(crowd.newest)
            ]
            print("LACK", len(lack), lack[:5], flush=True)
    print("all have all", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    check(clients)
    print("fine", flush=True)  # noqa: T201


async def connect(client: Returning, port: int) -> None:
    def made() -> Returning:
        return client

    loop = asyncio.get_running_loop()
    await loop.create_connection(made, "127.0.0.1", port, local_addr=(client.local_address, 0))


def check(clients: Sequence[Returning]) -> None:
    wrong = [client.error for client in clients if client.error is not None]
    assert not wrong, wrong[0]
    assert not any(client.is_lost for client in clients), "closed"


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.argv[1], type=Crowd)))
