"""Labs pages in a real Chromium, and an exchange that lists the symbols which they show."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import start_venue
from benchmarks.programs import BenchmarkError, Program

__all__ = ["SYMBOLS", "open_page", "start_large_venue"]

SYMBOLS = tuple(f"{base}USDT" for base in (f"A{number:02}" for number in range(50)))
_OPEN_SECONDS = 30.0
_SUBSCRIBERS = 2
"""Of a page: its rows, and its selected market."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
)


@contextlib.contextmanager
def start_large_venue(*options: str) -> Iterator[int]:
    """Run the C exchange with 50 symbols, its trades spread over them; the value is its port."""
    with tempfile.TemporaryDirectory() as folder:
        venue, port = start_venue("--info", str(_exchange_info(Path(folder))), *options)
        with venue:
            yield port


@contextlib.contextmanager
def open_page(port: int) -> Iterator[None]:
    """Have a Labs page with all symbols open, from when it has subscribed.

    Raises:
        BenchmarkError: there is no Chromium, or the page does not come.

    """
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise BenchmarkError("there is no Chromium here")
    url = f"http://127.0.0.1:{port}/labs?exchange=binance&symbols={','.join(SYMBOLS)}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        others = _subscribers(port)
        with Program("chromium", [browser, *_FLAGS, f"--user-data-dir={profile}", url]):
            _wait_for_subscribers(port, others + _SUBSCRIBERS)
            yield
        _wait_for_subscribers(port, others)


def _wait_for_subscribers(port: int, count: float) -> None:
    deadline = time.monotonic() + _OPEN_SECONDS
    while _subscribers(port) != count:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"there are not {count:g} subscribers after {_OPEN_SECONDS:g} s")
        time.sleep(0.1)


def _subscribers(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("livemarkets_subscribers "))


def _exchange_info(folder: Path) -> Path:
    """Write what the exchange says about the symbols (`GET /api/v3/exchangeInfo`)."""
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
    ]
    symbols = [
        {
            "symbol": name,
            "status": "TRADING",
            "baseAsset": name[:-4],
            "quoteAsset": "USDT",
            "filters": filters,
        }
        for name in SYMBOLS
    ]
    path = folder / "exchangeInfo.json"
    path.write_text(json.dumps({"timezone": "UTC", "symbols": symbols}))
    return path
