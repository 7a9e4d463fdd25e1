from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.exchanges.budgets import ConnectBudget, backoff

waits = st.lists(st.floats(0, 400), max_size=80)


def test_delays_double_up_to_the_cap() -> None:
    delays = backoff(initial_seconds=0.5, cap_seconds=30, uniform=lambda low, high: high)
    assert list(islice(delays, 9)) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_delays_have_full_jitter() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    assert list(islice(backoff(initial_seconds=1, cap_seconds=4, uniform=uniform), 4)) == [0, 0, 0, 0]
    assert drawn == [(0, 1), (0, 2), (0, 4), (0, 4)]


def test_delays_never_end_nor_overflow() -> None:
    assert max(islice(backoff(), 5000)) <= 30


@given(waits, st.integers(1, 5))
def test_never_more_connects_than_the_budget_in_any_window(pauses: list[float], limit: int) -> None:
    budget = ConnectBudget(limit=limit, window_seconds=300)
    now, made = 0.0, []
    for pause in pauses:
        now += pause
        delay = budget.delay(now)
        now += delay + (1e-6 if delay else 0)
        assert budget.delay(now) == 0
        budget.spend(now)
        made.append(now)
        assert budget.used(now) <= limit
    assert all(later - earlier > 299.999 for earlier, later in zip(made, made[limit:], strict=False))


def test_the_default_budget_keeps_the_limit_of_the_exchange() -> None:
    """300 connections per attempt every 5 minutes."""
    budget = ConnectBudget()
    assert budget.limit < 300
    assert budget.window_seconds == 300
    for _ in range(budget.limit):
        assert budget.delay(10) == 0
        budget.spend(10)
    assert budget.delay(10) == 300
    assert budget.delay(309.9) == pytest.approx(0.1)
    assert budget.delay(310) == 0
    assert budget.used(310) == 0


def test_a_ban_is_one_of_all_clients_that_share_the_budget() -> None:
    budget = ConnectBudget(limit=1, window_seconds=300)
    budget.banned_until = 130.0
    assert budget.delay(100.0) == 30.0
    budget.spend(100.0)
    assert budget.delay(100.0) == 300.0
    assert budget.delay(500.0) == 0.0
