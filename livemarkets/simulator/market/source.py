"""The interface of a market: a model or a recording."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from livemarkets.errors import LiveMarketsError
from livemarkets.simulator.market.history import History
from livemarkets.simulator.market.listing import Listing
from livemarkets.simulator.market.statistics import Bar, Summary
from livemarkets.simulator.market.streams import Quote, StreamEvent
from livemarkets.simulator.market.symbols import SymbolRules

__all__ = ["Depth", "SimulatorError", "Source"]


class SimulatorError(LiveMarketsError):
    """A request to the embedded exchange cannot be carried out. The text is one line, for users."""


class Depth(msgspec.Struct, frozen=True):
    """The order book of a symbol: (price, size) in 10⁻⁸, the best first."""

    update_id: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Source(Protocol):
    """A market. All times are ms since the epoch, passed in by the caller."""

    skew_ms: int
    """Error of the exchange's clock, added to event and trade times."""
    listing: Listing
    """Which symbols are listed, and with which status."""

    @property
    def rules(self) -> Mapping[str, SymbolRules]:
        """The listed symbols."""

    def serves(self, stream: str) -> bool:
        """Return whether a well-formed stream can have events, if its symbol is listed."""

    def want(self, streams: Collection[str], now_ms: float) -> None:
        """Set the subscribed streams. No other streams are needed."""

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return the events of the subscribed streams since the last call, in order."""

    def next_ms(self) -> float | None:
        """Return the time of the next event; `None` when there will be none."""

    def history(self, symbol: str, now_ms: float) -> History:
        """Return the trades of a listed symbol until now."""

    def candles(
        self,
        symbol: str,
        interval: str,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
        now_ms: float,
        *,
        offset_ms: int = 0,
    ) -> list[Bar]:
        """Return the klines that open from `start_ms` to `end_ms`, both included.

        With a start, the limit keeps the oldest; else it keeps the newest. The last one may not be closed.
        `offset_ms` is the distance of the time zone from UTC in which intervals begin.
        """

    def summary(self, symbol: str, start_ms: int, now_ms: float) -> Summary | None:
        """Return a summary of the trades from `start_ms` until now; `None` when there are none."""

    def depth(self, symbol: str, limit: int, now_ms: float) -> Depth:
        """Return the order book, at most `limit` prices of each side."""

    def quote(self, symbol: str) -> Quote:
        """Return the best bid and ask of a listed symbol."""

    def burst(self, symbol: str, trades: int, now_ms: float) -> None:
        """Make `trades` trades at once."""

    def skip_ids(self, symbol: str, count: int) -> None:
        """Skip the next ids: the exchange has no such trades."""

    def relist(self, symbol: str, first_id: int) -> None:
        """List the symbol again: delete its older trades, and restart its ids at `first_id`."""
