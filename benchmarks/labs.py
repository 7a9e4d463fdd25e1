"""What an open Labs page costs the server: a real Chromium, 50 symbols, few trades and many."""

from __future__ import annotations

import time

from benchmarks.apps import PATH, start_app, subscription
from benchmarks.browser import SYMBOLS, open_page, start_large_venue
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Readers
from benchmarks.programs import Program

__all__ = ["run"]

_RATES = (10, 1_000, 10_000)
_SECONDS = 6.0
_SETTLE_SECONDS = 3.0


def run(options: Options) -> Report:
    """Measure the app with one client of `/ws/markets`, then with a page beside it, at each rate."""
    table = Table(
        f"Server CPU of an open Labs page with {len(SYMBOLS)} moving rows",
        ["trades/s", "app without the page, %", "app with the page, %", "the page, %"],
        notes=["the same symbols are subscribed by a client of `/ws/markets` in both cases"],
    )
    without: dict[int, list[float]] = {rate: [] for rate in _RATES}
    beside: dict[int, list[float]] = {rate: [] for rate in _RATES}
    for number in range(options.rounds):
        for rate in _RATES:
            options.say(f"labs: {rate:,} trades/s, round {number + 1}")
            _measure(rate, options.seconds(_SECONDS), without[rate], beside[rate])
    costs = {}
    for rate in _RATES:
        costs[rate] = [most - least for least, most in zip(without[rate], beside[rate], strict=True)]
        table.add(f"{rate:,}", spread(without[rate], 1), spread(beside[rate], 1), spread(costs[rate], 1))
    ratio = median(costs[_RATES[-1]]) / max(median(costs[_RATES[1]]), 0.1)
    return Report(
        "labs", [table], [Goal("CPU of the page at 10,000 trades/s, × that at 1,000/s", ratio, 1.5)]
    )


def _measure(rate: int, seconds: float, without: list[float], beside: list[float]) -> None:
    with start_large_venue("--rate", str(rate)) as venue_port:
        app, port = start_app(venue_port)
        with app, Readers(port, PATH, 1, ["--hello", subscription(*SYMBOLS)]):
            time.sleep(_SETTLE_SECONDS)
            without.append(_core(app, seconds))
            with open_page(port):
                time.sleep(_SETTLE_SECONDS)
                beside.append(_core(app, seconds))


def _core(app: Program, seconds: float) -> float:
    before = app.cpu()
    time.sleep(seconds)
    return 100 * app.cpu().since(before).total / seconds
