"""Compares the candles of one stream with our own trades, where these are at hand. No I/O.

The trades of a candle are summed up piece by piece, because memory holds fewer trades than a lively candle
has. Nothing is computed when a trade arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from livemarkets.market.candles import Candle
from livemarkets.market.models import TradeTick

__all__ = ["TradeComparison"]

_WAITING_KEPT = 100
"""Candles of a second may wait for as long as a hole is being filled, also when many come at once."""
_QUOTE_TOLERANCE = Decimal("1e-8")
"""The exchange may round the quote volume of each trade to so many digits."""


class _Sum:
    """The trades of one candle, as far as they were summed up."""

    __slots__ = ("bought", "close", "first_id", "high", "low", "next_id", "open", "quote", "volume")

    def __init__(self, first: TradeTick) -> None:
        self.first_id = self.next_id = first.id
        self.open = self.high = self.low = self.close = first.price
        self.volume = self.quote = self.bought = Decimal(0)

    def add(self, ticks: Sequence[TradeTick], last_id: int) -> bool:
        """Add trades up to an id. Return `False` if one is missing."""
        for tick in ticks:
            if tick.id < self.next_id:
                continue
            if tick.id > last_id:
                break
            if tick.id != self.next_id:
                return False
            price, size = tick.price, tick.size
            self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
            self.volume += size
            self.quote += price * size
            if tick.side == "buy":
                self.bought += size
            self.next_id = tick.id + 1
        return True

    def agrees(self, candle: Candle) -> bool:
        """Return whether a candle is made of these trades."""
        count = self.next_id - self.first_id
        return (
            (self.open, self.high, self.low, self.close)
            == (candle.open, candle.high, candle.low, candle.close)
            and (self.volume, self.bought, count) == (candle.volume, candle.taker_buy_volume, candle.trades)
            and abs(self.quote - candle.quote_volume) <= count * _QUOTE_TOLERANCE
        )


class TradeComparison:
    """The comparison of one stream of candles with the trades of its symbol."""

    __slots__ = ("_open_ts", "_sum", "_waiting")

    def __init__(self) -> None:
        self._open_ts = -1
        self._sum: _Sum | None = None
        self._waiting: deque[Candle] = deque(maxlen=_WAITING_KEPT)

    def next_id_of(self, candle: Candle) -> int | None:
        """Return the first trade id of a candle that was not summed up; `None` if it has no ids."""
        if self._sum is None or candle.open_ts != self._open_ts:
            return candle.first_id
        return self._sum.next_id

    def note(self, candle: Candle) -> None:
        """Note a candle that is to be compared as soon as its trades are here."""
        if candle.first_id is not None and not candle.revised:
            self._waiting.append(candle)

    @property
    def wanted(self) -> Candle | None:
        """The closed candle that waits for its trades; `None` when none does."""
        return self._waiting[0] if self._waiting else None

    def give_up(self) -> None:
        """Forget the closed candle that waits: its trades do not come."""
        self._waiting.popleft()
        self._sum = None

    def advance(self, candle: Candle, ticks: Sequence[TradeTick]) -> bool | None:
        """Sum up more trades of a candle.

        Args:
            candle: a running candle, or the closed one that waits.
            ticks: the trades at hand from :meth:`next_id_of` it on, in order.

        Returns:
            Whether a closed candle agrees with its trades. `None`: not all of them are at hand, or it runs.

        """
        first_id, last_id = candle.first_id, candle.last_id
        if first_id is None or last_id is None:
            return None
        if candle.open_ts != self._open_ts:
            self._open_ts, self._sum = candle.open_ts, None
        if self._sum is None:
            first = next((tick for tick in ticks if tick.id == first_id), None)
            if first is None:
                return None
            self._sum = _Sum(first)
        if not self._sum.add(ticks, last_id):
            self._sum = None
            return None
        if not candle.closed or self._sum.next_id <= last_id:
            return None
        agrees = self._sum.agrees(candle)
        self.give_up()
        return agrees
