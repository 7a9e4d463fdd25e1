"""The past of a symbol before its first trade: klines of any length, computed from the seed.

Days come from formulas of the date. A shorter span is a part of its day: a day is split into spans of two
hours, these into 15 minutes, minutes and seconds. Every split shares the trades, volumes and amounts of the
whole among its parts, keeps open and close, and lets one part reach the high and one the low. So klines of
every length agree, and nothing is computed that nobody asked for.
"""

from __future__ import annotations

from copy import copy
from math import exp
from random import Random

from livemarkets.simulator.market.past_split import FEWEST, split
from livemarkets.simulator.market.statistics import Bar
from livemarkets.simulator.market.symbols import UNIT, SymbolRules

__all__ = ["LEAST_RATE", "LEVELS_MS", "Past"]

_DAY_MS = 86_400_000
LEVELS_MS = (1_000, 60_000, 900_000, 7_200_000, _DAY_MS)
"""The spans of the tree, from the shortest to the longest. Every kline is made of whole spans."""
_TOP = len(LEVELS_MS) - 1
_SWINGS = ((1, 0.02), (4, 0.04), (16, 0.08), (64, 0.12), (256, 0.15), (1024, 0.15))
"""(days, size): moves of the logarithm of the price. Their sum keeps it between 0.57 and 1.75 the usual."""
_WICK = 0.012
"""Mean distance of a day's high and low from its open and close, relative to the price."""
_UNEVEN = 0.3
"""How much the number of a day's trades varies."""
_MEAN_USD = 300.0
"""Mean value of a trade in the market model."""
LEAST_RATE = 0.0005
"""Trades a second of a symbol that has a past, so that no day has fewer than a few trades."""
_KEPT_SPLITS = 512
_BITS = 2**64 - 1
_SPLITS, _DAYS = 10_000, 20_000
"""Kinds of random numbers; the periods of the price's swings and 0 are kinds too."""


