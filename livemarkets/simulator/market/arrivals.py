"""Arrival times of taker orders: a self-exciting (Hawkes) process with calm and busy periods."""

from __future__ import annotations

from math import exp, inf
from random import Random

__all__ = ["MEAN_FILLS", "Arrivals", "fills_of_an_order"]

# The constants below were fitted to six minutes of genuine BTCUSDT trades: per second a median of 9, a
# mean of 28, a 95th percentile of 78 and a maximum of 954; per taker order a mean of 3.0 fills.
_BRANCHING = 0.5
"""Mean number of orders that one order triggers. It must be below 1 for a stable process."""
_DECAY_PER_SECOND = 2.5
"""Decay rate of the excitement by one order."""
_MOODS = ((0.38, 14.0, 0.50), (0.8, 12.0, 0.28), (3.4, 8.0, 0.22))
"""(factor on the base rate, mean length in seconds, probability): calm, usual, busy."""
_SELDOM_PER_SECOND = 0.001
"""Orders that come more seldom than this have no moods: hundreds would pass between two, and none be seen."""
_FILLS_TAIL = 1.35
"""Exponent of the Pareto distribution of fills per order: most orders have one, a few have hundreds."""
_FILLS_MAX = 800
MEAN_FILLS = 3.1
"""Mean of that distribution."""


def fills_of_an_order(random: Random) -> int:
    """Return a random number of fills of one taker order."""
    return min(int((1.0 - random.random()) ** (-1.0 / _FILLS_TAIL)), _FILLS_MAX)


class Arrivals:
    """Arrival times of one symbol's taker orders: a Hawkes process whose base rate changes at random.

    The times depend only on the random source, not on the number of calls.

    Args:
        random: the random source.
        orders_per_second: the long-run mean.
        start_ms: start of the process, ms since the epoch.

    """

    def __init__(self, random: Random, orders_per_second: float, start_ms: float) -> None:
        self._random = random
        mean_mood = sum(factor * seconds * chance for factor, seconds, chance in _MOODS)
        mean_mood /= sum(seconds * chance for _, seconds, chance in _MOODS)
        self._base = orders_per_second * (1.0 - _BRANCHING) / mean_mood
        self._excess = 0.0
        self._now_ms = start_ms
        self._mood = mean_mood
        self._mood_ends_ms = inf
        if orders_per_second >= _SELDOM_PER_SECOND:
            self._mood_ends_ms = start_ms
            self._change_mood()

    def next_ms(self) -> float:
        """Move to the next arrival and return its time in ms.

        Ogata's thinning algorithm: propose a time with the present intensity, which only falls until the
        next arrival, and accept it with the ratio of the remaining to the present intensity.
        """
        random = self._random
        while True:
            intensity = self._base * self._mood + self._excess
            wait_ms = random.expovariate(intensity) * 1000.0
            if self._now_ms + wait_ms > self._mood_ends_ms:
                self._fade(self._mood_ends_ms - self._now_ms)
                self._now_ms = self._mood_ends_ms
                self._change_mood()
                continue
            self._now_ms += wait_ms
            self._fade(wait_ms)
            if random.random() * intensity <= self._base * self._mood + self._excess:
                self._excess += _BRANCHING * _DECAY_PER_SECOND
                return self._now_ms

    def skip_to(self, now_ms: float) -> None:
        """Skip the time until `now_ms` without an arrival."""
        if now_ms > self._now_ms:
            self._fade(now_ms - self._now_ms)
            self._now_ms = now_ms
            if self._mood_ends_ms < now_ms:
                self._mood_ends_ms = now_ms
                self._change_mood()

    def _fade(self, wait_ms: float) -> None:
        self._excess *= exp(-_DECAY_PER_SECOND * wait_ms / 1000.0)

    def _change_mood(self) -> None:
        weights = [chance for _, _, chance in _MOODS]
        ((factor, mean_seconds, _),) = self._random.choices(_MOODS, weights)
        self._mood = factor
        self._mood_ends_ms += self._random.expovariate(1.0 / mean_seconds) * 1000.0
