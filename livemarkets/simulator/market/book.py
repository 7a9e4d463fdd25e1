"""The price model of one symbol: an order book, and what a taker order does to it."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from random import Random

from livemarkets.simulator.market.history import Trade
from livemarkets.simulator.market.order_book import Depth, OrderBook, Side
from livemarkets.simulator.market.streams import Quote
from livemarkets.simulator.market.symbols import UNIT, SymbolRules

__all__ = ["FILL_SIZES", "Book", "draw_fills"]

_SAME_SIDE_AGAIN = 0.45
"""Probability that an order repeats the side of the last one: large orders are split into small ones."""
_LEVEL_GAP = 5e-6
"""Mean distance of neighbouring price levels, relative to the price."""
_RECOVERY = 0.35
"""Share of an order's price impact that new resting orders undo at once."""
_DRIFT = 0.35
"""Probability that the quotes change after an order."""
_HOME = 3.0
"""Strength of mean reversion to the starting price, which keeps prices realistic for days."""
_TYPICAL_USD = 45.0
"""Median value of one fill in US dollars."""
_SIZE_SPREAD = 2.0
"""Standard deviation of the logarithm of sizes: a few trades are a thousand times the median."""
_LARGEST_USD = 150_000.0
FILL_SIZES = 1024
"""How many sizes of fills there are."""
_SIZE_BITS = 10
_WALK = 0.2
"""Probability that a fill takes the rest of its level, however much that is."""
_RESTING = 8
"""Size of a level in sizes of a fill: with `_WALK`, about every third fill is the last of its level."""
_FINEST = 0.02
"""Least number of levels that one tick stands for."""
_LARGEST_RESTING = 20
"""Limit of that size of a fill in medians: no level is so large that it ends every order."""
_LEVELS = 200
"""Levels of a side; a few more or less for a while."""
_SLACK = 50
_NEAR = 20
"""Levels of a side in which resting orders come and go without a trade."""


def draw_fills(random: Random) -> list[float]:
    """Return values of fills in US dollars, distributed as genuine ones."""
    return [min(_TYPICAL_USD * exp(random.gauss(0.0, _SIZE_SPREAD)), _LARGEST_USD) for _ in range(FILL_SIZES)]


