"""The command line: `python -m benchmarks [names] [--rounds N] [--quick] [--record] [--install-peers]`."""

from __future__ import annotations

import argparse
import datetime
import importlib
import sys
import time
from collections.abc import Sequence

from benchmarks.figures import Options, Report
from benchmarks.natives import RESULTS
from benchmarks.peers import install_peers
from benchmarks.programs import BenchmarkError
from benchmarks.record import record

_NAMES = (
    *("pipeline", "fanout", "channels", "ingest", "legs", "slow", "memory", "pauses", "labs", "simulator"),
    "bus",
)
"""Each is a module of this package with a function `run(options) -> Report`."""


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit code: 0, or 1 when something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the app, and its peers."
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(_NAMES)}; default: all")
    parser.add_argument("--rounds", type=int, help="how often every contestant has its turn; default 5")
    parser.add_argument("--record", action="store_true", help="put the results into docs/performance.md")
    parser.add_argument(
        "--install-peers",
        action="store_true",
        help="first put what the app is measured against into .venv-peers",
    )
    parser.add_argument("--quick", action="store_true", help="two short rounds: is it alive, about how fast")
    arguments = parser.parse_args(words)
    unknown = [name for name in arguments.names if name not in _NAMES]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    if arguments.install_peers:
        for problem in install_peers():
            print(f"left out: {problem}", file=sys.stderr)
        if not arguments.names:
            return 0
    rounds = arguments.rounds or (2 if arguments.quick else 5)
    options = Options(rounds=max(rounds, 1), is_quick=arguments.quick, say=_progress)
    failures = 0
    for name in arguments.names or _NAMES:
        started = time.monotonic()
        try:
            report: Report = importlib.import_module(f"benchmarks.{name}").run(options)
            text = report.markdown()
            _keep(name, text)
            if arguments.record:
                record(name, text, _command(name, arguments))
        except BenchmarkError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failures += 1
            continue
        print(f"\n## {name} ({time.monotonic() - started:.0f} s)\n\n{text}", flush=True)
    return 1 if failures else 0


def _command(name: str, arguments: argparse.Namespace) -> str:
    quick = " --quick" if arguments.quick else ""
    rounds = f" --rounds {arguments.rounds}" if arguments.rounds else ""
    return f"python -m benchmarks {name}{quick}{rounds}"


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _keep(name: str, text: str) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    stamp = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC"
    (RESULTS / f"{name}.md").write_text(f"<!-- {stamp} -->\n\n{text}")


if __name__ == "__main__":
    sys.exit(main())
