"""What an open Labs page costs the server: a real Chromium, 50 symbols, few trades and many."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from benchmarks.apps import PATH, start_app, subscription
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Readers, start_venue
from benchmarks.programs import BenchmarkError, Program

__all__ = ["run"]

_SYMBOLS = tuple(f"{base}USDT" for base in (f"A{number:02}" for number in range(50)))
_RATES = (10, 1_000, 10_000)
_SECONDS = 4.0
_SETTLE_SECONDS = 4.0
_OPEN_SECONDS = 30.0
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


def run(options: Options) -> Report:
    """Measure the app with one client of `/ws/markets`, then with a page beside it, at each rate."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise BenchmarkError("there is no Chromium here")
    table = Table(
        f"Server CPU of an open Labs page with {len(_SYMBOLS)} moving rows",
        ["trades/s", "app without the page, %", "app with the page, %", "the page, %"],
        notes=["the same symbols are subscribed by a client of `/ws/markets` in both cases"],
    )
    costs: dict[int, float] = {}
    for rate in _RATES:
        without, beside = _measure(rate, browser, options)
        costs[rate] = median([b - a for a, b in zip(without, beside, strict=True)])
        table.add(f"{rate:,}", spread(without, 1), spread(beside, 1), f"{costs[rate]:.1f}")
    ratio = costs[_RATES[-1]] / max(costs[_RATES[1]], 0.1)
    return Report(
        "labs", [table], [Goal("CPU of the page at 10,000 trades/s, × that at 1,000/s", ratio, 1.5)]
    )


def _measure(rate: int, browser: str, options: Options) -> tuple[list[float], list[float]]:
    rounds = 1 if options.is_quick else 2
    seconds = options.seconds(_SECONDS)
    without: list[float] = []
    beside: list[float] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        venue, venue_port = start_venue("--rate", str(rate), "--info", str(_exchange_info(folder)))
        stack.enter_context(venue)
        app, port = start_app(venue_port)
        stack.enter_context(app)
        stack.enter_context(Readers(port, PATH, 1, ["--hello", subscription(*_SYMBOLS)]))
        time.sleep(1.0)
        for number in range(rounds):
            options.say(f"labs: {rate:,} trades/s, round {number + 1}")
            without.append(_core(app, seconds))
            url = f"http://127.0.0.1:{port}/labs?exchange=binance&symbols={','.join(_SYMBOLS)}"
            profile = f"--user-data-dir={folder / f'profile{number}'}"
            with Program("chromium", [browser, *_FLAGS, profile, url]):
                _wait_for_page(port)
                time.sleep(_SETTLE_SECONDS)
                beside.append(_core(app, seconds))
            _wait_for_page(port, is_open=False)
    return without, beside


def _core(app: Program, seconds: float) -> float:
    before = app.cpu()
    time.sleep(seconds)
    return 100 * app.cpu().since(before).total / seconds


def _wait_for_page(port: int, *, is_open: bool = True) -> None:
    """Wait until the page has subscribed beside the one client, or has gone."""
    deadline = time.monotonic() + _OPEN_SECONDS
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
            lines = answer.read().decode().splitlines()
        counts = [float(line.split()[1]) for line in lines if line.startswith("livemarkets_subscribers ")]
        if counts and (counts[0] > 1) is is_open:
            return
        time.sleep(0.1)
    raise BenchmarkError(f"the page did not {'open' if is_open else 'close'} within {_OPEN_SECONDS:g} s")


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
        for name in _SYMBOLS
    ]
    path = folder / "exchangeInfo.json"
    path.write_text(json.dumps({"timezone": "UTC", "symbols": symbols}))
    return path
