"""Harbour, an exchange that does not exist: what its package under `livemarkets/exchanges/` would hold.

It has nothing in common with Binance but the ports. Its server: :mod:`tests.support.second_exchange_server`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Literal, TypeVar

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from livemarkets.errors import ExchangeError, ExchangeUnreachable, RestError
from livemarkets.exchanges.base import (
    PAGE_TRADES,
    ClientStatistics,
    ClientStatus,
    Evidence,
    ExchangeEvents,
    ExchangePorts,
    FetchedTrades,
    Guarantee,
    HistoryStatistics,
    ListedSymbols,
    Purpose,
    StreamState,
)
from livemarkets.exchanges.budgets import backoff
from livemarkets.exchanges.failures import first_of, unreachable
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeState, StreamKey, SymbolInfo, TradeTick

T = TypeVar("T")
_SECONDS = 2.0
"""An answer that takes longer is asked for again."""


class Row(msgspec.Struct, array_like=True):
    """`["1003","61837.63","0.02","B",1723161255123456]`: `B` says that the maker bought."""

    id: int
    price: Decimal
    size: Decimal
    maker: Literal["B", "S"]
    time_us: int


class Pair(msgspec.Struct):
    name: str
    price_step: Decimal
    size_step: Decimal


class Frame(msgspec.Struct):
    pair: str = ""
    trades: list[Row] = []
    joined: list[str] | None = None
    """All that this connection carries now. No other answer is there to a request."""


def symbol_of(pair: str) -> str:
    return pair.replace("-", "")


def ticks_of(pair: str, rows: Sequence[Row], recv_ts: int, *, backfilled: bool = False) -> list[TradeTick]:
    """Harbour sends the newest first."""
    ticks = []
    for row in reversed(rows):
        if row.price.is_finite() and row.price > 0 and row.size.is_finite() and row.size > 0:
            side: Literal["buy", "sell"] = "sell" if row.maker == "B" else "buy"
            figures = row.price, row.size, side, row.time_us // 1000, row.id
            ticks.append(TradeTick("harbour", symbol_of(pair), *figures, recv_ts, backfilled))
    return ticks


class HarbourRest:
    """Its history and its list of symbols (a `TradeHistory` and a `SymbolSource`)."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._now_ms = url, clock.now_ms
        self._http: httpx.AsyncClient | None = None
        self._pairs: dict[str, str] = {}  # our spelling -> theirs
        self._calls = self._failures = 0

    async def symbols(self) -> ListedSymbols:
        found = []
        for pair in await self._get("/pairs", list[Pair]):
            base, quote = pair.name.split("-")
            names = {"symbol": base + quote, "base_asset": base, "quote_asset": quote}
            steps = {"tick_size": pair.price_step, "step_size": pair.size_step}
            found.append(msgspec.convert(names | steps, SymbolInfo))
            self._pairs[base + quote] = pair.name
        return ListedSymbols(found)

    async def symbol(self, symbol: str) -> SymbolInfo | None:
        return next((info for info in (await self.symbols()).symbols if info.symbol == symbol), None)

    async def pair(self, symbol: str) -> str:
        """A stream may be wanted before the list of symbols is there."""
        if symbol not in self._pairs:
            await self.symbols()
        if symbol not in self._pairs:
            raise RestError(404, None, f"Harbour does not list {symbol}")
        return self._pairs[symbol]

    async def newest_ids(
        self, symbols: Sequence[str], *, purpose: Purpose = Purpose.CHECK, asker: str | None = None
    ) -> dict[str, int]:
        newest = {symbol: await self._trades(symbol, last=1) for symbol in symbols}
        return {symbol: rows[0].id for symbol, rows in newest.items() if rows}

    async def newest_trades(
        self, symbol: str, *, purpose: Purpose = Purpose.LIST, asker: str | None = None
    ) -> FetchedTrades:
        newest = (await self.newest_ids([symbol])).get(symbol, 0)
        return await self.trades_from(symbol, max(newest - PAGE_TRADES + 1, 1))

    async def trades_from(
        self,
        symbol: str,
        from_id: int,
        *,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
        newest_known: int | None = None,
    ) -> FetchedTrades:
        ticks: list[TradeTick] = []
        covered_to = from_id - 1
        # Harbour's pages are shorter than the port's.
        while len(ticks) < PAGE_TRADES and (page := await self._trades(symbol, first=covered_to + 1)):
            ticks += ticks_of(await self.pair(symbol), page, self._now_ms(), backfilled=True)
            covered_to = page[0].id
        return FetchedTrades(
            ticks,
            covered_to,
            covered_to if covered_to >= from_id else None,
            reaches_newest=len(ticks) < PAGE_TRADES,
        )

    async def _trades(self, symbol: str, **query: int) -> list[Row]:
        return await self._get("/trades", list[Row], pair=await self.pair(symbol), **query)

    async def _get(self, path: str, shape: type[T], **query: str | int) -> T:
        self._calls += 1
        try:
            self._http = self._http or httpx.AsyncClient(
                base_url=self._url, timeout=_SECONDS, trust_env=False
            )
            response = await self._http.get(path, params=query)
            response.raise_for_status()
            return msgspec.json.decode(response.content, type=shape, strict=False)
        except (httpx.HTTPError, ValueError) as failure:  # msgspec's errors are ValueErrors
            self._failures += 1
            raise ExchangeUnreachable(f"no answer that can be used ({failure!r})"[:200]) from None

    def statistics(self) -> HistoryStatistics:
        return HistoryStatistics(calls=self._calls, failures=self._failures)

    async def aclose(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()


class HarbourClient:
    """One connection, which carries whatever is wanted (an `ExchangeClient`)."""

    guarantee = Guarantee(ids="consecutive", history="by_id")

    def __init__(self, url: str, rest: HarbourRest, clock: Clock, events: ExchangeEvents) -> None:
        self.status = ClientStatus(ExchangeState.IDLE)
        self._url, self._rest, self._clock, self._events = url, rest, clock, events
        self._keys: dict[str, StreamKey] = {}  # what is wanted, by symbol
        self._joined: dict[str, float] = {}  # and since when
        self._refused: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._delays = backoff(initial_seconds=0.1)
        self._complaints: Counter[str] = Counter()
        self._connects = self._connections = 0

    def want(self, key: StreamKey) -> None:
        self._keys[key.symbol] = key
        self._changed.set()

    def unwant(self, key: StreamKey) -> None:
        self._keys.pop(key.symbol, None)
        self._changed.set()

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        if evidence is Evidence.BEHIND:
            self._joined.pop(key.symbol, None)  # it is joined anew
            self._changed.set()

    def state_of(self, key: StreamKey) -> StreamState:
        if self.rejection(key) is not None:
            return StreamState.REJECTED
        return StreamState.ACKNOWLEDGED if key.symbol in self._joined else StreamState.PENDING

    def acknowledged_at(self, key: StreamKey) -> float | None:
        return self._joined.get(key.symbol)

    def rejection(self, key: StreamKey) -> str | None:
        return self._refused.get(key.symbol)

    def statistics(self) -> ClientStatistics:
        return ClientStatistics(
            connections=self._connections,
            connects=self._connects,
            rotations=0,
            complaints=dict(self._complaints),
        )

    async def run(self) -> None:
        while True:
            try:
                while self._keys:
                    await self._converse()
                self._tell(ExchangeState.IDLE)
                self._changed.clear()
                await self._changed.wait()
                self._tell(ExchangeState.CONNECTING)
            except* (OSError, WebSocketException, ExchangeError) as group:
                delay, reason = next(self._delays), unreachable(first_of(group)).reason
                self._tell(ExchangeState.DOWN, reason, self._clock.monotonic() + delay)
                await asyncio.sleep(delay)

    async def _converse(self) -> None:
        self._connects += 1
        self._connections = 1
        try:
            address = f"{self._url.replace('http', 'ws', 1)}/live"
            async with connect(address, proxy=None, close_timeout=1) as socket, asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(socket), name="harbour reader")
                await self._talk(socket)
                reading.cancel()
        finally:
            self._connections = 0
            self._joined = {}

    async def _talk(self, socket: ClientConnection) -> None:
        """Ask for the difference between what is wanted and what Harbour says that it sends."""
        while self._keys:
            self._changed.clear()
            wanted, joined = self._keys.keys() - self._refused.keys(), self._joined.keys()
            for word, symbols in (("leave", joined - wanted), ("join", wanted - joined)):
                pairs = [pair for symbol in symbols if (pair := await self._pair(symbol))]
                if pairs:
                    await socket.send(msgspec.json.encode({word: pairs}), text=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    await self._changed.wait()
                    continue
            self._refused.clear()  # they are asked for again

    async def _pair(self, symbol: str) -> str | None:
        try:
            return await self._rest.pair(symbol)
        except RestError as error:
            self._refused[symbol] = error.message
            return None

    async def _read(self, socket: ClientConnection) -> None:
        async for raw in socket:
            try:
                self._take(msgspec.json.decode(raw, type=Frame, strict=False))
            except (ValueError, RecursionError):
                self._complaints["malformed"] += 1
        raise ExchangeUnreachable("closed by the exchange")

    def _take(self, frame: Frame) -> None:
        if frame.joined is not None:
            now = self._clock.monotonic()
            self._joined = {(s := symbol_of(pair)): self._joined.get(s, now) for pair in frame.joined}
            self._changed.set()
            if self._keys.keys() - self._refused.keys() <= self._joined.keys():
                self._delays = backoff(initial_seconds=0.1)
                self._tell(ExchangeState.LIVE)
        key = self._keys.get(symbol_of(frame.pair))
        ticks = ticks_of(frame.pair, frame.trades, self._clock.now_ms())
        if key is not None and ticks:
            self._events.on_trades(key, ticks)

    def _tell(self, state: ExchangeState, reason: str | None = None, retry_at: float | None = None) -> None:
        if ClientStatus(state, reason, retry_at) != self.status:
            self.status = ClientStatus(state, reason, retry_at)
            self._events.on_status(self.status)


def harbour(url: str, clock: Clock) -> ExchangePorts:
    """What the composition root is given."""
    rest = HarbourRest(url, clock)
    return ExchangePorts(partial(HarbourClient, url, rest, clock), rest, rest)
