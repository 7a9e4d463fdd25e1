"""What a second leg costs: CPU per trade with one connection and with two, by turns."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import start_venue
from benchmarks.programs import ROOT, Program

__all__ = ["run"]

_CLIENT = ROOT / "benchmarks" / "clients" / "app.py"
_PACED_RATE = 5_000
_TRADES = 60_000
_SECONDS = 2.0
_TARGET = 2.0
"""Every trade is read twice, and stored and delivered once."""

_Costs = dict[tuple[int, bool], list[float]]


def run(options: Options) -> Report:
    """Measure one leg and two, as fast as they can and paced."""
    costs: _Costs = {}
    for number in range(options.rounds):
        for is_paced in (False, True):
            options.say(f"legs: {'paced' if is_paced else 'as fast as it can'}, round {number + 1}")
            for legs in (1, 2) if number % 2 else (2, 1):
                costs.setdefault((legs, is_paced), []).append(_take_turn(legs, is_paced, options))
    report = Report("legs", [_table(costs)])
    for is_paced, how in ((False, "as fast as it can"), (True, f"paced {_PACED_RATE:,}/s")):
        report.goals.append(Goal(f"two legs, × of one, {how}", _ratio(costs, is_paced), _TARGET))
    return report


def _take_turn(legs: int, is_paced: bool, options: Options) -> float:
    """Return the CPU µs of a trade. Each leg has an exchange of its own; all number their trades alike."""
    if is_paced:
        trades, rate = int(options.seconds(_SECONDS) * _PACED_RATE), _PACED_RATE
    else:
        trades, rate = int(options.seconds(_TRADES)), 0
    words = ["--trades", str(trades)]
    with ExitStack() as stack:
        for option in ("--port", "--second-port")[:legs]:
            venue, port = start_venue("--rate", str(rate))
            stack.enter_context(venue)
            words += [option, str(port)]
        client = stack.enter_context(Program(f"{legs} legs", [sys.executable, _CLIENT, *words]))
        used = json.loads(client.expect("{", 60.0))
    return 1e6 * float(used["total"]) / int(used["trades"])


def _ratio(costs: _Costs, is_paced: bool) -> float:
    pairs = zip(costs[2, is_paced], costs[1, is_paced], strict=True)
    return median([two / one for two, one in pairs])


def _table(costs: _Costs) -> Table:
    table = Table(
        "CPU µs per trade, socket to object",
        ["legs", "as fast as it can", "× of one", f"paced {_PACED_RATE:,}/s", "× of one"],
        notes=["a trade that both legs bring counts once"],
    )
    for legs in (1, 2):
        cells = []
        for is_paced in (False, True):
            ratio = 1.0 if legs == 1 else _ratio(costs, is_paced)
            cells += [spread(costs[legs, is_paced], 1), f"{ratio:.2f}"]
        table.add(str(legs), *cells)
    return table
