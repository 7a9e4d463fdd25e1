"""The types of the messages that a client may send, as the contract tells them. No I/O.

:mod:`livemarkets.protocol.requests` parses messages. It takes more than these types: words in any case, and
`null` for a field that is absent. A test compares both.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from livemarkets.market.channels import BOOK, CANDLES, DEPTH, MOST_PAST_CANDLES, TICKERS, TRADES
from livemarkets.protocol.field_types import (
    AnyChannel,
    Interval,
    Levels,
    RequestIdField,
    channel,
    told,
    words,
)
from livemarkets.protocol.messages import MODES, ORDERS
from livemarkets.protocol.requests import (
    DEFAULT_INTERVAL_MS,
    DEFAULT_LEVELS,
    LEAST_INTERVAL_MS,
    MOST_INTERVAL_MS,
)

__all__ = ["CLIENT_MESSAGES", "SUBSCRIBE_MESSAGES", "ListMessage", "Ping", "Unsubscribe"]

_Exchange = Annotated[str, told("One that `welcome` lists.", "binance", "simulator")]
_Id = Annotated[RequestIdField, told("Repeated in the answer.", 7, "seven")]
_Name = Annotated[str, told("One symbol, in any case.", "BTCUSDT")]
_Names = Annotated[
    list[Annotated[str, told("A symbol.")]], Meta(description="Several symbols.", min_length=1)
]
_Mode = Annotated[
    str,
    Meta(
        description="`all`: everything. `latest`: at most one message per symbol in `interval_ms`.",
        extra_json_schema={"enum": list(MODES), "default": MODES[0]},
    ),
]
_IntervalMs = Annotated[
    int,
    Meta(
        description="For `latest`: the least time between two messages about a symbol, in ms.",
        ge=LEAST_INTERVAL_MS,
        le=MOST_INTERVAL_MS,
        extra_json_schema={"default": DEFAULT_INTERVAL_MS},
    ),
]
_Quality = Annotated[
    bool,
    told(
        "Whether the client wants `quality` about these streams. A message with it and without any field of"
        " delivery only turns it on or off; it may have no symbol, and is then about the whole channel."
    ),
]
_IsShown = Annotated[
    int,
    Meta(
        description="With 0, the snapshot is empty; else it has the newest known update.",
        ge=0,
        extra_json_schema={"default": 1},
    ),
]


class _Subscribe(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="subscribe"):
    id: _Id | UnsetType = UNSET
    exchange: _Exchange
    channel: AnyChannel
    symbol: _Name | UnsetType = UNSET
    mode: _Mode | UnsetType = UNSET
    interval_ms: _IntervalMs | UnsetType = UNSET
    quality: _Quality | UnsetType = UNSET


class SubscribeTrades(_Subscribe, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe to every trade of some symbols, or resume where the client was."""

    channel: Annotated[str, channel(TRADES)]
    symbols: _Names | UnsetType = UNSET
    snapshot: (
        Annotated[
            int,
            Meta(
                description="How many recent trades come first, up to `LIVE_FEED_LENGTH`.",
                ge=0,
                extra_json_schema={"default": 1},
            ),
        ]
        | UnsetType
    ) = UNSET
    order: (
        Annotated[
            str,
            Meta(
                description="`id`: trades behind missing ones wait for them. `arrival`: nothing waits.",
                extra_json_schema={"enum": list(ORDERS), "default": ORDERS[0]},
            ),
        ]
        | UnsetType
    ) = UNSET
    after: (
        Annotated[
            dict[str, Annotated[int, Meta(ge=0)]],
            told(
                "Resume: by symbol, the last trade id that the client has; 0 asks for everything that can be"
                " had. Each symbol must be one of the message.",
                {"BTCUSDT": 3735683259},
            ),
        ]
        | UnsetType
    ) = UNSET


class SubscribeTickers(_Subscribe, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe to the figures of 24 hours of some symbols, or of all with `"symbols":"*"`."""

    channel: Annotated[str, channel(TICKERS)]
    symbols: _Names | Annotated[str, words(("*",), "All symbols of the exchange.")] | UnsetType = UNSET
    snapshot: _IsShown | UnsetType = UNSET


class SubscribeBook(_Subscribe, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe to the best bid and ask of some symbols."""

    channel: Annotated[str, channel(BOOK)]
    symbols: _Names | UnsetType = UNSET
    snapshot: _IsShown | UnsetType = UNSET


class SubscribeDepth(_Subscribe, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe to the best price levels of some symbols' order books."""

    channel: Annotated[str, channel(DEPTH)]
    symbols: _Names | UnsetType = UNSET
    snapshot: _IsShown | UnsetType = UNSET
    levels: Annotated[Levels, Meta(extra_json_schema={"default": DEFAULT_LEVELS})] | UnsetType = UNSET


class SubscribeCandles(_Subscribe, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe to candles of some symbols, or resume where the client was."""

    channel: Annotated[str, channel(CANDLES)]
    symbols: _Names | UnsetType = UNSET
    interval: Interval
    snapshot: (
        Annotated[
            int,
            Meta(
                description="How many past candles come first.",
                ge=0,
                le=MOST_PAST_CANDLES,
                extra_json_schema={"default": 1},
            ),
        ]
        | UnsetType
    ) = UNSET
    after: (
        Annotated[
            dict[str, Annotated[int, Meta(ge=0)]],
            told(
                "Resume: by symbol, the `open_ts` of the last closed candle that the client has. Each symbol"
                " must be one of the message.",
                {"BTCUSDT": 1723158000000},
            ),
        ]
        | UnsetType
    ) = UNSET


class Unsubscribe(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unsubscribe"):
    """End the subscription of some symbols. One that was not subscribed is no error."""

    id: _Id | UnsetType = UNSET
    exchange: _Exchange
    channel: AnyChannel
    symbol: _Name | UnsetType = UNSET
    symbols: _Names | Annotated[str, words(("*",), "All symbols, in `tickers`.")] | UnsetType = UNSET
    interval: Annotated[Interval, told("Required for candles: a part of the stream's name.")] | UnsetType = (
        UNSET
    )


class ListMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="list"):
    """Ask what this connection has subscribed."""

    id: _Id | UnsetType = UNSET


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ping"):
    """Ask for a `pong`."""

    id: _Id | UnsetType = UNSET


SUBSCRIBE_MESSAGES = (
    SubscribeTrades,
    SubscribeTickers,
    SubscribeBook,
    SubscribeDepth,
    SubscribeCandles,
)
CLIENT_MESSAGES: tuple[Any, ...] = (*SUBSCRIBE_MESSAGES, Unsubscribe, ListMessage, Ping)
