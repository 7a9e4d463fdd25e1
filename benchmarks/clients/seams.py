"""Ways to read the same socket, each followed by the app's own decoder: what a seam costs by itself.

`asyncio`: the websockets library's asyncio client, `recv(decode=False)` in a loop.
`sansio`: its sans-I/O layer under an asyncio protocol.
`frames`: its sans-I/O layer for the handshake and for control frames alone; whole text frames are cut here.
`picows`: picows' listener.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import time
from collections.abc import Callable
from typing import Any, cast

import uvloop
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from benchmarks.clients.contract import STREAM, Meter, parse_arguments
from livemarkets.exchanges.binance.messages import parse_frame

Take = Callable[[bytes], None]


def _taker(meter: Meter) -> Take:
    count = meter.count

    def take(raw: bytes) -> None:
        parse_frame(raw, "binance", time.time_ns() // 1_000_000)
        count()

    return take


async def _asyncio(url: str, take: Take) -> None:
    async with connect(url, compression=None, ping_interval=None) as connection:
        while True:
            take(await connection.recv(decode=False))


class _SansIo(asyncio.Protocol):
    """Every byte goes through the library's parser."""

    def __init__(self, url: str, take: Take) -> None:
        self._protocol = ClientProtocol(parse_uri(url), max_size=4 * 2**20)
        self._take = take
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._protocol.send_request(self._protocol.connect())
        self._send()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._take(bytes(event.data))
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        for data in self._protocol.data_to_send():
            self._transport.write(data)


class _Frames(_SansIo):
    """Whole text frames are cut by hand; whatever else comes goes through the library's parser."""

    def __init__(self, url: str, take: Take) -> None:
        super().__init__(url, take)
        self._rest = b""
        self._is_open = False

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            super().data_received(data)
            self._is_open = self._protocol.state.name == "OPEN"
            return
        if self._rest:
            data = self._rest + data
        at, end, take = 0, len(data), self._take
        while end - at >= 2:
            first, length = data[at], data[at + 1]
            body = at + 2
            if length == 126:
                if end - at < 4:
                    break
                length, body = data[at + 2] << 8 | data[at + 3], at + 4
            if first != 0x81 or (length > 126 and body == at + 2):
                super().data_received(data[at:])
                at = end
                break
            if body + length > end:
                break
            take(data[body : body + length])
            at = body + length
        self._rest = data[at:]


async def _protocol(url: str, port: int, make: Callable[[], _SansIo]) -> None:
    await asyncio.get_running_loop().create_connection(make, "127.0.0.1", port)
    await asyncio.sleep(3600.0)


async def _picows(url: str, take: Take) -> None:
    picows: Any = importlib.import_module("picows")

    class Listener(picows.WSListener):  # type: ignore[misc]
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            take(frame.get_payload_as_bytes())

    await picows.ws_connect(Listener, url)
    await asyncio.sleep(3600.0)


def run(seam: str, port: int, meter: Meter) -> None:
    """Read until the meter ends the process."""
    url, take = f"ws://127.0.0.1:{port}/stream?streams={STREAM}", _taker(meter)
    gc.freeze()
    if seam == "asyncio":
        uvloop.run(_asyncio(url, take))
    elif seam == "picows":
        uvloop.run(_picows(url, take))
    else:
        kind = {"sansio": _SansIo, "frames": _Frames}[seam]
        uvloop.run(_protocol(url, port, lambda: kind(url, take)))


if __name__ == "__main__":
    arguments = parse_arguments()
    run(arguments.library, arguments.port, Meter(arguments.trades))
