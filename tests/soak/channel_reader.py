"""The clients of a campaign that read every channel but trades, in a mode and at a speed of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import Counter
from random import Random
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.soak.candle_truth import SPANS_MS, CandleEvent
from tests.support.contract import Digits, hold_to_contract

__all__ = ["PACES", "ChannelReader"]

PACES = ("fast", "slow", "stalled")
"""Reads at once; reads less than comes; reads nothing for seconds, now and then."""
_SLOW_PER_SECOND = 15
_STALLS_EVERY_SECONDS = 6.0
_STALL_SECONDS = (0.5, 6.0)
_RECEIVE_BYTES = 4096
"""So little is under way to a client that does not read that the server notices soon."""
_FIGURES = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "trades")

Name = tuple[str, str]
"""(channel, symbol); of the stream of all tickers, the channel is `*`."""


class ChannelReader:
    """One client of `/ws/markets` that keeps a record of candles, and the newest value of every other name.

    Args:
        name: for the report.
        url: of the route.
        symbols: what it subscribes.
        random: decides when it stalls or dies.
        mode: `all` or `latest`.
        pace: one of `PACES`.
        dies_every_seconds: on average; 0 means never.

    """

    def __init__(
        self,
        name: str,
        url: str,
        symbols: tuple[str, ...],
        random: Random,
        *,
        mode: str,
        pace: str,
        dies_every_seconds: float = 0.0,
    ) -> None:
        self.name = name
        self.symbols = symbols
        self.candles: dict[tuple[str, str], list[CandleEvent]] = {
            (symbol, interval): [] for symbol in symbols for interval in SPANS_MS
        }
        self.newest: dict[Name, dict[str, Any]] = {}
        self.counts: Counter[str] = Counter()
        """Messages by type, updates that were left out by `skipped`, connections."""
        self.problems: list[str] = []
        self.hurry = asyncio.Event()
        """Set at the end of a campaign: from then on it reads at once and stays."""
        self._url = url
        self._random = random
        self._mode = mode
        self.pace = pace
        self._dies_every_seconds = dies_every_seconds
        self._update_ids: dict[Name, int] = {}

    def told_to(self, symbol: str, interval: str) -> int | None:
        """Return the open time of the newest closed candle."""
        events = self.candles[symbol, interval]
        return next((each.open_ts for each in reversed(events) if each.closed and not each.revised), None)

    def newest_candle(self, symbol: str, interval: str) -> CandleEvent | None:
        """Return the newest candle, running or closed."""
        events = self.candles[symbol, interval]
        return next((each for each in reversed(events) if each.kind == "candle" and not each.revised), None)

    async def run(self) -> None:
        """Read until cancelled; whenever the connection ends, begin anew, and resume the candles."""
        while True:
            with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
                async with self._connection() as connection:
                    self.counts["connections"] += 1
                    self._update_ids.clear()
                    await self._subscribe(connection)
                    await self._read(connection)
            await asyncio.sleep(0.02)

    def _connection(self) -> connect:
        host, port = self._url.split("//")[1].split("/")[0].split(":")
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        peer.connect((host, int(port)))
        return connect(
            self._url,
            sock=peer,
            compression=None,
            max_queue=4,
            ping_interval=None,
            close_timeout=1,
            proxy=None,
        )

    async def _subscribe(self, connection: ClientConnection) -> None:
        usual: dict[str, Any] = {"type": "subscribe", "exchange": "binance", "mode": self._mode}
        usual |= {"interval_ms": 400} if self._mode == "latest" else {}
        messages: list[dict[str, Any]] = [
            {"channel": channel, "symbols": list(self.symbols)} for channel in ("book", "tickers", "depth")
        ]
        messages.append({"channel": "tickers", "symbols": "*"})
        for interval in SPANS_MS:
            after = {
                symbol: open_ts
                for symbol in self.symbols
                if (open_ts := self.told_to(symbol, interval)) is not None
            }
            candles = {"channel": "candles", "interval": interval, "symbols": list(self.symbols)}
            messages.append(candles | {"snapshot": self._random.choice((0, 3)), "after": after})
        for message in messages:
            await connection.send(json.dumps(usual | message))

    async def _read(self, connection: ClientConnection) -> None:
        dies_at, stalls_at = self._when(self._dies_every_seconds), self._when(_STALLS_EVERY_SECONDS)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    self._take(await connection.recv())
            if self.hurry.is_set():
                continue
            now = time.monotonic()
            if now >= dies_at:
                connection.transport.abort()
                return
            if self.pace == "slow":
                await asyncio.sleep(1 / _SLOW_PER_SECOND)
            elif self.pace == "stalled" and now >= stalls_at:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._random.uniform(*_STALL_SECONDS)):
                        await self.hurry.wait()
                stalls_at = self._when(_STALLS_EVERY_SECONDS)

    def _when(self, every_seconds: float) -> float:
        return (
            time.monotonic() + self._random.expovariate(1 / every_seconds) if every_seconds else float("inf")
        )

    # what comes

    def _take(self, raw: str | bytes) -> None:
        message = json.loads(raw, parse_float=Digits)
        hold_to_contract(message)
        kind = message["type"]
        self.counts[kind] += 1
        self.counts["skipped"] += message.get("skipped", 0) if kind != "lagged" else 0
        if kind == "snapshot":
            for each in message["data"]:
                self._take_data(message["channel"], each, message["symbol"])
        elif kind == "gap":
            event = CandleEvent("gap", message["from_open_ts"], message["to_open_ts"])
            self.candles[message["symbol"], message["interval"]].append(event)
        elif kind == "tickers":
            for row in message["data"]:
                self._take_data("tickers", row, "*")
        elif kind in ("ticker", "book", "depth", "candle"):
            channel = {"ticker": "tickers", "candle": "candles"}.get(kind, kind)
            self._take_data(channel, message, message["symbol"])
        elif kind == "error" or not all(each["ok"] for each in message.get("results", ())):
            self.problems.append(str(message))

    def _take_data(self, channel: str, data: dict[str, Any], symbol: str) -> None:
        if channel == "candles":
            self._take_candle(data)
            return
        name = ("*" if symbol == "*" else channel, data["symbol"])
        update_id = data.get("update_id")
        if update_id is not None:
            if update_id <= self._update_ids.get(name, -1):
                self.problems.append(f"{name}: update {update_id} after {self._update_ids[name]}")
            self._update_ids[name] = update_id
        self.newest[name] = data

    def _take_candle(self, data: dict[str, Any]) -> None:
        event = CandleEvent(
            "candle",
            data["open_ts"],
            data["close_ts"],
            tuple(str(data[figure]) for figure in _FIGURES),
            (data["first_id"], data["last_id"]),
            data["closed"],
            data.get("revised", False),
        )
        self.candles[data["symbol"], data["interval"]].append(event)
