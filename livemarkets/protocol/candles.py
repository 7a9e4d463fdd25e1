"""Encodes candles. No I/O.

The values of :mod:`livemarkets.market.candles` have the fields of the messages, in the same order. So they
are encoded as they are, once for all readers; a test compares them with the types of
:mod:`livemarkets.protocol.candle_messages`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from livemarkets.market.candles import Candle, CandleGap
from livemarkets.market.models import StreamKey
from livemarkets.protocol.candle_messages import CandlesLagged
from livemarkets.protocol.updates import encode_object

__all__ = [
    "encode_candle",
    "encode_candle_gap",
    "encode_candle_lagged",
    "encode_candle_object",
    "encode_candle_snapshot",
]

_encode = msgspec.json.Encoder().encode
_NAMES = len('{"exchange":"","symbol":"","interval":"1M"')


def encode_candle(candle: Candle) -> bytes:
    """Encode a live candle."""
    return b'{"type":"candle",' + encode_candle_object(candle)[1:]


def encode_candle_snapshot(key: StreamKey, candles: Iterable[Candle]) -> bytes:
    """Encode past candles, oldest first."""
    head = b'{"type":"snapshot",%b,"data":[' % _name(key)
    return head + b",".join(map(encode_candle_object, candles)) + b"]}"


def encode_candle_gap(gap: CandleGap) -> bytes:
    """Encode which candles will not come."""
    return b'{"type":"gap",%b,"from_open_ts":%d,"to_open_ts":%d,"cause":"%b"}' % (
        _name(gap.key),
        gap.from_open_ts,
        gap.to_open_ts,
        gap.cause.encode(),
    )


def encode_candle_lagged(key: StreamKey, from_open_ts: int, to_open_ts: int, skipped: int) -> bytes:
    """Encode which closed candles a slow reader missed. They follow."""
    interval = key.parameter or ""
    return _encode(
        CandlesLagged(key.exchange, key.channel, key.symbol, interval, skipped, from_open_ts, to_open_ts)
    )


def encode_candle_object(candle: Candle) -> bytes:
    """Encode one candle of several."""
    return encode_object(candle, _NAMES + len(candle.exchange + candle.symbol))


def _name(key: StreamKey) -> bytes:
    return b'"exchange":%b,"channel":%b,"symbol":%b,"interval":%b' % tuple(map(_encode, key))
