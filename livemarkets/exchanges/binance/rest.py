"""Client of the needed part of Binance's REST API: the list of symbols, and trades by id.

Source: Binance spot API documents, `rest-api.md` ("General endpoints", "Market Data endpoints", "LIMITS").
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import msgspec
from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable, MalformedMessage, RestError
from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades, HistoryStatistics, Purpose
from livemarkets.exchanges.binance.messages import plausible
from livemarkets.exchanges.budgets import WeightBudget
from livemarkets.exchanges.failures import describe, explain, parse_retry_after, root_cause
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, SymbolInfo, TradeTick

__all__ = ["BinanceRest"]

_TIMEOUT_SECONDS = 5.0
_DEFAULT_PAUSE_SECONDS = 30.0
_TRY_NEXT_STATUSES = frozenset({401, 403, 404, 451})
_NOT_SERVED_STATUSES = frozenset({401, 404})
"""Statuses of an address that does not serve a call, or serves it only with an API key."""

T = TypeVar("T")


class _RestTrade(msgspec.Struct, gc=False):
    """`{"id":28457,"price":"4.00000100","qty":"12.00000000","time":1499865549590,"isBuyerMaker":true,…}`."""

    id: int
    price: Decimal
    qty: Decimal
    time: int
    isBuyerMaker: bool


class _Filter(msgspec.Struct):
    filterType: str
    tickSize: str = "0"
    stepSize: str = "0"


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[_Filter] = []


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


class _Aggregate(msgspec.Struct):
    a: int
    f: int
    l: int  # noqa: E741


class BinanceRest:
    """Sends GET requests to the base addresses in order, within the exchange's request weight.

    Args:
        exchange: the exchange name of the ticks.
        urls: base addresses; `/api/v3/…` is appended.
        clock: source of the time.
        weight: the weight budget; `None` makes one with the defaults.
        outbound: which proxy and which certificates; `None` for direct connections.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        urls: Sequence[str],
        *,
        clock: Clock,
        weight: WeightBudget | None = None,
        outbound: Outbound | None = None,
    ) -> None:
        self.weight = weight or WeightBudget()
        self._calls = 0
        self._failures = 0
        self._exchange: ExchangeName = exchange
        self.urls = tuple(url.rstrip("/") for url in urls)
        self._clock = clock.monotonic
        self._now_ms = clock.now_ms
        self._outbound = outbound or Outbound()
        self._client: httpx.AsyncClient | None = None
        self._without_history: set[str] = set()  # base addresses that do not serve historicalTrades

    async def aclose(self) -> None:
        """Close the idle connections. Idempotent. The object may be used again afterwards."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def symbols(self) -> list[SymbolInfo]:
        """Return all listed symbols (`GET /api/v3/exchangeInfo`, weight 20).

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        info = await self._get("exchangeInfo", {}, 20, _ExchangeInfo)
        return [_symbol_info(symbol) for symbol in info.symbols]

    def statistics(self) -> HistoryStatistics:
        """Return the counters since the start."""
        return HistoryStatistics(calls=self._calls, failures=self._failures)

    async def newest_ids(
        self, symbols: Sequence[str], *, purpose: Purpose = Purpose.CHECK, asker: str | None = None
    ) -> dict[str, int]:
        """Return the newest trade id of each symbol (`GET /api/v3/aggTrades`, weight 4 each).

        A symbol without trades is left out.

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        newest = {}
        for symbol in symbols:
            found = await self._get("aggTrades", {"symbol": symbol, "limit": 1}, 4, list[_Aggregate])
            if found:
                newest[symbol] = found[-1].l
        return newest

    async def trades_from(
        self, symbol: str, from_id: int, *, purpose: Purpose = Purpose.HOLE, asker: str | None = None
    ) -> FetchedTrades:
        """Return up to 1,000 trades with ids from `from_id` on.

        It calls `historicalTrades` (weight 25) where the address serves it. Otherwise it calls `trades`
        (weight 25), whose answer holds the newest 1,000 and is complete only within them.

        Raises:
            ExchangeError: no base address gave a usable answer.

        """
        parameters = {"symbol": symbol, "fromId": from_id, "limit": PAGE_TRADES}
        urls = [url for url in self.urls if url not in self._without_history]
        if urls:
            try:
                found = await self._get("historicalTrades", parameters, 25, list[_RestTrade], urls)
            except ExchangeError as error:
                return await self._newest_trades(symbol, from_id, error)
            return self._fetched(symbol, found, from_id, from_id)
        return await self._newest_trades(symbol, from_id, None)

    async def _newest_trades(self, symbol: str, from_id: int, error: ExchangeError | None) -> FetchedTrades:
        """Fall back to the newest 1,000 trades, if they reach back far enough or nothing else is served."""
        if error is not None and not self._without_history:
            raise error
        found = await self._get("trades", {"symbol": symbol, "limit": PAGE_TRADES}, 25, list[_RestTrade])
        oldest = min((trade.id for trade in found), default=from_id)
        if error is not None and oldest > from_id and _may_pass(error):
            raise error
        return self._fetched(symbol, found, from_id, oldest)

    def _fetched(
        self, symbol: str, found: list[_RestTrade], from_id: int, covered_from: int
    ) -> FetchedTrades:
        recv_ts = self._now_ms()
        ticks = [
            TradeTick(
                self._exchange,
                symbol,
                trade.price,
                trade.qty,
                "sell" if trade.isBuyerMaker else "buy",
                trade.time,
                trade.id,
                recv_ts,
                backfilled=True,
            )
            for trade in found
            if trade.id >= from_id and plausible(trade.price, trade.qty)
        ]
        newest = max((trade.id for trade in found), default=None)
        covered_to = newest if newest is not None and covered_from <= from_id else from_id - 1
        return FetchedTrades(
            ticks,
            covered_to,
            newest,
            reaches_newest=len(found) < PAGE_TRADES or covered_from > from_id,
            invalid_ids=frozenset(
                trade.id for trade in found if trade.id >= from_id and not plausible(trade.price, trade.qty)
            ),
        )

    async def _get(
        self,
        call: str,
        parameters: dict[str, Any],
        weight: int,
        shape: type[T],
        urls: Sequence[str] | None = None,
    ) -> T:
        """Try the base addresses in order. If all fail, raise the last error."""
        wait = self.weight.delay(weight, self._clock())
        if wait > 0:
            raise ExchangeUnreachable(
                "REST paused: request weight used up, or a Retry-After is in force", wait
            )
        error: ExchangeError = ExchangeUnreachable("no REST address is set")
        for url in urls or self.urls:
            if self.weight.delay(0, self._clock()) > 0:
                break  # the last answer asked for a pause, which applies to all addresses of the exchange
            self.weight.spend(weight, self._clock())
            self._calls += 1
            try:
                return await self._get_from(f"{url}/api/v3/{call}", parameters, shape)
            except RestError as failure:
                error = failure
                if call == "historicalTrades" and failure.status in _NOT_SERVED_STATUSES:
                    self._without_history.add(url)
                    logger.info("{}: {} does not serve historicalTrades: {}", self._exchange, url, failure)
                if failure.status not in _TRY_NEXT_STATUSES and failure.status < 500:
                    break
            except ExchangeError as failure:
                error = failure
        self._failures += 1
        raise error

    async def _get_from(self, url: str, parameters: dict[str, Any], shape: type[T]) -> T:
        client = self._ready_client()
        try:
            response = await client.get(url, params=parameters)
        except httpx.TimeoutException:
            raise ExchangeUnreachable("timeout") from None
        except httpx.HTTPError as error:
            raise ExchangeUnreachable(explain(root_cause(error))) from None
        except Exception as error:  # any error of a library fails this call only
            logger.opt(exception=True).debug("{}: {} failed", self._exchange, url)
            raise ExchangeUnreachable(describe(error)) from error
        if response.status_code != 200:
            raise self._error(response)
        try:
            return msgspec.json.decode(response.content, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise MalformedMessage("malformed REST response", f"{url}: {error}") from None

    def _ready_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = self._outbound.http_client(timeout_seconds=_TIMEOUT_SECONDS)
        return self._client

    def _error(self, response: httpx.Response) -> ExchangeError:
        """Return the error of an answer. After 429 and 418, pause (`rest-api.md`, "IP Limits")."""
        status = response.status_code
        if status in (418, 429):
            seconds = parse_retry_after(response.headers.get("Retry-After", ""))
            seconds = _DEFAULT_PAUSE_SECONDS if seconds is None else seconds
            self.weight.pause(seconds, self._clock())
            return ExchangeUnreachable(f"HTTP {status} (too many requests)", retry_after_seconds=seconds)
        try:
            body = response.json()
            return RestError(status, body.get("code"), str(body.get("msg"))[:200])
        except (ValueError, AttributeError):
            return RestError(status, None, response.reason_phrase)


def _may_pass(error: ExchangeError) -> bool:
    """Return whether the next attempt may succeed."""
    return not (isinstance(error, RestError) and error.status < 500)


def _symbol_info(symbol: _Symbol) -> SymbolInfo:
    sizes = {entry.filterType: entry for entry in symbol.filters}
    price, lot = sizes.get("PRICE_FILTER"), sizes.get("LOT_SIZE")
    return SymbolInfo(
        symbol=symbol.symbol,
        base_asset=symbol.baseAsset,
        quote_asset=symbol.quoteAsset,
        tick_size=_step(price.tickSize if price else "0"),
        step_size=_step(lot.stepSize if lot else "0"),
        is_trading=symbol.status == "TRADING",
    )


def _step(text: str) -> Decimal:
    try:
        return Decimal(text).normalize()
    except ArithmeticError:
        return Decimal(0)
