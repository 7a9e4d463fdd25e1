"""ccxt.pro for Python: its own addresses, its cache of candles, its local order book."""

from __future__ import annotations

import asyncio

import ccxt.pro

from tests.compat.clients.reporting import (
    AUTHORITY,
    REST_URL,
    SYMBOL,
    WS_URL,
    again_and_again,
    once,
    say,
    say_best,
    say_book,
    say_history,
    say_ticker,
    say_trade,
)

MARKET = "BTC/USDT"


async def main() -> None:
    exchange = ccxt.pro.binance(
        {
            "cafile": AUTHORITY,
            "newUpdates": False,  # all candles of the cache, not only those that changed
            "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
        }
    )
    exchange.urls["api"]["public"] = f"{REST_URL}/api/v3"
    exchange.urls["api"]["ws"]["spot"] = f"{WS_URL}/ws"
    said = {"1s": 0, "1m": 0, "trade": 0}

    async def trades() -> None:
        for trade in await exchange.watch_trades(MARKET):
            if int(trade["id"]) > said["trade"]:
                said["trade"] = int(trade["id"])
                say_trade(trade["info"])

    async def candles(interval: str) -> None:
        # ccxt does not say whether a candle has ended; the last of the cache is the one that runs.
        for row in (await exchange.watch_ohlcv(MARKET, interval))[:-1]:
            if row[0] > said[interval]:
                said[interval] = row[0]
                names = ("open", "high", "low", "close", "volume")
                say("candle", interval=interval, at=row[0], **dict(zip(names, row[1:], strict=True)))

    async def ticker() -> None:
        say_ticker((await exchange.watch_ticker(MARKET))["info"])

    async def best() -> None:
        say_best((await exchange.watch_bids_asks([MARKET]))[MARKET]["info"])

    async def book() -> None:
        found = await exchange.watch_order_book(MARKET)
        say_book(found["nonce"], list(found["bids"]), list(found["asks"]))

    async def history() -> None:
        for interval in ("1m", "1h", "1d"):
            say_history(interval, await exchange.fetch_ohlcv(MARKET, interval, limit=100))
        found = await exchange.fetch_order_book(MARKET)
        say_book(found["nonce"], found["bids"], found["asks"])
        assert (await exchange.fetch_tickers())[MARKET]["symbol"] == MARKET
        assert MARKET in await exchange.fetch_bids_asks()
        assert MARKET in await exchange.fetch_last_prices()
        assert await exchange.fetch_trades(MARKET)

    try:
        await exchange.load_markets()
        assert exchange.market(MARKET)["id"] == SYMBOL
        await once("history", history)
        await asyncio.gather(
            again_and_again("trades", trades),
            again_and_again("candles", lambda: candles("1s")),
            again_and_again("candles", lambda: candles("1m")),
            again_and_again("ticker", ticker),
            again_and_again("best", best),
            again_and_again("book", book),
        )
    finally:
        await exchange.close()


asyncio.run(main())
