"""`make coverage`: what the tests reach of each package, and floors that only rise.

The floors are whole percents of lines and branches, kept in `coverage_floors.json` beside this file. A floor
rises by itself once the tests are clear of it; to lower one is a change of that file that somebody explains.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FLOORS = Path(__file__).with_suffix(".json")
CLEARANCE = 0.5
"""Percent: by so much one run differs from the next, since some branches depend on who comes first."""


def reached(report: Mapping[str, Any]) -> dict[str, float]:
    """The percentage of lines and branches of each package, from coverage's report in JSON."""
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, file in report["files"].items():
        found, of = sums[Path(name).parent.as_posix()], file["summary"]
        found[0] += of["covered_lines"] + of["covered_branches"]
        found[1] += of["num_statements"] + of["num_branches"]
    return {
        package: 100 * part / whole if whole else 100.0 for package, (part, whole) in sorted(sums.items())
    }


def raised(floors: Mapping[str, int], percents: Mapping[str, float]) -> dict[str, int]:
    """The floors from now on: of the packages that exist, none lower than before."""
    return {
        package: max(floors.get(package, 0), math.floor(percent - CLEARANCE))
        for package, percent in percents.items()
    }


def main(report: Path, kept: Path = FLOORS) -> int:
    """Print the table, raise the floors, and return 1 when a package is below its own."""
    percents = reached(json.loads(report.read_text()))
    before: dict[str, int] = json.loads(kept.read_text()) if kept.exists() else {}
    floors = raised(before, percents)
    lines = [f"{'package':<28}{'reached':>9}{'floor':>7}"]
    for package, percent in percents.items():
        says = "  below its floor" if percent < floors[package] else ""
        lines.append(f"{package:<28}{percent:>8.1f}%{floors[package]:>6}%{says}")
    sys.stdout.write("\n".join(lines) + "\n")
    if floors != before:
        kept.write_text(json.dumps(floors, indent=2) + "\n")
        sys.stdout.write(f"{kept.name} has new floors: commit it\n")
    return int(any(percent < floors[package] for package, percent in percents.items()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
