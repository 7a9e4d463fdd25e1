"""The unit for systemd, as systemd's own tools judge it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import text_of
from tests.support.helpers import PROJECT_ROOT

UNIT = "deploy/systemd/livemarkets.service"
PLACE = "/opt/livemarkets"
"""Where the document installs the app."""
EXPOSURE_AT_MOST = 1.5
"""systemd's own grade: 0 is a service that can do nothing, 10 one that can do everything."""


def analyze(*arguments: str | Path) -> tuple[int, str]:
    """What `systemd-analyze` says, and its exit code."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze found")
    outcome = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return outcome.returncode, outcome.stdout + outcome.stderr


def unit_in(folder: Path, old: str = "", new: str = "") -> Path:
    """The unit with the app at the place of this checkout, and one change to it."""
    text = text_of(UNIT)
    assert old in text
    unit = folder / "livemarkets.service"
    text = text.replace(old, new, 1).replace(f"{PLACE}/.venv", sys.prefix)
    unit.write_text(text.replace(PLACE, str(PROJECT_ROOT)))
    return unit


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    assert analyze("verify", unit_in(tmp_path)) == (0, "")


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("ProtectSystem=strict", "ProtectSytem=strict"),
        ("LimitNOFILE=65536", "LimitNOFILE=many"),
        ("bin/python main.py", "bin/nothing main.py"),
    ],
)
def test_a_mistake_in_the_unit_is_found(tmp_path: Path, line: str, mistake: str) -> None:
    assert analyze("verify", unit_in(tmp_path, line, mistake)) != (0, "")


def test_the_service_may_do_little(tmp_path: Path) -> None:
    code, said = analyze("security", "--offline=yes", "--no-pager", unit_in(tmp_path))
    if "unrecognized option" in said:
        pytest.skip("this systemd-analyze grades running services only")
    grade = re.search(r"Overall exposure level for livemarkets.service: (\d+\.\d+)", said)
    assert grade, said
    assert (code, float(grade[1]) <= EXPOSURE_AT_MOST) == (0, True), said


def value_of(name: str) -> str:
    """The value of an option of the unit."""
    [value] = re.findall(rf"^{name}=(.*)$", text_of(UNIT), re.MULTILINE)
    return str(value)


def test_the_service_starts_what_the_documents_start_and_waits_for_its_end() -> None:
    assert value_of("WorkingDirectory") == PLACE
    assert value_of("ExecStart") == f"{PLACE}/.venv/bin/python main.py"
    assert value_of("RestartPreventExitStatus") == "2"
    drain_seconds = float(re.findall(r"^LIVE_DRAIN_SECONDS=(.+)$", text_of(".env"), re.MULTILINE)[0])
    assert float(value_of("TimeoutStopSec")) > drain_seconds + 4
