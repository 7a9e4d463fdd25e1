"""The names of Binance's market streams. Only this module knows them. No I/O.

Source: Binance spot API documents, `web-socket-streams.md`, "Detailed Stream information".
"""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase

from livemarkets.market.channels import (
    ALL_SYMBOLS,
    BOOK,
    CANDLE_INTERVALS,
    CANDLES,
    DEPTH,
    TICKERS,
    TRADES,
)
from livemarkets.market.models import StreamKey

__all__ = ["STREAM_CHANNELS", "is_update_stream", "stream_name"]

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_KINDS = {TRADES: "trade", TICKERS: "ticker", BOOK: "bookTicker", DEPTH: "depth20@100ms"}
STREAM_CHANNELS = frozenset({*_KINDS, CANDLES})
"""The channels for which there are streams."""
_ALL_TICKERS = "!ticker_1d@arr"
"""`!ticker@arr` was switched off in March 2026. This one's window is up to a minute wider than 24 hours."""
_CANDLE_KINDS = {interval: f"kline_{interval}" for interval in CANDLE_INTERVALS}
_UPDATE_KINDS = frozenset({*_KINDS.values(), *_CANDLE_KINDS.values()} - {_KINDS[TRADES]})


def stream_name(key: StreamKey) -> str:
    """Return the exchange's name of a stream, such as `btcusdt@trade` for the trades of BTCUSDT.

    Only A to Z are converted to lower case.

    Raises:
        ValueError: the exchange has no such stream.

    """
    kind = _CANDLE_KINDS.get(key.parameter or "") if key.channel == CANDLES else _KINDS.get(key.channel)
    if kind is None:
        raise ValueError(f"Binance has no stream for {key}")
    symbol = key.symbol
    if symbol == ALL_SYMBOLS and key.channel == TICKERS:
        return _ALL_TICKERS
    return f"{symbol.lower() if symbol.isascii() else symbol.translate(_LOWER)}@{kind}"


def is_update_stream(name: str) -> bool:
    """Return whether a name is that of a stream other than trades which may be subscribed here."""
    return name == _ALL_TICKERS or name.partition("@")[2] in _UPDATE_KINDS
