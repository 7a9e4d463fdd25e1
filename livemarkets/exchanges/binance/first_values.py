"""Present tickers, best bids and asks, and order books from Binance's REST API.

Source: Binance spot API documents, `rest-api.md`, "24hr ticker price change statistics", "Symbol order book
ticker" and "Order book". They are values to show, and no evidence. An odd entry is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial

import msgspec
from msgspec import field

from livemarkets.exchanges.base import Purpose
from livemarkets.exchanges.binance.rest_calls import RestCalls
from livemarkets.exchanges.binance.updates import OrderBook, depth_of, row_of, side_of
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, DEPTH, DEPTH_LEVELS
from livemarkets.market.models import ExchangeName
from livemarkets.market.updates import (
    BookUpdate,
    DepthUpdate,
    TickerRow,
    TickersDelta,
    TickerUpdate,
    Update,
    ticker_of,
)

__all__ = ["ask_first_values"]

_ROWS_AT_ONCE = 500
"""Rows that are read before the event loop runs."""


class _RestTicker(msgspec.Struct, gc=False):
    """`{"symbol":"BNBBTC","priceChange":"-94.99999800","lastPrice":"4.00000200","lastId":28460,…}`."""

    s: str = field(name="symbol")
    E: int = field(name="closeTime")
    p: Decimal = field(name="priceChange")
    P: Decimal = field(name="priceChangePercent")
    o: Decimal = field(name="openPrice")
    h: Decimal = field(name="highPrice")
    l: Decimal = field(name="lowPrice")  # noqa: E741
    c: Decimal = field(name="lastPrice")
    v: Decimal = field(name="volume")
    q: Decimal = field(name="quoteVolume")
    O: int = field(name="openTime")  # noqa: E741
    L: int | None = field(name="lastId")
    n: int = field(name="count")
    b: Decimal | None = field(name="bidPrice", default=None)
    B: Decimal | None = field(name="bidQty", default=None)
    a: Decimal | None = field(name="askPrice", default=None)
    A: Decimal | None = field(name="askQty", default=None)


class _RestBook(msgspec.Struct, gc=False):
    """`{"symbol":"LTCBTC","bidPrice":"4.00000000","bidQty":"431.00000000","askPrice":"4.00000200",…}`."""

    symbol: str
    bidPrice: Decimal | None
    bidQty: Decimal | None
    askPrice: Decimal | None
    askQty: Decimal | None


async def ask_first_values(
    calls: RestCalls,
    exchange: ExchangeName,
    channel: str,
    symbols: Sequence[str],
    now_ms: Callable[[], int],
    asker: str | None,
) -> Sequence[Update]:
    """Return present tickers, best bids and asks, or an order book; see the port `FirstValues`.

    `GET /api/v3/ticker/24hr` has the weight 2 for up to 20 symbols and 80 for all. Some symbols of
    `GET /api/v3/ticker/bookTicker` have the weight 4, and up to 100 levels of `GET /api/v3/depth` 5.

    Raises:
        ExchangeError: no base address gave a usable answer.

    """
    get = partial(calls.get, purpose=Purpose.LIST, asker=asker)
    if ALL_SYMBOLS in symbols:
        everything = await get("ticker/24hr", {}, 80, list[_RestTicker])
        return [await _delta_of(exchange, everything, now_ms())]
    if channel == DEPTH:
        (symbol,) = symbols
        found = await get("depth", {"symbol": symbol, "limit": DEPTH_LEVELS[-1]}, 5, OrderBook)
        return _depths_of(exchange, symbol, found, now_ms())
    listed = {"symbols": msgspec.json.encode(list(symbols)).decode()}
    if channel == BOOK:
        books = await get("ticker/bookTicker", listed, 4, list[_RestBook])
        return _books_of(exchange, books, now_ms())
    tickers = await get("ticker/24hr", listed, 2, list[_RestTicker])
    return _tickers_of(exchange, tickers, now_ms())


def _tickers_of(exchange: ExchangeName, found: Sequence[_RestTicker], recv_ts: int) -> list[TickerUpdate]:
    """Return the tickers of an answer of `ticker/24hr`."""
    tickers = []
    for data in found:
        try:
            row, best = row_of(data), (*side_of(data.b, data.B), *side_of(data.a, data.A))
        except (ValueError, InvalidOperation):
            continue
        tickers.append(ticker_of(exchange, row, best, recv_ts))
    return tickers


async def _delta_of(exchange: ExchangeName, found: Sequence[_RestTicker], recv_ts: int) -> TickersDelta:
    """Return the tickers of all symbols. The event loop runs in between."""
    rows: list[TickerRow] = []
    for number, data in enumerate(found, 1):
        try:
            rows.append(row_of(data))
        except (ValueError, InvalidOperation):
            continue
        if number % _ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return TickersDelta(exchange, tuple(rows), recv_ts)


def _books_of(exchange: ExchangeName, found: Sequence[_RestBook], recv_ts: int) -> list[BookUpdate]:
    """Return the best bids and asks of an answer of `ticker/bookTicker`, which tells no number."""
    books = []
    for data in found:
        try:
            sides = *side_of(data.bidPrice, data.bidQty), *side_of(data.askPrice, data.askQty)
        except (ValueError, InvalidOperation):
            continue
        books.append(BookUpdate(exchange, data.symbol, *sides, None, recv_ts))
    return books


def _depths_of(exchange: ExchangeName, symbol: str, found: OrderBook, recv_ts: int) -> list[DepthUpdate]:
    """Return the order book of an answer of `depth`; nothing if it is impossible."""
    try:
        return [depth_of(exchange, symbol, found, recv_ts)]
    except (ValueError, InvalidOperation):
        return []
