"""Protocol 1 of `/ws/markets`: its name, the types of the server's messages, error and close codes. No I/O.

The encoder, the documents and the tests use these types. `docs/ws-markets.md` is the manual.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from livemarkets.market.models import QualityState
from livemarkets.protocol.candle_messages import CandleMessage
from livemarkets.protocol.codes import ERROR_CODES
from livemarkets.protocol.field_types import (
    AnyChannel,
    Exchange,
    Interval,
    Levels,
    Ms,
    RequestIdField,
    State,
    SymbolName,
    told,
    words,
)
from livemarkets.protocol.trade_messages import GapMessage, Lagged, Snapshot, Tick, Trade
from livemarkets.protocol.update_messages import (
    BookMessage,
    DepthMessage,
    TickerMessage,
    TickersMessage,
)
from livemarkets.server.close_codes import CLOSE_CODES

__all__ = [
    "CLIENT_MESSAGE_TYPES",
    "CLOSE_CODES",
    "ERROR_CODES",
    "MODES",
    "ORDERS",
    "PROTOCOL",
    "SERVER_MESSAGES",
    "SERVER_MESSAGE_TYPES",
    "SUBPROTOCOL",
    "ErrorMessage",
    "GapMessage",
    "Heartbeat",
    "Lagged",
    "Pong",
    "QualityMessage",
    "RequestId",
    "ServerMessage",
    "Snapshot",
    "StatusMessage",
    "Subscribed",
    "Subscription",
    "Subscriptions",
    "SymbolResult",
    "Tick",
    "Trade",
    "Unsubscribed",
    "Welcome",
]

PROTOCOL = 1
SUBPROTOCOL = "livemarkets.v1"
"""The subprotocol that `/ws/markets` selects if the client offers it."""
CLIENT_MESSAGE_TYPES = ("subscribe", "unsubscribe", "list", "ping")

RequestId = int | str | None
"""The `id` of a client's message, repeated in its answer; `None` when it had none."""

MODES = ("all", "latest")
ORDERS = ("id", "arrival")

# A field that is `UNSET` is left out of the message; `None` is encoded as `null`.


class Welcome(msgspec.Struct, frozen=True, tag_field="type", tag="welcome"):
    """The first message of every connection."""

    protocol: Annotated[int, told("A change that breaks clients would raise it.", PROTOCOL)]
    client_id: Annotated[str, told("Names this connection in the server's log.")]
    server: Annotated[str, told("Program and version.", "livemarkets/0.1.0")]
    heartbeat_seconds: Annotated[
        float, told("After this time without any other message, a `heartbeat` comes.")
    ]
    exchanges: Annotated[dict[str, State], told("The exchanges on offer, with the state of each.")]
    channels: Annotated[list[AnyChannel], told("What can be subscribed on at least one of the exchanges.")]
    limits: Annotated[dict[str, int], told("What one connection may do.")]


class SymbolResult(msgspec.Struct, frozen=True, gc=False):
    """The result for one symbol of a request."""

    symbol: Annotated[str, told("The name as it was read, shortened if it is very long.")]
    ok: Annotated[bool, told("Whether it was done.")]
    code: Annotated[str, words(ERROR_CODES, "Why not. Present if `ok` is false.")] | UnsetType = UNSET
    message: Annotated[str, told("Why not, for the developer. Present if `ok` is false.")] | UnsetType = UNSET
    did_you_mean: Annotated[tuple[str, ...], told("What may have been meant, best first.")] | UnsetType = (
        UNSET
    )


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="subscribed"):
    """The answer to `subscribe`."""

    id: RequestIdField | UnsetType = UNSET
    exchange: Exchange
    channel: AnyChannel
    interval: Interval | UnsetType = UNSET
    results: Annotated[list[SymbolResult], told("One for each symbol of the request, in its order.")]
    subscriptions: Annotated[
        list[str],
        told("The symbols that are subscribed now on this exchange and channel, and with this interval."),
    ]


