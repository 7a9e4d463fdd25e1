"""The whole path in the app as shipped: from the exchange's socket to its clients' sockets.

One client first, fed by the simulator as users have it; then 50 clients, fed by an exchange in C that stamps
every trade to the microsecond.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.apps import HELLO, PATH, TRADE, start_app
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Latency, Load, Readers, start_venue
from benchmarks.programs import Cpu, Program, free_port

__all__ = ["run"]

_CLIENTS = 50
_RATES = (1_000, 5_000, 20_000)
_SIMULATOR_RATES = (1_000, 5_000)
_COLUMNS = [
    "trades/s wanted",
    "trades/s read",
    "deliveries/s",
    "CPU of the app, %",
    "CPU µs/trade",
    "joined",
    "in the app p50 / p99, ms",
    "end to end p50 / p99, ms",
    "CPU of the clients, %",
]


def run(options: Options) -> Report:
    """Measure both, each rate in every round."""
    report = Report("pipeline")
    _one_client(options, report)
    _many_clients(options, report)
    return report


class _Sample:
    """One run at one rate."""

    def __init__(self, load: Load, cpu: Cpu, clients: int, newest: str) -> None:
        self.load = load
        self.core = 100 * cpu.total / load.wall_seconds
        self.per_trade_us = 1e6 * cpu.total / max(load.messages / clients, 1)
        self.trades_per_second = load.messages / clients / load.wall_seconds
        self.inside = load.latency_us["recv_ts"]
        self.whole = load.latency_us[newest]


def _measure(app: Program, port: int, clients: int, options: Options, newest: str) -> _Sample:
    seconds = options.seconds(3.0)
    wanted = [
        "--seconds",
        f"{seconds}",
        "--warmup",
        "1.0",
        "--hello",
        HELLO,
        "--match",
        TRADE,
        "--sample",
        str(1 + clients // 5),
    ]
    wanted += ["--stamp", "recv_ts:ms", "--stamp", "ts:ms" if newest == "ts" else "size:s"]
    with Readers(port, PATH, clients, wanted) as readers:
        readers.expect("BEGIN", 30.0)
        before = app.cpu()
        load = readers.result()
        cpu = app.cpu().since(before)
    return _Sample(load, cpu, clients, newest)


def _one_client(options: Options, report: Report) -> None:
    table = Table("One client, fed by `python -m livemarkets.simulator`", list(_COLUMNS))
    for rate in _SIMULATOR_RATES:
        samples = []
        venue_port = free_port()
        command = [sys.executable, "-m", "livemarkets.simulator", "--port", str(venue_port)]
        with Program("the simulator", [*command, "--trades-per-second", str(rate)]) as venue:
            venue.wait_for_port(venue_port)
            app, port = start_app(venue_port)
            with app:
                for number in range(options.rounds):
                    options.say(f"pipeline: simulator, {rate:,} trades/s, round {number + 1}")
                    samples.append(_measure(app, port, 1, options, "ts"))
        _add(table, rate, samples)
    table.notes.append(
        "times in the trades are whole milliseconds here, so latencies are a millisecond coarse"
    )
    report.tables.append(table)


def _many_clients(options: Options, report: Report) -> None:
    table = Table(f"{_CLIENTS} clients, fed by an exchange in C", list(_COLUMNS))
    samples: dict[int, list[_Sample]] = {rate: [] for rate in _RATES}
    for number in range(options.rounds):
        for rate in _RATES:
            options.say(f"pipeline: {_CLIENTS} clients, {rate:,} trades/s, round {number + 1}")
            venue, venue_port = start_venue("--rate", str(rate))
            with venue:
                app, port = start_app(venue_port)
                with app:
                    samples[rate].append(_measure(app, port, _CLIENTS, options, "size"))
    for rate in _RATES:
        _add(table, rate, samples[rate])
    report.tables.append(table)
    busiest = samples[_RATES[-1]]
    report.goals += [
        Goal(
            "20,000 trades/s to 50 clients: CPU of the app, cores",
            median([s.core for s in busiest]) / 100,
            0.6,
        ),
        Goal("the same: p99 from socket to client, ms, quietest round", _quietest(busiest, "inside"), 3.0),
        Goal("the same: p99 end to end, ms, quietest round", _quietest(busiest, "whole"), 3.0),
    ]


def _quietest(samples: Sequence[_Sample], part: str) -> float:
    return min(float(getattr(sample, part).p99) for sample in samples) / 1000


def _add(table: Table, rate: int, samples: Sequence[_Sample]) -> None:
    reads = sum(sample.load.reads for sample in samples)
    table.add(
        f"{rate:,}",
        f"{median([s.trades_per_second for s in samples]):,.0f}",
        f"{median([s.load.messages / s.load.wall_seconds for s in samples]):,.0f}",
        spread([s.core for s in samples], 0),
        spread([s.per_trade_us for s in samples], 1),
        f"{sum(s.load.messages for s in samples) / max(reads, 1):.1f}",
        _latency([s.inside for s in samples]),
        _latency([s.whole for s in samples]),
        f"{median([100 * s.load.cpu_seconds / s.load.wall_seconds for s in samples]):.0f}",
    )
    broken = sum(sample.load.breaks + sample.load.closed for sample in samples)
    if broken:
        table.notes.append(f"at {rate:,}: {broken} holes in the ids or connections lost")


def _latency(latencies: Sequence[Latency]) -> str:
    p50, p99 = (median([getattr(latency, part) for latency in latencies]) / 1000 for part in ("p50", "p99"))
    return f"{p50:.2f} / {p99:.2f}"
