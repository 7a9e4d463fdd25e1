"""Readers that never read: what they cost the app, and what they cost the others."""

from __future__ import annotations

import threading

import msgspec

from benchmarks.apps import HELLO, PATH, TRADE, start_app
from benchmarks.figures import Goal, Options, Report, Table
from benchmarks.load import Load, Readers, start_venue
from benchmarks.programs import Program

__all__ = ["run"]

_CLIENTS = 1_000
_MESSAGES = 100_000
_RATE = 4_000
_QUICK_CLIENTS = 100
_QUICK_MESSAGES = 20_000
_BUFFER_BYTES = 1_048_576
_LOOK_SECONDS = 0.1
_QUIET_SECONDS = 3.0
_MEGABYTE = 2**20


class _Peak:
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
    options.say(f"slow: {clients // 2} readers alone")
    alone = _measure(clients // 2, 0, messages)
    options.say(f"slow: {clients // 2} readers beside {clients // 2} that never read")
    beside = _measure(clients, clients // 2, messages)
    table = Table(
        f"{clients // 2} readers, {messages:,} trades at {_RATE:,}/s, alone and beside some that never read",
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
    for stalled, outcome in ((0, alone), (clients // 2, beside)):
        latency = outcome.load.latency_us["size"]
        table.add(
            f"{stalled}",
            f"{outcome.load.breaks}",
            f"{outcome.load.behind}",
            f"{outcome.load.closed}",
            f"{latency.p50 / 1000:.1f}",
            f"{latency.p99 / 1000:.1f}",
            f"{outcome.load.worst_p99_us / 1000:.1f}",
            f"{outcome.grown_bytes / _MEGABYTE:.0f}",
            f"{outcome.core:.0f}",
        )
    report = Report("slow", [table])
    bound = (clients // 2) * 2 * _BUFFER_BYTES / _MEGABYTE + 64
    report.goals = [
        Goal("trades that a reader missed", beside.load.breaks + beside.load.behind, 0, 0),
        Goal("worst reader's p99, × that of the run without slow ones", _ratio(alone, beside), 2.0),
        Goal(
            "memory grown by, against twice the buffer × slow readers + 64 MB",
            beside.grown_bytes / _MEGABYTE,
            bound,
            0,
            " MB",
        ),
    ]
    return report


def _ratio(alone: _Outcome, beside: _Outcome) -> float:
    return beside.load.worst_p99_us / max(alone.load.worst_p99_us, 1.0)


def _measure(clients: int, stalled: int, messages: int) -> _Outcome:
    # It is over when nothing has come for a while: who has missed nothing ends on the same id as the others.
    venue, venue_port = start_venue("--rate", str(_RATE), "--trades", str(messages), "--wait")
    with venue:
        app, port = start_app(venue_port, LIVE_CLIENT_BUFFER_BYTES=str(_BUFFER_BYTES))
        with app:
            peak = _Peak(app)
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
