"""The channels: which kinds of data can be subscribed, and how each is delivered."""

from __future__ import annotations

__all__ = [
    "ALL_SYMBOLS",
    "BOOK",
    "CANDLES",
    "CANDLE_INTERVALS",
    "CHANNELS",
    "DEPTH",
    "DEPTH_LEVELS",
    "MOST_PAST_CANDLES",
    "NEWEST_WINS",
    "TICKERS",
    "TRADES",
]

TRADES = "trades"
"""Every trade. No trade is left out without a message that says so."""
TICKERS = "tickers"
"""The figures of the last 24 hours."""
BOOK = "book"
"""The best bid and ask."""
DEPTH = "depth"
"""The best price levels of the order book."""

CANDLES = "candles"
"""Candles. A running candle is replaced by its next update; no closed candle is left out."""

CHANNELS = (TRADES, TICKERS, BOOK, DEPTH, CANDLES)
NEWEST_WINS = frozenset({TICKERS, BOOK, DEPTH})
"""The channels in which an update replaces the one before."""

ALL_SYMBOLS = "*"
"""The symbol of the one stream with the tickers of all symbols of an exchange."""
DEPTH_LEVELS = (5, 10, 20)
"""How many price levels of each side a reader of `depth` may ask for."""
CANDLE_INTERVALS = (
    "1s",
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M",
)
"""The lengths of candles. `1m` is a minute, `1M` a month."""
MOST_PAST_CANDLES = 1000
"""How many past candles a snapshot may have."""
