"""An HTTP server that answers as a test says, also in ways in which no exchange should."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

TRADE = {
    "id": 7,
    "price": "4.00000100",
    "qty": "12.00000000",
    "quoteQty": "48",
    "time": 1499865549590,
    "isBuyerMaker": True,
}


def trades(first: int, last: int) -> bytes:
    """An answer of `trades` and `historicalTrades`."""
    return json.dumps([{**TRADE, "id": trade_id} for trade_id in range(first, last + 1)]).encode()


class Call:
    """One request: the name of the call, and its parameters."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self.name = parts.path.removeprefix("/api/v3/")
        self.parameters = {name: unquote(value) for name, value in parse_qsl(parts.query)}

    @property
    def symbol(self) -> str:
        return self.parameters.get("symbol", "")


class Reply:
    """An answer. With `trickle_seconds`, its body is sent byte for byte, with so long a pause after each."""

    def __init__(
        self, status: int = 200, body: bytes | Any = b"", *headers: str, trickle_seconds: float | None = None
    ) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = headers
        self.trickle_seconds = trickle_seconds


class RestServer:
    """The server. `answer` may be replaced at any time."""

    def __init__(self, answer: Callable[[Call], Reply | Awaitable[Reply]]) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    def count(self, name: str) -> int:
        return sum(call.name == name for call in self.calls)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._handle(reader, writer), name="REST answer")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """End the answers that are under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        call = Call(head.split(b" ")[1].decode())
        self.calls.append(call)
        found = self.answer(call)
        reply = found if isinstance(found, Reply) else await found
        lines = [f"HTTP/1.1 {reply.status} Whatever", "Connection: close", *reply.headers]
        if not any(line.lower().startswith("content-length") for line in lines):
            lines.append(f"Content-Length: {len(reply.body)}")
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        if reply.trickle_seconds is None:
            writer.write(reply.body)
        else:
            for place in range(len(reply.body)):
                writer.write(reply.body[place : place + 1])
                await writer.drain()
                await asyncio.sleep(reply.trickle_seconds)
        await writer.drain()


@contextlib.asynccontextmanager
async def rest_server(answer: Callable[[Call], Reply | Awaitable[Reply]]) -> AsyncIterator[RestServer]:
    """Run such a server."""
    answering = RestServer(answer)
    server = await asyncio.start_server(answering.accept, "127.0.0.1", 0)
    answering.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield answering
    finally:
        server.close()
        await answering.aclose()
