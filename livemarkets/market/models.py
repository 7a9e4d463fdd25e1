"""The frozen values that travel through the program.

Prices and sizes are `Decimal`s with the exchange's own digits; times are ms since the epoch, UTC.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

__all__ = [
    "TRADES",
    "ExchangeName",
    "ExchangeState",
    "ExchangeStatus",
    "Gap",
    "GapCause",
    "Side",
    "Skipped",
    "StreamKey",
    "SymbolInfo",
    "TradeTick",
]

ExchangeName = str
"""The name of an exchange on offer here, in lower case, such as `binance`. Checked where it comes in."""
Side = Literal["buy", "sell"]
GapCause = Literal["upstream", "venue", "history"]

TRADES = "trades"
"""The channel of trades."""


class StreamKey(NamedTuple):
    """The name of one stream: what can be subscribed. It is the only key of streams anywhere.

    The hot path makes no key and looks each up as rarely as it can: whoever reads a stream keeps its key.
    """

    exchange: ExchangeName
    channel: str
    symbol: str
    parameter: str | None = None
    """What else the channel needs to name a stream, such as a candle's interval; `None` for trades."""

    @classmethod
    def trades(cls, exchange: ExchangeName, symbol: str) -> StreamKey:
        """Return the name of a symbol's stream of trades."""
        return cls(exchange, TRADES, symbol)

    def __str__(self) -> str:
        return " ".join(part for part in self if part is not None)


class TradeTick(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One trade, normalised.

    `gc=False` keeps ticks out of the garbage collector's sight: they hold no reference that could
    lead back to them, and a bounded feed holds many.
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
    """When the exchange matched it, ms since the epoch."""
    id: int
    """The exchange's trade id, consecutive per symbol."""
    recv_ts: int
    """When this process read it, ms since the epoch."""
    backfilled: bool = False
    """Whether it was fetched afterwards over REST instead of read from the stream."""


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
    """Whether the exchange trades it now (Binance: `status` is `TRADING`)."""


class ExchangeState(StrEnum):
    """How far an exchange's data can be trusted right now."""

    IDLE = "idle"
    """Nobody wants anything: no connection is kept."""
    CONNECTING = "connecting"
    """Something is wanted, no connection delivers it yet."""
    LIVE = "live"
    """Connected, and the exchange confirmed what is wanted."""
    STALE = "stale"
    """Connected, but mute where it should not be."""
    DOWN = "down"
    """The connection failed; the client keeps trying."""


class ExchangeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one exchange, why, and since when."""

    exchange: ExchangeName
    state: ExchangeState
    reason: str | None
    """For people, such as `name lookup failed`; `None` where there is nothing to explain."""
    ts: int
    """Since when, ms since the epoch."""
    retry_ts: int | None = None
    """When the next attempt is due, ms since the epoch; `None` when none is waiting."""


class Gap(msgspec.Struct, frozen=True):
    """A declared hole: trades `from_id` to `to_id`, both included, will not be delivered."""

    key: StreamKey
    from_id: int
    to_id: int
    cause: GapCause
    """`upstream`: we lost them. `venue`: the exchange has no such ids. `history`: older than can be had."""


class Skipped:
    """A range of ids that a reader was not sent, and how many trades lie in it."""

    __slots__ = ("count", "first_id", "last_id")

    def __init__(self, first_id: int, last_id: int, count: int) -> None:
        self.first_id = first_id
        self.last_id = last_id
        self.count = count
