"""When a shard tries again, at which endpoint, and what it says meanwhile."""

import pytest

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.binance.attempts import Attempts

TIMEOUT = ExchangeUnreachable("timeout")


@pytest.fixture
def attempts() -> Attempts:
    return Attempts(0.5, 30.0, lambda least, most: most)


def test_delays_double_until_good_data_comes(attempts: Attempts) -> None:
    delays = [attempts.note_failure(TIMEOUT, 10.0, was_open=False) for _ in range(8)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert (attempts.retry_at, attempts.reason, attempts.failures) == (40.0, "timeout", 8)
    attempts.note_good_data()
    assert (attempts.reason, attempts.failures) == (None, 0)
    assert attempts.note_failure(TIMEOUT, 0.0, was_open=False) == 0.5


def test_the_exchange_may_ask_for_a_longer_delay(attempts: Attempts) -> None:
    assert attempts.note_failure(ExchangeUnreachable("HTTP 429", 60.0), 10.0, was_open=False) == 60.0
    assert attempts.retry_at == 70.0


def test_only_an_endpoint_that_could_not_be_opened_is_left(attempts: Attempts) -> None:
    endpoints = []
    for was_open in (True, False, True):
        attempts.note_failure(TIMEOUT, 0.0, was_open=was_open)
        endpoints.append(attempts.endpoint)
    assert endpoints == [0, 1, 1]


def test_the_first_loss_of_an_open_connection_is_not_down(attempts: Attempts) -> None:
    states = []
    for _ in range(2):
        attempts.note_failure(TIMEOUT, 0.0, was_open=True)
        states.append(attempts.is_down)
    attempts.note_acknowledged()
    assert [*states, attempts.is_down] == [False, True, False]


def test_nothing_wanted_means_nothing_to_retry(attempts: Attempts) -> None:
    attempts.note_failure(TIMEOUT, 0.0, was_open=False)
    attempts.reset()
    assert (attempts.failures, attempts.is_down, attempts.retry_at, attempts.reason) == (0, False, None, None)
