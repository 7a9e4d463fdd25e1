"""Client of the needed part of Binance's REST API: the list of symbols, and trades by id.

Source: Binance spot API documents, `rest-api.md` ("General endpoints", "Market Data endpoints", "LIMITS").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import msgspec

from livemarkets.errors import ExchangeError, ExchangeUnreachable, RestError
from livemarkets.exchanges.base import (
    PAGE_TRADES,
    FetchedTrades,
    HistoryStatistics,
    ListedSymbols,
    Purpose,
)
from livemarkets.exchanges.binance.exchange_info import ExchangeInfo
from livemarkets.exchanges.binance.first_values import ask_first_values
from livemarkets.exchanges.binance.kline_history import KlineHistory
from livemarkets.exchanges.binance.rest_answers import (
    Aggregate,
    DayTicker,
    RestTrade,
    check_times,
    fetched_trades,
    reaches_back,
)
from livemarkets.exchanges.binance.rest_calls import RestCalls
from livemarkets.exchanges.governor import Governor
from livemarkets.exchanges.outbound import Outbound
from livemarkets.exchanges.together import all_of
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, SymbolInfo
from livemarkets.market.updates import Update

__all__ = ["BinanceRest"]

_TIMEOUT_SECONDS = 5.0
_UNKNOWN_SYMBOL = -1121
"""`errors.md`: "Invalid symbol."."""
_TICKER_WEIGHTS = ((20, 2), (100, 40))
_ALL_TICKERS = 80
"""The weights of `ticker/24hr`: of up to 20 symbols, of up to 100, of more."""


class BinanceRest:
    """Sends GET requests to the base addresses in order, within the exchange's request weight.

    Args:
        exchange: the exchange name of the ticks.
        urls: base addresses; `/api/v3/…` is appended.
        clock: source of the time.
        outbound: which proxy and which certificates; `None` for direct connections.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        urls: Sequence[str],
        *,
        clock: Clock,
        outbound: Outbound | None = None,
    ) -> None:
        self.governor = Governor(clock)
        self._exchange: ExchangeName = exchange
        self._now_ms = clock.now_ms
        self._monotonic = clock.monotonic
        self._outbound = outbound or Outbound()
        self._client: httpx.AsyncClient | None = None
        self._calls = RestCalls(exchange, self._ready_client, self.governor, clock)
        self.candle_history = KlineHistory(exchange, self._calls, clock.now_ms)
        """The past candles, by the same addresses and within the same request weight."""
        self.urls = urls

    @property
    def urls(self) -> Sequence[str]:
        """The base addresses, the preferred one first."""
        return tuple(self._calls.addresses)

    @urls.setter
    def urls(self, urls: Iterable[str]) -> None:
        self._calls.addresses.replace(url.rstrip("/") for url in urls)

    async def aclose(self) -> None:
        """Close the idle connections. Idempotent. The object may be used again afterwards."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def symbols(self) -> ListedSymbols:
        """Return all listed symbols (`GET /api/v3/exchangeInfo`, weight 20).

        `showPermissionSets=false` makes the answer a third as long. An address may refuse it.

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        try:
            answer = await self._exchange_info({"showPermissionSets": "false"})
        except RestError as error:
            if error.status != 400:
                raise
            answer = await self._exchange_info({})
        return answer.listed

    async def symbol(self, symbol: str) -> SymbolInfo | None:
        """Return one symbol (`GET /api/v3/exchangeInfo?symbol=`, weight 20), which the list may leave out.

        `rest-api.md`, "Exchange information": without parameters, symbols of some groups are left out.

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        try:
            answer = await self._exchange_info({"symbol": symbol})
        except RestError as error:
            if error.code == _UNKNOWN_SYMBOL:
                return None
            raise
        return next((info for info in answer.listed.symbols if info.symbol == symbol), None)

    async def _exchange_info(self, parameters: dict[str, str]) -> ExchangeInfo:
        answer = await self._calls.get("exchangeInfo", parameters, 20, ExchangeInfo, purpose=Purpose.LIST)
        if answer.weight_per_minute is not None:
            self.governor.weight.note_limit(answer.weight_per_minute)
        return answer

    def statistics(self) -> HistoryStatistics:
        """Return the counters since the start, and the use of the rate limit."""
        calls, now = self._calls, self._monotonic()
        return HistoryStatistics(
            calls=calls.calls,
            failures=calls.failures,
            rate_limit=self.governor.statistics(),
            addresses=calls.addresses.describe(now, self._outbound.describe_proxy),
        )

    async def newest_ids(
        self, symbols: Sequence[str], *, purpose: Purpose = Purpose.CHECK, asker: str | None = None
    ) -> dict[str, int]:
        """Return the newest trade id of each symbol, by one call (`GET /api/v3/ticker/24hr`, weight 2 to 80).

        `rest-api.md`, "24hr ticker price change statistics": its source is memory, so it is not behind the
        stream. A symbol without a trade in the last 24 hours is left out.

        If an address refuses the list of symbols, because it does not know one of them, all symbols are asked
        for. If no address serves the call, `aggTrades` (weight 4) is asked for each symbol.

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        try:
            tickers = await self._day_tickers(symbols, purpose, asker)
        except ExchangeError:
            if self._calls.is_served("ticker/24hr"):
                raise
            return await self._newest_aggregates(symbols, purpose, asker)
        wanted = set(symbols)
        return {
            one.symbol: one.lastId
            for one in tickers
            if one.symbol in wanted and one.lastId and one.lastId > 0
        }

    async def _day_tickers(
        self, symbols: Sequence[str], purpose: Purpose, asker: str | None
    ) -> list[DayTicker]:
        weight = next((weight for most, weight in _TICKER_WEIGHTS if len(symbols) <= most), _ALL_TICKERS)
        kind = {"type": "MINI"}
        if weight < _ALL_TICKERS:
            listed = kind | {"symbols": msgspec.json.encode(list(symbols)).decode()}
            try:
                return await self._calls.get(
                    "ticker/24hr", listed, weight, list[DayTicker], purpose=purpose, asker=asker
                )
            except RestError as error:
                if error.code != _UNKNOWN_SYMBOL or len(symbols) == 1:
                    raise
        return await self._calls.get(
            "ticker/24hr", kind, _ALL_TICKERS, list[DayTicker], purpose=purpose, asker=asker
        )

    async def _newest_aggregates(
        self, symbols: Sequence[str], purpose: Purpose, asker: str | None
    ) -> dict[str, int]:
        async def newest(symbol: str) -> int | None:
            try:
                parameters = {"symbol": symbol, "limit": 1}
                found = await self._calls.get(
                    "aggTrades", parameters, 4, list[Aggregate], purpose=purpose, asker=asker
                )
            except RestError as error:
                if error.code == _UNKNOWN_SYMBOL and len(symbols) > 1:
                    return None
                raise
            return found[-1].l if found else None

        found = await all_of({symbol: newest(symbol) for symbol in symbols})
        return {symbol: newest_id for symbol, newest_id in found.items() if newest_id is not None}

    async def first_values(
        self, channel: str, symbols: Sequence[str], *, asker: str | None = None
    ) -> Sequence[Update]:
        """Return present tickers, best bids and asks, or an order book (weight 2 to 5, of all tickers 80).

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        return await ask_first_values(self._calls, self._exchange, channel, symbols, self._now_ms, asker)

    async def trades_from(
        self,
        symbol: str,
        from_id: int,
        *,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
        newest_known: int | None = None,
    ) -> FetchedTrades:
        """Return up to 1,000 trades with ids from `from_id` on.

        `trades` (weight 25) holds the newest 1,000. Its source is memory. `historicalTrades` (weight 25)
        holds all, and comes from a database, which is seconds behind the stream (`rest-api.md`, "Data
        Sources"). So if `from_id` is among the newest 1,000, `trades` is asked first. So it is if no address
        serves `historicalTrades`.

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        newest: FetchedTrades | None = None
        if newest_known is not None and newest_known - from_id < PAGE_TRADES:
            try:
                newest = await self._newest_trades(symbol, from_id, purpose, asker)
            except ExchangeError as error:
                if _is_limited(error) or not self._calls.is_served("historicalTrades", symbol):
                    raise
            if newest is not None and reaches_back(newest, from_id, newest_known):
                return newest
        if not self._calls.is_served("historicalTrades", symbol):
            return newest or await self._newest_trades(symbol, from_id, purpose, asker)
        parameters = {"symbol": symbol, "fromId": from_id, "limit": PAGE_TRADES}
        try:
            found = await self._trades("historicalTrades", parameters, purpose, asker)
        except ExchangeError:
            if self._calls.is_served("historicalTrades", symbol):
                raise
            return newest or await self._newest_trades(symbol, from_id, purpose, asker)
        return fetched_trades(self._exchange, symbol, found, from_id, self._now_ms(), are_newest=False)

    async def newest_trades(
        self, symbol: str, *, purpose: Purpose = Purpose.LIST, asker: str | None = None
    ) -> FetchedTrades:
        """Return the newest 1,000 trades (`GET /api/v3/trades`, weight 25, from memory).

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        return await self._newest_trades(symbol, 1, purpose, asker)

    async def _newest_trades(
        self, symbol: str, from_id: int, purpose: Purpose, asker: str | None
    ) -> FetchedTrades:
        parameters = {"symbol": symbol, "limit": PAGE_TRADES}
        found = await self._trades("trades", parameters, purpose, asker)
        return fetched_trades(self._exchange, symbol, found, from_id, self._now_ms(), are_newest=True)

    async def _trades(
        self, call: str, parameters: dict[str, Any], purpose: Purpose, asker: str | None
    ) -> list[RestTrade]:
        return await self._calls.get(
            call, parameters, 25, list[RestTrade], purpose=purpose, asker=asker, check=check_times
        )

    def _ready_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = self._outbound.http_client(timeout_seconds=_TIMEOUT_SECONDS)
        return self._client


def _is_limited(error: ExchangeError) -> bool:
    """Return whether the exchange allows no call at present."""
    return isinstance(error, ExchangeUnreachable) and error.retry_after_seconds is not None
