"""What an open Live page costs the server: forty pages without a browser, 50 symbols, few or many trades."""

from __future__ import annotations

import sys
import time

from benchmarks.apps import PATH, start_app, subscription
from benchmarks.browser import SYMBOLS, start_large_venue
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Readers
from benchmarks.programs import Program

__all__ = ["run"]

_RATES = (100, 1_000, 10_000)
_PAGES = 40
"""One page costs less than what the app's own share moves by."""
_OPEN_SECONDS = 60.0
_SECONDS = 2.0
_WINDOWS = 5
"""Of so many seconds each; their median counts, since a busy neighbour takes one of them longer."""
_SETTLE_SECONDS = 3.0


def run(options: Options) -> Report:
    """Measure the app with one client of `/ws/markets`, then with pages beside it, at each rate."""
    table = Table(
        f"Server CPU of an open Live page with {len(SYMBOLS)} moving rows",
        ["trades/s", "app without pages, %", f"app with {_PAGES} pages, %", "one page, %"],
        notes=[
            "the same symbols are subscribed by a client of `/ws/markets` in both cases",
            f"each is the median of {_WINDOWS} times in a row",
        ],
    )
    without: dict[int, list[float]] = {rate: [] for rate in _RATES}
    beside: dict[int, list[float]] = {rate: [] for rate in _RATES}
    for number in range(options.rounds):
        for rate in _RATES:
            options.say(f"labs: {rate:,} trades/s, round {number + 1}")
            _measure(rate, options.seconds(_SECONDS), without[rate], beside[rate])
    costs = {}
    for rate in _RATES:
        costs[rate] = [
            (most - least) / _PAGES for least, most in zip(without[rate], beside[rate], strict=True)
        ]
        table.add(f"{rate:,}", spread(without[rate], 1), spread(beside[rate], 1), spread(costs[rate], 2))
    ratio = median(costs[_RATES[-1]]) / max(median(costs[_RATES[0]]), 0.01)
    goal = Goal(f"CPU of a page at {_RATES[-1]:,} trades/s, × that at {_RATES[0]}/s", ratio, 1.3)
    return Report("labs", [table], [goal])


def _measure(rate: int, seconds: float, without: list[float], beside: list[float]) -> None:
    with start_large_venue("--rate", str(rate)) as venue_port:
        app, port = start_app(venue_port)
        with app, Readers(port, PATH, 1, ["--hello", subscription(*SYMBOLS)]):
            time.sleep(_SETTLE_SECONDS)
            without.append(_core(app, seconds))
            path = f"/labs?exchange=binance&symbols={','.join(SYMBOLS)}"
            arguments = ["--port", str(port), "--path", path, "--count", str(_PAGES)]
            with Program(
                "the pages", [sys.executable, "-m", "benchmarks.clients.pages", *arguments]
            ) as pages:
                pages.expect("open", _OPEN_SECONDS)
                time.sleep(_SETTLE_SECONDS)
                beside.append(_core(app, seconds))


def _core(app: Program, seconds: float) -> float:
    shares = []
    for _ in range(_WINDOWS):
        before, began = app.cpu(), time.monotonic()
        time.sleep(seconds)
        shares.append(100 * app.cpu().since(before).total / (time.monotonic() - began))
    return median(shares)
