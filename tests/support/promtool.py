"""Prometheus' own tool, with the alert rules of `deploy/`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.helpers import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "deploy" / "prometheus"
RULES = FOLDER / "livemarkets.rules.yml"
UNPACKED = PROJECT_ROOT / ".venv" / "promtool" / "usr" / "bin"


def promtool(*arguments: str | Path, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    """Run it in a folder; without it, the test is skipped."""
    places = (os.environ.get("PATH", ""), str(UNPACKED))
    program = shutil.which("promtool", path=os.pathsep.join(places))
    if program is None:
        pytest.skip("no promtool found: `make test` unpacks Debian's where that is possible")
    return subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def rules() -> list[dict[str, Any]]:
    """The alerts."""
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def what_differs(
    series: Sequence[Mapping[str, str]], checks: Sequence[Mapping[str, Any]], folder: Path
) -> str:
    """What promtool says when expressions on these series, with the alerts, have other values than expected.

    Args:
        series: `series` and `values` each, one value a minute.
        checks: `expr`, `eval_time` and `exp_samples` each.
        folder: for the file that promtool reads.

    """
    tests = [{"interval": "1m", "input_series": list(series), "promql_expr_test": list(checks)}]
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (folder / "recorded.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    outcome = promtool("test", "rules", "recorded.yml", folder=folder)
    return "" if outcome.returncode == 0 else outcome.stdout + outcome.stderr
