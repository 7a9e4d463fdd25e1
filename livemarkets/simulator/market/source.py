"""The interface of a market: a model or a recording."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from livemarkets.errors import LiveMarketsError
from livemarkets.simulator.market.history import History
from livemarkets.simulator.market.listing import Listing
from livemarkets.simulator.market.order_book import Depth
from livemarkets.simulator.market.statistics import Bar, Summary
from livemarkets.simulator.market.streams import Quote, StreamEvent
from livemarkets.simulator.market.symbols import SymbolRules

__all__ = ["SimulatorError", "Source"]


class SimulatorError(LiveMarketsError):
    """A request to the embedded exchange cannot be carried out. The text is one line, for users."""


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

    def quote(self, symbol: str) -> Quote:
        """Return the best bid and ask of a listed symbol."""

    def depth(self, symbol: str, limit: int, now_ms: float) -> Depth:
        """Return the best `limit` levels of a listed symbol's order book."""

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
        behind_ms: int = 0,
    ) -> list[Bar]:
        """Return klines of a listed symbol, oldest first, flat ones where nothing traded.

        Args:
            symbol: the symbol.
            interval: one of `statistics.INTERVALS_MS`.
            start_ms: the oldest `limit` klines that open then or later; `None` for the newest.
            end_ms: only klines that open then or before; `None` for no end.
            limit: how many at most.
            now_ms: the time.
            offset_ms: the time zone in which intervals open, such as 28,800,000 for UTC+8.
            behind_ms: how old they are, as from a database that lags. A recording's do not lag.

        """

    def summary(self, symbol: str, start_ms: int, now_ms: float) -> Summary | None:
        """Return a summary of a listed symbol's trades since a time; `None` if it has never had a trade.

        Its `open_ms` is the start: rounded down to a second, and to a minute if it is over two hours ago.
        """

    def burst(self, symbol: str, trades: int, now_ms: float) -> None:
        """Make `trades` trades at once."""

    def skip_ids(self, symbol: str, count: int) -> None:
        """Skip the next ids: the exchange has no such trades."""

    def relist(self, symbol: str, first_id: int) -> None:
        """List the symbol again: delete its older trades, and restart its ids at `first_id`."""
