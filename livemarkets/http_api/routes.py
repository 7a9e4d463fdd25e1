"""Routes for metrics, symbols and market data. They are read-only: a request subscribes to nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from livemarkets.config.settings import Settings
from livemarkets.delivery.fanout import Fanout
from livemarkets.embedded.exchange import EmbeddedExchange
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.http_api.answers import Refused, list_answer, tick_answer
from livemarkets.http_api.candles import CandleFinder
from livemarkets.http_api.client_script import client_script
from livemarkets.http_api.collectors import Measured, collectors
from livemarkets.http_api.fetching import FetchGuard
from livemarkets.http_api.market_data import MarketDataApi
from livemarkets.http_api.queries import (
    read_exchange,
    read_format,
    read_id,
    read_names,
    read_number,
    read_one_name,
    read_search,
    refuse_unlisted,
)
from livemarkets.http_api.status import StatusApi
from livemarkets.http_api.trades import TradeFinder
from livemarkets.http_api.updates import UpdateFinder
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import StreamKey, SymbolInfo
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.market.symbols import is_well_formed, normalise
from livemarkets.rate_limit import Refusals
from livemarkets.server.loop_delay import LoopDelay
from livemarkets.status.collector import StatusCollector
from livemarkets.ws_markets.hub import MarketsHub

__all__ = [
    "SYMBOLS_DEFAULT",
    "SYMBOLS_MOST",
    "TRADES_DEFAULT",
    "TRADES_MOST",
    "HttpServices",
    "http_router",
]

SYMBOLS_DEFAULT, SYMBOLS_MOST = 20, 5000
TRADES_DEFAULT, TRADES_MOST = 100, 1000
_FIND_SECONDS = 2.0
_SYMBOL_COLUMNS = (
    "symbol",
    "base_asset",
    "quote_asset",
    "tick_size",
    "step_size",
    "is_trading",
    "status",
)


class HttpServices(Measured, Protocol):
    """The parts of the program that the routes need."""

    feeds: dict[str, ExchangeFeed]
    manager: SubscriptionManager
    latest: LatestPriceStore
    trades: RecentTrades
    updates: LatestUpdates
    hub: MarketsHub
    fanout: Fanout
    simulator: EmbeddedExchange | None
    fetching: FetchGuard
    refusals: Refusals
    loop_delay: LoopDelay
    settings: Settings
    inspection: StatusCollector

    async def ensure_symbols(self, exchange: str) -> None:
        """Load an exchange's list of symbols if it is not loaded."""


def http_router(services: HttpServices) -> APIRouter:
    """Return the routes of `docs/http.md`."""
    router = APIRouter()
    registry = CollectorRegistry()
    for collector in collectors(services):
        registry.register(collector)

    async def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    router.add_api_route("/metrics", metrics)
    if services.feeds:
        router.add_api_route("/client.js", client_script)
        api = _Api(services)
        data = MarketDataApi(
            services.feeds,
            services.ensure_symbols,
            UpdateFinder(services.updates, services.fetching),
            CandleFinder(services.fetching, services.clock.now_ms),
            services.clock.monotonic,
        )
        status = StatusApi(services.inspection.report, services.settings)
        for path, answer in (
            ("/api/symbols", api.symbols),
            ("/api/latest", api.latest),
            ("/api/trades", api.trades),
            ("/api/tickers", data.tickers),
            ("/api/book", data.book),
            ("/api/depth", data.depth),
            ("/api/candles", data.candles),
            ("/api/status", status.status),
            ("/api/diagnostics", status.diagnostics),
        ):
            router.add_api_route(path, _with_refusals(answer))
    return router


