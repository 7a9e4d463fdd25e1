"""Readers that never read: what they cost the app, and what they cost the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from benchmarks.apps import HELLO, PATH, TRADE, start_app
from benchmarks.figures import Goal, Options, Report, Table, median, spread
from benchmarks.load import Load, Readers, start_venue
from benchmarks.programs import Program

__all__ = ["Peak", "run"]

_CLIENTS = 1_000
_MESSAGES = 100_000
_RATE = 2_000
_MOST_ROUNDS = 3
_QUICK_CLIENTS = 100
_QUICK_MESSAGES = 20_000
_BUFFER_BYTES = 1_048_576
_LOOK_SECONDS = 0.1
_QUIET_SECONDS = 3.0
_MEGABYTE = 2**20


class Peak:
    """The most memory that a program has had, looked at ten times a second."""

    def __init__(self, program: Program) -> None:
        self.least = self.most = program.memory_bytes()
        self._program = program
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(_LOOK_SECONDS):
            self.most = max(self.most, self._program.memory_bytes())


class _Outcome(msgspec.Struct, frozen=True):
    load: Load
    grown_bytes: int
    core: float


def run(options: Options) -> Report:
    """Measure the same readers without and with as many others that never read."""
    clients = _QUICK_CLIENTS if options.is_quick else _CLIENTS
    messages = _QUICK_MESSAGES if options.is_quick else _MESSAGES
    alone: list[_Outcome] = []
    beside: list[_Outcome] = []
    for number in range(min(options.rounds, _MOST_ROUNDS)):
        options.say(f"slow: {clients // 2} readers alone, round {number + 1}")
        alone.append(_measure(clients // 2, 0, messages))
        options.say(f"slow: {clients // 2} readers beside {clients // 2} that never read, round {number + 1}")
        beside.append(_measure(clients, clients // 2, messages))
    table = _table(clients // 2, messages)
    _add(table, 0, alone)
    _add(table, clients // 2, beside)
    bound = (clients // 2) * 2 * _BUFFER_BYTES / _MEGABYTE + 64
    goals = [
        Goal("trades that a reader missed", sum(o.load.breaks + o.load.behind for o in beside), 0, 0),
        Goal(
            "worst reader's p99, × that of the run without slow ones",
            median([b.load.worst_p99_us / a.load.worst_p99_us for a, b in zip(alone, beside, strict=True)]),
            2.0,
        ),
        Goal(
            "memory grown by, against twice the buffer × slow readers + 64 MB",
            max(o.grown_bytes for o in beside) / _MEGABYTE,
            bound,
            0,
            " MB",
        ),
    ]
    return Report("slow", [table], goals)


def _table(readers: int, messages: int) -> Table:
    title = f"{readers} readers, {messages:,} trades at {_RATE:,}/s, alone and beside some that never read"
    return Table(
        title,
        [
            "never reading",
            "holes in the ids",
            "last id behind",
            "closed",
            "p50, ms",
            "p99, ms",
            "worst reader's p99, ms",
            "memory grown by, MB",
            "CPU of the app, %",
        ],
    )


def _add(table: Table, stalled: int, outcomes: Sequence[_Outcome]) -> None:
    latencies = [outcome.load.latency_us["size"] for outcome in outcomes]
    table.add(
        f"{stalled}",
        f"{sum(outcome.load.breaks for outcome in outcomes)}",
        f"{sum(outcome.load.behind for outcome in outcomes)}",
        f"{sum(outcome.load.closed for outcome in outcomes)}",
        spread([latency.p50 / 1000 for latency in latencies], 1),
        spread([latency.p99 / 1000 for latency in latencies], 1),
        spread([outcome.load.worst_p99_us / 1000 for outcome in outcomes], 1),
        spread([outcome.grown_bytes / _MEGABYTE for outcome in outcomes], 0),
        spread([outcome.core for outcome in outcomes], 0),
    )


def _measure(clients: int, stalled: int, messages: int) -> _Outcome:
    # It is over when nothing has come for a while: who has missed nothing ends on the same id as the others.
    venue, venue_port = start_venue("--rate", str(_RATE), "--trades", str(messages), "--wait")
    with venue:
        app, port = start_app(venue_port, LIVE_CLIENT_BUFFER_BYTES=str(_BUFFER_BYTES))
        with app:
            peak = Peak(app)
            wanted = [
                "--messages",
                str(messages),
                "--hello",
                HELLO,
                "--match",
                TRADE,
                "--stalled",
                str(stalled),
            ]
            wanted += [
                "--ids",
                "--each",
                "--stamp",
                "size:s",
                "--sample",
                "53",
                "--await",
                '{"type":"snapshot"',
            ]
            with Readers(port, PATH, clients, wanted) as readers:
                before = app.cpu()
                venue.say("go")
                load = readers.result(240.0)
                used = app.cpu().since(before)
            peak.stop()
    return _Outcome(load, peak.most - peak.least, 100 * used.total / load.wall_seconds)
