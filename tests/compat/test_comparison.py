"""The comparison of `make compat` finds what it looks for."""

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.compat.comparison import outcome_of
from tests.compat.truth import Truth, Values
from tests.support.helpers import PROJECT_ROOT

TRADE = {"id": 7, "price": "1.50", "size": "2", "time": 5, "maker": True}
CANDLE: dict[str, Any] = {
    "interval": "1m",
    "at": 60_000,
    "open": "1",
    "high": "2",
    "low": "1",
    "close": "2",
    "volume": "3",
}
BOOK = {"at": 9, "bids": [["1.5", "2"]], "asks": [["1.6", "2"]]}


@pytest.fixture
def truth() -> Truth:
    known = Truth()
    for trade_id in (7, 8, 9):
        known.known["trade", str(trade_id)] = trade()
    candle = {name: Decimal(CANDLE[name]) for name in ("open", "high", "low", "close", "volume")}
    known.known["candle", "1m", "60000"] = candle
    known.known["book", "9"] = {
        "bids": [(Decimal("1.50"), Decimal(2))],
        "asks": [(Decimal("1.60"), Decimal(2))],
    }
    return known


def trade() -> Values:
    return {"price": Decimal("1.5"), "size": Decimal(2), "time": 5, "maker": True}


def problems(truth: Truth, *reports: tuple[str, dict[str, Any]], expected: tuple[str, ...] = ()) -> list[str]:
    lines = [msgspec.json.encode({"kind": kind, **values}) for kind, values in reports]
    return outcome_of("a client", [b"said besides", *lines], truth, expected).problems


def test_equal_values_are_no_problem_however_they_are_written(truth: Truth) -> None:
    reports = [("trade", TRADE | {"price": 1.5}), ("candle", CANDLE), ("book", BOOK)]
    assert problems(truth, *reports, expected=("trade", "candle", "book")) == []


@pytest.mark.parametrize(
    ("reports", "problem"),
    [
        ([("trade", TRADE | {"price": "1.51"})], "is not"),
        ([("trade", TRADE | {"maker": False})], "is not"),
        ([("trade", TRADE), ("trade", TRADE | {"id": 9})], "trades are missing"),
        ([("trade", TRADE), ("trade", TRADE | {"id": 10})], "none of the exchange's"),
        ([("candle", CANDLE), ("candle", CANDLE)], "ended 2 times"),
        ([("book", BOOK | {"bids": [["1.4", "2"]]})], "is not"),
        ([("book", BOOK), ("book", BOOK | {"at": 1})], "cannot be compared"),
        ([("error", {"where": "streams", "text": "first\nlast"})], "streams: last"),
        ([], "nothing of kind trade came"),
    ],
)
def test_everything_else_is_a_problem(
    truth: Truth, reports: list[tuple[str, dict[str, Any]]], problem: str
) -> None:
    found = problems(truth, *reports, expected=("trade", "book"))
    assert any(problem in line for line in found), found


def test_the_manual_of_the_simulator_tells_the_versions_that_are_pinned() -> None:
    manual = (PROJECT_ROOT / "docs" / "simulator.md").read_text()
    folder = PROJECT_ROOT / "tests" / "compat"
    pins = re.findall(r"^([\w-]+)==(.+)$", (folder / "requirements.txt").read_text(), re.MULTILINE)
    pins += msgspec.json.decode((folder / "package.json").read_bytes())["dependencies"].items()
    assert len(pins) == 6
    assert [name for name, version in pins if f"{name} {version}" not in manual.replace(".pro", "")] == []
