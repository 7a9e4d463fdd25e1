"""python-binance: its asynchronous client, its socket manager, its depth cache."""

from __future__ import annotations

import asyncio
from typing import Any

from binance import AsyncClient, BinanceSocketManager, DepthCacheManager

from tests.compat.clients.reporting import (
    REST_URL,
    SYMBOL,
    WS_URL,
    again_and_again,
    once,
    say_best,
    say_book,
    say_candle,
    say_history,
    say_ticker,
    say_trade,
)


async def main() -> None:
    AsyncClient.API_URL = f"{REST_URL}/api"
    BinanceSocketManager.STREAM_URL = f"{WS_URL}/"
    client = await AsyncClient.create()
    manager = BinanceSocketManager(client, max_queue_size=10_000)

    async def listen(name: str, socket: Any, handle: Any) -> None:
        async with socket as opened:

            async def step() -> None:
                message = await opened.recv()
                handle(message.get("data", message) if isinstance(message, dict) else message)

            await again_and_again(name, step)

    async def book() -> None:
        # Its depth cache joins a snapshot and the stream; it does not show the id of the last update,
        # but keeps it.
        depth = DepthCacheManager(client, symbol=SYMBOL, bm=manager, ws_interval=100, limit=1000)
        async with depth as cached:

            async def step() -> None:
                cache = await cached.recv()
                say_book(depth._last_update_id, cache.get_bids(), cache.get_asks())

            await again_and_again("book", step)

    async def history() -> None:
        for interval in ("1m", "1h", "1d"):
            say_history(interval, await client.get_klines(symbol=SYMBOL, interval=interval, limit=100))
        found = await client.get_order_book(symbol=SYMBOL)
        say_book(found["lastUpdateId"], found["bids"], found["asks"])
        assert (await client.get_symbol_info(SYMBOL))["symbol"] == SYMBOL
        assert (await client.get_avg_price(symbol=SYMBOL))["mins"] == 5
        assert (await client.get_orderbook_ticker(symbol=SYMBOL))["symbol"] == SYMBOL
        assert len(await client.get_all_tickers()) > 1
        assert (await client.get_ticker(symbol=SYMBOL))["symbol"] == SYMBOL
        assert await client.get_historical_trades(symbol=SYMBOL)
        assert await client.get_aggregate_trades(symbol=SYMBOL)
        await client.ping()

    def tickers(rows: Any) -> None:
        assert {row["e"] for row in rows} == {"24hrMiniTicker"}

    try:
        await once("history", history)
        streams = [f"{SYMBOL.lower()}@{kind}" for kind in ("kline_1s", "kline_1m")]
        await asyncio.gather(
            listen("trades", manager.trade_socket(SYMBOL), say_trade),
            listen("candles", manager.multiplex_socket(streams), lambda data: say_candle(data["k"])),
            listen("ticker", manager.symbol_ticker_socket(SYMBOL), say_ticker),
            listen("tickers", manager.miniticker_socket(), tickers),
            listen("best", manager.symbol_book_ticker_socket(SYMBOL), say_best),
            book(),
        )
    finally:
        await client.close_connection()


asyncio.run(main())
