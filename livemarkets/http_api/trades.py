"""`/api/trades`: trades of one symbol, from memory, and from the exchange where memory is short."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import HTTPConnection

from livemarkets.errors import ExchangeError, RestError
from livemarkets.exchanges.base import PAGE_TRADES, FetchedTrades, Purpose
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.http_api.fetching import FetchGuard, unavailable
from livemarkets.http_api.queries import unlisted
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.stores import RecentTrades

__all__ = ["FoundTrades", "TradeFinder"]

_PAGE_WEIGHT = 25
"""Of one page of trades, at Binance (`rest-api.md`, "Recent trades list" and "Old trade lookup")."""


class FoundTrades(msgspec.Struct, frozen=True):
    """Trades, oldest first."""

    ticks: Sequence[TradeTick]
    source: str
    """Where they come from: `memory`, `exchange` or `both`."""


class TradeFinder:
    """Finds trades in memory, and asks the exchange for those that memory lacks.

    Args:
        trades: the recent trades of every stream.
        guard: bounds what requests may ask the exchange.

    """

    def __init__(self, trades: RecentTrades, guard: FetchGuard) -> None:
        self._trades = trades
        self._guard = guard

    def in_memory(self, key: StreamKey, limit: int, from_id: int | None) -> FoundTrades | None:
        """Return the trades if memory has them all: the newest ones, or those from an id on; else `None`."""
        if from_id is None:
            has_all = self._trades.count(key) >= limit
            ticks = self._trades.recent(key, limit)
        else:
            oldest = self._trades.oldest_id(key)
            has_all = oldest is not None and oldest <= from_id
            ticks = self._trades.after(key, from_id - 1, limit) if has_all else []
        return FoundTrades(ticks, "memory") if has_all else None

    async def find(
        self, request: HTTPConnection, feed: ExchangeFeed, key: StreamKey, limit: int, from_id: int | None
    ) -> FoundTrades:
        """Ask the exchange, and return its trades together with those in memory.

        Raises:
            Refused: the request must not make this server ask, or the exchange gave no usable answer, or it
                does not have the symbol.

        """
        try:
            page = await self._page(request, feed, key, from_id)
        except RestError as error:
            if error.status != 400:
                raise unavailable(feed.exchange, error) from None
            if key.symbol not in feed.directory.names():
                raise unlisted(feed, key.symbol) from None
            page = FetchedTrades([], 0, None, reaches_newest=True)  # it knows no such id
        except ExchangeError as error:
            kept = self._trades.recent(key, limit) if from_id is None else []
            if not kept:
                raise unavailable(feed.exchange, error) from None
            return FoundTrades(kept, "memory")  # the newest trades are there, though fewer than wanted
        return self._joined(key, page, limit, from_id)

    async def _page(
        self, request: HTTPConnection, feed: ExchangeFeed, key: StreamKey, from_id: int | None
    ) -> FetchedTrades:
        newest = self._trades.recent(key, 1)
        if from_id is None or (newest and 0 <= newest[0].id - from_id < PAGE_TRADES):
            page = await self._newest(request, feed, key.symbol)
            if from_id is None or any(tick.id <= from_id for tick in page.ticks):
                return page
        return await self._guard.ask(
            request,
            feed.exchange,
            ("trades", key.symbol, from_id),
            _PAGE_WEIGHT,
            lambda asker: feed.history.trades_from(
                key.symbol, max(from_id, 1), purpose=Purpose.LIST, asker=asker
            ),
        )

    async def _newest(self, request: HTTPConnection, feed: ExchangeFeed, symbol: str) -> FetchedTrades:
        return await self._guard.ask(
            request,
            feed.exchange,
            ("newest trades", symbol),
            _PAGE_WEIGHT,
            lambda asker: feed.history.newest_trades(symbol, purpose=Purpose.LIST, asker=asker),
        )

    def _joined(self, key: StreamKey, page: FetchedTrades, limit: int, from_id: int | None) -> FoundTrades:
        """Join a page with what is in memory, which has the newest trades, if nothing lies between them."""
        found = {tick.id: tick for tick in page.ticks if from_id is None or tick.id >= from_id}
        if from_id is None:
            kept = self._trades.recent(key, limit)
        else:
            kept = self._trades.after(key, from_id - 1, limit)
        if kept and not page.reaches_newest and kept[0].id > page.covered_to + 1:
            kept = []
        found |= {tick.id: tick for tick in kept}
        ids = sorted(found)
        ticks = [found[trade_id] for trade_id in (ids[-limit:] if from_id is None else ids[:limit])]
        kept_ids = {tick.id for tick in kept}
        in_memory = sum(tick.id in kept_ids for tick in ticks)
        if not in_memory:
            return FoundTrades(ticks, "exchange")
        return FoundTrades(ticks, "memory" if in_memory == len(ticks) else "both")
