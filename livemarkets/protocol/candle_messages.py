"""The types of messages about candles, and of their data in a snapshot. No I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

__all__ = ["CandleGapMessage", "CandleMessage", "CandleSnapshot", "CandlesLagged"]

# A field that is `UNSET` is left out of the message; `None` is encoded as `null`.


class CandleData(msgspec.Struct, frozen=True, kw_only=True):
    """One candle: :class:`livemarkets.market.candles.Candle` in the protocol."""

    exchange: str
    symbol: str
    interval: str
    open_ts: int
    close_ts: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    trades: int
    first_id: int | None
    last_id: int | None
    closed: bool
    ts: int
    recv_ts: int


class CandleMessage(CandleData, frozen=True, kw_only=True, tag_field="type", tag="candle"):
    """A live update of a running candle, or a closed one."""

    revised: bool | UnsetType = UNSET
    """Set to true if the candle was told as closed before, with other figures."""
    skipped: int | UnsetType = UNSET
    """How many updates of running candles were left out before this one."""


class CandleSnapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """Past candles, oldest first, the running one last."""

    exchange: str
    channel: str
    symbol: str
    interval: str
    data: list[CandleData]


class CandleGapMessage(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """Candles with an `open_ts` in this range will not come.

    `to_open_ts` below `from_open_ts` means that the exchange's time was set back.
    """

    exchange: str
    channel: str
    symbol: str
    interval: str
    from_open_ts: int
    to_open_ts: int
    cause: Literal["upstream", "venue", "history"]


class CandlesLagged(msgspec.Struct, frozen=True, tag_field="type", tag="lagged"):
    """The closed candles that a slow reader missed. They follow."""

    exchange: str
    channel: str
    symbol: str
    interval: str
    skipped: int
    from_open_ts: int
    to_open_ts: int
