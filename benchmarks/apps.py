"""The app as shipped: `main.py` with its pages, in a process of its own, against an exchange of ours."""

from __future__ import annotations

import json
import sys

from benchmarks.programs import ROOT, Program, free_port

__all__ = ["HELLO", "PATH", "TRADE", "app_environment", "start_app", "subscription"]

PATH = "/ws/markets"
TRADE = '{"type":"trade"'
"""How every trade on `/ws/markets` begins."""


def subscription(*symbols: str) -> str:
    """Return the message that subscribes trades of Binance, without a snapshot."""
    return json.dumps(
        {"type": "subscribe", "exchange": "binance", "channel": "trades", "symbols": symbols, "snapshot": 0}
    )


HELLO = subscription("BTCUSDT")


def app_environment(port: int, venue_port: int, **settings: str) -> dict[str, str]:
    """Return the settings of an app that has the exchange on `venue_port` as its Binance."""
    return {
        "LIVE_STREAM_ENABLED": "true",
        "LIVE_HOST": "127.0.0.1",
        "LIVE_PORT": str(port),
        "LIVE_BINANCE_WS_URL": f"ws://127.0.0.1:{venue_port}",
        "LIVE_BINANCE_REST_URL": f"http://127.0.0.1:{venue_port}",
        "LIVE_ACCESS_TOKEN": "",
        "LIVE_LOG_LEVEL": "WARNING",
    } | settings


def start_app(venue_port: int, *, program: str = "main.py", **settings: str) -> tuple[Program, int]:
    """Start the app, or a program that wraps it, and wait until it serves; return it and its port."""
    port = free_port()
    app = Program("the app", [sys.executable, ROOT / program], app_environment(port, venue_port, **settings))
    try:
        app.wait_for_port(port, 30.0)
    except BaseException:
        app.stop()
        raise
    return app, port
