"""The channels: which kinds of data can be subscribed, and how each is delivered."""

from __future__ import annotations

__all__ = [
    "ALL_SYMBOLS",
    "BOOK",
    "CHANNELS",
    "DEPTH",
    "DEPTH_LEVELS",
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

CHANNELS = (TRADES, TICKERS, BOOK, DEPTH)
NEWEST_WINS = frozenset({TICKERS, BOOK, DEPTH})
"""The channels in which an update replaces the one before."""

ALL_SYMBOLS = "*"
"""The symbol of the one stream with the tickers of all symbols of an exchange."""
DEPTH_LEVELS = (5, 10, 20)
"""How many price levels of each side a reader of `depth` may ask for."""
