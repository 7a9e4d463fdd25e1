"""The app's own way from the socket to the store: connection, session, ledger, stores, all as shipped."""

from __future__ import annotations

import asyncio
import gc

import uvloop

from benchmarks.clients.contract import Meter, parse_arguments
from livemarkets import app
from livemarkets.config import log
from livemarkets.config.settings import Settings
from livemarkets.market.models import StreamKey

_LOOK_SECONDS = 0.05


async def run(ports: list[int], meter: Meter) -> None:
    """Subscribe one symbol, by a leg for each port, and watch how many trades have come."""
    log.setup("WARNING", False)
    settings = Settings(
        stream_enabled=True,
        binance_ws_url=",".join(f"ws://127.0.0.1:{port}" for port in ports),
        binance_rest_url=f"http://127.0.0.1:{ports[0]}",
        binance_legs=len(ports),
    )
    services = app.build(settings)
    await services.start()
    services.manager.subscribe(meter, StreamKey.trades("binance", "BTCUSDT"))
    feed = services.feeds["binance"]
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        statistics = feed.statistics()
        meter.reach(statistics.received - statistics.duplicates)


if __name__ == "__main__":
    arguments = parse_arguments()
    ports = [port for port in (arguments.port, arguments.second_port) if port]
    uvloop.run(run(ports, Meter(arguments.trades)))
