"""An exchange that speaks Binance's protocol and says what a test tells it to, nothing by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Answer = Callable[[dict[str, str]], Any]
"""The JSON for the parameters of a REST call; an `int` is an error status."""

TRADING = {
    "status": "TRADING",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
    ],
}


class ScriptedExchange:
    """Acknowledges what it does not refuse, sends what it is told, and answers the REST calls it is given.

    Args:
        symbols: the symbols that it lists.

    """

    def __init__(self, *symbols: str) -> None:
        self.port = 0
        self.connections: dict[ServerConnection, set[str]] = {}
        """Each open connection, and what it is subscribed to."""
        self.refused: set[str] = set()
        """The streams to which it answers with an error."""
        self.requests: list[tuple[str, list[str]]] = []
        """Method and streams of each control message."""
        self.calls: list[tuple[str, dict[str, str]]] = []
        """Name and parameters of each REST call."""
        self.answers: dict[str, Answer] = {
            "exchangeInfo": lambda _: {
                "symbols": [
                    {"symbol": symbol, "baseAsset": symbol[:-4], "quoteAsset": symbol[-4:], **TRADING}
                    for symbol in symbols
                ]
            }
        }
        self._server: Server | None = None

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def subscriptions(self) -> set[str]:
        """What any connection is subscribed to."""
        return set[str]().union(*self.connections.values())

    def counts(self) -> list[int]:
        """How many streams each connection has."""
        return sorted(map(len, self.connections.values()))

    async def send(self, stream: str, data: object) -> None:
        """Send an event to whoever is subscribed to its stream, as Binance writes it."""
        text = json.dumps({"stream": stream, "data": data}, ensure_ascii=False, separators=(",", ":"))
        await self.send_text(text, stream)

    async def send_text(self, text: str, stream: str) -> None:
        for connection, streams in list(self.connections.items()):
            if stream in streams:
                with contextlib.suppress(ConnectionClosed):  # it gets nothing any more
                    await connection.send(text)

    async def drop(self) -> None:
        """Lose every connection."""
        for connection in list(self.connections):
            connection.transport.abort()

    async def start(self) -> None:
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, process_request=self._answer, compression=None
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def aclose(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        mine = self.connections[connection] = set()
        try:
            async for text in connection:
                message = json.loads(text)
                streams = message["params"]
                self.requests.append((message["method"], streams))
                answer: dict[str, object] = {"result": None}
                if self.refused & set(streams):
                    answer = {"error": {"code": 2, "msg": "Invalid request"}}
                elif message["method"] == "SUBSCRIBE":
                    mine.update(streams)
                else:
                    mine.difference_update(streams)
                await connection.send(json.dumps(answer | {"id": message["id"]}))
        finally:
            del self.connections[connection]

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        url = urlsplit(request.path)
        if not url.path.startswith("/api/v3/"):
            return None
        call = url.path.removeprefix("/api/v3/")
        parameters = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.calls.append((call, parameters))
        answer = self.answers[call](parameters) if call in self.answers else 404
        status, body = (answer, b"{}") if isinstance(answer, int) else (200, json.dumps(answer).encode())
        headers = Headers(
            {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        )
        return Response(status, "", headers, body)


@contextlib.asynccontextmanager
async def scripted_exchange(*symbols: str) -> AsyncIterator[ScriptedExchange]:
    """Run a scripted exchange that lists these symbols."""
    exchange = ScriptedExchange(*(symbols or ("BTCUSDT", "ETHUSDT", "SOLUSDT")))
    await exchange.start()
    try:
        yield exchange
    finally:
        await exchange.aclose()
        await asyncio.sleep(0)
