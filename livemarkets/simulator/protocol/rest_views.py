"""Trades, klines, day statistics and symbols as in REST answers (rest-api.md, Market Data endpoints)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livemarkets.simulator.market.history import Aggregate, Trade
from livemarkets.simulator.market.statistics import Bar, Summary
from livemarkets.simulator.market.streams import Quote
from livemarkets.simulator.market.symbols import UNIT, SymbolRules, from_units

__all__ = [
    "aggregate_view",
    "bar_view",
    "day_view",
    "empty_day_view",
    "mini_view",
    "symbol_view",
    "trade_view",
]

_ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
_DAY_MS = 86_400_000
_ONLY_FULL = {
    *("priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice", "lastQty"),
    *("bidPrice", "bidQty", "askPrice", "askQty"),
}
_DAY_AMOUNTS = (
    *("priceChange", "weightedAvgPrice", "prevClosePrice", "lastPrice", "lastQty", "bidPrice", "bidQty"),
    *("askPrice", "askQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume"),
)


def trade_view(trade: Trade) -> dict[str, Any]:
    """Return one item of `trades` and `historicalTrades`."""
    return {
        "id": trade.id,
        "price": from_units(trade.price),
        "qty": from_units(trade.size),
        "quoteQty": from_units(trade.price * trade.size // UNIT),
        "time": trade.time_ms,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def aggregate_view(item: Aggregate) -> dict[str, Any]:
    """Return one item of `aggTrades`."""
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


def symbol_view(rules: SymbolRules, status: str) -> dict[str, Any]:
    """Return one symbol of `exchangeInfo`."""
    tick, lot = from_units(rules.tick), from_units(rules.lot)
    return {
        "symbol": rules.symbol,
        "status": status,
        "baseAsset": rules.base,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": _ORDER_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "92141578.00000000", "stepSize": lot},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def bar_view(bar: Bar) -> list[Any]:
    """Return one item of `klines`."""
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


def day_view(rules: SymbolRules, day: Summary, quote: Quote, close_ms: int) -> dict[str, Any]:
    """Return the answer of `ticker/24hr` for one symbol."""
    return {
        "symbol": rules.symbol,
        "priceChange": from_units(day.change),
        "priceChangePercent": day.change_percent,
        "weightedAvgPrice": from_units(day.average),
        "prevClosePrice": from_units(day.previous_close),
        "lastPrice": from_units(day.close),
        "lastQty": from_units(day.last_size),
        "bidPrice": from_units(quote.bid),
        "bidQty": from_units(quote.bid_size),
        "askPrice": from_units(quote.ask),
        "askQty": from_units(quote.ask_size),
        "openPrice": from_units(day.open),
        "highPrice": from_units(day.high),
        "lowPrice": from_units(day.low),
        "volume": from_units(day.volume),
        "quoteVolume": from_units(day.quote_volume),
        "openTime": day.open_ms,
        "closeTime": close_ms,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.count,
    }


def empty_day_view(rules: SymbolRules, close_ms: int) -> dict[str, Any]:
    """Return the answer of `ticker/24hr` for a symbol without trades: zeros, and ids of -1."""
    return {
        "symbol": rules.symbol,
        **dict.fromkeys(_DAY_AMOUNTS, from_units(0)),
        "priceChangePercent": "0.000",
        "openTime": close_ms - _DAY_MS,
        "closeTime": close_ms,
        "firstId": -1,
        "lastId": -1,
        "count": 0,
    }


def mini_view(view: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of `ticker/24hr` with `type=MINI`, made from that with `type=FULL`."""
    return {name: value for name, value in view.items() if name not in _ONLY_FULL}
