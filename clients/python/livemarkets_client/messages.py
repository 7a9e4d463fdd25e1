"""The messages of protocol 1 as they are on the wire. Unknown fields and unknown types are ignored."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from livemarkets_client.models import Book, Candle, Depth, ExchangeStatus, Quality, Refusal, Ticker, Trade

__all__ = [
    "PROTOCOL",
    "UPDATES",
    "Error",
    "GapMessage",
    "LaggedMessage",
    "Limits",
    "Message",
    "Snapshot",
    "Subscribed",
    "SymbolResult",
    "Tickers",
    "Update",
    "Welcome",
    "decode",
    "decode_list",
    "encode",
]

PROTOCOL = 1
T = TypeVar("T")


class Limits(Struct, frozen=True):
    """What `welcome` says of the limits."""

    messages_per_second: int = 20
    message_bytes: int = 16384


class Welcome(Struct, frozen=True, tag_field="type", tag="welcome"):
    """The first message of a connection."""

    protocol: int
    client_id: str = ""
    server: str = ""
    heartbeat_seconds: float = 5.0
    exchanges: dict[str, str] = {}
    channels: list[str] = []
    limits: Limits = Limits()


class SymbolResult(Struct, frozen=True):
    """The result for one symbol."""

    symbol: str
    ok: bool
    code: str = ""
    message: str = ""
    did_you_mean: tuple[str, ...] = ()

    def refusal(self) -> Refusal:
        """Return what was refused."""
        return Refusal(self.symbol, self.code, self.message, self.did_you_mean)


class Subscribed(Struct, frozen=True, kw_only=True, tag_field="type", tag="subscribed"):
    """The answer to `subscribe`."""

    id: int | str | None = None
    results: list[SymbolResult]


class Snapshot(Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """What comes first; the channel decides what `data` is."""

    exchange: str
    channel: str
    symbol: str
    interval: str | None = None
    data: Raw


class Tickers(Struct, frozen=True, tag_field="type", tag="tickers"):
    """What changed in the tickers of all symbols."""

    exchange: str
    data: list[Ticker]


class GapMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="gap"):
    """A gap of trades or of candles."""

    exchange: str
    channel: str
    symbol: str
    interval: str | None = None
    cause: str
    from_id: int = 0
    to_id: int = 0
    from_open_ts: int = 0
    to_open_ts: int = 0


class LaggedMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="lagged"):
    """What a slow reader missed, of trades or of candles."""

    exchange: str
    channel: str
    symbol: str
    interval: str | None = None
    skipped: int
    from_id: int = 0
    to_id: int = 0
    from_open_ts: int = 0
    to_open_ts: int = 0


class Error(Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """The answer to a message that was refused."""

    id: int | str | None = None
    code: str
    message: str = ""


class _TypeOnly(Struct, frozen=True):
    type: str


Update = Trade | Candle | Ticker | Book | Depth
UPDATES: dict[str, type[Update]] = {
    "trades": Trade,
    "candles": Candle,
    "tickers": Ticker,
    "book": Book,
    "depth": Depth,
}
"""Channel → what its snapshots hold."""
Message = (
    Update
    | Welcome
    | Subscribed
    | Snapshot
    | Tickers
    | GapMessage
    | LaggedMessage
    | ExchangeStatus
    | Quality
    | Error
)

_KNOWN = frozenset(str(message.__struct_config__.tag) for message in Message.__args__)
_message: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_type_only = msgspec.json.Decoder(_TypeOnly)
_lists: dict[type[Any], msgspec.json.Decoder[Any]] = {
    update: msgspec.json.Decoder(list[update])  # type: ignore[valid-type]
    for update in UPDATES.values()
}
encode = msgspec.json.Encoder().encode


def decode(raw: bytes | str) -> Message | None:
    """Return a message, `None` for one of a type that this library does not need.

    Raises:
        msgspec.DecodeError: it is no message of the protocol.

    """
    try:
        try:
            return _message.decode(raw)
        except msgspec.ValidationError:
            if _type_only.decode(raw).type in _KNOWN:
                raise
            return None
    except (UnicodeError, RecursionError) as error:  # text that is not UTF-8; brackets without end
        raise msgspec.DecodeError(str(error)) from None


def decode_list(update: type[T], data: Raw) -> list[T]:
    """Return the data of a snapshot.

    Raises:
        msgspec.DecodeError: it is something else.

    """
    try:
        found: list[T] = _lists[update].decode(data)
    except (UnicodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
    return found
