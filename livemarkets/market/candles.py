"""Candles: the prices and volumes of one symbol over intervals of time.

Prices and sizes are `Decimal`s with the exchange's own digits. Times are ms since the epoch, UTC. Open times
are the exchange's own and never computed: after an outage, a candle may begin at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from livemarkets.market.models import ExchangeName, GapCause, StreamKey

__all__ = ["Candle", "CandleGap", "ReleasedCandle", "same_figures", "with_ids"]


class Candle(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One candle of one symbol."""

    exchange: ExchangeName
    symbol: str
    interval: str
    """One of :data:`~livemarkets.market.channels.CANDLE_INTERVALS`."""
    open_ts: int
    """When it begins. It names the candle."""
    close_ts: int
    """Its last millisecond."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    """Sizes summed, in the base asset."""
    quote_volume: Decimal
    taker_buy_volume: Decimal
    """The part of `volume` that takers bought."""
    trades: int
    first_id: int | None
    """The id of its first trade; `None` if there is none, or the exchange did not tell it."""
    last_id: int | None
    closed: bool
    """Whether these are its final figures. The exchange's REST API does not tell it."""
    ts: int
    """When the exchange made the update. Of a candle that was fetched: its `close_ts`, or `recv_ts` if that
    is earlier."""
    recv_ts: int
    """When this process read it."""
    revised: bool = False
    """Whether it was told as closed before, with other figures."""


class CandleGap(msgspec.Struct, frozen=True):
    """Declares that candles with an `open_ts` from `from_open_ts` to `to_open_ts` will not be delivered.

    Both ends are included. They are times between which candles may have opened, not open times themselves. A
    `to_open_ts` below `from_open_ts` means that the exchange's time was set back.
    """

    key: StreamKey
    from_open_ts: int
    to_open_ts: int
    cause: GapCause
    """`upstream`: they could not be fetched. `history`: too old. `venue`: the exchange's time was set
    back."""


ReleasedCandle = Candle | CandleGap


def same_figures(one: Candle, other: Candle) -> bool:
    """Return whether two candles have the same figures. Ids may be unknown in one of them."""
    return _figures(one) == _figures(other) and one.close_ts == other.close_ts


def with_ids(candle: Candle, other: Candle) -> Candle:
    """Return the candle, with the ids of another one with the same figures if it has none itself."""
    if candle.first_id is not None or other.first_id is None:
        return candle
    return replace(candle, first_id=other.first_id, last_id=other.last_id)


def _figures(candle: Candle) -> Sequence[Decimal | int]:
    return (
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.quote_volume,
        candle.taker_buy_volume,
        candle.trades,
    )
