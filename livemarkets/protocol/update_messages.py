"""The types of messages about updates of which the newest wins, and of their data in a snapshot. No I/O."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import UNSET, UnsetType

__all__ = [
    "BookMessage",
    "DepthMessage",
    "TickerFigures",
    "TickerMessage",
    "TickersMessage",
]

# A field that is `UNSET` is left out of the message; `None` is encoded as `null`.


class TickerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol in a message about many: :class:`livemarkets.market.updates.TickerRow` in the protocol."""

    symbol: str
    last: Decimal | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    change: Decimal
    change_percent: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    last_id: int | None
    open_ts: int
    ts: int


class TickersMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="tickers"):
    """What changed in the tickers of all symbols of an exchange."""

    exchange: str
    channel: str
    symbols: str
    data: list[TickerFigures]
    skipped: int | UnsetType = UNSET


class TickerData(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one symbol over the last 24 hours."""

    exchange: str
    symbol: str
    last: Decimal | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    change: Decimal
    change_percent: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    open_ts: int
    last_id: int | None
    ts: int
    recv_ts: int


class TickerMessage(TickerData, frozen=True, kw_only=True, tag_field="type", tag="ticker"):
    """A live update."""

    skipped: int | UnsetType = UNSET


class BookData(msgspec.Struct, frozen=True, kw_only=True):
    """The best bid and ask of one symbol."""

    exchange: str
    symbol: str
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    update_id: int | None
    recv_ts: int


class BookMessage(BookData, frozen=True, kw_only=True, tag_field="type", tag="book"):
    """A live update."""

    skipped: int | UnsetType = UNSET


class DepthData(msgspec.Struct, frozen=True, kw_only=True):
    """The best price levels of one symbol's order book."""

    exchange: str
    symbol: str
    levels: int
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]
    update_id: int
    recv_ts: int


class DepthMessage(DepthData, frozen=True, kw_only=True, tag_field="type", tag="depth"):
    """A live update."""

    skipped: int | UnsetType = UNSET
