"""The routes `/api/tickers`, `/api/book`, `/api/depth` and `/api/candles`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from fastapi import Request, Response
from msgspec.structs import astuple

from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.http_api.answers import Refused, cells, list_answer
from livemarkets.http_api.candles import CandleFinder, Span
from livemarkets.http_api.queries import (
    read_choice,
    read_exchange,
    read_format,
    read_names,
    read_number,
    read_one_name,
    read_time,
    refuse_unlisted,
)
from livemarkets.http_api.updates import UpdateFinder
from livemarkets.market.candles import Candle
from livemarkets.market.channels import BOOK, CANDLE_INTERVALS, CANDLES, DEPTH, DEPTH_LEVELS, TICKERS
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import BookUpdate, DepthUpdate, SymbolUpdate, TickerRow, TickerUpdate
from livemarkets.protocol.candles import encode_candle_object
from livemarkets.protocol.updates import DEPTH_FIELDS, depth_cells, encode_row, encode_update_object

__all__ = ["CANDLES_DEFAULT", "CANDLES_MOST", "NAMES_MOST", "MarketDataApi"]

CANDLES_DEFAULT, CANDLES_MOST = 100, 1000
NAMES_MOST = 100
"""Names of one request. Each may cost weight at the exchange."""
_FIND_SECONDS = 2.0
_SHARED_SECONDS = 1.0
_CANDLE_FIELDS = tuple(name for name in Candle.__struct_fields__ if name != "revised")
_FIELDS = {
    TICKERS: TickerUpdate.__struct_fields__,
    BOOK: BookUpdate.__struct_fields__,
    DEPTH: DEPTH_FIELDS,
}


class _Encoded(NamedTuple):
    """An answer with all tickers. It is long, so that all who ask within a second share it."""

    made_at: float
    source: str
    body: bytes
    content_type: str


class MarketDataApi:
    """The routes for market data other than trades.

    Args:
        feeds: the exchanges.
        ensure_symbols: loads an exchange's list of symbols if it is not loaded.
        updates: finds tickers, best bids and asks, and order books.
        candles: finds candles.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        feeds: dict[str, ExchangeFeed],
        ensure_symbols: Callable[[str], Awaitable[None]],
        updates: UpdateFinder,
        candles: CandleFinder,
        clock: Callable[[], float],
    ) -> None:
        self._feeds = feeds
        self._ensure_symbols = ensure_symbols
        self._updates = updates
        self._candles = candles
        self._clock = clock
        self._all: dict[tuple[str, str], _Encoded] = {}  # the last answers with all tickers
        self._encoding = asyncio.Lock()

    async def tickers(self, request: Request) -> Response:
        """`?exchange=&symbols=A,B&format=`: the figures of 24 hours of some symbols, or of all."""
        feed, form = read_exchange(request, self._feeds), read_format(request)
        symbols = read_names(request, "symbols", NAMES_MOST)
        if symbols:
            return await self._present(request, feed, TICKERS, symbols, form)
        rows, source = await self._updates.all_tickers(request, feed)
        async with self._encoding:
            shared = self._all.get((feed.exchange, form))
            if shared is None or shared.source != source or self._clock() - shared.made_at >= _SHARED_SECONDS:
                answer = await _all_answer(form, feed.exchange, rows, source)
                shared = _Encoded(self._clock(), source, bytes(answer.body), answer.headers["content-type"])
                self._all[feed.exchange, form] = shared
        headers = {"Content-Type": shared.content_type}
        return _sourced(Response(shared.body, headers=headers), source)

    async def book(self, request: Request) -> Response:
        """`?exchange=&symbols=A,B&format=`: the best bid and ask of each symbol."""
        feed, form = read_exchange(request, self._feeds), read_format(request)
        symbols = read_names(request, "symbols", NAMES_MOST)
        if not symbols:
            raise Refused(400, "symbols is missing; example: symbols=BTCUSDT,ETHUSDT")
        return await self._present(request, feed, BOOK, symbols, form)

    async def depth(self, request: Request) -> Response:
        """`?exchange=&symbol=&levels=&format=`: the best levels of one order book."""
        feed, form = read_exchange(request, self._feeds), read_format(request)
        symbol = read_one_name(request, "symbol")
        every_levels = tuple(map(str, DEPTH_LEVELS))
        levels = int(read_choice(request, "levels", every_levels, every_levels[-1]))
        return await self._present(request, feed, DEPTH, [symbol], form, levels)

    async def candles(self, request: Request) -> Response:
        """`?exchange=&symbol=&interval=&limit=&start_ts=&end_ts=&format=`: candles of one symbol."""
        feed, form = read_exchange(request, self._feeds), read_format(request)
        symbol = read_one_name(request, "symbol")
        interval = read_choice(request, "interval", CANDLE_INTERVALS)
        limit = read_number(request, "limit", CANDLES_DEFAULT, CANDLES_MOST)
        span = Span(limit, read_time(request, "start_ts"), read_time(request, "end_ts"))
        if span.start_ts is not None and span.end_ts is not None and span.start_ts > span.end_ts:
            raise Refused(400, "start_ts must not be after end_ts")
        key = StreamKey(feed.exchange, CANDLES, symbol, interval)
        found = self._candles.in_memory(feed, key, span)
        if found is None:
            await self._ensure_symbols(feed.exchange)
            await refuse_unlisted(feed, symbol, _FIND_SECONDS)
            found = await self._candles.find(request, feed, key, span)
        head = {"exchange": feed.exchange, "symbol": symbol, "interval": interval, "source": found.source}
        answer = await list_answer(
            form, head, CANDLES, found.candles, _CANDLE_FIELDS, encode_candle_object, _candle_cells
        )
        return _sourced(answer, found.source)

    async def _present(
        self,
        request: Request,
        feed: ExchangeFeed,
        channel: str,
        symbols: Sequence[str],
        form: str,
        levels: int = DEPTH_LEVELS[-1],
    ) -> Response:
        """Answer with the present values of some symbols. In a list, unlisted ones are left out."""
        found, source = dict(self._updates.in_memory(feed, channel, symbols)), "memory"
        missing = [symbol for symbol in symbols if symbol not in found]
        if missing:
            await self._ensure_symbols(feed.exchange)
            if len(symbols) == 1:
                await refuse_unlisted(feed, symbols[0], _FIND_SECONDS)
            else:
                missing = [symbol for symbol in missing if feed.directory.accepts(symbol)]
        if missing:
            asked, asked_source = await self._updates.ask(request, feed, channel, missing)
            if not found or asked_source == source:
                source = asked_source
            elif asked:
                source = "both"
            found.update(asked)
        values = [found[symbol] for symbol in symbols if symbol in found]
        head: dict[str, Any] = {"exchange": feed.exchange, "source": source}

        def encode(update: SymbolUpdate) -> bytes:
            return encode_update_object(update, levels)

        def row(update: SymbolUpdate) -> Iterable[object]:
            if isinstance(update, DepthUpdate):
                return cells(depth_cells(update, levels))
            return cells(astuple(update))

        return _sourced(await list_answer(form, head, channel, values, _FIELDS[channel], encode, row), source)


async def _all_answer(form: str, exchange: str, rows: Sequence[TickerRow], source: str) -> Response:
    head, fields = {"exchange": exchange, "source": source}, TickerRow.__struct_fields__
    return await list_answer(form, head, TICKERS, rows, fields, encode_row, _row_cells)


def _sourced(answer: Response, source: str) -> Response:
    answer.headers["Livemarkets-Source"] = source
    return answer


def _row_cells(row: TickerRow) -> Iterable[object]:
    return cells(astuple(row))


def _candle_cells(candle: Candle) -> Iterable[object]:
    return cells(astuple(candle)[: len(_CANDLE_FIELDS)])
