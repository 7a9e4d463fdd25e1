"""The types of the JSON answers over HTTP, as the contract tells them.

The answers are composed from bytes, as the messages of `/ws/markets` are; the tests hold each to its type.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from livemarkets.market.models import QualityState
from livemarkets.protocol.candle_messages import CandleData
from livemarkets.protocol.field_types import Exchange, Interval, Ms, Symbol, told, words
from livemarkets.protocol.trade_messages import Tick
from livemarkets.protocol.update_messages import BookData, DepthData, TickerData, TickerFigures

__all__ = [
    "AllTickersAnswer",
    "BookAnswer",
    "CandlesAnswer",
    "DepthAnswer",
    "ErrorAnswer",
    "LatestAnswer",
    "ReadyAnswer",
    "SymbolsAnswer",
    "TickersAnswer",
    "TradesAnswer",
    "columns_of",
]

_Source = Annotated[
    str, words(("memory", "exchange", "both"), "Where the values come from. A header says the same.")
]


class ErrorAnswer(msgspec.Struct, frozen=True):
    """What is wrong with a request."""

    error: Annotated[str, told("What is wrong and what is allowed, for the developer.")]
    did_you_mean: Annotated[list[str], told("Symbols that may have been meant, best first.")] | UnsetType = (
        UNSET
    )


class ReadyAnswer(msgspec.Struct, frozen=True):
    """Whether this server can take readers."""

    ready: Annotated[bool, told("Whether it can.")]
    reasons: (
        Annotated[list[str], told("Why not. Absent without the access token, where one is set.")] | UnsetType
    ) = UNSET
    not_traded: (
        Annotated[
            list[str], told("With `upstream=1`: wanted streams of symbols that are halted or delisted.")
        ]
        | UnsetType
    ) = UNSET


class SymbolData(msgspec.Struct, frozen=True):
    """A symbol that an exchange lists."""

    symbol: Symbol
    base_asset: Annotated[str, told("What is counted by size.", "BTC")]
    quote_asset: Annotated[str, told("What the price is in.", "USDT")]
    tick_size: Annotated[str, told("The smallest step of the price, as text.", "0.01")]
    step_size: Annotated[str, told("The smallest step of the size, as text.", "0.00001")]
    is_trading: Annotated[bool, told("Whether it can be traded at present.")]
    status: Annotated[str, told("The exchange's own word, such as `TRADING`, `BREAK` or `HALT`.")]


class SymbolsAnswer(msgspec.Struct, frozen=True):
    """The symbols that match a search, the best match first."""

    exchange: Exchange
    known: Annotated[int, told("How many symbols the exchange lists; 0 while the list is not known.")]
    symbols: list[SymbolData]


class StreamState(msgspec.Struct, frozen=True):
    """The state of the stream of a symbol's trades."""

    symbol: Symbol
    state: Annotated[str, words(QualityState, "The state of the stream: the first that holds.")]
    since: Annotated[Ms, told("When this state began, ms since the epoch.")]
    reason: Annotated[str | None, told("For people; `null` if there is nothing to explain.")]
    age_ms: Annotated[int | None, told("The time since the last trade was read, in ms; `null` without one.")]


class LatestAnswer(msgspec.Struct, frozen=True):
    """The last trade of each symbol that is kept in memory."""

    exchange: Exchange
    quality: list[StreamState]
    ticks: list[Tick]


class TradesAnswer(msgspec.Struct, frozen=True):
    """Trades of one symbol, oldest first."""

    exchange: Exchange
    symbol: Symbol
    source: _Source
    trades: list[Tick]


class TickersAnswer(msgspec.Struct, frozen=True):
    """The figures of the last 24 hours of the symbols that were asked for."""

    exchange: Exchange
    source: _Source
    tickers: list[TickerData]


class AllTickersAnswer(msgspec.Struct, frozen=True):
    """The figures of the last 24 hours of all symbols, in the order of their names."""

    exchange: Exchange
    source: _Source
    tickers: list[TickerFigures]


class BookAnswer(msgspec.Struct, frozen=True):
    """The best bid and ask of each symbol."""

    exchange: Exchange
    source: _Source
    book: list[BookData]


class DepthAnswer(msgspec.Struct, frozen=True):
    """The best price levels of one symbol's order book. The list has one entry."""

    exchange: Exchange
    source: _Source
    depth: list[DepthData]


class CandlesAnswer(msgspec.Struct, frozen=True):
    """Candles of one symbol, oldest first."""

    exchange: Exchange
    symbol: Symbol
    interval: Interval
    source: _Source
    candles: list[CandleData]


def columns_of(answer: Any) -> tuple[str, ...]:
    """Return the columns of an answer as CSV: the fields of an entry of its list, but for optional ones."""
    field = msgspec.structs.fields(answer)[-1]
    entry = field.type.__args__[0]
    return tuple(each.name for each in msgspec.structs.fields(entry) if each.required)
