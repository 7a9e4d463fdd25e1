"""What an edge asks about one exchange: past trades and candles, present values, the list of symbols.

An ingest answers, from its memory or by its own calls of the exchange. So an edge calls no exchange, and all
edges together stay within the limits of the ingests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from livemarkets.bus.heard import NO_INGEST, Ingests
from livemarkets.bus.messages import tick_of
from livemarkets.bus.questions import (
    CandlesOf,
    Fetched,
    FirstValuesOf,
    ListedPart,
    NewestIds,
    NewestTrades,
    OneSymbol,
    Question,
    RecentTradesOf,
    SymbolsOf,
    TradesFrom,
)
from livemarkets.bus.requests import Requests
from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import (
    FetchedTrades,
    HistoryStatistics,
    ListedSymbols,
    Purpose,
)
from livemarkets.market.candles import Candle
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, DEPTH, TICKERS
from livemarkets.market.models import ExchangeName, SymbolInfo, TradeTick
from livemarkets.market.updates import BookUpdate, DepthUpdate, TickersDelta, TickerUpdate, Update

__all__ = ["BusHistory"]

_FETCHED = msgspec.msgpack.Decoder(Fetched)
_IDS = msgspec.msgpack.Decoder(dict[str, int])
_CANDLES = msgspec.msgpack.Decoder(list[Candle])
_LISTED = msgspec.msgpack.Decoder(ListedPart)
_SYMBOL = msgspec.msgpack.Decoder(SymbolInfo | None)
_VALUES: dict[str, msgspec.msgpack.Decoder[Any]] = {
    TICKERS: msgspec.msgpack.Decoder(list[TickerUpdate]),
    BOOK: msgspec.msgpack.Decoder(list[BookUpdate]),
    DEPTH: msgspec.msgpack.Decoder(list[DepthUpdate]),
    ALL_SYMBOLS: msgspec.msgpack.Decoder(list[TickersDelta]),
}


class BusHistory:
    """The history, symbols, first values and candles of one exchange, through the ingests.

    Args:
        exchange: its name.
        requests: asks ingests.
        ingests: those that are heard.

    """

    def __init__(self, exchange: ExchangeName, requests: Requests, ingests: Ingests) -> None:
        self._exchange: ExchangeName = exchange
        self._requests = requests
        self._ingests = ingests
        self._calls = self._failures = 0

    async def _ask(self, question: Question, decoder: msgspec.msgpack.Decoder[Any]) -> list[Any]:
        self._calls += 1
        self._failures += 1
        node = self._ingests.answerer(self._exchange)
        if node is None:
            raise ExchangeUnreachable(NO_INGEST)
        parts = await self._requests.ask(self._exchange, node, question, decoder)
        self._failures -= 1
        return parts

    async def trades_from(
        self,
        symbol: str,
        from_id: int,
        *,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
        newest_known: int | None = None,
    ) -> FetchedTrades:
        """Return the page of trades that begins with `from_id`."""
        question = TradesFrom(symbol, from_id, purpose, asker, newest_known)
        return self._fetched(symbol, (await self._ask(question, _FETCHED))[0])

    async def newest_trades(
        self, symbol: str, *, purpose: Purpose = Purpose.LIST, asker: str | None = None
    ) -> FetchedTrades:
        """Return the newest page of trades."""
        parts = await self._ask(NewestTrades(symbol, purpose, asker), _FETCHED)
        return self._fetched(symbol, parts[0])

    async def recent_trades(self, symbol: str, count: int) -> list[TradeTick]:
        """Return the newest trades that an ingest has in memory; they are as the stream brought them."""
        parts = await self._ask(RecentTradesOf(symbol, count), _FETCHED)
        return [tick_of(self._exchange, symbol, row) for row in parts[0].trades]

    async def newest_ids(
        self, symbols: Sequence[str], *, purpose: Purpose = Purpose.CHECK, asker: str | None = None
    ) -> dict[str, int]:
        """Return the newest trade id of each symbol that has traded."""
        found: dict[str, int] = {}
        for part in await self._ask(NewestIds(list(symbols), purpose, asker), _IDS):
            found |= part
        return found

    async def candles(
        self,
        symbol: str,
        interval: str,
        *,
        limit: int,
        start_ts: int | None = None,
        end_ts: int | None = None,
        purpose: Purpose = Purpose.HOLE,
        asker: str | None = None,
    ) -> list[Candle]:
        """Return candles in the order of their open times."""
        question = CandlesOf(symbol, interval, limit, start_ts, end_ts, purpose, asker)
        parts = await self._ask(question, _CANDLES)
        return [candle for part in parts for candle in part]

    async def first_values(
        self, channel: str, symbols: Sequence[str], *, asker: str | None = None
    ) -> Sequence[Update]:
        """Return the present values of some symbols."""
        decoder = _VALUES[ALL_SYMBOLS if ALL_SYMBOLS in symbols else channel]
        parts = await self._ask(FirstValuesOf(channel, list(symbols), asker), decoder)
        return [update for part in parts for update in part]

    async def symbols(self) -> ListedSymbols:
        """Return all listed symbols."""
        found: list[SymbolInfo] = []
        faults: list[str] = []
        skipped = 0
        for part in await self._ask(SymbolsOf(), _LISTED):
            found += part.symbols
            skipped += part.skipped
            faults += part.faults
        return ListedSymbols(found, skipped, tuple(faults))

    async def symbol(self, symbol: str) -> SymbolInfo | None:
        """Return one symbol; `None` if the exchange does not have it."""
        found: SymbolInfo | None = (await self._ask(OneSymbol(symbol), _SYMBOL))[0]
        return found

    def statistics(self) -> HistoryStatistics:
        """Return the counters since the start."""
        return HistoryStatistics(calls=self._calls, failures=self._failures)

    async def aclose(self) -> None:
        """Do nothing: the connection belongs to the node."""

    def _fetched(self, symbol: str, fetched: Fetched) -> FetchedTrades:
        return FetchedTrades(
            [tick_of(self._exchange, symbol, row) for row in fetched.trades],
            fetched.covered_to,
            fetched.newest_id,
            fetched.reaches_newest,
            frozenset(fetched.invalid_ids),
        )
