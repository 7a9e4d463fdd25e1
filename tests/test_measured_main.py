"""What tells how long turns of the event loop take does not itself take memory."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.support.measured_main import STEP_MS, Turns


def test_ten_thousand_turns_take_as_little_memory_as_a_thousand() -> None:
    """A list of them looked as if a page that was open for ten minutes made the server grow by 19 MB."""
    turns = Turns()

    def measure(first: int, last: int) -> int:
        tracemalloc.start()
        for number in range(first, last):
            turns.add(number % 1000 * 0.0103)  # up to 10 ms
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return grown

    measure(0, 1000)
    assert measure(1000, 10_000) < 10_000


@pytest.mark.parametrize(("slow", "p999_ms"), [(0, 0.5), (1, 0.5), (2, 7.0)])
def test_all_but_one_of_a_thousand_took_less(slow: int, p999_ms: float) -> None:
    turns = Turns()
    for number in range(1000):
        turns.add(7.0 if number < slow else 0.5)
    assert turns.count == 1000
    assert turns.longest_ms == (7.0 if slow else 0.5)
    assert turns.p999_ms() == pytest.approx(p999_ms, abs=1.01 * STEP_MS)
