"""What the exchange needs of whatever makes its market: the model or a recording."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from livemarkets.errors import LiveMarketsError
from livemarkets.simulator.market.history import History
from livemarkets.simulator.market.streams import Quote, StreamEvent
from livemarkets.simulator.market.symbols import SymbolRules

__all__ = ["SimulatorError", "Source"]


class SimulatorError(LiveMarketsError):
    """The embedded exchange cannot do what was asked; the text is one line for people."""


class Source(Protocol):
    """A market that runs along a clock which others read: all times are ms since the epoch."""

    skew_ms: int
    """How far the exchange's own clock is off."""

    @property
    def rules(self) -> Mapping[str, SymbolRules]:
        """The listed symbols."""

    def want(self, streams: Collection[str], now_ms: float) -> None:
        """Set which streams somebody is subscribed to; others need not be made."""

    def advance(self, now_ms: float) -> list[StreamEvent]:
        """Return what has happened on the wanted streams since the last call, in order."""

    def next_ms(self) -> float | None:
        """Return when something will happen next; `None` when nothing will."""

    def history(self, symbol: str, now_ms: float) -> History:
        """Return the trades of a listed symbol, brought up to now."""

    def quote(self, symbol: str) -> Quote:
        """Return the best bid and ask of a listed symbol."""

    def burst(self, symbol: str, trades: int, now_ms: float) -> None:
        """Make that many trades happen at once."""

    def skip_ids(self, symbol: str, count: int) -> None:
        """Leave out the next ids for good: the exchange has no such trades."""

    def relist(self, symbol: str, first_id: int) -> None:
        """List the symbol anew: older trades are gone and ids start again, lower."""
