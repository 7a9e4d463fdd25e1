"""The types of messages about candles, and of their data in a snapshot. No I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from livemarkets.market.channels import CANDLES
from livemarkets.protocol.field_types import (
    BaseSize,
    Exchange,
    Interval,
    Ms,
    Price,
    ReceivedMs,
    Symbol,
    channel,
    told,
)

__all__ = ["CandleData", "CandleGapMessage", "CandleMessage", "CandleSnapshot", "CandlesLagged"]

# A field that is `UNSET` is left out of the message; `None` is encoded as `null`.


class CandleData(msgspec.Struct, frozen=True, kw_only=True):
    """One candle."""

    exchange: Exchange
    symbol: Symbol
    interval: Interval
    open_ts: Annotated[Ms, told("When it begins, ms since the epoch: the exchange's own time.")]
    close_ts: Annotated[Ms, told("Its last millisecond.")]
    open: Annotated[Price, told("The first price.")]
    high: Annotated[Price, told("The highest price.")]
    low: Annotated[Price, told("The lowest price.")]
    close: Annotated[Price, told("The last price.")]
    volume: Annotated[BaseSize, told("Sizes summed, in the base asset.")]
    quote_volume: Annotated[Decimal, told("Sizes summed, in the quote asset.")]
    taker_buy_volume: Annotated[BaseSize, told("The part of `volume` that takers bought.")]
    trades: Annotated[int, told("How many trades it has.")]
    first_id: Annotated[
        int | None, told("The id of its first trade; `null` if nothing traded, or if it was fetched.")
    ]
    last_id: Annotated[
        int | None, told("The id of its last trade; `null` if nothing traded, or if it was fetched.")
    ]
    closed: Annotated[bool, told("Whether these are its final figures.")]
    ts: Annotated[Ms, told("When the exchange made it, ms since the epoch.")]
    recv_ts: ReceivedMs


class CandleMessage(CandleData, frozen=True, kw_only=True, tag_field="type", tag="candle"):
    """A live update of a running candle, or a closed one."""

    revised: (
        Annotated[
            bool,
            told("`true` if it was told as closed before, with other figures; otherwise absent."),
        ]
        | UnsetType
    ) = UNSET
    skipped: (
        Annotated[
            int,
            told("How many updates of running candles were left out before this one. Absent if none was."),
        ]
        | UnsetType
    ) = UNSET


class CandleSnapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """Past candles, oldest first, the running one last. More than 500 come in several messages."""

    exchange: Exchange
    channel: Annotated[str, channel(CANDLES)]
    symbol: Symbol
    interval: Interval
    data: Annotated[list[CandleData], told("The candles; none if none are known.")]


class CandleGapMessage(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """Candles with an `open_ts` in this range will not come.

    `to_open_ts` below `from_open_ts` means that the exchange's time was set back.
    """

    exchange: Exchange
    channel: Annotated[str, channel(CANDLES)]
    symbol: Symbol
    interval: Interval
    from_open_ts: Annotated[int, told("The first open time that may be missing.")]
    to_open_ts: Annotated[int, told("The last open time that may be missing.")]
    cause: Annotated[
        Literal["upstream", "venue", "history"],
        told(
            "`upstream`: they could not be fetched. `venue`: the exchange's time was set back. `history`: too"
            " old."
        ),
    ]


class CandlesLagged(msgspec.Struct, frozen=True, tag_field="type", tag="lagged"):
    """The closed candles that this client missed because it reads too slowly. They follow."""

    exchange: Exchange
    channel: Annotated[str, channel(CANDLES)]
    symbol: Symbol
    interval: Interval
    skipped: Annotated[int, told("How many closed candles.")]
    from_open_ts: Annotated[int, told("The open time of the first.")]
    to_open_ts: Annotated[int, told("The open time of the last.")]
