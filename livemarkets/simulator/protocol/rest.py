"""REST answers of the exchange (rest-api.md, Public API Endpoints). No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.statistics import INTERVALS_MS
from livemarkets.simulator.market.symbols import SymbolRules
from livemarkets.simulator.protocol.rest_views import (
    aggregate_view,
    bar_view,
    day_view,
    empty_day_view,
    mini_view,
    symbol_view,
    trade_view,
)

__all__ = ["Answer", "RestApi", "error_answer"]

_SYMBOL = re.compile(r"(?:(?![a-z])[\w\-.]){1,50}")


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer. `weight` is the request weight of the call."""

    status: int
    body: bytes
    weight: int = 1
    headers: tuple[tuple[str, str], ...] = ()


class _Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def error_answer(status: int, code: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an error with Binance's body `{"code":…,"msg":…}`."""
    return Answer(status, msgspec.json.encode({"code": code, "msg": message}), 1, headers)


class _Query:
    """The parameters of one call. A parameter that the call does not read is an error."""

    def __init__(self, text: str, weight: int) -> None:
        self.weight = weight
        pairs = parse_qsl(text, keep_blank_values=True)
        self.values = dict(pairs)
        if len(self.values) != len(pairs):
            raise _Refused(-1101, "Duplicate values for a parameter detected.")
        self.read: set[str] = set()

    def text(self, name: str) -> str | None:
        self.read.add(name)
        value = self.values.get(name)
        if value == "":
            raise _Refused(-1105, f"Parameter '{name}' was empty.")
        return value

    def integer(self, name: str, low: int = 0, high: int = 2**63 - 1) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,20}", value):
            raise _Refused(
                -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
            )
        number = int(value)
        if not low <= number <= high:
            raise _Refused(-1130, f"Data sent for parameter '{name}' is not valid.")
        return number

    def limit(self) -> int:
        number = self.integer("limit", low=1)
        return 500 if number is None else min(number, 1000)

    def finish(self) -> None:
        if unread := set(self.values) - self.read:
            sent = len(self.values)
            raise _Refused(
                -1104,
                f"Not all sent parameters were read; read '{sent - len(unread)}' parameter(s) "
                f"but was sent '{sent}'.",
            )


