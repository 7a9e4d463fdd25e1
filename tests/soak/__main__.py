"""`make soak`: run a campaign and write its report."""

import argparse
import asyncio
import sys
from pathlib import Path

from tests.soak.campaign import EXCHANGES, Plan, run
from tests.soak.report import page, text


def main() -> int:
    """Return 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--exchange", choices=sorted(EXCHANGES), default="simulator", help="what the app is connected to"
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same faults at the same moments")
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600.0, help="over which the faults are spread")
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--without-ledger", action="store_true", help="show that the campaign can fail")
    parser.add_argument("--report", type=Path, default=Path("soak.html"), help="the page with plots")
    parser.add_argument("--log", type=Path, default=None, help="where the app's log goes")
    options = parser.parse_args()
    plan = Plan(
        exchange=options.exchange,
        seed=options.seed,
        faults=options.faults,
        seconds=options.seconds,
        clients=options.clients,
        has_ledger=not options.without_ledger,
        log=options.log,
    )
    outcome = asyncio.run(run(plan))
    sys.stdout.write(text(outcome) + "\n")
    options.report.write_text(page(outcome), encoding="utf-8")
    sys.stdout.write(f"The page with plots is {options.report}\n")
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