class Book:
    """The order book of one symbol and its trade ids.

    Between two orders nothing changes: what is published after an order is what the next order meets.
    Internally prices are in ticks and sizes in lots, so that they are valid multiples.

    Args:
        rules: the symbol.
        random: the random source.
        first_id: id of the first trade.
        price: the starting price, in 10⁻⁸.
        fills_usd: `FILL_SIZES` values of fills in US dollars, to draw from (:func:`draw_fills`).

    """

    def __init__(
        self, rules: SymbolRules, random: Random, first_id: int, price: int, fills_usd: Sequence[float]
    ) -> None:
        self.rules = rules
        self.next_id = first_id
        self._random = random
        self._home = max(price // rules.tick, 2)
        self._spread = 1
        self._buying = random.random() < 0.5
        self._gap = max(self._home * _LEVEL_GAP, 0.08)
        usd_per_lot = max(self._home * rules.tick / UNIT * rules.quote_in_usd * rules.lot / UNIT, 1e-12)
        self._sizes = [max(int(usd / usd_per_lot), 1) for usd in fills_usd]
        # Where a tick is a large step, a level has the orders of all the levels that would be between.
        fine = min(self._home * _LEVEL_GAP, 1.0)
        self._walk = _WALK * fine
        self._resting_fills = int(_RESTING / max(fine, _FINEST))
        self._most = max(int(_LARGEST_RESTING * _TYPICAL_USD / usd_per_lot), 1)
        self.orders = OrderBook(first_id * 5)
        self._bids, self._asks = self.orders.bids, self.orders.asks
        self.orders.push(self._bids, self._home, self._resting())
        self.orders.push(self._asks, -self._home - self._spread, self._resting())
        self._deepen(self._bids)
        self._deepen(self._asks)

    def take(self, fills: int, time_ms: int) -> list[Trade]:
        """Return the trades of one taker order with `fills` fills, all in the same millisecond."""
        self._choose_side()
        tick, lot, sizes = self.rules.tick, self.rules.lot, self._sizes
        draw, chance = self._random.getrandbits, self._random.random
        side, book = (self._asks if self._buying else self._bids), self.orders
        keys, resting = side.keys, side.sizes
        started = price = side.best
        seller_took = not self._buying
        trades = []
        for _ in range(fills):
            if not keys:
                self._deepen(side, price * side.sign)
            price = keys[-1] * side.sign
            size = sizes[draw(_SIZE_BITS)]
            if size < resting[-1] and chance() >= self._walk:
                resting[-1] -= size
                book.note(keys[-1])
            else:
                size = resting[-1]
                book.pop(side)
            trades.append(Trade(self.next_id, price * tick, size * lot, time_ms, seller_took))
            self.next_id += 1
        self._settle(price, price - started)
        return trades

    def quote(self) -> Quote:
        """Return the present best bid and ask."""
        tick, lot = self.rules.tick, self.rules.lot
        return Quote(
            update_id=self.orders.update_id,
            bid=self._bids.keys[-1] * tick,
            bid_size=self._bids.sizes[-1] * lot,
            ask=-self._asks.keys[-1] * tick,
            ask_size=self._asks.sizes[-1] * lot,
        )

    def depth(self, limit: int) -> Depth:
        """Return the best levels of both sides, in 10⁻⁸."""
        return self.in_units(self.orders.depth(limit))

    def in_units(self, depth: Depth) -> Depth:
        """Return levels in ticks and lots as amounts in 10⁻⁸."""
        tick, lot = self.rules.tick, self.rules.lot
        return Depth(
            depth.update_id,
            [(price * tick, size * lot) for price, size in depth.bids],
            [(price * tick, size * lot) for price, size in depth.asks],
        )

    def _choose_side(self) -> None:
        random = self._random
        if random.random() >= _SAME_SIDE_AGAIN:
            lean = _HOME * log(self._bids.keys[-1] / self._home) if self._bids.keys else 0.0
            self._buying = random.random() < 0.5 - max(-0.4, min(0.4, lean))

    def _settle(self, last_price: int, walked: int) -> None:
        """Let resting orders come back around the price that the order reached, and move a little."""
        random = self._random
        left = last_price - int(walked * _RECOVERY)
        bid = left - self._spread if self._buying else left
        if random.random() < _DRIFT:
            move = int(random.gauss(0.0, self._gap))
            if move == 0 and random.random() < self._gap:
                move = random.choice((-1, 1))
            bid += move
            self._spread = 1 if random.random() < 0.85 else 2 + int(random.expovariate(1.0 / self._gap))
        # The price always stays between half and double the starting price.
        bid = max(self._home // 2, 1, min(bid, 2 * self._home))
        ask = bid + self._spread
        if not self._bids.keys or self._bids.keys[-1] != bid:
            self._lead(self._bids, bid)
        if not self._asks.keys or self._asks.keys[-1] != -ask:
            self._lead(self._asks, -ask)
        if random.getrandbits(2) == 0:
            self._stir()

    def _lead(self, side: Side, key: int) -> None:
        """Make a level the best of its side: remove better ones, and add what is missing before it."""
        keys, book = side.keys, self.orders
        while keys and keys[-1] > key:
            book.pop(side)
        if not keys or keys[-1] < key:
            if keys and key - keys[-1] > self._gap:
                at = max(keys[-1], key - int(_LEVELS * self._gap))
                while (at := at + self._step()) < key:
                    book.push(side, at, self._resting())
            book.push(side, key, self._resting())
        if len(keys) > _LEVELS + _SLACK:
            book.forget(side, len(keys) - _LEVELS)
        elif len(keys) < _LEVELS - _SLACK:
            self._deepen(side)

    def _deepen(self, side: Side, above: int | None = None) -> None:
        """Add levels at the far end until the side is as deep as it should be."""
        at = side.keys[0] if above is None else above
        keys = []
        for _ in range(_LEVELS - len(side.keys)):
            at -= self._step()
            if side.sign > 0 and at < 1:
                break
            keys.append(at)
        if not keys and not side.keys:
            keys.append(at if side.sign < 0 else 1)
        keys.reverse()
        self.orders.prepend(side, keys, [self._resting() for _ in keys])

    def _stir(self) -> None:
        """Change the size of a level behind the best one, as resting orders come and go."""
        pick = self._random.getrandbits(16)
        side = self._bids if pick & 1 else self._asks
        at = 2 + (pick >> 1) % _NEAR
        if at <= len(side.keys):
            side.sizes[-at] = self._resting()
            self.orders.note(side.keys[-at])

    def _step(self) -> int:
        return int(self._random.expovariate(1.0 / self._gap)) + 1 if self._gap >= 1 else 1

    def _resting(self) -> int:
        return min(self._sizes[self._random.getrandbits(_SIZE_BITS)], self._most) * self._resting_fills