class RestApi:
    """The REST side of the exchange.

    Args:
        source: the market whose trades are served.

    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._calls: Mapping[str, tuple[int, Callable[[_Query, float], Any]]] = {
            "/api/v3/ping": (1, lambda query, now_ms: {}),
            "/api/v3/time": (1, self._time),
            "/api/v3/exchangeInfo": (20, self._exchange_info),
            "/api/v3/trades": (25, self._trades),
            "/api/v3/historicalTrades": (25, self._historical_trades),
            "/api/v3/aggTrades": (4, self._aggregate_trades),
            "/api/v3/klines": (2, self._klines),
            "/api/v3/ticker/24hr": (2, self._day_ticker),
        }

    @property
    def paths(self) -> Collection[str]:
        """The supported paths."""
        return self._calls.keys()

    def answer(self, target: str, now_ms: float) -> Answer:
        """Return the answer to a GET request. `target` is path and query."""
        parts = urlsplit(target)
        call = self._calls.get(parts.path)
        if call is None:
            return Answer(404, b'{"code":-1000,"msg":"Path not found."}')
        weight, function = call
        try:
            query = _Query(parts.query, weight)
            result = function(query, now_ms)
            query.finish()
        except _Refused as refused:
            return error_answer(400, refused.code, refused.message)
        return Answer(200, msgspec.json.encode(result), query.weight)

    def _time(self, query: _Query, now_ms: float) -> Any:
        return {"serverTime": int(now_ms) + self._source.skew_ms}

    def _exchange_info(self, query: _Query, now_ms: float) -> Any:
        one, several = query.text("symbol"), query.text("symbols")
        if one is not None and several is not None:
            raise _Refused(-1128, "Combination of optional parameters invalid.")
        for name in ("permissions", "showPermissionSets", "symbolStatus"):
            query.text(name)
        listing = self._source.listing
        chosen = [one] if one is not None else listing.shown() if several is None else _names(several)
        return {
            "timezone": "UTC",
            "serverTime": int(now_ms) + self._source.skew_ms,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
            ],
            "exchangeFilters": [],
            "symbols": [symbol_view(self._rule(name), listing.status_of(name)) for name in chosen],
        }

    def _trades(self, query: _Query, now_ms: float) -> Any:
        symbol, limit = self._symbol(query), query.limit()
        return [trade_view(trade) for trade in self._source.history(symbol, now_ms).recent(limit)]

    def _historical_trades(self, query: _Query, now_ms: float) -> Any:
        symbol, limit, from_id = self._symbol(query), query.limit(), query.integer("fromId")
        history = self._source.history(symbol, now_ms)
        trades = history.recent(limit) if from_id is None else history.since(from_id, limit)
        return [trade_view(trade) for trade in trades]

    def _aggregate_trades(self, query: _Query, now_ms: float) -> Any:
        symbol, limit = self._symbol(query), query.limit()
        from_id = query.integer("fromId")
        start_ms, end_ms = query.integer("startTime"), query.integer("endTime")
        history = self._source.history(symbol, now_ms)
        if from_id is not None:
            if start_ms is not None or end_ms is not None:
                raise _Refused(-1128, "Combination of optional parameters invalid.")
            return [aggregate_view(item) for item in history.aggregates_since(from_id, limit)]
        return [aggregate_view(item) for item in history.aggregates_between(start_ms, end_ms, limit)]

    def _klines(self, query: _Query, now_ms: float) -> Any:
        symbol, limit, interval = self._symbol(query), query.limit(), query.text("interval")
        if interval is None:
            raise _missing("interval")
        if interval not in INTERVALS_MS:
            raise _Refused(-1120, "Invalid interval.")
        start_ms, end_ms = query.integer("startTime"), query.integer("endTime")
        bars = self._source.candles(symbol, interval, start_ms, end_ms, limit, now_ms)
        return [bar_view(bar) for bar in bars]

    def _day_ticker(self, query: _Query, now_ms: float) -> Any:
        one, several = query.text("symbol"), query.text("symbols")
        kind = query.text("type") or "FULL"
        if kind not in ("FULL", "MINI"):
            raise _Refused(-1130, "Data sent for parameter 'type' is not valid.")
        if one is not None:
            if several is not None:
                raise _Refused(-1128, "Combination of optional parameters invalid.")
            return self._ticker(self._rule(one), now_ms, kind)
        names = list(self._source.rules) if several is None else _names(several)
        if several is None or len(names) > 100:
            query.weight = 80
        elif len(names) > 20:
            query.weight = 40
        return [self._ticker(self._rule(name), now_ms, kind) for name in names]

    def _ticker(self, rules: SymbolRules, now_ms: float, kind: str) -> dict[str, Any]:
        close_ms = int(now_ms) + self._source.skew_ms
        day = self._source.summary(rules.symbol, (close_ms - 86_400_000) // 60_000 * 60_000, now_ms)
        if day is None:
            view = empty_day_view(rules, close_ms)
        else:
            view = day_view(rules, day, self._source.quote(rules.symbol), close_ms)
        return mini_view(view) if kind == "MINI" else view

    def _symbol(self, query: _Query) -> str:
        name = query.text("symbol")
        if name is None:
            raise _missing("symbol")
        return self._rule(name).symbol

    def _rule(self, name: str) -> SymbolRules:
        rules = self._source.rules.get(name)
        if rules is not None:
            return rules
        if not _SYMBOL.fullmatch(name):
            raise _Refused(
                -1100,
                r"Illegal characters found in parameter 'symbol'; legal range is '^[\w\-._&&[^a-z]]{1,50}$'.",
            )
        raise _Refused(-1121, "Invalid symbol.")


def _missing(name: str) -> _Refused:
    return _Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def _names(text: str) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.MsgspecError, UnicodeError):
        raise _Refused(-1100, "Illegal characters found in parameter 'symbols'.") from None
