"""A client of `/ws/markets` that holds every message against the truth of the foreign exchange."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.contract import hold_to_contract
from tests.support.foreign.exchange import ForeignExchange

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
MEMORY_TRADES = 1000
"""How many trades `trades` answers with: no lag of a database makes them unknown."""
GRACE_SECONDS = 2.0
"""How long after the end of a fault REST may still be thought to be broken."""
BUSY_SECONDS = 2.0
"""How much later a trade may come because exchange, app and readers share a busy processor."""
RECEIVE_BYTES = 65536
"""The kernel keeps no more for a reader that stalls, so that the server notices soon."""
PROBLEMS_KEPT = 5
_REST_WEIGHT = 2000
"""Who has spent less weight than this cannot say that there was none left."""


@dataclass
class Record:
    """What one reader knows of one symbol."""

    symbol: str
    reached: int | None = None
    """The last id that came or was declared; the next one has to follow."""
    is_held: bool = False
    since: float = float("inf")
    """When the subscription was confirmed (monotonic)."""
    complete_since: float = float("inf")
    """When its snapshot had come."""
    declared: dict[str, int] = field(default_factory=dict)
    """Ids by cause."""
    received: int = 0
    longest_wait_seconds: float = 0.0
    """Of a trade between the exchange's socket and here."""


