"""What an ingest answers about one exchange. Each part of an answer is a message of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from livemarkets.bus.memory import newest_page, page_from
from livemarkets.bus.messages import row_of
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
from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.base import FetchedTrades, Purpose, StreamState
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.feed.ledger import Ledger
from livemarkets.market.channels import ALL_SYMBOLS
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import ExchangeState, StreamKey
from livemarkets.market.stores import RecentTrades
from livemarkets.market.updates import TickersDelta

__all__ = ["ExchangeAnswers"]

Parts = Sequence[Any]

_SYMBOLS_AT_ONCE = 500
_ROWS_AT_ONCE = 300
_LIST_SECONDS = 10.0
_FILL_SECONDS = 3.0
"""How long a hole that is being filled is waited for, before the exchange is asked for an edge."""
_CHECK_SECONDS = 0.05


class ExchangeAnswers:
    """The answers about one exchange.

    Args:
        feed: its feed in this process.
        trades: the store of recent trades.
        updates: the store of the newest updates.

    """

    def __init__(self, feed: ExchangeFeed, trades: RecentTrades, updates: LatestUpdates) -> None:
        self.from_memory = self.fetched = 0
        """Questions answered from memory, and by the exchange, since the start."""
        self._feed = feed
        self._trades = trades
        self._updates = updates

    def at_once(self, question: Question) -> Parts | None:
        """Return the answer from memory; `None` if memory is not enough."""
        parts = self._from_memory(question)
        self.from_memory += parts is not None
        return parts

    def _from_memory(self, question: Question) -> Parts | None:
        match question:
            case RecentTradesOf(symbol, count):
                ticks = self._trades.recent(self._key(symbol), count)
                return [Fetched(list(map(row_of, ticks)), -1, None, False, [])]
            case TradesFrom(symbol, from_id):
                ledger = self._live_ledger(symbol)
                return _page(page_from(self._trades, ledger, from_id)) if ledger else None
            case NewestTrades(symbol):
                ledger = self._live_ledger(symbol)
                return _page(newest_page(self._trades, ledger, ledger.key)) if ledger else None
            case NewestIds(symbols):
                found = self._newest_ids(symbols)
                return [found] if len(found) == len(symbols) else None
            case FirstValuesOf(channel, symbols):
                return self._values(channel, symbols)
            case SymbolsOf() if self._feed.directory.is_loaded:
                return self._list()
        return None

    async def fetch(self, question: Question) -> Parts:
        """Return the answer, by a call of the exchange unless memory is enough by then.

        Raises:
            ExchangeError: there is none.

        """
        self.fetched += 1
        feed = self._feed
        await feed.ensure_symbols(_LIST_SECONDS)  # the embedded exchange starts when it is first needed
        match question:
            case TradesFrom(symbol, from_id, purpose, asker, newest_known):
                if (parts := await self._filled(question)) is not None:
                    return parts
                page = await feed.history.trades_from(
                    symbol, from_id, purpose=Purpose(purpose), asker=asker, newest_known=newest_known
                )
                return _page(page) or ()
            case NewestTrades(symbol, purpose, asker):
                page = await feed.history.newest_trades(symbol, purpose=Purpose(purpose), asker=asker)
                return _page(page) or ()
            case NewestIds(symbols, purpose, asker):
                known = self._newest_ids(symbols)
                rest = [symbol for symbol in symbols if symbol not in known]
                return [await feed.history.newest_ids(rest, purpose=Purpose(purpose), asker=asker) | known]
            case CandlesOf(symbol, interval, limit, start_ts, end_ts, purpose, asker):
                return [
                    await feed.updates.candle_history.candles(
                        symbol,
                        interval,
                        limit=limit,
                        start_ts=start_ts,
                        end_ts=end_ts,
                        purpose=Purpose(purpose),
                        asker=asker,
                    )
                ]
            case FirstValuesOf(channel, symbols, asker):
                return await self._fetch_values(channel, symbols, asker)
            case SymbolsOf():
                if feed.directory.is_loaded:
                    return self._list()
                raise ExchangeUnreachable("the ingest could not load the list of symbols")
            case OneSymbol(symbol):
                await feed.find_symbols([symbol], _LIST_SECONDS)
                return [feed.directory.get(symbol)]
        raise ExchangeUnreachable("the ingest does not know the question")

    # trades

    def _key(self, symbol: str) -> StreamKey:
        return StreamKey.trades(self._feed.exchange, symbol)

    def _live_ledger(self, symbol: str) -> Ledger | None:
        """Return the ledger of a stream that brings trades at present."""
        key, feed = self._key(symbol), self._feed
        is_live = feed.client.status.state is ExchangeState.LIVE
        if not is_live or feed.client.state_of(key) is not StreamState.ACKNOWLEDGED:
            return None
        ledger = feed.ledger(key)
        return None if ledger is None or ledger.next_id is None else ledger

    async def _filled(self, question: TradesFrom) -> Parts | None:
        """Wait for a hole that is being filled, and return the page from memory if that is enough."""
        waited = 0.0
        while waited < _FILL_SECONDS:
            ledger = self._live_ledger(question.symbol)
            missing = None if ledger is None else ledger.missing()
            if missing is None or not missing[0] - 1 <= question.from_id <= missing[1]:
                break
            await asyncio.sleep(_CHECK_SECONDS)
            waited += _CHECK_SECONDS
        return self._from_memory(question) if waited else None

    def _newest_ids(self, symbols: Sequence[str]) -> dict[str, int]:
        found = {}
        for symbol in symbols:
            ledger = self._live_ledger(symbol)
            newest = None if ledger is None else ledger.newest_known()
            if newest is not None:
                found[symbol] = newest
        return found

    # the other channels

    def _values(self, channel: str, symbols: Sequence[str]) -> Parts | None:
        """Return the newest updates of streams that bring them at present; `None` unless all are here."""
        feed, found = self._feed, []
        if feed.client.status.state is not ExchangeState.LIVE:
            return None
        for symbol in symbols:
            key = StreamKey(feed.exchange, channel, symbol)
            if feed.client.state_of(key) is not StreamState.ACKNOWLEDGED:
                return None
            if symbol == ALL_SYMBOLS:
                rows = list(self._updates.rows(key).values())
                return _rows(TickersDelta(feed.exchange, tuple(rows), 0)) if rows else None
            update = self._updates.get(key)
            if update is None:
                return None
            found.append(update)
        return [found]

    async def _fetch_values(self, channel: str, symbols: Sequence[str], asker: str | None) -> Parts:
        source = self._feed.updates.first_values
        if source is None:
            raise ExchangeUnreachable("the exchange has no first values")
        values = await source.first_values(channel, symbols, asker=asker)
        if ALL_SYMBOLS in symbols:
            return [part for value in values if isinstance(value, TickersDelta) for part in _rows(value)]
        return [list(values)]

    # symbols

    def _list(self) -> Parts:
        directory, skipped = self._feed.directory, self._feed.symbols.skipped
        infos = [info for info in map(directory.get, directory.names()) if info is not None]
        return [
            ListedPart(infos[start : start + _SYMBOLS_AT_ONCE], 0 if start else skipped, [])
            for start in range(0, max(len(infos), 1), _SYMBOLS_AT_ONCE)
        ]


def _page(page: FetchedTrades | None) -> Parts | None:
    if page is None:
        return None
    rows = list(map(row_of, page.ticks))
    return [Fetched(rows, page.covered_to, page.newest_id, page.reaches_newest, sorted(page.invalid_ids))]


def _rows(delta: TickersDelta) -> Parts:
    return [
        [TickersDelta(delta.exchange, delta.rows[start : start + _ROWS_AT_ONCE], delta.recv_ts)]
        for start in range(0, max(len(delta.rows), 1), _ROWS_AT_ONCE)
    ]
