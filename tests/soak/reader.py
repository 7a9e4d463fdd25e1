"""The clients of a campaign: they read everything, and some of them are killed, or change their mind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from random import Random

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.soak.truth import Event
from tests.support.contract import Digits, hold_to_contract


class Reader:
    """One client of `/ws/markets` that keeps a record of what it got.

    Args:
        name: for the report.
        url: of the route.
        symbols: what it subscribes.
        random: decides when it dies or changes its mind.
        dies_every_seconds: on average; 0 means never.
        changes_every_seconds: how often it drops a symbol for a moment, on average; 0 means never.

    """

    def __init__(
        self,
        name: str,
        url: str,
        symbols: tuple[str, ...],
        random: Random,
        *,
        dies_every_seconds: float = 0.0,
        changes_every_seconds: float = 0.0,
    ) -> None:
        self.name = name
        self.symbols = symbols
        self.events: dict[str, list[Event]] = {symbol: [] for symbol in symbols}
        self.states: Counter[str] = Counter()
        self.errors: list[str] = []
        self.connections = 0
        self.longest_silence_seconds = 0.0
        self._url = url
        self._random = random
        self._dies_every_seconds = dies_every_seconds
        self._changes_every_seconds = changes_every_seconds
        self._heard_at = time.monotonic()

    def reached(self, symbol: str) -> int:
        """Return the last id of its record, -1 when there is none."""
        events = self.events[symbol]
        return events[-1].last if events else -1

    async def run(self) -> None:
        """Read until cancelled; whenever the connection ends, resume with `after`."""
        while True:
            with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
                async with connect(
                    self._url, compression=None, max_queue=None, close_timeout=1, proxy=None
                ) as socket:
                    self.connections += 1
                    await self._subscribe(socket, self.symbols)
                    await self._read(socket)
            await asyncio.sleep(0.02)

    async def _subscribe(self, socket: ClientConnection, symbols: tuple[str, ...]) -> None:
        message: dict[str, object] = {"type": "subscribe", "exchange": "binance", "channel": "trades"}
        after = {symbol: self.reached(symbol) for symbol in symbols if self.events[symbol]}
        await socket.send(json.dumps(message | {"symbols": list(symbols), "after": after}))

    async def _read(self, socket: ClientConnection) -> None:
        dies_at = self._when(self._dies_every_seconds)
        changes_at = self._when(self._changes_every_seconds)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(0.5, max(0.0, dies_at - time.monotonic()) + 0.001)):
                    self._take(await socket.recv())
            now = time.monotonic()
            if now >= dies_at:
                socket.transport.abort()
                return
            if now >= changes_at:
                symbol = self._random.choice(self.symbols)
                await socket.send(
                    json.dumps(
                        {"type": "unsubscribe", "exchange": "binance", "channel": "trades", "symbol": symbol}
                    )
                )
                await self._until_unsubscribed(socket)
                await self._subscribe(socket, (symbol,))
                changes_at = self._when(self._changes_every_seconds)

    async def _until_unsubscribed(self, socket: ClientConnection) -> None:
        """What comes before the answer was sent before it, and counts."""
        kind = ""
        while kind != "unsubscribed":
            async with asyncio.timeout(10):  # wait_for may swallow a cancellation (3.11)
                kind = self._take(await socket.recv())

    def _when(self, every_seconds: float) -> float:
        return (
            time.monotonic() + self._random.expovariate(1 / every_seconds) if every_seconds else float("inf")
        )

    def _take(self, raw: str | bytes) -> str:
        message = json.loads(raw, parse_float=Digits)
        hold_to_contract(message)
        kind: str = message["type"]
        if kind == "trade":
            self._note_trade(message)
        elif kind == "snapshot":
            for tick in message["data"]:
                self._note_trade(tick)
        elif kind == "gap":
            event = Event("gap", message["from_id"], message["to_id"], message["cause"])
            self.events[message["symbol"]].append(event)
        elif kind == "status":
            self.states[message["state"]] += 1
        elif kind == "error":
            self.errors.append(str(message))
        return kind

    def _note_trade(self, tick: dict[str, object]) -> None:
        now = time.monotonic()
        self.longest_silence_seconds = max(self.longest_silence_seconds, now - self._heard_at)
        self._heard_at = now
        text = f"{tick['price']} {tick['size']}" + (" backfilled" if tick.get("backfilled") else "")
        trade_id = int(str(tick["id"]))
        self.events[str(tick["symbol"])].append(Event("trade", trade_id, trade_id, text))
