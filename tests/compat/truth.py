"""What the exchange sent, read from the plain protocol: the measure for what clients report."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import connect

__all__ = ["Key", "Truth", "Values"]

Key = tuple[str, ...]
"""What an observation is about: its kind, and the id or time that names it."""
Values = dict[str, Any]
SYMBOL = "BTCUSDT"
LEVELS = 5
STREAMS = ("trade", "kline_1s", "kline_1m", "ticker", "bookTicker", "depth", "depth@100ms", "depth20@100ms")
_SNAPSHOT_LEVELS = 5000


class Truth:
    """Keeps every event of one symbol under the key that clients report it with.

    The order book follows the documented procedure ("How to manage a local order book correctly"), from the
    fast stream, and is kept as it was after every event.
    """

    def __init__(self) -> None:
        self.known: dict[Key, Values] = {}
        self.errors: list[str] = []
        self._book: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        self._book_id: int | None = None
        self._waiting: list[Values] = []
        self._has_begun = asyncio.Event()
        self._newest_ms = 0

    @contextlib.asynccontextmanager
    async def listening(
        self, ws_url: str, rest: httpx.AsyncClient, trusting: ssl.SSLContext
    ) -> AsyncIterator[None]:
        """Listen to the exchange for as long as the context lasts."""
        names = "/".join(f"{SYMBOL.lower()}@{kind}" for kind in STREAMS)
        url = f"{ws_url}/stream?streams={names}"
        async with connect(url, ssl=trusting, proxy=None, max_queue=None) as socket:
            task = asyncio.create_task(self._listen(socket), name="the truth of the campaign")
            try:
                await self._begin_book(rest)
                yield
                await self._catch_up(time.time() * 1000)
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def add_history(self, rest: httpx.AsyncClient) -> None:
        """Keep the candles of the past."""
        for interval in ("1s", "1m", "1h", "1d"):
            parameters: dict[str, str | int] = {"symbol": SYMBOL, "interval": interval, "limit": 1000}
            for row in (await rest.get("/api/v3/klines", params=parameters)).raise_for_status().json():
                names = ("open", "high", "low", "close", "volume")
                values = {name: Decimal(text) for name, text in zip(names, row[1:6], strict=True)}
                self.known["history", interval, str(row[0])] = values

    async def _listen(self, socket: Any) -> None:
        async for text in socket:
            message = msgspec.json.decode(text)
            self._newest_ms = max(self._newest_ms, message["data"].get("E", 0))
            self._keep(message["stream"].partition("@")[2], message["data"])

    async def _catch_up(self, until_ms: float) -> None:
        """Read what was sent until a time. A busy machine reads late, and clients may have been faster."""
        async with asyncio.timeout(30):
            while self._newest_ms < until_ms:  # noqa: ASYNC110 - it is over within a tenth of a second
                await asyncio.sleep(0.05)

    def _keep(self, kind: str, data: Values) -> None:
        if kind == "trade":
            values = {"price": Decimal(data["p"]), "size": Decimal(data["q"]), "time": data["T"]}
            self.known["trade", str(data["t"])] = values | {"maker": data["m"]}
        elif kind.startswith("kline"):
            if data["k"]["x"]:
                names = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
                key = ("candle", data["k"]["i"], str(data["k"]["t"]))
                if key in self.known:
                    self.errors.append(f"the exchange closed {key} twice")
                self.known[key] = {name: Decimal(data["k"][short]) for name, short in names.items()}
        elif kind == "ticker":
            names = {"last": "c", "open": "o", "high": "h", "low": "l", "volume": "v"}
            values = {name: Decimal(data[short]) for name, short in names.items()}
            self.known["ticker", str(data["E"])] = values
        elif kind == "bookTicker":
            names = {"bid": "b", "bid_size": "B", "ask": "a", "ask_size": "A"}
            self.known["best", str(data["u"])] = {name: Decimal(data[short]) for name, short in names.items()}
        elif kind == "depth20@100ms":
            self._keep_book(data["lastUpdateId"], *(_levels(data[side]) for side in ("bids", "asks")))
        else:
            self._update_book(kind, data)

    async def _begin_book(self, rest: httpx.AsyncClient) -> None:
        async with asyncio.timeout(10):
            await self._has_begun.wait()
        first = self._waiting[0]["U"]
        while True:
            parameters: dict[str, str | int] = {"symbol": SYMBOL, "limit": _SNAPSHOT_LEVELS}
            found = (await rest.get("/api/v3/depth", params=parameters)).raise_for_status().json()
            if found["lastUpdateId"] >= first:
                break
            await asyncio.sleep(0.05)
        self._book = (dict(_levels(found["bids"])), dict(_levels(found["asks"])))
        self._book_id = found["lastUpdateId"]
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._update_book("depth@100ms", event)

    def _update_book(self, kind: str, event: Values) -> None:
        if kind != "depth@100ms":
            return
        if self._book_id is None:
            self._waiting.append(event)
            self._has_begun.set()
            return
        if event["u"] <= self._book_id:
            return
        if event["U"] > self._book_id + 1:
            self.errors.append(f"the order book has a hole between {self._book_id} and {event['U']}")
        for side, name in zip(self._book, ("b", "a"), strict=True):
            for price, size in _levels(event[name]):
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        self._book_id = event["u"]
        bids, asks = self._book
        self._keep_book(event["u"], sorted(bids.items(), reverse=True), sorted(asks.items()))

    def _keep_book(
        self, update_id: int, bids: list[tuple[Decimal, Decimal]], asks: list[tuple[Decimal, Decimal]]
    ) -> None:
        key = ("book", str(update_id))
        values = {"bids": bids[:LEVELS], "asks": asks[:LEVELS]}
        if self.known.setdefault(key, values) != values:
            self.errors.append(f"the exchange's order books of {update_id} differ")


def _levels(side: list[list[str]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in side]
