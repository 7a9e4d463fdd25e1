"""The rows of REST answers, field by field as in `rest-api.md`."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from tests.support.foreign.market import Listing, Trade

DAY_MS = 86_400_000


def entry_row(listing: Listing, shows_sets: bool) -> dict[str, Any]:
    return {
        "symbol": listing.symbol,
        "status": listing.status,
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "A_TYPE_OF_NEXT_YEAR"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "filters": [
            {"filterType": "A_FILTER_OF_NEXT_YEAR", "depth": [[1], {"x": None}]},
            {"filterType": "PRICE_FILTER", "minPrice": "1E-8", "maxPrice": "1E+12", "tickSize": "1E-8"},
            {"filterType": "LOT_SIZE", "minQty": "1E-8", "maxQty": "9E9", "stepSize": "0.00000001"},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "TRD_GRP_777"]] if shows_sets else [],
        "defaultSelfTradePreventionMode": "NONE",
        "tradingHours": {"opens": None},
    }


def trade_row(trade: Trade) -> dict[str, Any]:
    return {
        "id": trade.id,
        "price": trade.price,
        "qty": trade.size,
        "quoteQty": f"{Decimal(trade.price) * Decimal(trade.size):f}",
        "time": trade.time_ms,
        "isBuyerMaker": trade.is_buyer_maker,
        "isBestMatch": True,
    }


def aggregate_row(trades: list[Trade]) -> dict[str, Any]:
    first, last = trades[0], trades[-1]
    return {
        "a": first.aggregate_id,
        "p": first.price,
        "q": str(sum(Decimal(trade.size) for trade in trades)),
        "f": first.id,
        "l": last.id,
        "T": first.time_ms,
        "m": first.is_buyer_maker,
        "M": True,
    }


def bar_row(open_ms: int, length: int, trades: list[Trade]) -> list[Any]:
    prices = [Decimal(trade.price) for trade in trades]
    volume = sum(Decimal(trade.size) for trade in trades)
    values = [str(prices[0]), str(max(prices)), str(min(prices)), str(prices[-1]), str(volume)]
    return [open_ms, *values, open_ms + length - 1, "0", len(trades), "0", "0", "0"]


def ticker_row(listing: Listing, is_mini: bool) -> dict[str, Any]:
    since = time.time_ns() // 1_000_000 - DAY_MS
    day = [trade for trade in listing.trades.values() if trade.time_ms >= since]
    prices = [Decimal(trade.price) for trade in day] or [Decimal(0)]
    found = {
        "symbol": listing.symbol,
        "openPrice": str(prices[0]),
        "highPrice": str(max(prices)),
        "lowPrice": str(min(prices)),
        "lastPrice": str(prices[-1]),
        "volume": str(sum(Decimal(trade.size) for trade in day)),
        "quoteVolume": "0.00",
        "openTime": since,
        "closeTime": since + DAY_MS,
        "firstId": day[0].id if day else -1,
        "lastId": day[-1].id if day else -1,
        "count": len(day),
    }
    full = {
        "priceChange": str(prices[-1] - prices[0]),
        "priceChangePercent": "0.000",
        "weightedAvgPrice": str(prices[-1]),
        "prevClosePrice": str(prices[0]),
        "lastQty": day[-1].size if day else "0",
        **dict.fromkeys(("bidPrice", "bidQty", "askPrice", "askQty"), "0.00000000"),
    }
    return found if is_mini else found | full
