"""Other libraries' clients for Binance, used as their own documents show it, on uvloop where they let us."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from typing import Any, ClassVar

import uvloop

from benchmarks.clients.contract import Meter, parse_arguments


def _cryptofeed(port: int, meter: Meter) -> None:
    defines: Any = importlib.import_module("cryptofeed.defines")
    symbols: Any = importlib.import_module("cryptofeed.symbols")
    connection: Any = importlib.import_module("cryptofeed.connection")
    exchanges: Any = importlib.import_module("cryptofeed.exchanges")
    feed_handler: Any = importlib.import_module("cryptofeed").FeedHandler()
    asyncio.set_event_loop(uvloop.new_event_loop())  # it makes its own policy, but no loop
    info = {"instrument_type": {"BTC-USDT": "spot"}, "tick_size": {"BTC-USDT": "0.01"}}
    symbols.Symbols.set("BINANCE", {"BTC-USDT": "BTCUSDT"}, info)
    endpoint = connection.WebsocketEndpoint(f"wss://127.0.0.1:{port}")

    class Plain(exchanges.Binance):  # type: ignore[misc]
        """Takes TLS off, which it insists on."""

        id = "BINANCE"
        websocket_endpoints: ClassVar[list[Any]] = [endpoint]

        def connect(self) -> Any:
            """Return what is to be connected."""
            found = super().connect()
            for entry in found:
                entry[0].address = entry[0].address.replace("wss://", "ws://")
            return found

    async def trade(data: Any, receipt_timestamp: float) -> None:
        meter.count()

    feed = Plain(symbols=["BTC-USDT"], channels=[defines.TRADES], callbacks={defines.TRADES: trade})
    feed_handler.add_feed(feed)
    feed_handler.run(install_signal_handlers=False)


def _ubwa(port: int, meter: Meter, library: str) -> None:
    ubwa: Any = importlib.import_module("unicorn_binance_websocket_api")

    def process(data: Any) -> None:
        meter.count()

    manager = ubwa.BinanceWebSocketApiManager(
        exchange="binance.com",
        websocket_base_uri=f"ws://127.0.0.1:{port}/",
        websocket_library=library,
        process_stream_data=process,
        warn_on_update=False,
        output_default="dict",
    )
    manager.create_stream(channels="trade", markets="btcusdt")
    time.sleep(3600.0)


async def _ccxt(port: int, meter: Meter) -> None:
    ccxt: Any = importlib.import_module("ccxt.pro")
    exchange = ccxt.binance({"enableRateLimit": False, "newUpdates": True})
    exchange.urls["api"]["ws"]["spot"] = f"ws://127.0.0.1:{port}/ws"
    precision = {"price": 0.01, "amount": 0.00001}
    market = exchange.safe_market_structure(
        {
            "id": "BTCUSDT",
            "lowercaseId": "btcusdt",
            "symbol": "BTC/USDT",
            "base": "BTC",
            "quote": "USDT",
            "baseId": "BTC",
            "quoteId": "USDT",
        }
        | {"type": "spot", "spot": True, "active": True, "precision": precision}
    )
    exchange.set_markets([market])
    while True:
        for _ in await exchange.watch_trades("BTC/USDT"):
            meter.count()


async def _python_binance(port: int, meter: Meter) -> None:
    binance: Any = importlib.import_module("binance")
    manager = binance.BinanceSocketManager(binance.AsyncClient(), max_queue_size=10_000_000)
    manager.STREAM_URL = f"ws://127.0.0.1:{port}/"
    async with manager.trade_socket("BTCUSDT") as stream:
        while True:
            await stream.recv()
            meter.count()


def run(library: str, port: int, meter: Meter) -> None:
    """Read until the meter ends the process."""
    logging.disable(logging.ERROR)
    if library == "cryptofeed":
        _cryptofeed(port, meter)
    elif library == "ubwa":
        _ubwa(port, meter, "websockets")
    elif library == "ubwa-picows":
        _ubwa(port, meter, "picows")
    elif library == "ccxt":
        uvloop.run(_ccxt(port, meter))
    else:
        uvloop.run(_python_binance(port, meter))


if __name__ == "__main__":
    arguments = parse_arguments()
    run(arguments.library, arguments.port, Meter(arguments.trades))
