"""What a subscription yields: trades, candles, tickers, books, depths, and what is missing of them.

Prices and sizes are `Decimal` with the exchange's own digits. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

__all__ = [
    "Book",
    "Candle",
    "CandleGap",
    "CandleLagged",
    "Depth",
    "ExchangeStatus",
    "Gap",
    "Lagged",
    "Pending",
    "Quality",
    "Refusal",
    "Ticker",
    "Trade",
]


class Trade(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="trade"):
    """One trade, with the exchange's own id. Ids of one symbol are consecutive."""

    exchange: str
    symbol: str
    price: Decimal
    size: Decimal
    side: Literal["buy", "sell"]
    """The taker's side."""
    ts: int
    """When the exchange matched it."""
    id: int
    recv_ts: int
    """When the server read it."""
    backfilled: bool = False
    """Whether the server fetched it over REST."""
    skipped: int = 0
    """With `every_ms`: how many trades were left out since the one before."""


class Gap(Struct, frozen=True, kw_only=True, gc=False):
    """The trades `from_id` to `to_id`, both included, will not come.

    A `to_id` below `from_id` says that the exchange restarted its ids: the next trade has the id `to_id + 1`.
    """

    exchange: str
    symbol: str
    from_id: int
    to_id: int
    cause: str
    """That of the server (`upstream`, `history` …), or `undeclared`: they are missing and the server did
    not say so."""

    @property
    def restarts_ids(self) -> bool:
        """Whether the ids of the symbol begin again, below those before."""
        return self.to_id < self.from_id


class Lagged(Struct, frozen=True, kw_only=True, gc=False):
    """This program read too slowly: it did not get the trades `from_id` to `to_id`, both included."""

    exchange: str
    symbol: str
    from_id: int
    to_id: int
    skipped: int
    """How many trades are among these ids."""
    by: Literal["server", "client"] = "server"
    """Who skipped them: the server, whose buffer was full, or this library with `when_slow="skip"`."""


class Pending(Struct, frozen=True, kw_only=True, gc=False):
    """Only in order of arrival: the trades `from_id` to `to_id`, both included, have not come yet.

    Each of them still comes, or a `Gap` or a `Lagged` says that it will not.
    """

    exchange: str
    symbol: str
    from_id: int
    to_id: int
    takes_back: bool = False
    """Whether trades with these ids came before. The exchange had sent them with false ids."""


class Candle(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="candle"):
    """The prices and volumes of a symbol over an interval."""

    exchange: str
    symbol: str
    interval: str
    open_ts: int
    close_ts: int
    """Its last millisecond."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    trades: int
    first_id: int | None = None
    last_id: int | None = None
    closed: bool
    """Whether these are its final figures."""
    ts: int
    recv_ts: int
    revised: bool = False
    """Whether it was told as closed before, with other figures."""
    skipped: int = 0
    """How many updates of running candles were left out before this one."""


class CandleGap(Struct, frozen=True, kw_only=True, gc=False):
    """Candles that opened from `from_open_ts` to `to_open_ts`, both included, will not come.

    A `to_open_ts` below `from_open_ts` says that the exchange's time was set back.
    """

    exchange: str
    symbol: str
    interval: str
    from_open_ts: int
    to_open_ts: int
    cause: str


class CandleLagged(Struct, frozen=True, kw_only=True, gc=False):
    """This program read too slowly for closed candles. They follow."""

    exchange: str
    symbol: str
    interval: str
    from_open_ts: int
    to_open_ts: int
    skipped: int


class Ticker(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="ticker"):
    """The figures of a symbol over 24 hours."""

    exchange: str = ""
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
    bid: Decimal | None = None
    """`None` while nobody waits on that side, and in the tickers of all symbols."""
    bid_size: Decimal | None = None
    ask: Decimal | None = None
    ask_size: Decimal | None = None
    open_ts: int
    last_id: int | None = None
    ts: int
    recv_ts: int | None = None
    """`None` in the tickers of all symbols."""
    skipped: int = 0
    """How many updates of this symbol were left out before this one."""


class Book(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="book"):
    """The best bid and ask; `None` while nobody waits on that side."""

    exchange: str
    symbol: str
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    update_id: int | None = None
    recv_ts: int
    skipped: int = 0


class Depth(Struct, frozen=True, kw_only=True, tag_field="type", tag="depth"):
    """The best price levels of the order book, each a price and a size, the best first."""

    exchange: str
    symbol: str
    levels: int
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]
    update_id: int | None = None
    recv_ts: int
    skipped: int = 0


class ExchangeStatus(Struct, frozen=True, tag_field="type", tag="status"):
    """The state of an exchange: `idle`, `connecting`, `live`, `stale` or `down`."""

    exchange: str
    state: str
    reason: str | None = None
    ts: int | None = None


class Quality(Struct, frozen=True, kw_only=True, tag_field="type", tag="quality"):
    """The state of one stream, as the server sees it."""

    exchange: str
    channel: str
    symbol: str
    interval: str | None = None
    """Only candles."""
    state: str
    """`delisted`, `halted`, `unknown`, `stale`, `recovering` or `live`."""
    since: int
    """When this state began."""
    complete_to: int | None = None
    """The id up to which the server has every trade or has declared it. It is not for `after`."""
    last_id: int | None = None
    """The newest id that the server has seen."""
    lost: int = 0
    """How many ids were declared with the cause `upstream` in the last hour."""
    lost_ts: int | None = None
    """When the last of them was declared."""


class Refusal(Struct, frozen=True):
    """Why a symbol was not subscribed."""

    symbol: str
    code: str
    message: str
    did_you_mean: tuple[str, ...] = ()
