"""The calls for prices and statistics of symbols (rest-api.md, the tickers)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.statistics import Summary, span_of
from livemarkets.simulator.market.symbols import SymbolRules, from_units
from livemarkets.simulator.protocol.rest_query import (
    BAD_COMBINATION,
    Query,
    Refused,
    invalid,
    rules_of,
    symbols_in,
)

__all__ = ["TickerCalls"]

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_WINDOW = re.compile(r"([1-9][0-9]?)([mhd])")
_WINDOW_UNITS = {"m": (_MINUTE_MS, 59), "h": (3_600_000, 23), "d": (_DAY_MS, 7)}
"""Length in ms and the largest number."""
_MOST_SYMBOLS = 100
_NO_PRICES = dict.fromkeys(("open", "high", "low", "close"), 0)
_EMPTY = Summary(**_NO_PRICES, last_size=0, first_id=-1, last_id=-1)
View = dict[str, Any]


class TickerCalls:
    """The calls for prices and statistics of one, several or all symbols.

    Args:
        source: the market.

    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def day(self, query: Query, now_ms: float) -> Any:
        """Answer `ticker/24hr`."""
        kind = query.ticker_type()
        chosen, is_one, named = self._chosen(query)
        if not is_one:
            query.weight = 2 if named <= 20 else 40 if named <= 100 else 80
        end_ms = int(now_ms) + self._source.skew_ms
        start_ms = (end_ms - _DAY_MS) // _MINUTE_MS * _MINUTE_MS

        def view(rules: SymbolRules) -> View:
            day = self._source.summary(rules.symbol, start_ms, now_ms)
            if kind == "MINI":
                return _mini(rules, day, start_ms, end_ms)
            return self._full_day(rules, day, start_ms, end_ms)

        return _each(view, chosen, is_one)

    def trading_day(self, query: Query, now_ms: float) -> Any:
        """Answer `ticker/tradingDay`."""
        start_ms, end_ms = span_of(int(now_ms) + self._source.skew_ms, "1d", query.time_zone_ms())
        return self._statistics(query, now_ms, start_ms, end_ms)

    def window(self, query: Query, now_ms: float) -> Any:
        """Answer `ticker`: a window that begins on a minute."""
        size = query.text("windowSize") or "1d"
        found = _WINDOW.fullmatch(size)
        if found is None or int(found[1]) > _WINDOW_UNITS[found[2]][1]:
            raise invalid("windowSize")
        end_ms = int(now_ms) + self._source.skew_ms
        start_ms = (end_ms - int(found[1]) * _WINDOW_UNITS[found[2]][0]) // _MINUTE_MS * _MINUTE_MS
        return self._statistics(query, now_ms, start_ms, end_ms)

    def price(self, query: Query, now_ms: float) -> Any:
        """Answer `ticker/price`."""

        def view(rules: SymbolRules) -> View:
            last = self._source.history(rules.symbol, now_ms).recent(1)
            return {"symbol": rules.symbol, "price": from_units(last[-1].price if last else 0)}

        return self._light(query, view)

    def book(self, query: Query, now_ms: float) -> Any:
        """Answer `ticker/bookTicker`."""

        def view(rules: SymbolRules) -> View:
            self._source.history(rules.symbol, now_ms)  # brings the symbol up to now
            return {"symbol": rules.symbol, **self._quote(rules)}

        return self._light(query, view)

    def _light(self, query: Query, view: Callable[[SymbolRules], View]) -> Any:
        chosen, is_one, _ = self._chosen(query)
        if not is_one:
            query.weight = 4
        return _each(view, chosen, is_one)

    def _statistics(self, query: Query, now_ms: float, start_ms: int, end_ms: int) -> Any:
        kind = query.ticker_type()
        if query.text("symbol") is None and query.text("symbols") is None:
            raise Refused(-1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!")
        chosen, is_one, named = self._chosen(query, most=_MOST_SYMBOLS)
        query.weight = min(4 * named, 200)
        make = _mini if kind == "MINI" else _full

        def view(rules: SymbolRules) -> View:
            return make(rules, self._source.summary(rules.symbol, start_ms, now_ms), start_ms, end_ms)

        return _each(view, chosen, is_one)

    def _chosen(self, query: Query, most: int | None = None) -> tuple[list[SymbolRules], bool, int]:
        """Return the wanted symbols, whether one is wanted alone, and how many were named."""
        one, several, status = (
            query.text("symbol"),
            symbols_in(query, self._source, most=most),
            query.status(),
        )
        status_of = self._source.listing.status_of
        if one is not None:
            if several is not None:
                raise Refused(*BAD_COMBINATION)
            rules = rules_of(self._source, one)
            if status not in (None, status_of(rules.symbol)):
                raise Refused(-1220, "The symbol's status does not match the requested symbolStatus.")
            return [rules], True, 1
        named = _MOST_SYMBOLS + 1 if several is None else len(several)
        chosen = list(self._source.rules.values()) if several is None else several
        return [rules for rules in chosen if status in (None, status_of(rules.symbol))], False, named

    def _full_day(self, rules: SymbolRules, day: Summary | None, start_ms: int, end_ms: int) -> View:
        full = _full(rules, day, start_ms, end_ms)
        summary = day or _EMPTY
        return {
            **{name: full.pop(name) for name in ("symbol", "priceChange", "priceChangePercent")},
            "weightedAvgPrice": full.pop("weightedAvgPrice"),
            "prevClosePrice": from_units(summary.previous_close or summary.open),
            "lastPrice": full.pop("lastPrice"),
            "lastQty": from_units(summary.last_size),
            **self._quote(rules),
            **full,
        }

    def _quote(self, rules: SymbolRules) -> View:
        quote = self._source.quote(rules.symbol)
        return {
            "bidPrice": from_units(quote.bid),
            "bidQty": from_units(quote.bid_size),
            "askPrice": from_units(quote.ask),
            "askQty": from_units(quote.ask_size),
        }


def _each(view: Callable[[SymbolRules], View], chosen: list[SymbolRules], is_one: bool) -> Any:
    return view(chosen[0]) if is_one else [view(rules) for rules in chosen]


def _full(rules: SymbolRules, summary: Summary | None, start_ms: int, end_ms: int) -> View:
    made = summary or _EMPTY
    mini = _mini(rules, summary, start_ms, end_ms)
    return {
        "symbol": mini.pop("symbol"),
        "priceChange": from_units(made.change),
        "priceChangePercent": made.change_percent if made.open else "0.000",
        "weightedAvgPrice": from_units(made.average),
        **mini,
    }


def _mini(rules: SymbolRules, summary: Summary | None, start_ms: int, end_ms: int) -> View:
    """Return the statistics. Without a trade they are zeros, and ids of -1."""
    made = summary or _EMPTY
    return {
        "symbol": rules.symbol,
        "openPrice": from_units(made.open),
        "highPrice": from_units(made.high),
        "lowPrice": from_units(made.low),
        "lastPrice": from_units(made.close),
        "volume": from_units(made.volume),
        "quoteVolume": from_units(made.quote_volume),
        "openTime": start_ms,
        "closeTime": end_ms,
        "firstId": made.first_id,
        "lastId": made.last_id,
        "count": made.count,
    }
