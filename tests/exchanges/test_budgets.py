from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.exchanges.budgets import ConnectBudget, WeightBudget, backoff

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
    assert all(later - earlier >= 300 for earlier, later in zip(made, made[limit:], strict=False))


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


@given(waits, st.lists(st.sampled_from([1, 4, 20, 25]), min_size=80, max_size=80))
def test_never_more_weight_than_the_budget_in_any_window(pauses: list[float], weights: list[int]) -> None:
    budget = WeightBudget(limit=60, window_seconds=60)
    now = 0.0
    for pause, weight in zip(pauses, weights, strict=False):
        now += pause / 40
        if (delay := budget.delay(weight, now)) > 0:
            assert budget.delay(weight, now + delay / 2) > 0
            now += delay + 1e-6
        assert budget.delay(weight, now) == 0
        budget.spend(weight, now)
        assert budget.used(now) <= 60


def test_the_exchange_can_ask_for_a_pause() -> None:
    budget = WeightBudget()
    budget.pause(30, 100)
    budget.pause(5, 110)
    assert budget.delay(1, 110) == 20
    assert budget.delay(1, 130) == 0


def test_a_pause_and_a_used_up_budget_are_waited_for_together() -> None:
    budget = WeightBudget(limit=10, window_seconds=60)
    budget.spend(10, 0)
    budget.pause(5, 0)
    assert budget.delay(1, 0) == 60
    budget.pause(90, 0)
    assert budget.delay(1, 0) == 90


def test_used_weight_ages_out_in_the_order_in_which_it_was_spent() -> None:
    budget = WeightBudget(limit=10, window_seconds=60)
    for now in (0, 10, 20):
        budget.spend(3, now)
    delays = [budget.delay(weight, 20) for weight in (1, 2, 4, 5, 10)]
    assert delays == [0, 40, 40, 50, 60]
    assert all(earlier <= later for earlier, later in pairwise(delays))
