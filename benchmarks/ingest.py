"""CPU per trade from the exchange's socket to a trade that a program can use, each client in its turn."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import start_venue
from benchmarks.peers import node_with, peer_python
from benchmarks.programs import ROOT, BenchmarkError, Program

__all__ = ["run"]

_CLIENTS = ROOT / "benchmarks" / "clients"
_APP = "the app: socket to store, as shipped"
_PACED_RATE = 5_000
_TRADES = 60_000
_SECONDS = 2.0
_TARGETS = {"cryptofeed": 0.35, "UBWA on picows, not normalised": 0.8, "tardis-dev (Node.js)": 0.4}

_Start = tuple[Path, dict[str, str]]
"""An interpreter, and the environment that it needs."""


def _own(_: str) -> _Start:
    return Path(sys.executable), {}


def _peer(module: str) -> _Start:
    return peer_python(module), {}


def _node(package: str) -> _Start:
    node, modules = node_with(package)
    return Path(node), {"NODE_PATH": str(modules)}


class _Client(msgspec.Struct, frozen=True):
    """One way to read."""

    name: str
    script: str
    library: str = ""
    module: str = "sys"
    """What must be importable, or the client is left out."""
    start: Callable[[str], _Start] = _own
    slowness: int = 1
    """So many times fewer trades, so that every turn takes about as long."""


_ALL = (
    _Client(_APP, "app.py"),
    _Client("seam: websockets, asyncio client", "seams.py", "asyncio"),
    _Client("seam: websockets, sans-I/O under a protocol", "seams.py", "sansio"),
    _Client("seam: the same, text frames cut by hand", "seams.py", "frames"),
    _Client("seam: picows", "seams.py", "picows", "picows", _peer),
    _Client(
        "UBWA on picows, not normalised", "peers.py", "ubwa-picows", "unicorn_binance_websocket_api", _peer
    ),
    _Client("UBWA, not normalised", "peers.py", "ubwa", "unicorn_binance_websocket_api", _peer, 2),
    _Client("cryptofeed", "peers.py", "cryptofeed", "cryptofeed", _peer, 2),
    _Client("tardis-dev (Node.js)", "tardis.js", "", "tardis-dev", _node, 2),
    _Client("python-binance, not normalised", "peers.py", "python-binance", "binance", _peer, 4),
    _Client("ccxt pro", "peers.py", "ccxt", "ccxt.pro", _peer, 8),
)

_Costs = dict[tuple[str, bool], list[float]]


def run(options: Options) -> Report:
    """Measure every client as fast as it can and paced."""
    report = Report("ingest")
    costs: _Costs = {}
    clients = _available(report)
    for number in range(options.rounds):
        for is_paced in (False, True):
            options.say(f"ingest: {'paced' if is_paced else 'as fast as it can'}, round {number + 1}")
            for client, start in clients:
                _take_turn(client, start, is_paced, options, costs, report)
    report.tables.append(_table([client.name for client, _ in clients], costs))
    for name, target in _TARGETS.items():
        for is_paced, how in ((False, "as fast as it can"), (True, f"paced {_PACED_RATE:,}/s")):
            if (name, is_paced) in costs:
                ratio = _ratio(costs, name, is_paced)
                report.goals.append(Goal(f"the app against {name}, {how}", ratio, target))
    return report


def _available(report: Report) -> list[tuple[_Client, _Start]]:
    clients = []
    for client in _ALL:
        try:
            clients.append((client, client.start(client.module)))
        except BenchmarkError as error:
            report.skipped.append(f"{client.name}: {error}")
    return clients


def _take_turn(
    client: _Client, start: _Start, is_paced: bool, options: Options, costs: _Costs, report: Report
) -> None:
    if is_paced:
        trades, rate = int(options.seconds(_SECONDS) * _PACED_RATE), _PACED_RATE
    else:
        trades, rate = int(options.seconds(_TRADES)) // client.slowness, 0
    venue, port = start_venue("--rate", str(rate))
    program, environment = start
    words = ["--port", str(port), "--trades", str(trades), "--library", client.library]
    try:
        with venue, Program(client.name, [program, _CLIENTS / client.script, *words], environment) as running:
            used = json.loads(running.expect("{", 60.0))
    except BenchmarkError as error:
        report.skipped.append(f"{client.name}: {error}")
        return
    costs.setdefault((client.name, is_paced), []).append(1e6 * used["total"] / used["trades"])


def _ratio(costs: _Costs, base: str, is_paced: bool) -> float:
    pairs = zip(costs.get((_APP, is_paced), []), costs.get((base, is_paced), []), strict=False)
    return median([mine / theirs for mine, theirs in pairs])


def _table(names: list[str], costs: _Costs) -> Table:
    table = Table(
        "CPU µs per trade, socket to object",
        [
            "client",
            "as fast as it can",
            "the app is × of it",
            f"paced {_PACED_RATE:,}/s",
            "the app is × of it",
        ],
        notes=["the seams end with the app's own decoder, the app goes on to ledger, stores and fan-out"],
    )
    for name in names:
        cells = []
        for is_paced in (False, True):
            cells += [spread(costs.get((name, is_paced), []), 1), f"{_ratio(costs, name, is_paced):.2f}"]
        table.add(name, *cells)
    return table
