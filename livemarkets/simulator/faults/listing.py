"""Changes of the list of symbols while the exchange runs: halts, delistings, new listings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from livemarkets.simulator.faults.commands import command
from livemarkets.simulator.faults.target import Exchange
from livemarkets.simulator.market.listing import Listing, ListingError
from livemarkets.simulator.market.source import SimulatorError

__all__ = ["ListingFaults"]


class ListingFaults(ABC):
    """The commands that change the list of symbols. `clear` does not undo them."""

    @abstractmethod
    def _change_list(self, kind: str) -> Exchange:
        """Count a change, and return the exchange."""

    @command
    def set_status(self, *, symbol: str, state: str = "BREAK") -> None:
        """Set the status of a symbol in exchangeInfo; it trades only while that is TRADING."""
        self._apply("set_status", lambda listing, _: listing.set_status(symbol, state))

    @command
    def delist(self, *, symbol: str) -> None:
        """Take a symbol off the list: its streams fall silent, and REST does not know it."""
        self._apply("delist", lambda listing, _: listing.delist(symbol))

    @command
    def enlist(self, *, symbol: str, like: str = "BTCUSDT") -> None:
        """List a new symbol with the rules of another one, or one that was delisted."""
        self._apply("enlist", lambda listing, now_ms: listing.enlist(symbol, like, now_ms))

    @command
    def hide(self, *, symbol: str) -> None:
        """Leave a symbol out of exchangeInfo without parameters; everything else about it works."""
        self._apply("hide", lambda listing, _: listing.hide(symbol))

    def _apply(self, kind: str, change: Callable[[Listing, float], None]) -> None:
        exchange = self._change_list(kind)
        try:
            change(exchange.source.listing, exchange.now_ms())
        except ListingError as error:
            raise SimulatorError(f"{kind}: {error}") from None
        exchange.follow_list()
