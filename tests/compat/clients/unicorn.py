"""unicorn-binance-websocket-api: streams only; its companion for REST has Binance's address built in."""

from __future__ import annotations

import time
import traceback
from typing import Any

from unicorn_binance_websocket_api import BinanceWebSocketApiManager

from tests.compat.clients.reporting import (
    SECONDS,
    SYMBOL,
    WS_URL,
    say,
    say_best,
    say_book,
    say_candle,
    say_ticker,
    say_trade,
)

KINDS = ("trade", "kline_1s", "kline_1m", "ticker", "bookTicker", "depth20@100ms")


def handle(message: dict[str, Any]) -> None:
    stream, data = message.get("stream", ""), message.get("data", {})
    kind = stream.partition("@")[2]
    if kind == "trade":
        say_trade(data)
    elif kind.startswith("kline"):
        say_candle(data["k"])
    elif kind == "ticker":
        say_ticker(data)
    elif kind == "bookTicker":
        say_best(data)
    elif kind.startswith("depth"):
        say_book(data["lastUpdateId"], data["bids"], data["asks"])


def main() -> None:
    manager = BinanceWebSocketApiManager(
        exchange="binance.com",
        websocket_base_uri=f"{WS_URL}/",
        output_default="dict",
        disable_colorama=True,
    )
    try:
        for kind in KINDS:
            manager.create_stream([kind], [SYMBOL.lower()])
        manager.create_stream(["arr"], ["!miniTicker"])
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            message = manager.pop_stream_data_from_stream_buffer()
            if not message:
                time.sleep(0.01)
            elif isinstance(message, dict):
                handle(message)
    except Exception:
        say("error", where="streams", text=traceback.format_exc(limit=-2))
    finally:
        manager.stop_manager()


main()
