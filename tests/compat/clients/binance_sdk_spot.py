"""binance-sdk-spot: Binance's own SDK for Python, whose answers are typed models."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_sdk_spot.rest_api.models import KlinesIntervalEnum
from binance_sdk_spot.spot import Spot
from binance_sdk_spot.websocket_streams.models import KlineIntervalEnum, PartialBookDepthLevelsEnum

from tests.compat.clients.reporting import (
    AUTHORITY,
    REST_URL,
    SECONDS,
    SYMBOL,
    WS_URL,
    once,
    say_best,
    say_book,
    say_candle,
    say_history,
    say_ticker,
    say_trade,
)


def as_sent(model: Any) -> dict[str, Any]:
    """The fields of a model under the names that the exchange gives them."""
    return dict(model.model_dump(by_alias=True))


async def main() -> None:
    context = ssl.create_default_context(cafile=AUTHORITY)
    spot = Spot(
        config_rest_api=ConfigurationRestAPI(base_path=REST_URL, https_agent=AUTHORITY),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS_URL, https_agent=context),
    )

    def rest() -> None:
        api = spot.rest_api
        for interval in ("1m", "1h", "1d"):
            rows = api.klines(SYMBOL, KlinesIntervalEnum(interval).value, limit=100).data()
            say_history(interval, [list(row) for row in rows])
        book = as_sent(api.depth(SYMBOL).data())
        say_book(book["lastUpdateId"], book["bids"], book["asks"])
        assert api.exchange_info(symbol=SYMBOL).data().symbols[0].symbol == SYMBOL
        assert api.avg_price(SYMBOL).data().mins == 5
        assert api.ticker_price(symbol=SYMBOL).data()
        assert api.ticker_book_ticker(symbol=SYMBOL).data()
        assert api.ticker24hr(symbol=SYMBOL).data()
        assert api.ticker(symbol=SYMBOL).data()
        assert api.ticker_trading_day(symbol=SYMBOL).data()
        assert api.ui_klines(SYMBOL, "1m").data()
        assert api.get_trades(SYMBOL).data()
        assert api.historical_trades(SYMBOL).data()
        assert api.agg_trades(SYMBOL).data()
        assert api.time().data().server_time

    async def history() -> None:
        await asyncio.to_thread(rest)

    await once("history", history)
    connection = await spot.websocket_streams.create_connection()
    name = SYMBOL.lower()

    async def hear(stream: Any, handle: Any) -> None:
        (await stream).on("message", lambda model: handle(as_sent(model)))

    await hear(connection.trade(symbol=name), say_trade)
    await hear(connection.ticker(symbol=name), say_ticker)
    await hear(connection.book_ticker(symbol=name), say_best)
    for interval in ("1s", "1m"):
        stream = connection.kline(symbol=name, interval=KlineIntervalEnum(interval).value)
        await hear(stream, lambda data: say_candle(data["k"]))
    await asyncio.sleep(1.1)  # five messages in a second are the most
    levels = PartialBookDepthLevelsEnum("20").value
    await hear(
        connection.partial_book_depth(symbol=name, levels=levels, update_speed="100ms"),
        lambda data: say_book(data["lastUpdateId"], data["bids"], data["asks"]),
    )
    await asyncio.sleep(SECONDS)
    await connection.close_connection(close_session=True)


asyncio.run(main())
