"""A TCP link to a server that a test can break in either of the two ways a link breaks, or make slow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

_SLOW_BYTES = 16_384
"""Read at once from a slow link, so that little is on the way."""


class WeakLink:
    """Forwards a local port to a server.

    Held, it is a black hole: connections stay open and nothing passes. Cut, its connections end and new ones
    are closed at once. In both cases it goes on when `mend` is called.
    """

    def __init__(self, target: tuple[str, int], bytes_per_second: float = 0.0) -> None:
        self._target = target
        self._bytes_per_second = bytes_per_second  # of what the server sends; 0: as fast as it can
        self._passes = asyncio.Event()
        self._passes.set()
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def hold(self) -> None:
        self._passes.clear()

    def cut(self) -> None:
        self._is_cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        self._is_cut = False
        self._passes.set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def aclose(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self._passes.set()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses(writer):
            return
        upstream = socket.socket()
        if self._bytes_per_second:
            upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BYTES)
        upstream.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(upstream, self._target)
        except OSError:  # the server is not there
            upstream.close()
            writer.transport.abort()
            return
        onward_reader, onward = await asyncio.open_connection(sock=upstream, limit=_SLOW_BYTES)
        if self._refuses(writer):  # it was cut meanwhile
            onward.transport.abort()
            return
        self._writers |= {writer, onward}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(reader, onward), name="to the server")
                rate = self._bytes_per_second
                both.create_task(self._forward(onward_reader, writer, rate), name="to the browser")
        finally:
            self._writers -= {writer, onward}

    def _refuses(self, writer: asyncio.StreamWriter) -> bool:
        """End a new connection if the link is cut."""
        if self._is_cut:
            writer.transport.abort()
        return self._is_cut

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float = 0.0
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_SLOW_BYTES if rate else 65536):
                await self._passes.wait()
                if rate:
                    await asyncio.sleep(len(data) / rate)
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def weak_link(address: str, bytes_per_second: float = 0.0) -> AsyncIterator[WeakLink]:
    """A link to the server at `address`, `host:port` with or without a scheme; whole at first."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    link = WeakLink((host, int(port)), bytes_per_second)
    await link.start()
    try:
        yield link
    finally:
        await link.aclose()
