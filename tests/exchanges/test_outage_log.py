"""The lines about an exchange that is away: an hour of it is read in a moment."""

from collections.abc import Iterator

import pytest
from loguru import logger

from livemarkets.exchanges.base import ClientStatus
from livemarkets.exchanges.outage_log import OutageLog
from livemarkets.market.models import ExchangeState
from livemarkets.rate_limit import LogLimiter

LIVE, IDLE = ClientStatus(ExchangeState.LIVE), ClientStatus(ExchangeState.IDLE)
WHAT = "wss://exchange.test/stream failed: name lookup failed"


class Time:
    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def log(time: Time) -> OutageLog:
    return OutageLog("binance", LogLimiter(interval_seconds=60.0, clock=time))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    written: list[str] = []
    sink = logger.add(lambda line: written.append(line.rstrip()), level="INFO", format="{level}: {message}")
    yield written
    logger.remove(sink)


def fail(log: OutageLog, time: Time, seconds: float, every: float = 15.0) -> None:
    """Attempts that fail, for a while."""
    end = time.now + seconds
    while time.now < end:
        log.note_failure(WHAT, every, time.now)
        time.now += every


def test_an_hour_without_a_network_is_told_in_few_lines(log: OutageLog, time: Time, lines: list[str]) -> None:
    fail(log, time, 3600)
    log.note_status(LIVE, time.now)
    assert len(lines) == 7, lines
    assert lines[0] == f"WARNING: binance: {WHAT}; next attempt in 15 s"
    assert lines[1].startswith("WARNING: binance: not reachable for 60 s, 5 failures; wss://")
    assert "not reachable for 3 min" in lines[2]
    assert "not reachable for 38 min" in lines[5]
    assert lines[-1] == "INFO: binance: live again after 60 min, 240 failures"


def test_a_day_without_a_network_is_told_in_few_lines(log: OutageLog, time: Time, lines: list[str]) -> None:
    fail(log, time, 86_400, every=30.0)
    assert len(lines) < 32
    assert "not reachable for 23 h" in lines[-1]


def test_a_short_loss_is_two_lines(log: OutageLog, time: Time, lines: list[str]) -> None:
    log.note_failure(WHAT, 0.2, time.now)
    time.now += 0.4
    log.note_status(LIVE, time.now)
    assert lines == [
        f"WARNING: binance: {WHAT}; next attempt in 0.2 s",
        "INFO: binance: live again after 0.4 s, 1 failure",
    ]


def test_an_exchange_that_comes_and_goes_does_not_fill_the_log(
    log: OutageLog, time: Time, lines: list[str]
) -> None:
    """An hour in which every connection lives half a minute."""
    for _ in range(120):
        log.note_failure(WHAT, 0.2, time.now)
        time.now += 0.5
        log.note_status(LIVE, time.now)
        time.now += 29.5
    assert len(lines) <= 14, lines
    assert any("failures not logged" in line for line in lines)
    time.now += 3600
    log.note_failure(WHAT, 0.2, time.now)
    assert lines[-1] == f"WARNING: binance: {WHAT}; next attempt in 0.2 s"


def test_nobody_wants_it_any_more(log: OutageLog, time: Time, lines: list[str]) -> None:
    fail(log, time, 60)
    log.note_status(IDLE, time.now)
    log.note_status(ClientStatus(ExchangeState.CONNECTING), time.now)
    log.note_status(LIVE, time.now)
    assert lines[1:] == [
        "INFO: binance: idle: nobody wants a stream, so there are no further attempts; "
        "it was not reachable for 60 s",
        "INFO: binance: connecting",
        "INFO: binance: live",
    ]


def test_the_stop_is_told(log: OutageLog, time: Time, lines: list[str]) -> None:
    log.note_stop(time.now)
    fail(log, time, 60)
    log.note_stop(time.now)
    assert lines[0] == "INFO: binance: stopped"
    assert lines[-1] == "INFO: binance: stopped; it was not reachable for 60 s"
