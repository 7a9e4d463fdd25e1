"""The cases of the Autobahn test suite, the strictest there are, against the way out of `/ws/markets`.

An endpoint that echoes through its writer is served as `main.py` serves the app, limits included.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import running_process, serving
from tests.support.echo import echo

LARGE = ("9.1.4", "9.1.5", "9.1.6", "9.2.4", "9.2.5", "9.2.6", "9.3.", "9.4.")
"""Messages of 4 MB and more, whole or in up to 65,536 pieces; we take 1 MB in 1,024 pieces."""
FAST = ("9.7.", "9.8.")
"""1,000 messages as fast as they are answered; we take 1,000 frames a second, which a slow machine keeps."""
DEFLATE = ("12.", "13.")
"""Offers of permessage-deflate, which we decline."""


SHORT = (
    *("1.", "2.", "3.", "4.", "5.", "6.", "7.", "10."),
    *("9.1.1", "9.1.4", "9.2.1", "9.7.1", "12.1.1", "13.1.1"),
)
"""All that is no matter of size or speed, and one case of each other kind."""


async def verdicts(program: str, folder: Path, *chosen: str) -> dict[str, dict[str, Any]]:
    """Run cases against our echo: all, or those whose numbers begin so."""
    choice = [word for each in chosen for word in ("--include", each + "*" * each.endswith("."))]
    arguments = ("--parallelism", "4", *choice, "--outdir", str(folder))
    async with (
        serving(echo, lifespan="off") as (_, port),
        running_process(*arguments, f"127.0.0.1:{port}", program=program) as fuzzer,
    ):
        await fuzzer.ended(90)
    index = folder / "index.json"
    assert index.exists(), fuzzer.output
    (cases,) = json.loads(index.read_text()).values()
    assert isinstance(cases, dict)
    return cases


def is_right(case: str, verdict: dict[str, Any]) -> bool:
    if case.startswith(DEFLATE):
        return (verdict["behavior"], verdict["behaviorClose"]) == ("UNIMPLEMENTED", "OK")
    passed = {verdict["behavior"], verdict["behaviorClose"]} <= {"OK", "NON-STRICT", "INFORMATIONAL"}
    turned_away = verdict["remoteCloseCode"] in (1008, 1009)
    if case.startswith(LARGE):
        return not passed and turned_away
    return passed or (case.startswith(FAST) and turned_away)


@pytest.mark.serial(quiet=True)  # the fuzzer waits for half a second until a connection is closed
@pytest.mark.parametrize(
    ("chosen", "count"), [(SHORT, 253), pytest.param((), 517, marks=pytest.mark.verify)], ids=["short", "all"]
)
async def test_a_strict_fuzzer_finds_nothing_wrong_but_our_documented_limits(
    tmp_path: Path, chosen: tuple[str, ...], count: int
) -> None:
    program = shutil.which("kosoku", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("no kosoku, which runs the Autobahn cases: `make test` installs it where it is to be had")
    cases = await verdicts(program, tmp_path, *chosen)
    assert len(cases) == count
    assert {case: verdict for case, verdict in cases.items() if not is_right(case, verdict)} == {}
