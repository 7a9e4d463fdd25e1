"""The REST calls of the foreign exchange: what an honest one answers, from memory and from its database.

Source: Binance spot API documents, `rest-api.md`: parameters, weights and data sources of each call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.foreign.market import Listing, Trade
from tests.support.foreign.rest_rows import aggregate_row, bar_row, entry_row, ticker_row, trade_row
from tests.support.foreign.rules import WEIGHT_PER_MINUTE

if TYPE_CHECKING:
    from tests.support.foreign.exchange import ForeignExchange

_INTERVALS_MS = {"1s": 1000, "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000}


@dataclass
class Answer:
    """One answer, before a fault spoils it."""

    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "application/json;charset=UTF-8"
    symbol: str | None = None


class RestError(Exception):
    """An error of the documents: `{"code": …, "msg": …}`."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.answer = Answer(status, json.dumps({"code": code, "msg": text}).encode())


class RestCalls:
    """Answers calls. Weights are counted before anything else."""

    def __init__(self, exchange: ForeignExchange) -> None:
        self._exchange = exchange
        self._calls: dict[str, tuple[Callable[[dict[str, str]], int], Callable[[dict[str, str]], Any]]] = {
            "ping": (lambda p: 1, lambda p: {}),
            "time": (lambda p: 1, lambda p: {"serverTime": _now_ms()}),
            "exchangeInfo": (lambda p: 20, self._exchange_info),
            "trades": (lambda p: 25, self._trades),
            "historicalTrades": (lambda p: 25, self._historical_trades),
            "aggTrades": (lambda p: 4, self._aggregates),
            "klines": (lambda p: 2, self._klines),
            "ticker/24hr": (_ticker_weight, self._tickers),
        }

    def answer(self, call: str, parameters: dict[str, str]) -> Answer:
        """Count a call and answer it."""
        rules = self._exchange.rules
        shown = call + "".join(f" {name}={value[:40]}" for name, value in parameters.items())
        if call not in self._calls:
            rules.violate(f"a call that the documents do not know, or that is not served here: {shown}")
            return RestError(-1000, "Path not found.", 404).answer
        weight, respond = self._calls[call]
        try:
            spent = weight(parameters)
            allowed = rules.spend(spent, shown)
            used = [
                ("X-MBX-USED-WEIGHT", str(rules.used_weight)),
                ("X-MBX-USED-WEIGHT-1M", str(rules.used_weight)),
            ]
            if not allowed:
                headers, body = rules.rest_ban.answer()
                return Answer(429 if rules.used_weight > WEIGHT_PER_MINUTE else 418, body, used + headers)
            answer = Answer(200, json.dumps(respond(parameters), ensure_ascii=False).encode(), used)
            answer.symbol = parameters.get("symbol")
        except RestError as error:
            if error.answer.status == 400 and "-1121" not in error.answer.body.decode():
                rules.violate(f"a call against the documents: {shown}: {error}")
            return error.answer
        return answer

    # memory

    def _exchange_info(self, parameters: dict[str, str]) -> Any:
        _only(parameters, "symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus")
        shows_sets = parameters.get("showPermissionSets", "true") == "true"
        entries: list[Any] = [entry_row(each, shows_sets) for each in self._chosen(parameters)]
        if "symbol" not in parameters and "symbols" not in parameters:
            if status := parameters.get("symbolStatus"):
                entries = [each for each in entries if each["status"] == status]
            entries[1:1] = self._exchange.market.odd_entries
        return {
            "timezone": "UTC",
            "serverTime": _now_ms(),
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
                {
                    "rateLimitType": "A_LIMIT_OF_NEXT_YEAR",
                    "interval": "FORTNIGHT",
                    "intervalNum": 1,
                    "limit": 7,
                },
            ],
            "exchangeFilters": [],
            "symbols": entries,
            "sors": [{"baseAsset": "BTC", "symbols": ["BTCUSDT"]}],
        }

    def _trades(self, parameters: dict[str, str]) -> Any:
        _only(parameters, "symbol", "limit")
        trades = list(self._listing(parameters).trades.values())
        return [trade_row(trade) for trade in trades[-_limit(parameters) :]]

    def _tickers(self, parameters: dict[str, str]) -> Any:
        _only(parameters, "symbol", "symbols", "type", "symbolStatus")
        chosen = self._chosen(parameters)
        is_mini = parameters.get("type", "FULL") == "MINI"
        found = [ticker_row(each, is_mini) for each in chosen]
        return found[0] if "symbol" in parameters else found

    # database

    def _historical_trades(self, parameters: dict[str, str]) -> Any:
        _only(parameters, "symbol", "limit", "fromId")
        known = self._known(self._listing(parameters))
        limit = _limit(parameters)
        if "fromId" not in parameters:
            return [trade_row(trade) for trade in known[-limit:]]
        from_id = _integer(parameters, "fromId")
        return [trade_row(trade) for trade in known if trade.id >= from_id][:limit]

    def _aggregates(self, parameters: dict[str, str]) -> Any:
        _only(parameters, "symbol", "fromId", "startTime", "endTime", "limit")
        orders: dict[int, list[Trade]] = {}
        for trade in self._known(self._listing(parameters)):
            orders.setdefault(trade.aggregate_id, []).append(trade)
        rows = [aggregate_row(trades) for trades in orders.values()]
        limit = _limit(parameters)
        if "fromId" in parameters:
            return [row for row in rows if row["a"] >= _integer(parameters, "fromId")][:limit]
        start, end = int(parameters.get("startTime", 0)), int(parameters.get("endTime", 2**62))
        rows = [row for row in rows if start <= row["T"] <= end]
        return rows[:limit] if "startTime" in parameters else rows[-limit:]

    def _klines(self, parameters: dict[str, str]) -> Any:
        _only(parameters, "symbol", "interval", "startTime", "endTime", "timeZone", "limit")
        length = _INTERVALS_MS.get(parameters.get("interval", ""))
        if length is None:
            raise RestError(-1120, "Invalid interval.")
        bars: dict[int, list[Trade]] = {}
        start, end = int(parameters.get("startTime", 0)), int(parameters.get("endTime", 2**62))
        for trade in self._known(self._listing(parameters)):
            bars.setdefault(trade.time_ms // length * length, []).append(trade)
        rows = [
            bar_row(open_ms, length, trades) for open_ms, trades in bars.items() if start <= open_ms <= end
        ]
        limit = _limit(parameters)
        return rows[:limit] if "startTime" in parameters else rows[-limit:]

    def _known(self, listing: Listing) -> list[Trade]:
        """What the database has: it lags, may have lost its oldest, and a replica may lack a middle."""
        faults = self._exchange.faults
        until = time.monotonic() - faults.lag_seconds
        oldest = faults.oldest_served.get(listing.symbol, -1)
        lacking = faults.lacking.get(listing.symbol, range(0))
        return [
            trade
            for trade in listing.trades.values()
            if trade.happened_at <= until and trade.id >= oldest and trade.id not in lacking
        ]

    # parameters

    def _listing(self, parameters: dict[str, str]) -> Listing:
        if "symbol" not in parameters:
            raise RestError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        found = self._exchange.market.listings.get(parameters["symbol"])
        if found is None or not found.is_listed:
            raise RestError(-1121, "Invalid symbol.")
        return found

    def _chosen(self, parameters: dict[str, str]) -> Sequence[Listing]:
        if "symbol" in parameters and "symbols" in parameters:
            raise RestError(-1128, "Combination of optional parameters invalid.")
        if "symbol" in parameters:
            return [self._listing(parameters)]
        if "symbols" in parameters:
            try:
                names = json.loads(parameters["symbols"])
            except ValueError:
                raise RestError(-1100, "Illegal characters found in parameter 'symbols'.") from None
            if not names or len(set(names)) != len(names):
                raise RestError(-1151, "Symbol is present multiple times in the list, or the list is empty.")
            return [self._listing({"symbol": name}) for name in names]
        return list(self._exchange.market.listed())


def _ticker_weight(parameters: dict[str, str]) -> int:
    if "symbol" in parameters:
        return 2
    if "symbols" not in parameters:
        return 80
    count = parameters["symbols"].count(",") + 1
    return 2 if count <= 20 else 40 if count <= 100 else 80


def _only(parameters: dict[str, str], *known: str) -> None:
    if set(parameters) - set(known):
        raise RestError(-1104, f"Not all sent parameters were read; read '{len(known)}' parameter(s).")


def _integer(parameters: dict[str, str], name: str) -> int:
    text = parameters[name]
    if not (text.isascii() and text.isdigit()):
        raise RestError(-1100, f"Illegal characters found in parameter '{name}'.")
    return int(text)


def _limit(parameters: dict[str, str]) -> int:
    limit = _integer(parameters, "limit") if "limit" in parameters else 500
    if not 1 <= limit <= 1000:
        raise RestError(-1130, "Data sent for parameter 'limit' is not valid.")
    return limit


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
