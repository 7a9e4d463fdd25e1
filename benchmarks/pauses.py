"""How long garbage collections stop the app, after its start-up is over."""

from __future__ import annotations

import contextlib
import time

import msgspec

from benchmarks.apps import PATH, start_app, subscription
from benchmarks.browser import SYMBOLS, open_page, start_large_venue
from benchmarks.figures import Goal, Options, Report, Table
from benchmarks.load import Readers
from benchmarks.programs import Program

__all__ = ["run"]

_SCENES = ((50, 5_000, False), (50, 5_000, True), (1_000, 500, False))
"""Clients, trades a second, and whether there is a page."""
_SECONDS = 9.0
_SETTLE_SECONDS = 1.5
_TARGET_MS = 2.0


class _Pauses(msgspec.Struct, frozen=True):
    """What `servers/pauses.py` tells; a figure per generation."""

    counts: list[int]
    longest_ms: list[float]


def run(options: Options) -> Report:
    """Look at the arrival of clients and of a page, and at what follows."""
    table = Table(
        "Garbage collections after start-up: how many, and the longest in ms of CPU, by generation",
        ["clients", "trades/s", "time", "young", "middle", "full"],
    )
    steady = 0.0
    for clients, rate, has_page in _SCENES:
        options.say(f"pauses: {clients} clients{', a page' if has_page else ''}")
        for name, pauses in _watch(clients, rate, has_page, options.seconds(_SECONDS)):
            cells = [
                f"{count} ({ms:.1f})" for count, ms in zip(pauses.counts, pauses.longest_ms, strict=True)
            ]
            table.add(f"{clients:,}", f"{rate:,}", name, *cells)
            if clients < 1_000:
                steady = max(steady, *pauses.longest_ms)
    return Report("pauses", [table], [Goal("the longest with 50 clients and a page, ms", steady, _TARGET_MS)])


def _watch(clients: int, rate: int, has_page: bool, seconds: float) -> list[tuple[str, _Pauses]]:
    found = []
    with contextlib.ExitStack() as stack:
        venue_port = stack.enter_context(start_large_venue("--rate", str(rate)))
        app, port = start_app(venue_port, program="benchmarks/servers/pauses.py")
        stack.enter_context(app)
        stack.enter_context(Readers(port, PATH, clients, ["--hello", subscription(*SYMBOLS)]))
        time.sleep(_SETTLE_SECONDS)
        found.append(("the clients come", _ask(app)))
        if has_page:
            stack.enter_context(open_page(port))
            time.sleep(_SETTLE_SECONDS)
            found.append(("a page opens", _ask(app)))
        time.sleep(seconds)
        found.append((f"{seconds:g} s after that", _ask(app)))
    return found


def _ask(app: Program) -> _Pauses:
    app.say("pauses")
    return msgspec.json.decode(app.expect("{"), type=_Pauses)
