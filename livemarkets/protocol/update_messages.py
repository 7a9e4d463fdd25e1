"""The types of messages about updates of which the newest wins, and of their data in a snapshot. No I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from livemarkets.market.channels import ALL_SYMBOLS, BOOK, DEPTH, TICKERS
from livemarkets.protocol.field_types import (
    BaseSize,
    Exchange,
    Levels,
    Ms,
    Price,
    ReceivedMs,
    Symbol,
    channel,
    told,
    words,
)

__all__ = [
    "BookData",
    "BookMessage",
    "BookSnapshot",
    "DepthData",
    "DepthMessage",
    "DepthSnapshot",
    "TickerData",
    "TickerFigures",
    "TickerMessage",
    "TickerSnapshot",
    "TickersMessage",
    "TickersSnapshot",
]

# A field that is `UNSET` is left out of the message; `None` is encoded as `null`.

_Skipped = Annotated[
    int, told("How many updates of this name were left out before this one. Absent if none was.")
]
_OpenMs = Annotated[Ms, told("When the 24 hours began, ms since the epoch.")]
_LastId = Annotated[int | None, told("The id of the newest trade; `null` without one.")]
_MadeMs = Annotated[Ms, told("When the exchange made it, ms since the epoch.")]
_AllSymbols = words((ALL_SYMBOLS,), "All symbols of the exchange under one name.")
_Newest = Meta(description="The newest update; none if none is known.", max_length=1)


class TickerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one symbol over the last 24 hours, in a message about many symbols."""

    symbol: Symbol
    last: Annotated[Price | None, told("The newest price; `null` if there was no trade.")]
    open: Annotated[Price | None, told("The first price of the 24 hours; `null` if there was no trade.")]
    high: Annotated[Price | None, told("The highest price; `null` if there was no trade.")]
    low: Annotated[Price | None, told("The lowest price; `null` if there was no trade.")]
    change: Annotated[Price, told("`last` minus `open`.")]
    change_percent: Annotated[Decimal, told("The change in percent of `open`.")]
    volume: Annotated[BaseSize, told("Sizes summed, in the base asset.")]
    quote_volume: Annotated[Decimal, told("Sizes summed, in the quote asset.")]
    trades: Annotated[int, told("How many trades there were.")]
    last_id: _LastId
    open_ts: _OpenMs
    ts: _MadeMs


class TickersMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="tickers"):
    """The figures that changed, of all symbols of an exchange. At most 200 symbols in a message."""

    exchange: Exchange
    channel: Annotated[str, channel(TICKERS)]
    symbols: Annotated[str, _AllSymbols]
    data: Annotated[list[TickerFigures], told("The symbols that changed.")]
    skipped: _Skipped | UnsetType = UNSET


class TickersSnapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """The figures of all symbols that are known. More than 200 symbols come in several messages."""

    exchange: Exchange
    channel: Annotated[str, channel(TICKERS)]
    symbol: Annotated[str, _AllSymbols]
    data: Annotated[list[TickerFigures], told("The symbols; none if none are known.")]


class TickerData(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one symbol over the last 24 hours."""

    exchange: Exchange
    symbol: Symbol
    last: Annotated[Price | None, told("The newest price; `null` if there was no trade.")]
    open: Annotated[Price | None, told("The first price of the 24 hours; `null` if there was no trade.")]
    high: Annotated[Price | None, told("The highest price; `null` if there was no trade.")]
    low: Annotated[Price | None, told("The lowest price; `null` if there was no trade.")]
    change: Annotated[Price, told("`last` minus `open`.")]
    change_percent: Annotated[Decimal, told("The change in percent of `open`.")]
    volume: Annotated[BaseSize, told("Sizes summed, in the base asset.")]
    quote_volume: Annotated[Decimal, told("Sizes summed, in the quote asset.")]
    trades: Annotated[int, told("How many trades there were.")]
    bid: Annotated[Price | None, told("The best bid; `null` while nobody bids.")]
    bid_size: Annotated[BaseSize | None, told("Its size; `null` while nobody bids.")]
    ask: Annotated[Price | None, told("The best ask; `null` while nobody asks.")]
    ask_size: Annotated[BaseSize | None, told("Its size; `null` while nobody asks.")]
    open_ts: _OpenMs
    last_id: _LastId
    ts: _MadeMs
    recv_ts: ReceivedMs


class TickerMessage(TickerData, frozen=True, kw_only=True, tag_field="type", tag="ticker"):
    """A live update of the figures of one symbol over the last 24 hours."""

    skipped: _Skipped | UnsetType = UNSET


class TickerSnapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """The newest known figures of one symbol."""

    exchange: Exchange
    channel: Annotated[str, channel(TICKERS)]
    symbol: Symbol
    data: Annotated[list[TickerData], _Newest]


class BookData(msgspec.Struct, frozen=True, kw_only=True):
    """The best bid and ask of one symbol."""

    exchange: Exchange
    symbol: Symbol
    bid: Annotated[Price | None, told("The best bid; `null` while nobody bids.")]
    bid_size: Annotated[BaseSize | None, told("Its size; `null` while nobody bids.")]
    ask: Annotated[Price | None, told("The best ask; `null` while nobody asks.")]
    ask_size: Annotated[BaseSize | None, told("Its size; `null` while nobody asks.")]
    update_id: Annotated[
        int | None, told("The exchange's number of the update; `null` where it did not tell it.")
    ]
    recv_ts: ReceivedMs


class BookMessage(BookData, frozen=True, kw_only=True, tag_field="type", tag="book"):
    """A live update of the best bid and ask."""

    skipped: _Skipped | UnsetType = UNSET


class BookSnapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """The newest known best bid and ask of one symbol."""

    exchange: Exchange
    channel: Annotated[str, channel(BOOK)]
    symbol: Symbol
    data: Annotated[list[BookData], _Newest]


class DepthData(msgspec.Struct, frozen=True, kw_only=True):
    """The best price levels of one symbol's order book."""

    exchange: Exchange
    symbol: Symbol
    levels: Levels
    bids: Annotated[list[tuple[Price, BaseSize]], told("Price and size of each level, the best first.")]
    asks: Annotated[list[tuple[Price, BaseSize]], told("Price and size of each level, the best first.")]
    update_id: Annotated[int, told("The exchange's number of the update.")]
    recv_ts: ReceivedMs


class DepthMessage(DepthData, frozen=True, kw_only=True, tag_field="type", tag="depth"):
    """A live update of the best price levels."""

    skipped: _Skipped | UnsetType = UNSET


class DepthSnapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """The newest known price levels of one symbol."""

    exchange: Exchange
    channel: Annotated[str, channel(DEPTH)]
    symbol: Symbol
    data: Annotated[list[DepthData], _Newest]
