"""The calls for order books, trades, klines and average prices (rest-api.md, Market Data endpoints)."""

from __future__ import annotations

from math import inf
from typing import Any

from livemarkets.simulator.market.history import Aggregate, Trade
from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.statistics import INTERVALS_MS, Bar
from livemarkets.simulator.market.symbols import UNIT, from_units
from livemarkets.simulator.protocol.rest_query import BAD_COMBINATION, Query, Refused, rules_of

__all__ = ["MarketCalls"]

_AVERAGE_MINUTES = 5
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
"""Largest limit and request weight."""


class MarketCalls:
    """The calls for one symbol's market.

    Args:
        source: the market.

    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def depth(self, query: Query, now_ms: float) -> Any:
        """Answer `depth`."""
        symbol, limit, status = self._symbol(query), query.limit(100, 5000), query.status()
        query.weight = next(weight for most, weight in _DEPTH_WEIGHTS if limit <= most)
        if status not in (None, self._source.listing.status_of(symbol)):
            raise Refused(-1220, "The symbol's status does not match the requested symbolStatus.")
        book = self._source.depth(symbol, limit, now_ms)
        return {
            "lastUpdateId": book.update_id,
            "bids": [(from_units(price), from_units(size)) for price, size in book.bids],
            "asks": [(from_units(price), from_units(size)) for price, size in book.asks],
        }

    def trades(self, query: Query, now_ms: float) -> Any:
        """Answer `trades`."""
        symbol, limit = self._symbol(query), query.limit()
        return [_trade(trade) for trade in self._source.history(symbol, now_ms).recent(limit)]

    def historical_trades(self, query: Query, now_ms: float) -> Any:
        """Answer `historicalTrades`."""
        symbol, limit, from_id = self._symbol(query), query.limit(), query.integer("fromId")
        history = self._source.history(symbol, now_ms)
        until_ms = self._database_ms(query, now_ms)
        trades = history.until(until_ms, limit) if from_id is None else history.since(from_id, limit)
        return [_trade(trade) for trade in trades if trade.time_ms <= until_ms]

    def aggregate_trades(self, query: Query, now_ms: float) -> Any:
        """Answer `aggTrades`."""
        symbol, limit = self._symbol(query), query.limit()
        from_id = query.integer("fromId")
        start_ms, end_ms = query.times()
        history = self._source.history(symbol, now_ms)
        until_ms = self._database_ms(query, now_ms)
        if from_id is not None:
            if start_ms is not None or end_ms is not None:
                raise Refused(*BAD_COMBINATION)
            found = history.aggregates_since(from_id, limit)
            return [_aggregate(item) for item in found if item.time_ms <= until_ms]
        if until_ms < inf:
            end_ms = int(until_ms) if end_ms is None else min(end_ms, int(until_ms))
        return [_aggregate(item) for item in history.aggregates_between(start_ms, end_ms, limit)]

    def klines(self, query: Query, now_ms: float) -> Any:
        """Answer `klines` and `uiKlines`."""
        symbol, limit, interval = self._symbol(query), query.limit(), query.mandatory("interval")
        if interval not in INTERVALS_MS:
            raise Refused(-1120, "Invalid interval.")
        start_ms, end_ms = query.times()
        zone_ms = query.time_zone_ms()
        bars = self._source.candles(
            symbol,
            interval,
            start_ms,
            end_ms,
            limit,
            now_ms,
            offset_ms=zone_ms,
            behind_ms=query.behind_ms,
        )
        return [_bar(bar) for bar in bars]

    def average_price(self, query: Query, now_ms: float) -> Any:
        """Answer `avgPrice`. Without a trade in the last minutes, it is the last price."""
        symbol = self._symbol(query)
        last = self._source.history(symbol, now_ms).recent(1)
        start_ms = int(now_ms) + self._source.skew_ms - _AVERAGE_MINUTES * 60_000
        recent = self._source.summary(symbol, start_ms, now_ms)
        price = recent.average if recent is not None else last[-1].price if last else 0
        return {
            "mins": _AVERAGE_MINUTES,
            "price": from_units(price),
            "closeTime": last[-1].time_ms if last else 0,
        }

    def _database_ms(self, query: Query, now_ms: float) -> float:
        """Return up to when the database has what happened; times are those of the exchange's clock."""
        if not query.behind_ms:
            return inf
        return now_ms + self._source.skew_ms - query.behind_ms

    def _symbol(self, query: Query) -> str:
        return rules_of(self._source, query.mandatory("symbol")).symbol


def _trade(trade: Trade) -> dict[str, Any]:
    return {
        "id": trade.id,
        "price": from_units(trade.price),
        "qty": from_units(trade.size),
        "quoteQty": from_units(trade.price * trade.size // UNIT),
        "time": trade.time_ms,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def _aggregate(item: Aggregate) -> dict[str, Any]:
    return {
        "a": item.id,
        "p": from_units(item.price),
        "q": from_units(item.size),
        "f": item.first_id,
        "l": item.last_id,
        "T": item.time_ms,
        "m": item.buyer_is_maker,
        "M": True,
    }


def _bar(bar: Bar) -> list[Any]:
    return [
        bar.open_ms,
        *map(from_units, (bar.open, bar.high, bar.low, bar.close, bar.volume)),
        bar.close_ms,
        from_units(bar.quote_volume),
        bar.count,
        from_units(bar.bought),
        from_units(bar.quote_bought),
        "0",
    ]
