"""What a client costs that does nothing: memory of the app by the number of connections, and its idle CPU."""

from __future__ import annotations

import contextlib
import time

from benchmarks.apps import HELLO, PATH, start_app
from benchmarks.figures import Options, Report, Table
from benchmarks.load import Readers, start_venue

__all__ = ["run"]

_COUNTS = (0, 500, 1_000, 2_000)
_QUICK_COUNTS = (0, 200, 500)
_IDLE_SECONDS = 4.0
_KILOBYTE = 1024
_MEGABYTE = 2**20


def run(options: Options) -> Report:
    """Connect ever more clients that subscribe one silent symbol."""
    table = Table(
        "Idle clients of `/ws/markets`, each subscribed to a symbol without trades",
        ["clients", "memory of the app, MB", "KB per client", "idle CPU, %"],
    )
    venue, venue_port = start_venue("--trades", "-1")
    with venue:
        app, port = start_app(venue_port)
        with app:
            empty = 0
            for count in _QUICK_COUNTS if options.is_quick else _COUNTS:
                options.say(f"memory: {count} clients")
                wanted = ["--hello", HELLO, "--await", '{"type":"snapshot"']
                with Readers(port, PATH, count, wanted) if count else contextlib.nullcontext():
                    before = app.cpu()
                    time.sleep(options.seconds(_IDLE_SECONDS))
                    core = 100 * app.cpu().since(before).total / options.seconds(_IDLE_SECONDS)
                    memory = app.memory_bytes()
                empty = empty or memory
                each = f"{(memory - empty) / count / _KILOBYTE:.1f}" if count else "–"
                table.add(f"{count:,}", f"{memory / _MEGABYTE:.0f}", each, f"{core:.1f}")
    return Report("memory", [table])
