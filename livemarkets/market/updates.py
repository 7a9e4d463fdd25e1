"""The updates of the channels in which the newest wins: tickers, best bid and ask, depth.

Prices and sizes are `Decimal`s with the exchange's own digits. Times are ms since the epoch, UTC. Updates are
exempt from garbage collection (`gc=False`), because they cannot be part of a reference cycle.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from livemarkets.market.candles import Candle
from livemarkets.market.models import ExchangeName

__all__ = [
    "BookUpdate",
    "DepthUpdate",
    "Level",
    "StreamUpdate",
    "SymbolUpdate",
    "TickerRow",
    "TickerUpdate",
    "TickersDelta",
    "Update",
    "ticker_of",
]

Level = tuple[Decimal, Decimal]
"""Price and size of one level of an order book."""


class TickerUpdate(msgspec.Struct, frozen=True, gc=False):
    """The figures of one symbol over the last 24 hours."""

    exchange: ExchangeName
    symbol: str
    last: Decimal | None
    """The price of the newest trade. This and the other prices are `None` if there was no trade at all."""
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    change: Decimal
    """`last` minus `open`."""
    change_percent: Decimal
    volume: Decimal
    """Sizes summed, in the base asset."""
    quote_volume: Decimal
    trades: int
    bid: Decimal | None
    """The best bid; `None` while nobody bids."""
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    open_ts: int
    """When the 24 hours began."""
    last_id: int | None
    """The id of the newest trade; `None` without a trade."""
    ts: int
    """When the exchange made the update."""
    recv_ts: int
    """When this process read it."""

    @property
    def place(self) -> int:
        """A number that rises with each update of a stream."""
        return self.ts


class TickerRow(msgspec.Struct, frozen=True, gc=False):
    """The figures of one symbol in an update about many symbols. The fields are those of a ticker."""

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


class TickersDelta(msgspec.Struct, frozen=True, gc=False):
    """What changed in the tickers of all symbols of an exchange."""

    exchange: ExchangeName
    rows: tuple[TickerRow, ...]
    recv_ts: int


class BookUpdate(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask of one symbol."""

    exchange: ExchangeName
    symbol: str
    bid: Decimal | None
    """`None` while nobody bids. Likewise its size, and the ask."""
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    update_id: int | None
    """The exchange's number of the update; `None` if it was not told, as over REST."""
    recv_ts: int
    """When this process read it."""

    @property
    def place(self) -> int:
        """A number that rises with each update of a stream."""
        return self.update_id or 0


class DepthUpdate(msgspec.Struct, frozen=True, gc=False):
    """The best price levels of one symbol's order book."""

    exchange: ExchangeName
    symbol: str
    bids: tuple[Level, ...]
    """The best one first."""
    asks: tuple[Level, ...]
    """The best one first."""
    update_id: int
    """The exchange's number of the last change of the order book."""
    recv_ts: int
    """When this process read it."""

    @property
    def place(self) -> int:
        """A number that rises with each update of a stream."""
        return self.update_id


SymbolUpdate = TickerUpdate | BookUpdate | DepthUpdate
Update = SymbolUpdate | TickersDelta
StreamUpdate = Update | Candle
"""What a stream other than one of trades brings."""

Best = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]
"""The best bid and its size, the best ask and its size."""


def ticker_of(exchange: ExchangeName, row: TickerRow, best: Best, recv_ts: int) -> TickerUpdate:
    """Return the ticker of one symbol with the figures of a row."""
    return TickerUpdate(
        exchange,
        row.symbol,
        row.last,
        row.open,
        row.high,
        row.low,
        row.change,
        row.change_percent,
        row.volume,
        row.quote_volume,
        row.trades,
        *best,
        row.open_ts,
        row.last_id,
        row.ts,
        recv_ts,
    )
