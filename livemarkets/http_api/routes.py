"""Routes for metrics, symbols and trades. They are read-only: a request subscribes to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from livemarkets.delivery.fanout import Fanout
from livemarkets.embedded.exchange import EmbeddedExchange
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.http_api.metrics import MarketsCollector
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, StreamKey, SymbolInfo, TradeTick
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.market.symbols import SYMBOL_SHAPE, is_well_formed, normalise, query_fault, read_symbols
from livemarkets.protocol.encoding import encode_tick
from livemarkets.ws_markets.hub import MarketsHub

__all__ = ["HttpServices", "http_router"]

_JSON = "application/json"
_SYMBOLS_DEFAULT, _SYMBOLS_MOST = 20, 5000
_FIND_SECONDS = 2.0
_LATEST_MOST = 1000
"""Limit of names in one query, above the default limit of subscriptions per client."""


class HttpServices(Protocol):
    """The parts of the program that the routes need."""

    feeds: dict[str, ExchangeFeed]
    manager: SubscriptionManager
    latest: LatestPriceStore
    trades: RecentTrades
    hub: MarketsHub
    fanout: Fanout
    simulator: EmbeddedExchange | None
    started_at: float
    clock: Clock

    async def ensure_symbols(self, exchange: str) -> None:
        """Load an exchange's list of symbols if it is not loaded."""


class _BadQuery(Exception):
    pass


def http_router(services: HttpServices) -> APIRouter:
    """Return the routes of `docs/http.md`."""
    router = APIRouter()
    registry = CollectorRegistry()
    registry.register(MarketsCollector(services))

    async def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    router.add_api_route("/metrics", metrics)
    if services.feeds:
        api = _Api(services)
        router.add_api_route("/api/symbols", api.symbols)
        router.add_api_route("/api/latest", api.latest)
        router.add_api_route("/api/trades", api.trades)
    return router


class _Api:
    """The routes `/api/…`. A bad query gets 400 and `{"error": …}`."""

    def __init__(self, services: HttpServices) -> None:
        self._services = services

    async def symbols(self, request: Request) -> Response:
        """`?exchange=&q=&limit=`: the symbols that match a query, best first."""
        try:
            exchange = self._exchange(request)
            limit = _number(request, "limit", _SYMBOLS_DEFAULT, _SYMBOLS_MOST)
            query = request.query_params.get("q", "")
            if fault := query_fault(query):
                raise _BadQuery(f"q: {fault}")
        except _BadQuery as error:
            return _refuse(error)
        await self._services.ensure_symbols(exchange)
        feed = self._services.feeds[exchange]
        directory = feed.directory
        found = directory.search(query, limit)
        if not found and is_well_formed(name := normalise(query)):  # it may be a new listing
            await feed.find_symbols([name], _FIND_SECONDS, ask=False)
            found = directory.search(query, limit)
        return _json(
            {"exchange": exchange, "known": len(directory), "symbols": [_plain(info) for info in found]}
        )

    async def latest(self, request: Request) -> Response:
        """`?exchange=&symbols=A,B`: the latest tick of each symbol that has a subscriber."""
        try:
            exchange = self._exchange(request)
            wanted = _names(request.query_params.get("symbols", ""))
        except _BadQuery as error:
            return _refuse(error)
        keys = [StreamKey.trades(exchange, name) for name in wanted] or sorted(
            self._services.feeds[exchange].keys()
        )
        ticks = [self._services.latest.get(key) for key in keys]
        head = {"exchange": exchange, "quality": self._qualities(exchange, keys)}
        return _ticks(head, "ticks", [tick for tick in ticks if tick is not None])

    def _qualities(self, exchange: ExchangeName, keys: Sequence[StreamKey]) -> list[dict[str, Any]]:
        """Return the state of each stream that is kept, since when, why, and how old its latest tick is."""
        now_ms, latest = self._services.clock.now_ms(), self._services.latest
        found = []
        for quality in filter(None, map(self._services.feeds[exchange].quality.of, keys)):
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
        """`?exchange=&symbol=&limit=`: the newest trades in memory, oldest first."""
        try:
            exchange = self._exchange(request)
            symbol = normalise(request.query_params.get("symbol", ""))
            if not symbol:
                raise _BadQuery("symbol is missing; example: symbol=BTCUSDT")
            limit = _number(request, "limit", 100, self._services.trades.length)
        except _BadQuery as error:
            return _refuse(error)
        ticks = self._services.trades.recent(StreamKey.trades(exchange, symbol), limit)
        return _ticks({"exchange": exchange, "symbol": symbol}, "trades", ticks)

    def _exchange(self, request: Request) -> ExchangeName:
        name = request.query_params.get("exchange", "binance")
        feed = self._services.feeds.get(name)
        if feed is None:
            raise _BadQuery(f"exchange must be one of {', '.join(self._services.feeds)}")
        return feed.exchange


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return min(default, most)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise _BadQuery(f"{name} must be a whole number from 1 to {most}")
    return int(text)


def _names(text: str) -> list[str]:
    """Parse a list of symbols, without repeats."""
    names, malformed = read_symbols(text)
    if malformed:
        raise _BadQuery(f"symbols has {malformed[0][:40]!a}, but a symbol has {SYMBOL_SHAPE}")
    if len(names) > _LATEST_MOST:
        raise _BadQuery(f"symbols must have at most {_LATEST_MOST} names; omit it for every known symbol")
    return names


def _refuse(error: _BadQuery) -> Response:
    return _json({"error": str(error)}, 400)


def _ticks(head: dict[str, Any], name: str, ticks: Sequence[TradeTick]) -> Response:
    """Join ticks encoded as on `/ws/markets`, so that prices keep the exchange's digits."""
    body = (
        msgspec.json.encode(head)[:-1] + f',"{name}":['.encode() + b",".join(map(encode_tick, ticks)) + b"]}"
    )
    return Response(body, media_type=_JSON)


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


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_JSON)
