"""The REST side of the exchange: which call answers which address (rest-api.md). No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from livemarkets.simulator.market.source import Source
from livemarkets.simulator.protocol.exchange_info import ExchangeInfo
from livemarkets.simulator.protocol.http_wire import Answer, HttpRequest
from livemarkets.simulator.protocol.market_calls import MarketCalls
from livemarkets.simulator.protocol.rest_query import (
    BAD_TIME_UNIT,
    NOT_SUPPORTED,
    Query,
    Refused,
    error_answer,
)
from livemarkets.simulator.protocol.ticker_calls import TickerCalls
from livemarkets.simulator.protocol.time_unit import MICROSECOND, TIME_UNITS, in_microseconds

__all__ = ["NOT_SERVED", "RestApi"]

NOT_SERVED = (
    *("executionRules", "historicalBlockTrades"),
    *("order", "order/test", "order/cancelReplace", "order/amend/keepPriority", "order/amendments"),
    *("order/oco", "orderList", "orderList/oco", "orderList/oto", "orderList/otoco", "orderList/opo"),
    *("orderList/opoco", "allOrderList", "openOrderList", "openOrders", "allOrders", "sor/order"),
    *("sor/order/test", "account", "account/commission", "myTrades", "myPreventedMatches", "myAllocations"),
    *("myFilters", "rateLimit/order", "userDataStream"),
)
"""Documented calls that are refused with `-1020`, whatever their method: orders, accounts, block trades."""
_NO_REFERENCE_PRICE = (-2043, "This symbol doesn't have a reference price.")


class RestApi:
    """The REST side of the exchange.

    Args:
        source: the market that is served.

    """

    def __init__(self, source: Source) -> None:
        self._source = source
        info, market, tickers = ExchangeInfo(source), MarketCalls(source), TickerCalls(source)
        self._calls: Mapping[str, tuple[int, Callable[[Query, float], Any]]] = {
            "/api/v3/ping": (1, lambda query, now_ms: {}),
            "/api/v3/time": (1, info.time),
            "/api/v3/exchangeInfo": (20, info.exchange_info),
            "/api/v3/depth": (5, market.depth),
            "/api/v3/trades": (25, market.trades),
            "/api/v3/historicalTrades": (25, market.historical_trades),
            "/api/v3/aggTrades": (4, market.aggregate_trades),
            "/api/v3/klines": (2, market.klines),
            "/api/v3/uiKlines": (2, market.klines),
            "/api/v3/avgPrice": (2, market.average_price),
            "/api/v3/ticker/24hr": (2, tickers.day),
            "/api/v3/ticker/tradingDay": (4, tickers.trading_day),
            "/api/v3/ticker/price": (2, tickers.price),
            "/api/v3/ticker/bookTicker": (2, tickers.book),
            "/api/v3/ticker": (4, tickers.window),
        }
        self._refused_calls: Mapping[str, tuple[int, str]] = {
            **{f"/api/v3/{name}": NOT_SUPPORTED for name in NOT_SERVED},
            "/api/v3/referencePrice": _NO_REFERENCE_PRICE,
            "/api/v3/referencePrice/calculation": _NO_REFERENCE_PRICE,
        }

    @property
    def paths(self) -> Collection[str]:
        """The supported paths."""
        return self._calls.keys()

    def respond(self, request: HttpRequest, now_ms: float, behind_ms: int = 0) -> Answer:
        """Return the answer to a request. Its body, if it has one, has no parameters for these calls."""
        unit = request.headers.get_all("X-MBX-TIME-UNIT")
        return self.answer(
            request.target,
            now_ms,
            method=request.method,
            time_unit=unit[0] if unit else "MILLISECOND",
            behind_ms=behind_ms,
        )

    def answer(
        self,
        target: str,
        now_ms: float,
        *,
        method: str = "GET",
        time_unit: str = "MILLISECOND",
        behind_ms: int = 0,
    ) -> Answer:
        """Return the answer to a call.

        Args:
            target: path and query.
            now_ms: the time.
            method: the HTTP method. HEAD is answered as GET.
            time_unit: the unit of times in the answer.
            behind_ms: by how much the database is behind.

        """
        parts = urlsplit(target)
        if (refusal := self._refused_calls.get(parts.path)) is not None:
            return error_answer(400, *refusal)
        call = self._calls.get(parts.path)
        if call is None:
            return Answer(404, b'{"code":-1000,"msg":"Path not found."}')
        if method not in ("GET", "HEAD"):
            return Answer(405, b'{"code":-1000,"msg":"Method not allowed."}', 1, (("Allow", "GET, HEAD"),))
        weight, function = call
        try:
            if time_unit not in TIME_UNITS:
                raise Refused(*BAD_TIME_UNIT)
            query = Query(parts.query, weight, behind_ms)
            result = function(query, now_ms)
            query.finish()
        except Refused as refused:
            return error_answer(400, refused.code, refused.message)
        body = msgspec.json.encode(result)
        return Answer(
            200, in_microseconds(body) if TIME_UNITS[time_unit] == MICROSECOND else body, query.weight
        )
