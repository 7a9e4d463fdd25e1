"""The immutable values that the parts of the program exchange.

Prices and sizes are `Decimal`s with the exchange's own digits. Times are ms since the epoch, UTC.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

from livemarkets.market.channels import TRADES

__all__ = [
    "TRADES",
    "ExchangeName",
    "ExchangeState",
    "ExchangeStatus",
    "Gap",
    "GapCause",
    "QualityState",
    "Side",
    "Skipped",
    "StreamKey",
    "StreamQuality",
    "SymbolInfo",
    "TradeTick",
]

ExchangeName = str
"""The name of an exchange on offer here, in lower case, such as `binance`. Checked where it comes in."""
Side = Literal["buy", "sell"]
GapCause = Literal["upstream", "venue", "history", "invalid", "pending"]


class StreamKey(NamedTuple):
    """The name of one stream that can be subscribed. It is the key of streams throughout the program.

    The hot path makes no key: the reader of a stream keeps the stream's key.
    """

    exchange: ExchangeName
    channel: str
    symbol: str
    parameter: str | None = None
    """The channel's parameter, such as the interval of a candle; `None` for a channel without one."""

    @classmethod
    def trades(cls, exchange: ExchangeName, symbol: str) -> StreamKey:
        """Return the key of a symbol's trades."""
        return cls(exchange, TRADES, symbol)

    def __str__(self) -> str:
        return " ".join(part for part in self if part is not None)


class TradeTick(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One trade, normalised.

    `gc=False` exempts ticks from garbage collection. They cannot be part of a reference cycle, and the
    stores hold many.
    """

    exchange: ExchangeName
    symbol: str
    """The exchange's symbol in upper case, `BTCUSDT`."""
    price: Decimal
    """Quote asset per base asset, with the exchange's digits."""
    size: Decimal
    """Base asset quantity, with the exchange's digits."""
    side: Side
    """The taker's side."""
    ts: int
    """When the exchange executed it, ms since the epoch."""
    id: int
    """The exchange's trade id, consecutive per symbol."""
    recv_ts: int
    """When this process read it, ms since the epoch."""
    backfilled: bool = False
    """Whether it was fetched over REST instead of read from the stream."""


class SymbolInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One tradable symbol as the exchange describes it."""

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    """Smallest price step, without trailing zeros."""
    step_size: Decimal
    """Smallest size step, without trailing zeros."""
    is_trading: bool = True
    """Whether it can be traded at present (Binance: `status` is `TRADING`)."""
    status: str = "TRADING"
    """The exchange's word for it, such as `TRADING`, `BREAK`, `HALT`."""


class ExchangeState(StrEnum):
    """The state of an exchange's data."""

    IDLE = "idle"
    """No stream is wanted, so there is no connection."""
    CONNECTING = "connecting"
    """Streams are wanted, but no connection delivers all of them yet."""
    LIVE = "live"
    """Connected, and the exchange has confirmed all wanted streams."""
    STALE = "stale"
    """Connected, but a stream does not deliver although the exchange has newer trades."""
    DOWN = "down"
    """The connection failed. The client keeps trying."""


class ExchangeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one exchange, with its reason and start time."""

    exchange: ExchangeName
    state: ExchangeState
    reason: str | None
    """For users, such as `name lookup failed`; `None` when there is nothing to explain."""
    ts: int
    """When this state began, ms since the epoch."""
    retry_ts: int | None = None
    """When the next attempt is due, ms since the epoch; `None` when none is waiting."""


class QualityState(StrEnum):
    """The state of one stream. If several hold, the first of them in this order counts."""

    DELISTED = "delisted"
    """The exchange has taken the symbol off its list, and no trades come."""
    HALTED = "halted"
    """The exchange lists the symbol, but it cannot be traded at present."""
    UNKNOWN = "unknown"
    """Nobody can say: no trade has come, and the symbol is not known to exist or the exchange refuses it."""
    STALE = "stale"
    """The exchange has newer trades, but they do not arrive."""
    RECOVERING = "recovering"
    """Trades are missing and being fetched."""
    LIVE = "live"
    """Everything that the exchange has is here, as far as is known."""


class StreamQuality(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one stream, and how complete it is. Times are ms since the epoch."""

    key: StreamKey
    state: QualityState
    reason: str | None
    """For users; `None` if there is nothing to explain."""
    since: int
    """When this state began."""
    complete_to: int | None
    """The id up to which no trade is missing or still fetched; `None` before the first trade."""
    last_id: int | None
    """The newest trade id that was seen; `None` before the first trade."""
    lost: int
    """Ids declared with the cause `upstream` in the last hour."""
    lost_ts: int | None
    """When the last of them was declared; `None` if there was none."""
    is_listed: bool = True
    """False if the exchange's list lacks the symbol."""
    fetched: int = 0
    """Missing trades that were fetched in the last hour."""
    repeated: int = 0
    """Trades that came again in the last hour, and were dropped."""


class Gap(msgspec.Struct, frozen=True):
    """Declares that the trades `from_id` to `to_id`, both included, will not be delivered.

    A `to_id` below `from_id` means that the exchange restarted its numbering after `to_id`.
    """

    key: StreamKey
    from_id: int
    to_id: int
    cause: GapCause
    """`upstream`: they could not be fetched. `venue`: the exchange has no such ids. `history`: too old.
    `invalid`: the exchange has them with impossible values. `pending`: they may still come; only readers in
    order of arrival get it."""


class Skipped:
    """A range of ids that was not sent to a reader, and the number of trades in it."""

    __slots__ = ("count", "first_id", "last_id")

    def __init__(self, first_id: int, last_id: int, count: int) -> None:
        self.first_id = first_id
        self.last_id = last_id
        self.count = count
