"""Protocol 1 of `/ws/markets`: its name, the types of the server's messages, error and close codes. No I/O.

The encoder, the documents and the tests use these types. `docs/ws-markets.md` is the manual.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from livemarkets.market.models import GapCause, Side
from livemarkets.protocol.candle_messages import CandleMessage
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

# A field that is `UNSET` is left out of the message; `None` is encoded as `null`.


class Welcome(msgspec.Struct, frozen=True, tag_field="type", tag="welcome"):
    """The first message of every connection."""

    protocol: int
    client_id: str
    server: str
    """Program and version, `livemarkets/0.1.0`."""
    heartbeat_seconds: float
    exchanges: dict[str, str]
    """Exchange → its state."""
    channels: list[str]
    """What can be subscribed on at least one of the exchanges."""
    limits: dict[str, int]


class SymbolResult(msgspec.Struct, frozen=True, gc=False):
    """The result for one symbol of a request."""

    symbol: str
    ok: bool
    code: str | UnsetType = UNSET
    """One of :data:`ERROR_CODES`; set when `ok` is false."""
    message: str | UnsetType = UNSET
    did_you_mean: tuple[str, ...] | UnsetType = UNSET


class Subscribed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="subscribed"):
    """The answer to `subscribe`."""

    id: int | str | UnsetType = UNSET
    exchange: str
    channel: str
    interval: str | UnsetType = UNSET
    """Set for candles."""
    results: list[SymbolResult]
    subscriptions: list[str]
    """The symbols that are subscribed now on this exchange and channel, and with this interval."""


class Unsubscribed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unsubscribed"):
    """The answer to `unsubscribe`."""

    id: int | str | UnsetType = UNSET
    exchange: str
    channel: str
    interval: str | UnsetType = UNSET
    """Set for candles."""
    results: list[SymbolResult]
    subscriptions: list[str]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One trade: :class:`livemarkets.market.models.TradeTick` in the protocol."""

    exchange: str
    symbol: str
    price: Decimal
    size: Decimal
    side: Side
    ts: int
    id: int
    recv_ts: int
    backfilled: bool | UnsetType = UNSET


class Trade(Tick, frozen=True, kw_only=True, tag_field="type", tag="trade"):
    """A live trade."""


class Snapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """Past trades, oldest first. The data of other channels are in `protocol/update_messages.py`."""

    exchange: str
    channel: str
    symbol: str
    data: list[Tick]


class StatusMessage(msgspec.Struct, frozen=True, tag_field="type", tag="status"):
    """The status of an exchange."""

    exchange: str
    state: str
    reason: str | None
    ts: int


class GapMessage(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """A gap. `to_id` below `from_id` means that the exchange restarted its numbering after `to_id`."""

    exchange: str
    channel: str
    symbol: str
    from_id: int
    to_id: int
    cause: GapCause
    complete_to: int
    """The id up to which nothing is open for this reader: the only one to give as `after`."""


class QualityMessage(msgspec.Struct, frozen=True, tag_field="type", tag="quality"):
    """The state of one stream, for clients that asked for it."""

    exchange: str
    channel: str
    symbol: str
    state: str
    """One of :class:`livemarkets.market.models.QualityState`."""
    since: int
    complete_to: int | None
    last_id: int | None
    lost: int
    lost_ts: int | None
    interval: str | UnsetType = UNSET
    """Set for candles."""


class Lagged(msgspec.Struct, frozen=True, tag_field="type", tag="lagged"):
    """The trades that were skipped for a slow reader. The newest trade follows."""

    exchange: str
    channel: str
    symbol: str
    skipped: int
    from_id: int
    to_id: int
    mode: str = "latest"


class Subscription(msgspec.Struct, frozen=True):
    """One subscription of a connection."""

    exchange: str
    channel: str
    symbol: str
    mode: str
    order: str | UnsetType
    """Set for trades."""
    last_id: int | None
    """The newest trade id; `None` before the first trade, and in other channels."""
    complete_to: int | None
    """The id up to which nothing is open for this reader; `None` before the first trade, while a resumption
    is in progress, and in other channels."""
    levels: int | UnsetType = UNSET
    """Set for depth."""
    interval: str | UnsetType = UNSET
    """Set for candles."""


class Subscriptions(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="subscriptions"):
    """The answer to `list`."""

    id: int | str | UnsetType = UNSET
    subscriptions: list[Subscription]


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="pong"):
    """The answer to `ping`."""

    id: int | str | UnsetType = UNSET
    ts: int


class Heartbeat(msgspec.Struct, frozen=True, tag_field="type", tag="heartbeat"):
    """Sent when nothing else was sent for `heartbeat_seconds`."""

    ts: int


class ErrorMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """The error in a client's message."""

    id: int | str | UnsetType = UNSET
    code: str
    message: str


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
ERROR_CODES = {
    "invalid_json": "the frame is not JSON",
    "invalid_message": "it is JSON, but not a message of this protocol",
    "unknown_type": "the type is not one of the client's messages",
    "unknown_exchange": "this exchange is not offered",
    "unknown_channel": "this channel is not offered, or this exchange does not have it",
    "unknown_symbol": "the exchange does not list this symbol",
    "symbol_limit": "the request exceeds the symbols allowed; what exceeds them was not changed",
    "rate_limited": "the client sends too many messages; this one was ignored",
    "message_too_big": "the message is too long; it was ignored",
    "internal": "internal server error; the connection stays open",
}
