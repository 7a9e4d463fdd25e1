"""The price model of one symbol: its quotes, and their change with each taker order."""

from __future__ import annotations

from math import exp, log
from random import Random

from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.streams import Quote
from livemarkets.simulator.market.symbols import UNIT, SymbolRules

__all__ = ["Book"]

_SAME_SIDE_AGAIN = 0.45
"""Probability that an order repeats the side of the last one: large orders are split into small ones."""
_WALK = 0.3
"""Probability that the next fill of an order is at a deeper price level."""
_LEVEL_GAP = 5e-6
"""Mean distance of neighbouring price levels, relative to the price."""
_RECOVERY = 0.35
"""Share of an order's price impact that new resting orders undo at once."""
_DRIFT = 0.35
"""Probability that the quotes change before an order."""
_HOME = 3.0
"""Strength of mean reversion to the starting price, which keeps prices realistic for days."""
_TYPICAL_USD = 45.0
"""Median value of one fill in US dollars."""
_SIZE_SPREAD = 2.0
"""Standard deviation of the logarithm of sizes: a few trades are a thousand times the median."""
_LARGEST_USD = 150_000.0
_SIZES = 4096


class Book:
    """Bid, ask and trade ids of one symbol.

    Internally prices are in ticks and sizes in lots, so that they are valid multiples.

    Args:
        rules: the symbol.
        random: the random source.
        first_id: id of the first trade.

    """

    def __init__(self, rules: SymbolRules, random: Random, first_id: int) -> None:
        self.rules = rules
        self.next_id = first_id
        self._random = random
        self._home = max(rules.price // rules.tick, 2)
        self._spread = 1
        self._bid = self._home
        self._ask = self._bid + self._spread
        self._buying = random.random() < 0.5
        self._gap = max(self._home * _LEVEL_GAP, 0.08)
        self._sizes = self._draw_sizes()
        self._update_id = first_id * 5

    def take(self, fills: int, time_ms: int) -> list[Trade]:
        """Return the trades of one taker order with `fills` fills, all in the same millisecond."""
        random = self._random
        if random.random() < _DRIFT:
            self._drift()
        self._choose_side()
        tick, lot, sizes = self.rules.tick, self.rules.lot, self._sizes
        step = 1 if self._buying else -1
        price = started = self._ask if self._buying else self._bid
        seller_took = not self._buying
        trades = []
        for fill in range(fills):
            if fill and random.random() < _WALK:
                price = max(price + step * self._deeper(), 1)
            size = sizes[random.getrandbits(12)] * lot
            trades.append(Trade(self.next_id, price * tick, size, time_ms, seller_took))
            self.next_id += 1
        self._settle(price, price - started)
        return trades

    def quote(self) -> Quote:
        """Return the present best bid and ask."""
        pick = self._update_id * 2_654_435_761
        lot, tick = self.rules.lot, self.rules.tick
        return Quote(
            update_id=self._update_id,
            bid=self._bid * tick,
            bid_size=self._sizes[pick % _SIZES] * lot * 3,
            ask=self._ask * tick,
            ask_size=self._sizes[pick // _SIZES % _SIZES] * lot * 3,
        )

    def _choose_side(self) -> None:
        random = self._random
        if random.random() >= _SAME_SIDE_AGAIN:
            lean = _HOME * log(self._bid / self._home)
            self._buying = random.random() < 0.5 - max(-0.4, min(0.4, lean))

    def _deeper(self) -> int:
        return int(self._random.expovariate(1.0 / self._gap)) + 1 if self._gap >= 1 else 1

    def _drift(self) -> None:
        random = self._random
        move = int(random.gauss(0.0, self._gap))
        if move == 0 and random.random() < self._gap:
            move = random.choice((-1, 1))
        self._place(self._bid + move)
        self._spread = 1 if random.random() < 0.85 else 2 + int(random.expovariate(1.0 / self._gap))
        self._ask = self._bid + self._spread

    def _settle(self, last_price: int, walked: int) -> None:
        undone = int(walked * _RECOVERY)
        self._place(last_price - undone if not self._buying else last_price - undone - self._spread)
        self._ask = self._bid + self._spread

    def _place(self, bid: int) -> None:
        # The price always stays between half and double the starting price.
        self._bid = max(self._home // 2, 1, min(bid, 2 * self._home))
        self._update_id += 1

    def _draw_sizes(self) -> list[int]:
        rules = self.rules
        usd_per_lot = rules.price / UNIT * rules.quote_in_usd * rules.lot / UNIT
        lots = (
            min(_TYPICAL_USD * exp(self._random.gauss(0.0, _SIZE_SPREAD)), _LARGEST_USD) / usd_per_lot
            for _ in range(_SIZES)
        )
        return [max(int(count), 1) for count in lots]