class Past:
    """The klines of one symbol from its listing until `end_ms`.

    They depend on the seed, the symbol and the time alone; `end_ms` only says where they end.

    Args:
        rules: the symbol.
        seed: the seed of the market.
        end_ms: the end, in ms since the epoch; rounded down to a second.

    """

    def __init__(self, rules: SymbolRules, seed: int, end_ms: float) -> None:
        self.end_ms = int(end_ms) // 1000 * 1000
        self.begin_ms = min(rules.listed_ms, self.end_ms) // _DAY_MS * _DAY_MS
        self._rules = rules
        self._key = Random(f"{seed}:{rules.symbol}:past").getrandbits(64)
        self._first_day = self.begin_ms // _DAY_MS
        self._per_day = max(rules.trades_per_second, LEAST_RATE) * 86_400
        usd_per_lot = max(rules.price / UNIT * rules.quote_in_usd * rules.lot / UNIT, 1e-12)
        self._lots_per_trade = max(_MEAN_USD / usd_per_lot, 1.0)
        self._days: dict[int, Bar] = {}
        self._splits: dict[tuple[int, int], list[Bar | None]] = {}

    def end(self) -> tuple[int, int]:
        """Return price and id of the last trade."""
        today = self.between(self.end_ms // _DAY_MS * _DAY_MS, self.end_ms)
        if today is not None:
            return today.close, today.last_id
        return self.close_before(self.end_ms), self._trades_until(self.end_ms // _DAY_MS)

    def between(self, from_ms: int, to_ms: int) -> Bar | None:
        """Return the kline of a span, the end excluded; `None` when nothing traded.

        Both times must be whole seconds; what is before the listing or after the end is left out.
        """
        at_ms, to_ms = max(from_ms, self.begin_ms), min(to_ms, self.end_ms)
        whole: Bar | None = None
        while at_ms < to_ms:
            level = _TOP
            while level and (at_ms % LEVELS_MS[level] or at_ms + LEVELS_MS[level] > to_ms):
                level -= 1
            length_ms = LEVELS_MS[level]
            part = self._span(level, at_ms // length_ms)
            if part is not None:
                if whole is None:
                    whole = copy(part)
                else:
                    whole.merge(part)
            at_ms += length_ms
        return whole

    def close_before(self, time_ms: int) -> int:
        """Return the price of the last trade before a time (a whole second); at the listing, the first."""
        last = self.between(time_ms - 2 * _DAY_MS, time_ms)
        return last.close if last is not None else self._price(self._first_day)

    def _span(self, level: int, index: int) -> Bar | None:
        if level == _TOP:
            return self._day(index)
        above = LEVELS_MS[level + 1] // LEVELS_MS[level]
        return self._parts(level + 1, index // above)[index % above]

    def _parts(self, level: int, index: int) -> list[Bar | None]:
        found = self._splits.get((level, index))
        if found is None:
            length_ms = LEVELS_MS[level - 1]
            count = LEVELS_MS[level] // length_ms
            whole = self._span(level, index)
            if whole is None:
                return [None] * count
            random = Random(self._mixed(_SPLITS + level, index))
            found = split(whole, count, length_ms, index * LEVELS_MS[level], self._rules, random)
            if len(self._splits) >= _KEPT_SPLITS:
                self._splits.clear()
            self._splits[level, index] = found
        return found

    def _day(self, day: int) -> Bar:
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = self._make_day(day)
        return found

    def _make_day(self, day: int) -> Bar:
        rules, random = self._rules, Random(self._mixed(_DAYS, day))
        first, until = self._trades_until(day), self._trades_until(day + 1)
        before, after = self._days.get(day - 1), self._days.get(day + 1)
        opened = before.close if before is not None else self._price(day)
        closed = after.open if after is not None else self._price(day + 1)
        up, down = (int(random.expovariate(1.0 / _WICK) * opened / rules.tick) for _ in range(2))
        high = max(opened, closed) + up * rules.tick
        low = max(min(opened, closed) - down * rules.tick, rules.tick)
        count = until - first
        lots = max(int(count * self._lots_per_trade * random.uniform(0.6, 1.4)), count)
        bought = int(lots * random.uniform(0.45, 0.55)) * rules.lot
        volume = lots * rules.lot
        mean = (opened + high + low + closed) // 4
        quote_bought = mean * bought // UNIT
        return Bar(
            open=opened,
            high=high,
            low=low,
            close=closed,
            last_size=max(lots // count, 1) * rules.lot,
            first_id=first + 1,
            last_id=until,
            volume=volume,
            quote_volume=quote_bought + mean * (volume - bought) // UNIT,
            bought=bought,
            quote_bought=quote_bought,
            count=count,
            open_ms=day * _DAY_MS,
            close_ms=(day + 1) * _DAY_MS - 1,
        )

    def _trades_until(self, day: int) -> int:
        days = day - self._first_day
        if days <= 0:
            return 0
        return max(int(self._per_day * (days + _UNEVEN * self._noise(0, day))), FEWEST * days)

    def _price(self, day: int) -> int:
        rules = self._rules
        move = 0.0
        for period, size in _SWINGS:
            at, rest = divmod(day, period)
            here = self._noise(period, at)
            # Straight lines between random points of each period.
            move += size * (2.0 * (here + (self._noise(period, at + 1) - here) * rest / period) - 1.0)
        return max(round(rules.price * exp(move) / rules.tick), 2) * rules.tick

    def _noise(self, period: int, index: int) -> float:
        """Return a number between 0 and 1 that depends on the seed, the symbol and the arguments alone."""
        return self._mixed(period, index) / 2**64

    def _mixed(self, kind: int, index: int) -> int:
        """Return 64 random bits for a place in the tree (the finisher of SplitMix64)."""
        bits = (self._key + kind * 0x9E3779B97F4A7C15 + index * 0xD1342543DE82EF95) & _BITS
        bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & _BITS
        bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & _BITS
        return bits ^ bits >> 31
