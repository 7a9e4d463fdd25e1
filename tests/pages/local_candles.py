"""Candles of the small application: made of its trades, or as a test tells them, with a made-up past."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace

from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.candle_line import CandleLine
from livemarkets.market.candles import Candle
from livemarkets.market.models import StreamKey, TradeTick

SPANS_MS = {"1s": 1_000, "1m": 60_000, "5m": 300_000, "1h": 3_600_000, "1d": 86_400_000}


class LocalCandles:
    """The candles of one exchange. Lines are the feed's own.

    Args:
        now_ms: the time, ms since the epoch.
        price_of: a price of a symbol, around which its past is made up; `None` to have no past.
    """

    def __init__(self, now_ms: Callable[[], int], price_of: Callable[[str], Decimal] | None = None) -> None:
        self._now_ms = now_ms
        self._price_of = price_of
        self._lines: dict[StreamKey, CandleLine] = {}
        self._cut_to: dict[StreamKey, int] = {}  # open time of the candle that waits for those before it
        self.asked: list[tuple[StreamKey, int, str | None]] = []
        """What was asked of the past, and by whom."""

    def line(self, key: StreamKey) -> CandleLine:
        """The candles of a stream."""
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = CandleLine(key, CandleLimits())
        return line

    async def ensure(self, key: StreamKey, count: int, asker: str | None) -> None:
        """Make up the past of a stream, up to its oldest candle."""
        self.asked.append((key, count, asker))
        line = self.line(key)
        if self._price_of is None or line.memory.has_oldest:
            return
        span_ms = SPANS_MS[key.parameter or "1m"]
        next_ts = line.oldest.open_ts if line.oldest else self._now_ms() // span_ms * span_ms
        price = self._price_of(key.symbol)
        wanted = range(count - len(line.closed), 0, -1)
        line.memory.prepend([made_up(key, price, next_ts - span_ms * back, span_ms) for back in wanted])
        line.memory.has_oldest = True
        line.told_to = max(line.told_to, line.closed[-1].open_ts)

    def put(self, candle: Candle) -> None:
        """Have the exchange tell a candle."""
        key = StreamKey(candle.exchange, "candles", candle.symbol, candle.interval)
        self.line(key).accept(candle, self._now_ms() / 1000)

    def cut(self, key: StreamKey, candles: int) -> None:
        """Have the stream be away while so many candles end, and come back with the one after them."""
        running = self.line(key).running
        assert running is not None
        span_ms = running.close_ts + 1 - running.open_ts
        self._cut_to[key] = running.open_ts + (candles + 1) * span_ms
        self.put(_moved(running, self._cut_to[key]))

    def lose(self, key: StreamKey, candles: int) -> None:
        """Have so many candles be lost for good, with the end of the running one."""
        self.cut(key, candles)
        self._cut_to.pop(key)
        line = self.line(key)
        line.give_up(self._now_ms() / 1000 + 2 * CandleLimits().patience_seconds)
        line.memory.has_oldest = True  # nor is there anything older to be had

    def backfill(self, key: StreamKey) -> None:
        """Have the exchange's history tell what is between the running candle and those that wait."""
        line = self.line(key)
        waiting, running = self._cut_to.pop(key), line.running
        assert running is not None
        span_ms = running.close_ts + 1 - running.open_ts
        found = [_moved(running, open_ts) for open_ts in range(running.open_ts, waiting + span_ms, span_ms)]
        line.answer(found, self._now_ms() / 1000, waiting + CandleLimits().final_ms)

    def revise(self, key: StreamKey, back: int, close: Decimal) -> None:
        """Have the exchange correct a closed candle of the past."""
        told = self.line(key).closed[-back]
        late = replace(told, close=close, high=max(close, told.high), low=min(close, told.low))
        self.line(key).accept(late, self._now_ms() / 1000)

    def trade(self, key: StreamKey, tick: TradeTick) -> None:
        """Have a trade fall into the running candle of a stream, or into the next one."""
        span_ms = SPANS_MS[key.parameter or "1m"]
        open_ts = tick.ts // span_ms * span_ms
        running = self.line(key).running
        if running is not None and running.open_ts < open_ts:
            self.put(replace(running, closed=True))
            running = None
        self.put(_with(running or _empty(key, tick, open_ts, span_ms), tick))


def _empty(key: StreamKey, tick: TradeTick, open_ts: int, span_ms: int) -> Candle:
    zero, price = Decimal(0), tick.price
    figures = (price, price, price, price, zero, zero, zero)
    return Candle(
        key.exchange,
        key.symbol,
        key.parameter or "1m",
        open_ts,
        open_ts + span_ms - 1,
        *figures,
        0,
        tick.id,
        None,
        False,
        tick.ts,
        tick.recv_ts,
    )


def _moved(candle: Candle, open_ts: int) -> Candle:
    """The same figures at another time."""
    return replace(candle, open_ts=open_ts, close_ts=open_ts + candle.close_ts - candle.open_ts)


def _with(candle: Candle, tick: TradeTick) -> Candle:
    bought = tick.size if tick.side == "buy" else Decimal(0)
    return replace(
        candle,
        high=max(candle.high, tick.price),
        low=min(candle.low, tick.price),
        close=tick.price,
        volume=candle.volume + tick.size,
        quote_volume=candle.quote_volume + tick.size * tick.price,
        taker_buy_volume=candle.taker_buy_volume + bought,
        trades=candle.trades + 1,
        last_id=tick.id,
        ts=tick.ts,
        recv_ts=tick.recv_ts,
    )


def made_up(key: StreamKey, price: Decimal, open_ts: int, span_ms: int) -> Candle:
    """A closed candle of the past. Its figures follow from its time alone."""
    number = open_ts // span_ms
    step = price / 1000

    def at(number: int) -> Decimal:
        return price + step * (number * 7 % 11 - 5) + step * (number * 3 % 31 - 15) / 3

    opened, closed = at(number).quantize(price), at(number + 1).quantize(price)
    swing = (step * (number % 3 + 1) / 2).quantize(price)
    volume = Decimal(5 + number * 13 % 17)
    return Candle(
        key.exchange,
        key.symbol,
        key.parameter or "1m",
        open_ts,
        open_ts + span_ms - 1,
        opened,
        max(opened, closed) + swing,
        min(opened, closed) - swing,
        closed,
        volume,
        volume * price,
        volume / 2,
        100,
        None,
        None,
        True,
        open_ts + span_ms - 1,
        open_ts + span_ms,
    )
