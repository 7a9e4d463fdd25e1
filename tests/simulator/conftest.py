"""A running exchange with a quick market, and a client that speaks to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from livemarkets.simulator import ExchangeLimits, SimulatedMarket, Simulator
from livemarkets.simulator.market.source import Source
from tests.support.helpers import WITHOUT_TLS

ROOMY = ExchangeLimits(messages_per_second=1000)
"""Limits for tests that are about something else."""
SECRET = "the-secret-of-these-tests"

Started = Callable[..., Awaitable[Simulator]]


def quick_market(**options: Any) -> SimulatedMarket:
    """A market of three symbols with a hundred trades a second each, so that no test has to wait."""
    defaults: dict[str, Any]
    defaults = {"seed": 7, "symbols": ("BTCUSDT", "ETHUSDT", "SHIBUSDT"), "trades_per_second": 100.0}
    return SimulatedMarket(**(defaults | options))


class Client:
    """A plain Binance client: keeps what it reads apart by kind."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.last_id = 0

    async def receive(self, timeout_seconds: float = 5.0) -> Any:
        async with asyncio.timeout(timeout_seconds):
            return msgspec.json.decode(await self.socket.recv())

    async def send(self, text: str | bytes) -> None:
        await self.socket.send(text)

    async def ask(self, method: str, params: Any = None, request_id: Any = 1) -> Any:
        """Send a request and return its reply; events that come before it are dropped."""
        message: dict[str, Any] = {"method": method, "id": request_id}
        if params is not None:
            message["params"] = params
        await self.send(msgspec.json.encode(message).decode())
        return await self.reply()

    async def reply(self) -> Any:
        while True:
            message = await self.receive()
            if "result" in message or "code" in message or "error" in message:
                return message

    async def trades(self, count: int) -> list[dict[str, Any]]:
        """Return the data of the next trades, whichever shape they come in."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            message = await self.receive()
            data = message.get("data", message)
            if isinstance(data, dict) and data.get("e") == "trade":
                found.append(data)
                self.last_id = data["t"]
        return found

    async def closed(self) -> tuple[int, str]:
        """Read until the connection is closed; return code and reason, 1006 without a close frame."""
        async with asyncio.timeout(5):
            async for _ in self._rest():
                pass
            await self.socket.wait_closed()
        return self.socket.close_code or 1006, self.socket.close_reason or ""

    async def _rest(self) -> AsyncIterator[Any]:
        try:
            while True:
                yield await self.socket.recv(decode=False)
        except ConnectionClosed:
            return


@pytest.fixture
async def start() -> AsyncIterator[Started]:
    """Start exchanges; all are closed at the end."""
    started: list[Simulator] = []

    async def start_one(source: Source | None = None, **options: Any) -> Simulator:
        defaults: dict[str, Any] = {"limits": ROOMY, "control_secret": SECRET}
        simulator = Simulator(source or quick_market(), **(defaults | options))
        await simulator.start()
        started.append(simulator)
        return simulator

    yield start_one
    for simulator in started:
        await simulator.aclose()


@pytest.fixture
async def dial() -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """Open connections to an exchange; all are cut at the end."""
    sockets: list[ClientConnection] = []

    async def dial_one(simulator: Simulator, path: str = "/ws", **options: Any) -> Client:
        socket = await connect(simulator.ws_url + path, proxy=None, close_timeout=1, **options)
        sockets.append(socket)
        return Client(socket)

    yield dial_one
    for socket in sockets:
        socket.transport.abort()
        await socket.wait_closed()


@pytest.fixture
async def rest() -> AsyncIterator[Callable[..., Awaitable[httpx.Response]]]:
    """Ask REST of an exchange."""
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=5) as client:

        async def get(simulator: Simulator, path: str, **parameters: Any) -> httpx.Response:
            return await client.get(f"{simulator.rest_url}/api/v3/{path}", params=parameters)

        yield get
