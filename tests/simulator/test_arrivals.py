"""When taker orders come."""

from __future__ import annotations

from random import Random

import pytest

from livemarkets.simulator.market.arrivals import Arrivals


class CountingRandom(Random):
    """Counts what is drawn from it."""

    drawn = 0

    def random(self) -> float:
        self.drawn += 1
        return super().random()


def test_a_symbol_that_trades_next_to_never_is_made_at_once() -> None:
    """Its first order is days away, and nothing is drawn for the time until then."""
    random = CountingRandom(1)
    assert Arrivals(random, 1e-6, 0.0).next_ms() > 3_600_000.0
    assert random.drawn < 10


@pytest.mark.parametrize("per_second", [0.0005, 0.002])
def test_orders_come_as_often_as_asked_for_on_either_side_of_the_rate_that_has_moods(
    per_second: float,
) -> None:
    arrivals, count = Arrivals(Random(1), per_second, 0.0), 1_000
    first = arrivals.next_ms()
    times = [arrivals.next_ms() for _ in range(count)]
    assert times == sorted(times)
    assert count / (times[-1] - first) * 1000 == pytest.approx(per_second, rel=0.15)