def _with_refusals(answer: Callable[[Request], Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """Return a route that answers a refused request with the status and the text of the refusal."""

    async def route(request: Request) -> Response:
        try:
            return await answer(request)
        except Refused as refusal:
            return refusal.answer()

    return route


class _Api:
    """The routes `/api/…`."""

    def __init__(self, services: HttpServices) -> None:
        self._services = services
        self._finder = TradeFinder(services.trades, services.fetching)

    async def symbols(self, request: Request) -> Response:
        """`?exchange=&q=&limit=&format=`: the symbols that match a query, best first."""
        feed = read_exchange(request, self._services.feeds)
        limit = read_number(request, "limit", SYMBOLS_DEFAULT, SYMBOLS_MOST)
        query, form = read_search(request), read_format(request)
        await self._services.ensure_symbols(feed.exchange)
        found = feed.directory.search(query, limit)
        if not found and is_well_formed(name := normalise(query)):  # it may be a new listing
            await feed.find_symbols([name], _FIND_SECONDS, ask=False)
            found = feed.directory.search(query, limit)
        head = {"exchange": feed.exchange, "known": len(feed.directory)}
        return await list_answer(form, head, "symbols", found, _SYMBOL_COLUMNS, _encode_symbol, _symbol_cells)

    async def latest(self, request: Request) -> Response:
        """`?exchange=&symbols=A,B&format=`: the latest tick of each symbol that has a subscriber."""
        feed = read_exchange(request, self._services.feeds)
        wanted, form = read_names(request, "symbols"), read_format(request)
        if len(wanted) == 1:
            await refuse_unlisted(feed, wanted[0], _FIND_SECONDS)
        keys = [StreamKey.trades(feed.exchange, name) for name in wanted] or sorted(feed.keys())
        ticks = [self._services.latest.get(key) for key in keys]
        head = {"exchange": feed.exchange, "quality": self._qualities(feed, keys)}
        return await tick_answer(form, head, "ticks", [tick for tick in ticks if tick is not None])

    def _qualities(self, feed: ExchangeFeed, keys: Sequence[StreamKey]) -> list[dict[str, Any]]:
        """Return the state of each stream that is kept, since when, why, and how old its latest tick is."""
        now_ms, latest = self._services.clock.now_ms(), self._services.latest
        found = []
        for quality in filter(None, map(feed.quality.of, keys)):
            tick = latest.get(quality.key)
            found.append(
                {
                    "symbol": quality.key.symbol,
                    "state": quality.state.value,
                    "since": quality.since,
                    "reason": quality.reason,
                    "age_ms": None if tick is None else max(now_ms - tick.recv_ts, 0),
                }
            )
        return found

    async def trades(self, request: Request) -> Response:
        """`?exchange=&symbol=&limit=&from_id=&format=`: the newest trades, or those from an id on."""
        feed = read_exchange(request, self._services.feeds)
        symbol = read_one_name(request, "symbol")
        limit = read_number(request, "limit", TRADES_DEFAULT, TRADES_MOST)
        from_id, form = read_id(request, "from_id"), read_format(request)
        key = StreamKey.trades(feed.exchange, symbol)
        found = self._finder.in_memory(key, limit, from_id)
        if found is None:
            await self._services.ensure_symbols(feed.exchange)
            await refuse_unlisted(feed, symbol, _FIND_SECONDS)
            found = await self._finder.find(request, feed, key, limit, from_id)
        head = {"exchange": feed.exchange, "symbol": symbol, "source": found.source}
        answer = await tick_answer(form, head, "trades", found.ticks)
        answer.headers["Livemarkets-Source"] = found.source
        return answer


def _plain(info: SymbolInfo) -> dict[str, Any]:
    """Return the fields for JSON. Written out for speed: one answer may hold thousands of symbols."""
    return {
        "symbol": info.symbol,
        "base_asset": info.base_asset,
        "quote_asset": info.quote_asset,
        "tick_size": f"{info.tick_size:f}",
        "step_size": f"{info.step_size:f}",
        "is_trading": info.is_trading,
        "status": info.status,
    }


def _encode_symbol(info: SymbolInfo) -> bytes:
    return msgspec.json.encode(_plain(info))


def _symbol_cells(info: SymbolInfo) -> list[str]:
    return [str(value).lower() if isinstance(value, bool) else value for value in _plain(info).values()]
