"""The calls `time` and `exchangeInfo` (rest-api.md, General endpoints; filters.md; enums.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.symbols import SymbolRules, from_units
from livemarkets.simulator.protocol.rest_query import (
    BAD_COMBINATION,
    Query,
    Refused,
    invalid,
    rules_of,
    symbols_in,
)

__all__ = ["ExchangeInfo"]

_ORDER_TYPES = (
    *("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"),
)
_RARE = "TRD_GRP_002"
"""The permission of the hidden symbols. Without a parameter, symbols with rare permissions are left out."""
_PERMISSIONS = {"SPOT", "MARGIN", "LEVERAGED", *(f"TRD_GRP_{number:03}" for number in range(2, 26))}
_RATE_LIMITS = (
    ("REQUEST_WEIGHT", "MINUTE", 1, 6000),
    ("ORDERS", "SECOND", 10, 100),
    ("ORDERS", "DAY", 1, 200_000),
    ("RAW_REQUESTS", "MINUTE", 5, 300_000),
)


class ExchangeInfo:
    """What the exchange says about itself.

    Args:
        source: the market whose symbols are listed.

    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def time(self, query: Query, now_ms: float) -> Any:
        """Answer `time`."""
        return {"serverTime": int(now_ms) + self._source.skew_ms}

    def exchange_info(self, query: Query, now_ms: float) -> Any:
        """Answer `exchangeInfo`."""
        one, several = query.text("symbol"), symbols_in(query, self._source)
        permissions, status = _permissions(query), query.status()
        if sum(given is not None for given in (one, several, permissions or status)) > 1:
            raise Refused(*BAD_COMBINATION)
        with_sets = (query.text("showPermissionSets") or "true").lower()
        if with_sets not in ("true", "false"):
            raise invalid("showPermissionSets")
        if one is not None:
            chosen: Sequence[SymbolRules] = [rules_of(self._source, one)]
        else:
            chosen = several if several is not None else self._listed(permissions, status)
        return {
            "timezone": "UTC",
            "serverTime": int(now_ms) + self._source.skew_ms,
            "rateLimits": [
                {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
                for kind, interval, number, limit in _RATE_LIMITS
            ],
            "exchangeFilters": [],
            "symbols": [self._view(rules, with_sets == "true") for rules in chosen],
        }

    def _listed(self, permissions: set[str] | None, status: str | None) -> list[SymbolRules]:
        listing = self._source.listing
        shown = set(listing.shown())
        wanted = {"SPOT", "MARGIN", "LEVERAGED"} if permissions is None else permissions
        return [
            rules
            for symbol, rules in self._source.rules.items()
            if ("SPOT" if symbol in shown else _RARE) in wanted
            and status in (None, listing.status_of(symbol))
        ]

    def _view(self, rules: SymbolRules, with_sets: bool) -> dict[str, Any]:
        listing = self._source.listing
        is_hidden = rules.symbol not in listing.shown()
        return {
            "symbol": rules.symbol,
            "status": listing.status_of(rules.symbol),
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
            "otoAllowed": True,
            "opoAllowed": False,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": _filters(rules),
            "permissions": [],
            "permissionSets": [[_RARE if is_hidden else "SPOT"]] if with_sets else [],
            "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": ["NONE"],
        }


def _filters(rules: SymbolRules) -> list[dict[str, Any]]:
    """Return the trading rules, as real symbols have them. Only tick and lot bind the market model."""
    tick, lot, zero = from_units(rules.tick), from_units(rules.lot), from_units(0)
    most = "92141578.00000000"
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": most, "stepSize": lot},
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {"filterType": "MARKET_LOT_SIZE", "minQty": zero, "maxQty": most, "stepSize": zero},
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": "0.00010000" if rules.quote in ("BTC", "ETH") else "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
    ]


def _permissions(query: Query) -> set[str] | None:
    """Return the permissions of `permissions=SPOT` or `permissions=["SPOT","MARGIN"]`; `None` if not sent."""
    text = query.text("permissions")
    if text is None:
        return None
    try:
        names = set(msgspec.json.decode(text, type=list[str])) if text.startswith("[") else {text}
    except (msgspec.MsgspecError, UnicodeError):
        raise invalid("permissions") from None
    if not names <= _PERMISSIONS:
        raise invalid("permissions")
    return names
