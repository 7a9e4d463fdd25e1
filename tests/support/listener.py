"""A client of `/ws/markets` that writes down everything it is sent, and when."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.support.app import RunningApp
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient


class Listener:
    """What one client was sent, in order."""

    def __init__(self, client: MarketsClient) -> None:
        self.client = client
        self.messages: list[tuple[float, dict[str, Any]]] = []
        """With the monotonic time of arrival."""

    async def run(self) -> None:
        """Read until the connection ends or this is cancelled."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = await self.client.receive(timeout_seconds=60)
                self.messages.append((time.monotonic(), message))

    def ticks(self, symbol: str) -> list[dict[str, Any]]:
        """The trades of a symbol, live ones and those of snapshots."""
        found: list[dict[str, Any]] = []
        for _, message in self.messages:
            if message.get("symbol") == symbol:
                found += message.get("data", [message] if message["type"] == "trade" else [])
        return found

    def ids(self, symbol: str) -> list[int]:
        return [tick["id"] for tick in self.ticks(symbol)]

    def gaps(self, symbol: str) -> list[tuple[int, int, str]]:
        """First id, last id and cause of every declared hole."""
        return [
            (message["from_id"], message["to_id"], message["cause"])
            for _, message in self.messages
            if message["type"] == "gap" and message["symbol"] == symbol
        ]

    @property
    def states(self) -> list[str]:
        return [message["state"] for _, message in self.messages if message["type"] == "status"]

    async def state(self, state: str, timeout_seconds: float = 20.0) -> float:
        """Wait for a status that is told from now on; return when it arrived."""
        at = len(self.messages)

        def found() -> float:
            return next((when for when, message in self.messages[at:] if message.get("state") == state), 0.0)

        return await eventually(found, timeout_seconds, because=f"state {state}, not {self.states}")

    async def more(self, symbol: str, count: int, timeout_seconds: float = 20.0) -> None:
        """Wait for trades that arrive from now on."""
        target = len(self.ids(symbol)) + count
        await eventually(
            lambda: len(self.ids(symbol)) >= target, timeout_seconds, because=f"{count} trades of {symbol}"
        )


@contextlib.asynccontextmanager
async def listening(app: RunningApp, *symbols: str, **fields: Any) -> AsyncIterator[Listener]:
    """Connect, subscribe, and write down; `fields` go into the request."""
    client = await app.connect()
    listener = Listener(client)
    await client.send(type="subscribe", exchange="binance", channel="trades", symbols=list(symbols), **fields)
    task = asyncio.create_task(listener.run(), name="listener")
    try:
        yield listener
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
