"""The floors of `make coverage`, on reports written by hand."""

import json
from pathlib import Path

import pytest

from tests.coverage_floors import main, raised, reached


def report(**packages: tuple[int, int]) -> dict[str, object]:
    """Coverage's report on one file for each package: how much is reached, of how much."""
    files = {}
    for package, (part, whole) in packages.items():
        lines = {"covered_lines": part, "num_statements": whole, "covered_branches": 0, "num_branches": 0}
        files[f"{package}/one.py"] = {"summary": lines}
    return {"files": files}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "report.json"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "floors.json"


def test_lines_and_branches_of_a_package_count_together() -> None:
    first = {"covered_lines": 8, "num_statements": 10, "covered_branches": 1, "num_branches": 4}
    second = {"covered_lines": 5, "num_statements": 5, "covered_branches": 1, "num_branches": 1}
    files = {"pages/a.py": {"summary": first}, "pages/b.py": {"summary": second}}
    assert reached({"files": files}) == {"pages": 75.0}


def test_a_package_without_code_is_reached() -> None:
    assert reached(report(pages=(0, 0))) == {"pages": 100.0}


def test_a_floor_rises_and_never_falls() -> None:
    assert raised({"pages": 90}, {"pages": 95.6}) == {"pages": 95}
    assert raised({"pages": 95}, {"pages": 95.4}) == {"pages": 95}
    assert raised({"pages": 95}, {"pages": 80.0}) == {"pages": 95}


def test_a_new_package_gets_a_floor_and_a_removed_one_loses_it(written: Path, kept: Path) -> None:
    kept.write_text(json.dumps({"pages": 90}))
    written.write_text(json.dumps(report(livemarkets=(96, 100))))
    assert main(written, kept) == 0
    assert json.loads(kept.read_text()) == {"livemarkets": 95}


def test_below_its_floor_a_package_fails_and_is_named(
    written: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.write_text(json.dumps({"pages": 90}))
    written.write_text(json.dumps(report(pages=(80, 100))))
    assert main(written, kept) == 1
    assert "pages                           80.0%    90%  below its floor" in capsys.readouterr().out
    assert json.loads(kept.read_text()) == {"pages": 90}
