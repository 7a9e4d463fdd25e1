"""Serial tests have the machine for themselves, after all others."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.side_by_side import LONGEST_FIRST, QUIET_AT_ONCE
from tests.support.app import running_process
from tests.support.helpers import PROJECT_ROOT

INI = """
[pytest]
addopts = -p xdist.plugin -p no:cacheprovider
markers = serial: alone
pythonpath = {root}
"""
# Notes when it begins and ends; the time in between is long enough for another worker to come between.
FILE = """
import time
from pathlib import Path
import pytest

def work(kind):
    with open({log!r}, "a") as log:
        log.write(f"{{kind}} begins\\n")
        log.flush()
        time.sleep(0.05)
        log.write(f"{{kind}} ends\\n")

@pytest.mark.serial
def test_alone():
    work("serial")

@pytest.mark.serial(quiet=True)
def test_quiet():
    work("quiet")

@pytest.fixture(scope="module")
def shared():
    work("quiet")

@pytest.mark.serial(quiet=True)
@pytest.mark.parametrize("number", range(2))
def test_quiet_sharing(shared, number):
    pass

def test_one():
    work("parallel")

def test_two():
    work("parallel")
"""


KINDS = ("parallel", "quiet", "serial")


@pytest.mark.parametrize(
    ("chosen", "workers", "counts"),
    [
        ("", 5, (16, 16, 8)),
        ("alone", 2, (0, 0, 8)),
        ("quiet", 4, (0, 16, 0)),
        ("alone or quiet", 4, (0, 16, 8)),
    ],
    ids=["of all", "of themselves", "only quiet ones", "of all that are serial"],
)
async def test_serial_tests_run_alone_and_last(
    tmp_path: Path, chosen: str, workers: int, counts: tuple[int, ...]
) -> None:
    log = tmp_path / "log"
    (tmp_path / "pytest.ini").write_text(INI.format(root=PROJECT_ROOT))
    (tmp_path / "conftest.py").write_text("from tests.side_by_side import *")
    for number in range(4):
        (tmp_path / f"test_{number}.py").write_text(FILE.format(log=str(log)))
    options = (f"-n{workers}", "--dist=loadfile", "--no-loadscope-reorder")
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    command = ("-m", "pytest", *options, "-k", chosen, tmp_path)
    async with running_process(*command, environment=alone) as process:
        assert await process.ended(60) == 0, process.output
    lines = [line.split() for line in log.read_text().splitlines()]
    kinds = [kind for kind, _ in lines]
    assert tuple(map(kinds.count, KINDS)) == counts
    serial = lines[len(lines) - kinds.count("serial") :]
    assert {kind for kind, _ in serial} <= {"serial"}, "after all others"
    assert all(first != second for first, second in pairwise(serial)), "one at a time"
    running = dict.fromkeys(KINDS, 0)
    for kind, what in lines:
        running[kind] += 1 if what == "begins" else -1
        if running["quiet"]:
            assert sum(running.values()) <= QUIET_AT_ONCE, "others beside it"


def test_the_longest_files_exist() -> None:
    names = {path.stem for path in (PROJECT_ROOT / "tests").rglob("test_*.py")}
    assert set(LONGEST_FIRST) - names == set()
