"""Serial tests have the machine for themselves, after all others."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.side_by_side import LONGEST_FIRST
from tests.support.app import running_process
from tests.support.helpers import PROJECT_ROOT

INI = """
[pytest]
addopts = -p no:cacheprovider -p no:asyncio -p no:hypothesispytest
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

def test_one():
    work("parallel")

def test_two():
    work("parallel")
"""


@pytest.mark.parametrize(
    ("chosen", "counts"), [("", (16, 8)), ("test_alone", (0, 8))], ids=["of all", "of themselves"]
)
async def test_serial_tests_run_alone_and_last(tmp_path: Path, chosen: str, counts: tuple[int, int]) -> None:
    log = tmp_path / "log"
    (tmp_path / "pytest.ini").write_text(INI.format(root=PROJECT_ROOT))
    (tmp_path / "conftest.py").write_text("from tests.side_by_side import *")
    for number in range(4):
        (tmp_path / f"test_{number}.py").write_text(FILE.format(log=str(log)))
    async with running_process(
        "-m", "pytest", "-n2", "--dist=loadfile", "--no-loadscope-reorder", "-k", chosen, tmp_path
    ) as process:
        assert await process.ended(60) == 0, process.output
    lines = log.read_text().splitlines()
    serial = [line for line in lines if line.startswith("serial")]
    others = len(lines) - len(serial)
    assert lines[others:] == serial, "after all others"
    assert all(first != second for first, second in pairwise(serial)), "one at a time"
    assert (others, len(serial)) == counts


def test_the_longest_files_exist() -> None:
    names = {path.stem for path in (PROJECT_ROOT / "tests").rglob("test_*.py")}
    assert set(LONGEST_FIRST) - names == set()
