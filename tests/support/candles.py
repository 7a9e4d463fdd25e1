"""An exchange's candles for tests: what is true of them at any time."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from livemarkets.market.candles import Candle
from livemarkets.market.channels import CANDLES
from livemarkets.market.models import StreamKey, TradeTick

START_MS = 1_723_161_240_000
MINUTE_MS = 60_000
BTC_1M = StreamKey("binance", CANDLES, "BTCUSDT", "1m")


def make_candle(
    number: int,
    trades: int = 5,
    *,
    closed: bool = False,
    ids: tuple[int, int] | None = None,
    symbol: str = "BTCUSDT",
    interval: str = "1m",
    span_ms: int = MINUTE_MS,
    ts: int | None = None,
    recv_ts: int | None = None,
) -> Candle:
    """The candle of this number after `START_MS`; its volume tells how many trades it has."""
    open_ts = START_MS + number * span_ms
    close_ts = open_ts + span_ms - 1
    made_ts = ts if ts is not None else min(close_ts, open_ts + trades)
    price = Decimal(60_000 + number)
    figures = price, price + trades, price, price + trades
    volumes = Decimal(trades) / 10, price * trades / 10, Decimal(trades) / 20
    first_id, last_id = ids if ids is not None else (None, None)
    return Candle(
        "binance",
        symbol,
        interval,
        open_ts,
        close_ts,
        *figures,
        *volumes,
        trades,
        first_id,
        last_id,
        closed,
        made_ts,
        made_ts if recv_ts is None else recv_ts,
    )


def candle_of(ticks: Sequence[TradeTick], number: int, *, closed: bool = False) -> Candle:
    """The candle that these trades make."""
    prices = [tick.price for tick in ticks]
    return replace(
        make_candle(number, len(ticks), closed=closed, ids=(ticks[0].id, ticks[-1].id)),
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        volume=sum((tick.size for tick in ticks), Decimal(0)),
        quote_volume=sum((tick.price * tick.size for tick in ticks), Decimal(0)),
        taker_buy_volume=sum((tick.size for tick in ticks if tick.side == "buy"), Decimal(0)),
    )


class TrueMarket:
    """Candles as an exchange has them: each trades at fixed moments, and ends where the next one begins.

    Args:
        trade_seconds: per candle, when in it its trades happen.
        skipped: numbers of candles that do not exist, as during a maintenance.

    """

    def __init__(self, trade_seconds: Sequence[Sequence[int]], skipped: frozenset[int] = frozenset()) -> None:
        self._trades = trade_seconds
        self._numbers = [number for number in range(len(trade_seconds)) if number not in skipped]

    def at(self, number: int, second: float) -> Candle:
        """Return a candle as it was at this second after the beginning."""
        done = sum(number * 60 + each <= second for each in self._trades[number])
        first_id = sum(map(len, self._trades[:number]))
        is_closed = second >= (number + 1) * 60
        ids = (first_id, first_id + done - 1) if done else None
        now_ms = START_MS + int(second * 1000)
        return make_candle(number, done, closed=is_closed, ids=ids, ts=now_ms, recv_ts=now_ms + 5)

    def newest(self, second: float) -> Candle | None:
        """Return the newest candle at this second."""
        begun = [number for number in self._numbers if number * 60 <= second]
        return self.at(begun[-1], second) if begun else None

    def closed(self, second: float) -> list[Candle]:
        """Return the candles that are closed at this second."""
        return [self.at(number, second) for number in self._numbers if (number + 1) * 60 <= second]

    def history(self, from_ts: int, second: float, limit: int = 1000, *, behind: float = 0.0) -> list[Candle]:
        """Return what the exchange's history said at this second, from an open time on.

        The figures may be behind by some seconds, though the newest candle is there.
        """
        begun = [self.at(number, second - behind) for number in self._numbers if number * 60 <= second]
        rows = [make_candle(self._number(each), each.trades) for each in begun if each.open_ts >= from_ts]
        return rows[:limit]

    def _number(self, candle: Candle) -> int:
        return (candle.open_ts - START_MS) // MINUTE_MS
