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
from livemarkets.http_api.web_app import create_app
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.server import run as serving


class _Driver:
    """Hands trades to the feed of `binance`, as its client does."""

    def __init__(self, services: app.Services) -> None:
        self._feed = services.feeds["binance"]
        self._price, self._size = Decimal("61837.63000000"), Decimal("0.02000000")
        self._next_id = 1

    def publish(self, messages: list[bytes]) -> None:
        now_ms = time.time_ns() // 1_000_000
        key = self._feed.interned(StreamKey.trades("binance", "BTCUSDT"))
        for at in range(len(messages)):
            self._feed.on_trades(
                key,
                [
                    TradeTick(
                        "binance",
                        "BTCUSDT",
                        self._price,
                        self._size,
                        "sell",
                        now_ms,
                        self._next_id + at,
                        now_ms,
                    )
                ],
            )
        self._next_id += len(messages)


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
    serving.serve(web, listener)


if __name__ == "__main__":
    serve()
