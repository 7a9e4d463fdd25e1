"""A node of `make cluster`: `main.py`, with an exchange `simulator` that all ingests share.

The embedded exchange of a process is its own: two ingests would have other trades under the same ids.
"""

from __future__ import annotations

import functools
import os
import sys

import main
from livemarkets import app
from livemarkets.app import Tuning
from livemarkets.exchanges.base import ExchangeEvents, ExchangePorts
from livemarkets.exchanges.binance.client import BinanceClient
from livemarkets.exchanges.binance.rest import BinanceRest
from livemarkets.exchanges.budgets import ConnectBudget
from livemarkets.market.clock import system_clock

SHARED = "CLUSTER_SIMULATOR"
"""The variable with `host:port` of the simulator. The settings of the app have no such thing."""


def shared_exchange(address: str) -> ExchangePorts:
    """Return the ports of a simulator that runs as a program of its own."""
    clock, tuning = system_clock(), Tuning()
    rest = BinanceRest("simulator", (f"http://{address}",), clock=clock)

    def connect(events: ExchangeEvents) -> BinanceClient:
        budget = ConnectBudget(limit=tuning.connects_per_5_minutes)
        urls = (f"ws://{address}",)
        return BinanceClient("simulator", urls, events, budget=budget, timings=tuning.client, clock=clock)

    return ExchangePorts(
        connect=connect,
        history=rest,
        symbols=rest,
        channels=BinanceClient.channels,
        first_values=rest,
        candles=rest.candle_history,
    )


if __name__ == "__main__":
    exchanges = {"simulator": shared_exchange(os.environ[SHARED])}
    app.build = functools.partial(app.build, exchanges=exchanges)
    sys.exit(main.main())
