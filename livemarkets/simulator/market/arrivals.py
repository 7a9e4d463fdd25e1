"""When taker orders arrive: a self-exciting process with calm stretches and bursts."""

from __future__ import annotations

from math import exp
from random import Random

__all__ = ["MEAN_FILLS", "Arrivals", "fills_of_an_order"]

# The constants below were fitted to six minutes of genuine BTCUSDT trades: per second a median of 9, a
# mean of 28, a 95th percentile of 78 and a maximum of 954; per taker order a mean of 3.0 fills.
_BRANCHING = 0.5
"""Orders that one order provokes, on an average; below 1, or the process explodes."""
_DECAY_PER_SECOND = 2.5
"""How fast the excitement of one order fades."""
_MOODS = ((0.38, 14.0, 0.50), (0.8, 12.0, 0.28), (3.4, 8.0, 0.22))
"""(factor on the base rate, mean length in seconds, probability): calm, usual, busy."""
_FILLS_TAIL = 1.35
"""Exponent of the Pareto law of fills in one order: most have one, a few have hundreds."""
_FILLS_MAX = 800
MEAN_FILLS = 3.1
"""What the law above gives on an average."""


def fills_of_an_order(random: Random) -> int:
    """Draw how many resting orders one taker order meets."""
    return min(int((1.0 - random.random()) ** (-1.0 / _FILLS_TAIL)), _FILLS_MAX)


class Arrivals:
    """Arrival times of one symbol's taker orders: a Hawkes process on a base rate that has moods.

    The times depend on the random source alone, never on how often they are asked for.

    Args:
        random: where all chance comes from.
        orders_per_second: the long-run mean.
        start_ms: the clock when the process begins.

    """

    def __init__(self, random: Random, orders_per_second: float, start_ms: float) -> None:
        self._random = random
        mean_mood = sum(factor * seconds * chance for factor, seconds, chance in _MOODS)
        mean_mood /= sum(seconds * chance for _, seconds, chance in _MOODS)
        self._base = orders_per_second * (1.0 - _BRANCHING) / mean_mood
        self._excess = 0.0
        self._now_ms = start_ms
        self._mood = 1.0
        self._mood_ends_ms = start_ms
        self._change_mood()

    def next_ms(self) -> float:
        """Move to the next arrival and return its time in ms.

        Ogata's thinning: propose with the present intensity, which can only fall until the next
        arrival, and accept with the ratio of what is left of it.
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
        """Leave out the time until `now_ms`, as if nobody had traded."""
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
