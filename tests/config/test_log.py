import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from loguru import logger

from livemarkets.config import log
from livemarkets.config.log_volume import LogVolume

Lines = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Undo what `setup` does to the process."""
    names = [None, "uvicorn", "uvicorn.error", "tests.library", *log.QUIET_LOGGERS]
    loggers = [logging.getLogger(name) for name in names]
    before = [(each, list(each.handlers), each.level, each.propagate) for each in loggers]
    yield
    logging.captureWarnings(False)
    logger.remove()
    logger.add(sys.__stderr__ or sys.stderr)
    for each, handlers, level, propagate in before:
        each.handlers, each.propagate = handlers, propagate
        each.setLevel(level)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What was written to stderr since the last call; stdout stays empty."""

    def read() -> list[str]:
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()

    return read


def only(lines: list[str]) -> dict[str, Any]:
    assert len(lines) == 1
    record: dict[str, Any] = json.loads(lines[0])
    return record


def test_text_has_time_level_logger_message_and_fields(lines: Lines) -> None:
    log.setup("INFO", json_lines=False)
    logger.bind(symbol="BTCUSDT", attempt=3).info("subscribed to {}", "trades")
    (line,) = lines()
    time, rest = line[:23], line[24:]
    assert abs((datetime.now() - datetime.fromisoformat(time)).total_seconds()) < 60
    assert rest == f"INFO     {__name__}: subscribed to trades symbol='BTCUSDT' attempt=3"


def test_json_lines_have_utc_time_and_bound_fields(lines: Lines) -> None:
    log.setup("INFO", json_lines=True)
    logger.bind(symbol="BTCUSDT", price=Decimal("0.10"), ratio=float("nan"), level="shadow").warning("lost")
    record = only(lines())
    assert record["ts"].endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(record["ts"])).total_seconds()) < 60
    assert record["level"] == "WARNING", "a bound field never hides one of the record's own"
    assert record["logger"] == __name__
    assert record["caller"].startswith(f"{__name__}:test_json_lines_have_utc_time_and_bound_fields:")
    assert record["message"] == "lost"
    assert (record["symbol"], record["price"], record["ratio"]) == ("BTCUSDT", "0.10", "nan")
    assert "exception" not in record


def test_stdlib_records_keep_level_name_and_caller(lines: Lines) -> None:
    log.setup("DEBUG", json_lines=True)

    def from_here() -> None:
        logging.getLogger("tests.library").error("braces {} and %s", "arguments")

    from_here()
    record = only(lines())
    assert record["level"] == "ERROR"
    assert record["logger"] == "tests.library"
    assert record["message"] == "braces {} and arguments"
    assert ":from_here:" in record["caller"]


def test_stdlib_levels_that_loguru_does_not_know_pass_by_number(lines: Lines) -> None:
    log.setup("INFO", json_lines=True)
    logging.getLogger("tests.library").log(35, "between")
    assert only(lines())["level"] == "Level 35"


def test_a_stdlib_record_whose_arguments_do_not_fit_is_written_all_the_same(lines: Lines) -> None:
    log.setup("INFO", json_lines=True)
    logging.getLogger("tests.library").warning("%d items", "many")
    assert only(lines())["message"] == "%d items ('many',)"


@pytest.mark.parametrize("json_lines", [False, True])
def test_exceptions_are_written_without_the_values_of_variables(json_lines: bool, lines: Lines) -> None:
    log.setup("INFO", json_lines=json_lines)

    def fail(token: str) -> None:
        raise RuntimeError(f"broken after {len(token)}")

    try:
        fail("hunter" + "2")
    except RuntimeError:
        logger.exception("first")
        logging.getLogger("tests.library").exception("second")
    written = "\n".join(lines())
    assert written.count("RuntimeError: broken after 7") == 2
    assert "hunter2" not in written


def test_libraries_are_heard_from_warning_on(lines: Lines) -> None:
    log.setup("DEBUG", json_lines=False)
    for name in log.QUIET_LOGGERS:
        logging.getLogger(name).info("not heard")
        logging.getLogger(f"{name}.child").warning("heard")
    assert [line.split()[3].rstrip(":") for line in lines()] == [
        f"{name}.child" for name in log.QUIET_LOGGERS
    ]


def test_the_level_holds_for_both_ways_in(lines: Lines) -> None:
    log.setup("ERROR", json_lines=False)
    logger.warning("no")
    logging.getLogger("tests.library").warning("no")
    logging.getLogger("websockets").warning("no")
    assert lines() == []


def test_setting_up_again_replaces_and_never_doubles(lines: Lines) -> None:
    log.setup("DEBUG", json_lines=False)
    log.setup("INFO", json_lines=True)
    log.setup("INFO", json_lines=True)
    logger.debug("no")
    logger.info("once")
    assert only(lines())["message"] == "once"
    logging.getLogger("tests.library").info("once too")
    assert only(lines())["message"] == "once too"


def test_a_library_with_its_own_handler_is_not_written_twice(lines: Lines) -> None:
    library = logging.getLogger("tests.library")
    library.addHandler(logging.StreamHandler(sys.stderr))
    library.propagate = False
    log.setup("INFO", json_lines=True)
    library.warning("once")
    assert only(lines())["message"] == "once"


@pytest.mark.filterwarnings("always::UserWarning")
def test_warnings_of_python_go_the_same_way(lines: Lines) -> None:
    log.setup("INFO", json_lines=True)
    warnings.warn("old-fashioned", stacklevel=1)
    record = only(lines())
    assert record["logger"] == "py.warnings"
    assert "old-fashioned" in record["message"]


def test_text_from_outside_can_neither_forge_a_line_nor_steer_a_terminal(lines: Lines) -> None:
    log.setup("INFO", json_lines=False)
    evil = "x\n2026-01-01 00:00:00.000 ERROR    forged: \x1b[31mred\r\u2028"
    logger.bind(symbol=evil).info("got {}", evil)
    (line,) = lines()
    assert "\x1b" not in line
    assert "got x\\n2026-01-01" in line


def test_what_peers_can_cause_is_written_once_a_minute_and_shortened(lines: Lines) -> None:
    log.setup("INFO", json_lines=False)
    for number in range(50):
        logging.getLogger("nicegui").error(f"{number} " + "x" * 5_000 + " the end")
    (line,) = lines()
    assert len(line) < 700
    assert " the end (5010 characters)" in line


def test_the_lines_of_the_last_minute_are_counted(lines: Lines) -> None:
    volume = log.setup("DEBUG", json_lines=False)
    logger.debug("not for people")
    logger.info("one")
    logging.getLogger("tests.library").warning("two")
    assert volume.last_minute() == 2
    assert len(lines()) == 3


def test_older_lines_are_forgotten() -> None:
    now = 1000.0
    volume = LogVolume(lambda: now)
    for _ in range(200):
        volume.note()
        now += 0.5
    assert volume.last_minute() == pytest.approx(120, abs=2)
    now += 61
    assert volume.last_minute() == 0
