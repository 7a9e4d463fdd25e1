"""An HTTP and SOCKS 5 proxy on the loopback interface, with a password and with faults.

It looks up no name: whatever host is asked for, it connects to the loopback interface. So an exchange that
listens here is reached as `exchange.test`, which the client may not reach directly.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Literal

Fault = Literal["hangs", "closes", "garbage", "busy"]
_BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


class Proxy:
    """What the proxy saw, and how it behaves."""

    def __init__(self, credentials: str | None, intercept: ssl.SSLContext | None) -> None:
        self.port = 0
        self.fault: Fault | None = None
        self.asked: list[str] = []
        """The hosts and ports that were asked for."""
        self.refused = 0
        """Requests with a wrong user name or password, or without."""
        self._credentials = credentials
        self._intercept = intercept

    def url(self, scheme: str = "http", credentials: str = "") -> str:
        return f"{scheme}://{credentials}{'@' if credentials else ''}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            first = await reader.readexactly(1)
            if self.fault == "hangs":
                await reader.read()
            elif self.fault == "garbage":
                writer.write(b"\x00nonsense\r\n\r\n")
            elif self.fault is None or (self.fault == "busy" and first != b"\x05"):
                await (self._socks(reader, writer) if first == b"\x05" else self._http(first, reader, writer))
        writer.close()

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = first + await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        if self.fault == "busy":
            writer.write(_BUSY)
            return
        wanted = None if self._credentials is None else base64.b64encode(self._credentials.encode())
        if wanted is not None and b"Basic " + wanted not in head:
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
            return
        assert method == b"CONNECT"
        host, _, port = target.decode().rpartition(":")
        self.asked.append(f"{host}:{port}")
        upstream = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\nVia: ")
        await writer.drain()
        writer.write(b"a test\r\n\r\n")
        if self._intercept is not None:
            try:
                await writer.start_tls(self._intercept)
            except OSError:  # our certificate is not accepted
                upstream[1].close()
                raise
        await _splice(reader, writer, *upstream)

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        method = 0 if self._credentials is None else 2
        if method not in methods:
            self.refused += 1
            writer.write(b"\x05\xff")
            return
        writer.write(bytes((5, method)))
        if method == 2 and not await self._is_welcome(reader, writer):
            return
        kind = (await reader.readexactly(4))[3]
        assert kind == 3, "the proxy should look up the name"
        host = await reader.readexactly((await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(f"{host.decode()}:{port}")
        try:
            upstream = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.write(b"\x05\x05\x00\x01" + bytes(6))
            return
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await _splice(reader, writer, *upstream)

    async def _is_welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await reader.readexactly(1)
        user = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        is_right = f"{user.decode()}:{password.decode()}" == self._credentials
        self.refused += not is_right
        writer.write(bytes((1, not is_right)))
        return is_right


async def _splice(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream_reader: asyncio.StreamReader,
    upstream_writer: asyncio.StreamWriter,
) -> None:
    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    try:
        await asyncio.gather(pump(reader, upstream_writer), pump(upstream_reader, writer))
    finally:  # a connection that is kept open ends with the proxy
        upstream_writer.close()
        writer.close()


@contextlib.asynccontextmanager
async def running_proxy(
    credentials: str | None = None,
    *,
    intercept: ssl.SSLContext | None = None,
) -> AsyncIterator[Proxy]:
    """Run a proxy.

    Args:
        credentials: the `user:password` that it demands.
        intercept: it opens the TLS of its clients, and speaks plainly to the exchange.

    """
    proxy = Proxy(credentials, intercept)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await proxy.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()
