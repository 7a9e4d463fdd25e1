"""The app as `main.py` builds it, pages included; its trades enter where the exchange's client puts them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

from fastapi import FastAPI

import main
import pages
from benchmarks.servers.contract import follow_orders, say
from livemarkets import app
from livemarkets.config import log
from livemarkets.config.settings import load
from livemarkets.exchanges.binance.updates import parser_of
from livemarkets.http_api.web_app import create_app
from livemarkets.market.candles import Candle
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, CANDLES, DEPTH, TICKERS
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.updates import BookUpdate, DepthUpdate
from livemarkets.server import run as serving

_DAY_MS = 86_400_000
_ROWS = 2_000
"""Symbols of an update of all tickers."""


class _Driver:
    """Hands trades to the feed of `binance`, as its client does; or updates, where somebody reads those."""

    def __init__(self, services: app.Services) -> None:
        self._feed = services.feeds["binance"]
        self._price, self._size = Decimal("61837.63000000"), Decimal("0.02000000")
        self._next_id = 1
        self._book = StreamKey("binance", BOOK, "BTCUSDT")
        self._depth = StreamKey("binance", DEPTH, "BTCUSDT")
        self._tickers = StreamKey("binance", TICKERS, ALL_SYMBOLS)
        self._candles = StreamKey("binance", CANDLES, "BTCUSDT", "1d")

    def publish(self, messages: list[bytes]) -> None:
        now_ms, first = time.time_ns() // 1_000_000, self._next_id
        self._next_id += len(messages)
        for number in range(first, self._next_id):
            if self._feed.is_wanted(self._book):
                self._feed.on_update(self._book, self._best(number, now_ms))
            elif self._feed.is_wanted(self._depth):
                self._feed.on_update(self._depth, self._levels(number, now_ms))
            elif self._feed.is_wanted(self._candles):
                self._feed.on_update(self._candles, self._candle(number, now_ms))
            elif self._feed.is_wanted(self._tickers):
                raw = _frame(number)
                parse = parser_of(self._tickers)
                self._feed.on_update(self._tickers, parse(raw, self._tickers, now_ms, _complain))
            else:
                self._feed.on_trades(self._trades(), [self._trade(number, now_ms)])

    def _trades(self) -> StreamKey:
        return self._feed.interned(StreamKey.trades("binance", "BTCUSDT"))

    def _trade(self, number: int, now_ms: int) -> TradeTick:
        figures = self._price, self._size
        return TradeTick("binance", "BTCUSDT", *figures, "sell", now_ms, number, now_ms)

    def _best(self, number: int, now_ms: int) -> BookUpdate:
        figures = self._price, self._size, self._price + 1, self._size
        return BookUpdate("binance", "BTCUSDT", *figures, number, now_ms)

    def _levels(self, number: int, now_ms: int) -> DepthUpdate:
        bids = tuple((self._price - n, self._size) for n in range(20))
        asks = tuple((self._price + 1 + n, self._size) for n in range(20))
        return DepthUpdate("binance", "BTCUSDT", bids, asks, number, now_ms)

    def _candle(self, number: int, now_ms: int) -> Candle:
        """Return the running candle of today with so many trades."""
        open_ts = now_ms // _DAY_MS * _DAY_MS
        prices = (self._price, self._price + 1, self._price - 1, self._price)
        sums = self._size * 99, self._price * 99, self._size * 50
        times = open_ts, open_ts + _DAY_MS - 1
        return Candle(
            "binance", "BTCUSDT", "1d", *times, *prices, *sums, number, 1, number, False, now_ms, now_ms
        )


def _frame(number: int) -> bytes:
    """Return a frame of the exchange with the tickers of all symbols, each of them new."""
    rows = (
        b'{"e":"1dTicker","E":%d,"s":"SYM%dUSDT","p":"-65.00000000","P":"-0.693","w":"9343.29777965",'
        b'"c":"9318.48000000","o":"9383.48000000","h":"9438.30000000","l":"9215.79000000",'
        b'"v":"48745.36667100","q":"455442476.18534620","O":1723074855000,"C":1723161255000,"F":1,"L":%d,'
        b'"n":550340}' % (1_723_161_255_000 + number, symbol, number)
        for symbol in range(_ROWS)
    )
    return b'{"stream":"!ticker_1d@arr","data":[' + b",".join(rows) + b"]}"


def _complain(kind: str, detail: str) -> None:
    raise AssertionError(f"{kind}: {detail}")


def _leave_it_to_the_app(number: int) -> bytes:
    return b""


def _with_driver(web: FastAPI, services: app.Services) -> None:
    inner = web.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[Any]:
        async with inner(application) as state:
            orders = asyncio.create_task(
                follow_orders(_Driver(services).publish, _leave_it_to_the_app), name="orders"
            )
            yield state
            orders.cancel()

    web.router.lifespan_context = lifespan


def serve() -> None:
    """Run until standard input ends."""
    settings = load(main.ROOT)
    log.setup(settings.log_level, settings.log_json)
    listener = serving.listen(settings.host, settings.port)
    services = app.build(settings)
    web = create_app(services)
    _with_driver(web, services)
    pages.install(web, services)
    say(f"LISTEN {settings.port}")
    serving.serve(web, listener, services.drain)


if __name__ == "__main__":
    serve()
