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


async def run(port: int, meter: Meter) -> None:
    """Subscribe one symbol and watch how many trades have come."""
    log.setup("WARNING", False)
    settings = Settings(
        stream_enabled=True,
        binance_ws_url=f"ws://127.0.0.1:{port}",
        binance_rest_url=f"http://127.0.0.1:{port}",
    )
    services = app.build(settings)
    await services.start()
    services.manager.subscribe(meter, StreamKey.trades("binance", "BTCUSDT"))
    feed = services.feeds["binance"]
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        meter.reach(feed.statistics().received)


if __name__ == "__main__":
    arguments = parse_arguments()
    uvloop.run(run(arguments.port, Meter(arguments.trades)))
