"""A client of Live Markets: trades, candles, tickers and order books that survive every lost connection.

async with connect("ws://127.0.0.1:8080") as markets:
    async for trade in markets.trades("BTCUSDT", "ETHUSDT"):
        print(trade)
"""

from __future__ import annotations

from livemarkets_client.backoff import Timings
from livemarkets_client.channels import Order, WhenSlow
from livemarkets_client.client import Markets, connect
from livemarkets_client.errors import ConnectionEnded, GapError, LiveMarketsError, SubscribeError
from livemarkets_client.models import (
    Book,
    Candle,
    CandleGap,
    CandleLagged,
    Depth,
    ExchangeStatus,
    Gap,
    Lagged,
    Pending,
    Quality,
    Refusal,
    Ticker,
    Trade,
)
from livemarkets_client.states import Code, State, Transition
from livemarkets_client.subscription import OnGap, Subscription
from livemarkets_client.version import __version__

__all__ = [
    "Book",
    "Candle",
    "CandleGap",
    "CandleLagged",
    "Code",
    "ConnectionEnded",
    "Depth",
    "ExchangeStatus",
    "Gap",
    "GapError",
    "Lagged",
    "LiveMarketsError",
    "Markets",
    "OnGap",
    "Order",
    "Pending",
    "Quality",
    "Refusal",
    "State",
    "SubscribeError",
    "Subscription",
    "Ticker",
    "Timings",
    "Trade",
    "Transition",
    "WhenSlow",
    "__version__",
    "connect",
]
