"""What the stores hold of the rows of a Live page: the latest trade, and the newest 24 h figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from livemarkets.market.channels import TICKERS
from livemarkets.market.models import ExchangeName, StreamKey, TradeTick
from livemarkets.market.updates import TickerUpdate
from pages.ports import PageServices

__all__ = ["RowNews", "RowValues", "row_keys"]

_TRACE_LENGTH = 120
"""Trades in the sparkline of a row when it is first drawn."""
_TRACES_LENGTH = 6_000
"""The same for all rows together: with more than 50 rows, each has fewer."""
_Value = TypeVar("_Value")


_ROWS_AT_ONCE = 25
"""Rows in a piece: their values take 2 ms."""


class RowNews(NamedTuple):
    """What is known of one row."""

    symbol: str
    trade: TradeTick | None
    ticker: TickerUpdate | None


def row_keys(services: PageServices, exchange: ExchangeName, symbols: Iterable[str]) -> list[StreamKey]:
    """Return the streams that rows subscribe: trades, and the 24 h figures where the exchange has them.

    The figures bring a first price of a symbol that does not trade, and the best bid and ask once a second.
    """
    trades = [StreamKey.trades(exchange, symbol) for symbol in symbols]
    if TICKERS not in services.channels(exchange):
        return trades
    return trades + [StreamKey(exchange, TICKERS, key.symbol) for key in trades]


class RowValues:
    """Reads the stores for the rows of one page, and tells which rows changed.

    Args:
        services: the application.
    """

    def __init__(self, services: PageServices) -> None:
        self._services = services
        self._keys: dict[str, tuple[StreamKey, StreamKey]] = {}
        self.trades: dict[str, TradeTick] = {}
        """The latest trade of each row that has one, as of the last reading."""
        self.tickers: dict[str, TickerUpdate] = {}
        """The newest 24 h figures of each row that has some, as of the last reading."""

    def follow(self, keys: Iterable[StreamKey]) -> None:
        """Read these streams of trades from now on, and the figures of their symbols."""
        self._keys = {key.symbol: (key, StreamKey(key.exchange, TICKERS, key.symbol)) for key in keys}
        self.trades, self.tickers = {}, {}
        self.read()

    def read(self) -> list[RowNews]:
        """Read the stores. Return the rows of which something is new since the last reading."""
        latest, updates = self._services.latest, self._services.updates
        news: list[RowNews] = []
        for symbol, (trade_key, ticker_key) in self._keys.items():
            trade, ticker = latest.get(trade_key), updates.get(ticker_key)
            is_new = trade is not self.trades.get(symbol) or ticker is not self.tickers.get(symbol)
            if is_new and (ticker is None or isinstance(ticker, TickerUpdate)):
                _keep(self.trades, symbol, trade)
                _keep(self.tickers, symbol, ticker)
                news.append(RowNews(symbol, trade, ticker))
        return news

    def has_any(self) -> bool:
        """Return whether the stores hold anything of any row."""
        latest, updates = self._services.latest, self._services.updates
        return any(
            latest.get(trade) is not None or updates.get(ticker) is not None
            for trade, ticker in self._keys.values()
        )

    def all(self) -> list[RowNews]:
        """Read the stores. Return all rows of which anything is known."""
        self.read()
        symbols = (symbol for symbol in self._keys if symbol in self.trades or symbol in self.tickers)
        return [RowNews(symbol, self.trades.get(symbol), self.tickers.get(symbol)) for symbol in symbols]

    def pieces(self) -> Iterator[tuple[Sequence[RowNews], Mapping[str, Sequence[TradeTick]]]]:
        """Yield the rows of :meth:`all` in pieces, each with the newest trades of its rows. One at least."""
        news = self.all()
        length = min(_TRACE_LENGTH, _TRACES_LENGTH // max(1, len(self._keys)))
        recent = self._services.trades.recent
        for at in range(0, len(news) or 1, _ROWS_AT_ONCE):
            part = news[at : at + _ROWS_AT_ONCE]
            yield part, {row.symbol: recent(self._keys[row.symbol][0], length) for row in part}


def _keep(kept: dict[str, _Value], symbol: str, value: _Value | None) -> None:
    if value is None:
        kept.pop(symbol, None)
    else:
        kept[symbol] = value
