"""Parses Binance's klines (candles), of streams and of REST. No I/O.

Source: Binance spot API documents, `web-socket-streams.md` ("Kline/Candlestick Streams") and `rest-api.md`
("Kline/Candlestick data"). A kline without a trade has the ids -1, the volume 0 and the price before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from livemarkets.errors import MalformedMessage
from livemarkets.exchanges.binance.messages import plausible, plausible_ms, shortened
from livemarkets.market.candles import Candle
from livemarkets.market.models import ExchangeName, StreamKey

__all__ = ["RestKline", "fetched_candles", "parse_kline"]

_LARGEST = Decimal("1e40")
_AHEAD_MS = 86_400_000
"""A kline that begins later than this after our time is an error. It would pass for the newest one."""


class _Kline(msgspec.Struct, gc=False):
    """`{"t":1672515780000,"T":1672515839999,"s":"BNBBTC","i":"1m","f":100,"L":200,"o":"0.0010",…,"x":false}`."""

    t: int
    T: int
    s: str
    i: str
    f: int | None
    L: int | None
    o: Decimal
    c: Decimal
    h: Decimal
    l: Decimal  # noqa: E741
    v: Decimal
    n: int
    x: bool
    q: Decimal
    V: Decimal


class _KlineData(msgspec.Struct, gc=False):
    E: int
    s: str
    k: _Kline


class _KlineFrame(msgspec.Struct, gc=False):
    data: _KlineData


class RestKline(msgspec.Struct, array_like=True, gc=False):
    """`[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,…]`."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_ms: int
    quote_volume: Decimal
    trades: int
    taker_buy_volume: Decimal


_decode = msgspec.json.Decoder(_KlineFrame).decode


def parse_kline(raw: bytes, key: StreamKey, recv_ts: int, _complain: object = None) -> Candle:
    """Parse a frame of a kline stream, which was read at this time.

    Raises:
        MalformedMessage: it is no kline of this stream, or has impossible values.

    """
    try:
        data = _decode(raw).data
        bar = data.k
        if (data.s, bar.s, bar.i) != (key.symbol, key.symbol, key.parameter):
            raise ValueError("it is of another stream")
        if not plausible_ms(data.E):
            raise ValueError("a time is impossible")
        is_known = bar.n > 0 and bar.f is not None and bar.L is not None and 0 <= bar.f <= bar.L
        candle = Candle(
            key.exchange,
            key.symbol,
            bar.i,
            bar.t,
            bar.T,
            bar.o,
            bar.h,
            bar.l,
            bar.c,
            bar.v,
            bar.q,
            bar.V,
            bar.n,
            bar.f if is_known else None,
            bar.L if is_known else None,
            bar.x,
            data.E,
            recv_ts,
        )
        _check(candle)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError, InvalidOperation) as error:
        raise MalformedMessage("malformed candle", f"{error}: {shortened(raw)}") from None
    return candle


def fetched_candles(
    exchange: ExchangeName, symbol: str, interval: str, rows: Sequence[RestKline], recv_ts: int
) -> list[Candle]:
    """Return an answer of `klines` in the form of the port.

    Args:
        exchange: the exchange name of the candles.
        symbol: their symbol.
        interval: their interval.
        rows: the answer.
        recv_ts: when it was read, ms since the epoch.

    Raises:
        MalformedMessage: a kline has impossible values, or they are not in order.

    """
    candles: list[Candle] = []
    for row in rows:
        candle = Candle(
            exchange,
            symbol,
            interval,
            row.open_ms,
            row.close_ms,
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
            row.quote_volume,
            row.taker_buy_volume,
            row.trades,
            None,
            None,
            False,
            min(row.close_ms, recv_ts),
            recv_ts,
        )
        try:
            _check(candle)
            if candles and candle.open_ts <= candles[-1].open_ts:
                raise ValueError("they are not in order")
        except (ValueError, InvalidOperation) as error:
            raise MalformedMessage("malformed candles", f"{symbol} {interval}: {error}") from None
        candles.append(candle)
    return candles


def _check(candle: Candle) -> None:
    """Check the figures of a candle.

    Raises:
        ValueError, InvalidOperation: they are impossible.

    """
    if not (plausible_ms(candle.open_ts) and candle.open_ts <= candle.close_ts):
        raise ValueError("a time is impossible")
    if candle.open_ts > candle.recv_ts + _AHEAD_MS:
        raise ValueError("it begins in the future")
    if candle.trades < 0:
        raise ValueError("a count is impossible")
    low, high = candle.low, candle.high
    if not (plausible(low, high) and low <= candle.open <= high and low <= candle.close <= high):
        raise ValueError("a price is impossible")
    volume = candle.volume
    if not (0 <= candle.taker_buy_volume <= volume < _LARGEST and 0 <= candle.quote_volume < _LARGEST):
        raise ValueError("a volume is impossible")
