"""A client of `/ws/markets` for tests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.contract import hold_to_contract

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class MarketsClient:
    """A program that uses `/ws/markets`. Numbers with a fraction arrive as `Decimal`, digits kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._ids = iter(range(1, 1_000_000))

    async def send(self, **message: Any) -> None:
        await self.socket.send(msgspec.json.encode(message).decode())

    async def receive(self, timeout_seconds: float = 5.0) -> dict[str, Any]:
        """The next message, whatever it is. It is as the contract says."""
        async with asyncio.timeout(timeout_seconds):
            message = _decode(await self.socket.recv())
        assert isinstance(message, dict)
        hold_to_contract(message)
        return message

    async def until(
        self, kind: str, timeout_seconds: float = 5.0, **fields: Any
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The next message of a type with these fields, and what came before it."""
        before: list[dict[str, Any]] = []
        async with asyncio.timeout(timeout_seconds):
            while True:
                message = await self.receive(timeout_seconds)
                if message["type"] == kind and message.items() >= fields.items():
                    return message, before
                before.append(message)

    async def next(self, kind: str, timeout_seconds: float = 5.0, **fields: Any) -> dict[str, Any]:
        """The next message of a type with these fields; others are passed over."""
        return (await self.until(kind, timeout_seconds, **fields))[0]

    async def ask(self, kind: str, **message: Any) -> dict[str, Any]:
        """Send a message with an id and return what answers it; others are passed over."""
        request_id = message.setdefault("id", next(self._ids))
        await self.send(type=kind, **message)
        async with asyncio.timeout(5):
            while True:
                reply = await self.receive()
                if reply.get("id") == request_id and reply["type"] != "trade":
                    return reply

    async def subscribe(self, *symbols: str, exchange: str = "binance", **fields: Any) -> dict[str, Any]:
        """Subscribe, and return the reply."""
        return await self.ask(
            "subscribe", exchange=exchange, channel="trades", symbols=list(symbols), **fields
        )

    async def unsubscribe(self, *symbols: str, exchange: str = "binance") -> dict[str, Any]:
        """Unsubscribe, and return the reply."""
        return await self.ask("unsubscribe", exchange=exchange, channel="trades", symbols=list(symbols))

    async def trades(self, count: int, symbol: str | None = None) -> list[dict[str, Any]]:
        """The next live trades."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            trade = await self.next("trade")
            if symbol in (None, trade["symbol"]):
                found.append(trade)
        return found

    async def works(self) -> bool:
        """Whether a ping is answered."""
        reply = await self.ask("ping")
        return bool(reply["type"] == "pong")

    async def closed(self, timeout_seconds: float = 5.0) -> tuple[int | None, str]:
        """Read until the server closes the connection; return code and reason."""
        async with asyncio.timeout(timeout_seconds):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv(decode=False)
            await self.socket.wait_closed()
        return self.socket.close_code, self.socket.close_reason or ""


@contextlib.asynccontextmanager
async def open_client(url: str, **options: Any) -> AsyncIterator[MarketsClient]:
    """A connected client."""
    defaults = {"proxy": None, "compression": None, "close_timeout": 1, "max_size": None, "max_queue": None}
    options = defaults | options
    async with connect(url, **options) as connection:
        yield MarketsClient(connection)


def missing_ids(ids: Sequence[int]) -> list[tuple[int, int]]:
    """The places where ids do not rise by exactly 1, as pairs of neighbours."""
    return [(a, b) for a, b in itertools.pairwise(ids) if b != a + 1]
