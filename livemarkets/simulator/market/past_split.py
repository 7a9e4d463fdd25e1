"""Splits a kline into the klines of its parts, so that they add up to it exactly."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from livemarkets.simulator.market.statistics import Bar
from livemarkets.simulator.market.symbols import UNIT, SymbolRules

__all__ = ["FEWEST", "split"]

FEWEST = 4
"""Trades of a part that is not empty: enough for an open, a high, a low and a close of their own."""
_CALM = 0.7
"""How much of the range between low and high the closes of the parts use."""


def split(
    whole: Bar, count: int, length_ms: int, begin_ms: int, rules: SymbolRules, random: Random
) -> list[Bar | None]:
    """Return the parts of a kline in their order; `None` for a part without a trade.

    Args:
        whole: a kline with at least `FEWEST` trades.
        count: how many parts there are.
        length_ms: their length.
        begin_ms: when the first one opens.
        rules: the symbol.
        random: decides everything that is open.

    """
    used = min(count, whole.count // FEWEST)
    places = range(count) if used == count else sorted(random.sample(range(count), used))
    trades = _share(whole.count, [FEWEST] * used, [0.3 + random.random() for _ in places])
    lots = _share(whole.volume // rules.lot, trades, [number * (0.4 + random.random()) for number in trades])
    volumes = [number * rules.lot for number in lots]
    bought = _buyers(whole, lots, rules.lot, random)
    opens, highs, lows, closes = _prices(whole, used, rules.tick, random)
    sold = [volume - buys for volume, buys in zip(volumes, bought, strict=True)]
    quote_sold = whole.quote_volume - whole.quote_bought
    buys = sells = None
    # The mean price of the whole may be out of reach of these prices. Then they reach out further.
    for reach in (0, 2 * rules.tick, whole.high):
        highs = [min(high + reach, whole.high) for high in highs]
        lows = [max(low - reach, whole.low) for low in lows]
        is_last = reach == whole.high
        buys = _amounts(whole.quote_bought, bought, lows, highs, exactly=not is_last)
        sells = _amounts(quote_sold, sold, lows, highs, exactly=not is_last)
        if buys is not None and sells is not None:
            break
    assert buys is not None
    assert sells is not None
    parts: list[Bar | None] = [None] * count
    next_id = whole.first_id
    for at, place in enumerate(places):
        parts[place] = Bar(
            open=opens[at],
            high=highs[at],
            low=lows[at],
            close=closes[at],
            last_size=max(lots[at] // trades[at], 1) * rules.lot,
            first_id=next_id,
            last_id=next_id + trades[at] - 1,
            volume=volumes[at],
            quote_volume=buys[at] + sells[at],
            bought=bought[at],
            quote_bought=buys[at],
            count=trades[at],
            open_ms=begin_ms + place * length_ms,
            close_ms=begin_ms + (place + 1) * length_ms - 1,
        )
        next_id += trades[at]
    last = parts[places[-1]]
    assert last is not None
    last.last_size = whole.last_size
    return parts


def _share(total: int, least: Sequence[int], weights: Sequence[float]) -> list[int]:
    """Share a number among parts, each at least its `least`, and what is left by weight."""
    rest, scale = total - sum(least), sum(weights)
    shares = [one + int(rest * weight / scale) for one, weight in zip(least, weights, strict=True)]
    # A rounded product can be too large by a little where numbers exceed 53 bits.
    shares[shares.index(max(shares))] += total - sum(shares)
    return shares


def _buyers(whole: Bar, lots: Sequence[int], lot: int, random: Random) -> list[int]:
    """Share the volume that takers bought: no part has more than its own volume."""
    wanted, total = whole.bought // lot, sum(lots)
    shares = [wanted * own // total for own in lots]
    rest = wanted - sum(shares)
    for at, own in enumerate(lots):
        more = min(rest, own - shares[at])
        shares[at] += more
        rest -= more
    for at in range(0, len(lots) - 1, 2):
        moved = int(min(shares[at], lots[at + 1] - shares[at + 1]) * random.random() * 0.6)
        shares[at] -= moved
        shares[at + 1] += moved
    return [share * lot for share in shares]


def _prices(
    whole: Bar, count: int, tick: int, random: Random
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return opens, highs, lows and closes: a random path from the open to the close of the whole."""
    walk = [0.0]
    for _ in range(count):
        walk.append(walk[-1] + random.random() - 0.5)
    tilt = walk[-1] / count
    walk = [step - tilt * at for at, step in enumerate(walk)]
    room = whole.high - whole.low
    scale = _CALM * room / max(max(walk) - min(walk), 1e-9) if count > 1 else 0.0
    slope = (whole.close - whole.open) / count
    rough = [whole.open + slope * at + step * scale for at, step in enumerate(walk)]
    # A bow in the path brings its mean to that of the whole.
    missed = whole.average - sum(rough) / len(rough)
    bow = 6.0 * missed / count**2
    path = [
        min(max(round((price + bow * at * (count - at)) / tick) * tick, whole.low), whole.high)
        for at, price in enumerate(rough)
    ]
    path[0], path[-1] = whole.open, whole.close
    wick = 0.5 * room / count**0.5 / tick
    opens, closes = path[:-1], path[1:]
    highs, lows = [], []
    for opened, closed in zip(opens, closes, strict=True):
        high, low = (opened, closed) if opened > closed else (closed, opened)
        highs.append(min(high + int(random.random() * wick) * tick, whole.high))
        lows.append(max(low - int(random.random() * wick) * tick, whole.low))
    highs[highs.index(max(highs))] = whole.high
    lows[lows.index(min(lows))] = whole.low
    return opens, highs, lows, closes


def _amounts(
    total: int,
    volumes: Sequence[int],
    lows: Sequence[int],
    highs: Sequence[int],
    *,
    exactly: bool = True,
) -> list[int] | None:
    """Share an amount of the quote asset, so that the mean price of each part is between its low and high.

    `None` when that cannot be; unless it need not hold `exactly`, to a few times 10⁻⁸.
    """
    amounts = [
        (low + high) // 2 * volume // UNIT for low, high, volume in zip(lows, highs, volumes, strict=True)
    ]
    rest = total - sum(amounts)
    sign = 1 if rest > 0 else -1
    bounds = highs if rest > 0 else lows
    rooms = [
        max(sign * (bound * volume // UNIT - amount) - (sign < 0), 0)
        for bound, volume, amount in zip(bounds, volumes, amounts, strict=True)
    ]
    room, rest = sum(rooms), abs(rest)
    if rest > room and exactly:
        return None
    left = rest
    for at, own in enumerate(rooms):
        if room:
            moved = min(rest * own // room, own)
            amounts[at] += sign * moved
            rooms[at] -= moved
            left -= moved
    for at, own in enumerate(rooms):
        moved = min(left, own)
        amounts[at] += sign * moved
        left -= moved
    amounts[volumes.index(max(volumes))] += sign * left
    return amounts