class Unsubscribed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unsubscribed"):
    """The answer to `unsubscribe`. Nothing of these names comes after it."""

    id: RequestIdField | UnsetType = UNSET
    exchange: Exchange
    channel: AnyChannel
    interval: Interval | UnsetType = UNSET
    results: Annotated[list[SymbolResult], told("One for each symbol of the request, in its order.")]
    subscriptions: Annotated[
        list[str],
        told("The symbols that are still subscribed on this exchange and channel, and with this interval."),
    ]


class StatusMessage(msgspec.Struct, frozen=True, tag_field="type", tag="status"):
    """The state of an exchange, after `subscribed` and at every change."""

    exchange: Exchange
    state: State
    reason: Annotated[str | None, told("For people. `null` if there is nothing to explain.")]
    ts: Annotated[Ms, told("When this state began, ms since the epoch.")]


class QualityMessage(msgspec.Struct, frozen=True, tag_field="type", tag="quality"):
    """The state of one stream, for clients that asked for it."""

    exchange: Exchange
    channel: AnyChannel
    symbol: SymbolName
    state: Annotated[str, words(QualityState, "The state of the stream: the first that holds.")]
    since: Annotated[Ms, told("When this state began, ms since the epoch.")]
    complete_to: Annotated[
        int | None,
        told("The id up to which the server has every trade or has declared it. Not for `after`."),
    ]
    last_id: Annotated[int | None, told("The newest trade id that was seen.")]
    lost: Annotated[int, told("How many ids were declared with the cause `upstream` in the last hour.")]
    lost_ts: Annotated[
        int | None, told("When the last of them was declared, ms since the epoch; `null` if none was.")
    ]
    interval: Interval | UnsetType = UNSET


class Subscription(msgspec.Struct, frozen=True):
    """One subscription of a connection."""

    exchange: Exchange
    channel: AnyChannel
    symbol: SymbolName
    mode: Annotated[str, words(MODES, "`all`: everything. `latest`: the newest, at intervals.")]
    order: Annotated[str, words(ORDERS, "In order of ids, or of arrival. Only trades have it.")] | UnsetType
    last_id: Annotated[int | None, told("The newest trade id that the server has; `null` elsewhere.")]
    complete_to: Annotated[
        int | None,
        told(
            "The id up to which everything was sent to this client or declared; `null` before the first"
            " trade, while a resumption is in progress, and in other channels."
        ),
    ]
    levels: Levels | UnsetType = UNSET
    interval: Interval | UnsetType = UNSET


class Subscriptions(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="subscriptions"):
    """The answer to `list`."""

    id: RequestIdField | UnsetType = UNSET
    subscriptions: Annotated[list[Subscription], told("Everything that this connection has subscribed.")]


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="pong"):
    """The answer to `ping`."""

    id: RequestIdField | UnsetType = UNSET
    ts: Annotated[Ms, told("The server's clock, ms since the epoch.")]


class Heartbeat(msgspec.Struct, frozen=True, tag_field="type", tag="heartbeat"):
    """Comes when nothing else was sent for `heartbeat_seconds`."""

    ts: Annotated[Ms, told("The server's clock, ms since the epoch.")]


class ErrorMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """What is wrong with a message of the client. Every subscription stays as it was."""

    id: RequestIdField | UnsetType = UNSET
    code: Annotated[str, words(ERROR_CODES, "For the program; it does not change.")]
    message: Annotated[str, told("For the developer; the text may change.")]


ServerMessage = (
    Welcome
    | Subscribed
    | Snapshot
    | Trade
    | StatusMessage
    | GapMessage
    | Lagged
    | QualityMessage
    | TickerMessage
    | TickersMessage
    | BookMessage
    | DepthMessage
    | CandleMessage
    | Unsubscribed
    | Subscriptions
    | Pong
    | Heartbeat
    | ErrorMessage
)
SERVER_MESSAGES: tuple[Any, ...] = ServerMessage.__args__
SERVER_MESSAGE_TYPES = tuple(str(message.__struct_config__.tag) for message in SERVER_MESSAGES)