class Reader:
    """Reads in a task of its own until it stalls or leaves; `problems` is what was wrong."""

    def __init__(
        self,
        name: str,
        url: str,
        exchange: ForeignExchange,
        *,
        patience_seconds: float,
        note: Callable[[str], None],
    ) -> None:
        self.name = name
        self.problems: list[str] = []
        self.records: dict[str, Record] = {}
        self.statuses: list[str] = []
        self.refused: dict[str, str] = {}
        """The code of the last refusal, by symbol."""
        self._url = url
        self._exchange = exchange
        self._patience_seconds = patience_seconds
        self._write = note
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ids = iter(range(1, 1_000_000))
        self._has_stalled = False

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection, and reads it or may read it again."""
        return self._socket is not None

    @property
    def is_reading(self) -> bool:
        """Whether it takes what comes."""
        return self._task is not None and not self._task.done()

    def held(self) -> list[str]:
        """The symbols that it has subscribed."""
        return [symbol for symbol, record in self.records.items() if record.is_held]

    async def join(self) -> None:
        """Connect, without subscriptions."""
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        raw.setblocking(False)
        port = urlsplit(self._url).port
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
        self._socket = await connect(
            self._url, sock=raw, compression=None, max_queue=4, close_timeout=0.5, proxy=None, max_size=None
        )
        self._has_stalled = False
        self.go_on()

    async def subscribe(self, *symbols: str, resumes: bool = True) -> dict[str, Any]:
        """Subscribe; where something was read before, resume after it."""
        after = {}
        for symbol in symbols:
            record = self.records.setdefault(symbol, Record(symbol))
            if not resumes:
                record.reached = None
            if record.reached is not None:
                after[symbol] = record.reached
        return await self._ask("subscribe", symbols=list(symbols), after=after)

    async def unsubscribe(self, *symbols: str) -> None:
        """Unsubscribe; what comes before the answer counts."""
        await self._ask("unsubscribe", symbols=list(symbols))

    async def leave(self, *, abruptly: bool) -> None:
        """End the connection; the records stay, so that `subscribe` resumes."""
        await self._end_task()
        socket, self._socket = self._socket, None
        if socket is not None:
            if abruptly:
                socket.transport.abort()
            with contextlib.suppress(ConnectionClosed):
                await socket.close()
        for record in self.records.values():
            record.is_held, record.since, record.complete_since = False, float("inf"), float("inf")

    async def stall(self) -> None:
        """Read nothing more for now."""
        self._has_stalled = True
        await self._end_task()

    def go_on(self) -> None:
        """Read again."""
        self._task = asyncio.create_task(self._read(), name=f"reader {self.name}")

    async def _end_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        assert self._socket is not None
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"type": kind, "id": number, "exchange": "binance", "channel": "trades", **fields}
        await self._socket.send(msgspec.json.encode(message).decode())
        async with asyncio.timeout(10):
            reply: dict[str, Any] = await answer
            return reply

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            while True:
                self._take(await self._socket.recv())
        except ConnectionClosed as error:
            if not self._has_stalled:
                self._complain(f"the connection was closed: {error}")
            self._socket = None

    # judgement

    def _take(self, raw: str | bytes) -> None:
        message = _decode(raw)
        hold_to_contract(message)
        kind = message["type"]
        if kind == "trade":
            self._judge_trade(self.records[message["symbol"]], message)
        elif kind == "snapshot":
            record = self.records[message["symbol"]]
            for tick in message["data"]:
                self._judge_trade(record, tick, is_snapshot=True)
            record.complete_since = min(record.complete_since, time.monotonic())
        elif kind == "gap":
            self._note(message)
            self._judge_gap(self.records[message["symbol"]], message)
        elif kind == "lagged":
            self._note(message)
            self._judge_lagged(self.records[message["symbol"]], message)
        elif kind in ("subscribed", "unsubscribed"):
            self._note_results(message)
        elif kind == "status":
            self.statuses.append(f"{message['state']} {message['reason']}")
            self._note(message)
        elif kind == "error":
            self._complain(f"an error: {message}")
        answer = self._answers.pop(message["id"], None) if isinstance(message.get("id"), int) else None
        if answer is not None and kind != "trade" and not answer.done():
            answer.set_result(message)

    def _note_results(self, message: dict[str, Any]) -> None:
        for result in message["results"]:
            record = self.records[result["symbol"]]
            if result["ok"]:
                record.is_held = message["type"] == "subscribed"
                record.since = time.monotonic() if record.is_held else float("inf")
                record.complete_since = float("inf")
                self.refused.pop(record.symbol, None)
            else:
                self.refused[record.symbol] = result["code"]
                self._note(message)

    def _judge_trade(self, record: Record, tick: dict[str, Any], *, is_snapshot: bool = False) -> None:
        trade_id, truth = tick["id"], self._exchange.truth
        if record.reached is not None and trade_id != record.reached + 1:
            self._complain(f"{record.symbol}: expected {record.reached + 1}, got trade {trade_id}")
        if not record.is_held:
            self._complain(f"{record.symbol}: a trade without a subscription: {trade_id}")
        trade = truth.trades(record.symbol).get(trade_id)
        got = (Decimal(tick["price"]), Decimal(tick["size"]), tick["side"], tick["ts"])
        if trade is None or trade.values != got:
            self._complain(f"{record.symbol}: {got} under the id {trade_id}, truly {trade}")
        record.reached = trade_id
        record.received += 1
        sent_at = self._exchange.market.listings[record.symbol].sent_at.get(trade_id)
        if sent_at is not None and sent_at > record.complete_since and not (is_snapshot or self._has_stalled):
            waited = time.monotonic() - sent_at
            record.longest_wait_seconds = max(record.longest_wait_seconds, waited)
            if waited > self._patience_seconds + 1 + BUSY_SECONDS:
                self._complain(f"{record.symbol}: the trade {trade_id} waited {waited:.1f} s")

    def _judge_gap(self, record: Record, gap: dict[str, Any]) -> None:
        symbol, first, last, cause = record.symbol, gap["from_id"], gap["to_id"], gap["cause"]
        truth, shown = (
            self._exchange.truth,
            f"{record.symbol}: gap {gap['from_id']} to {gap['to_id']} ({gap['cause']})",
        )
        record.declared[cause] = record.declared.get(cause, 0) + last - first + 1
        if last < first:
            self._complain(f"{shown}: nothing was renumbered")
        elif record.reached is not None and first != record.reached + 1:
            self._complain(f"{shown}: expected {record.reached + 1}")
        record.reached = last
        existing = truth.existing(symbol, first, last)
        valid = [each for each in existing if not truth.is_invalid(symbol, each)]
        if cause == "venue" and existing:
            self._complain(f"{shown}: the exchange has {existing[:5]}")
        if cause == "invalid" and (valid or len(existing) != last - first + 1):
            self._complain(f"{shown}: the exchange has {valid[:5]}, or nothing")
        brought = [each for each in truth.brought(symbol, first, last, since=record.since) if each in valid]
        if brought:
            self._complain(f"{shown}: the stream brought {brought[:5]}")
        if had := [each for each in valid if self._could_be_fetched(symbol, each)]:
            self._complain(f"{shown}: REST has {had[:5]}, and was in order")

    def _could_be_fetched(self, symbol: str, trade_id: int) -> bool:
        """Whether nothing stood in the way of fetching a trade since it happened."""
        faults, truth = self._exchange.faults, self._exchange.truth
        is_in_memory = trade_id > truth.newest(symbol) - MEMORY_TRADES
        was_in_order = faults.trouble_until + GRACE_SECONDS < truth.trades(symbol)[trade_id].happened_at
        had_weight = self._exchange.rules.weight_spent < _REST_WEIGHT
        return was_in_order and had_weight and (is_in_memory or faults.is_database_honest)

    def _judge_lagged(self, record: Record, lagged: dict[str, Any]) -> None:
        if record.reached is not None and lagged["from_id"] != record.reached + 1:
            self._complain(f"expected {record.reached + 1}: {lagged}")
        record.reached = lagged["to_id"]

    def _complain(self, text: str) -> None:
        if len(self.problems) < PROBLEMS_KEPT:  # one fault may spoil thousands of trades
            self.problems.append(f"{self.name}: {text}")
            self._write(f"{self.name} !! {text}")

    def _note(self, message: dict[str, Any]) -> None:
        self._write(f"{self.name} << {message}")
