"""What faults need of the exchange that they happen to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from livemarkets.simulator.market.source import Source
from livemarkets.simulator.market.symbols import in_capitals
from livemarkets.simulator.protocol.connection import ExchangeConnection

__all__ = ["Exchange", "subscribed_symbols"]


class Exchange(Protocol):
    """A running exchange, seen from its faults."""

    source: Source

    @property
    def connections(self) -> Sequence[ExchangeConnection]:
        """The live connections."""

    def now_ms(self) -> float:
        """The clock, ms since the epoch."""

    def pulse(self) -> None:
        """Deliver what has happened until now."""

    def announce_shutdown(self, connections: Collection[ExchangeConnection], notice_seconds: float) -> None:
        """Send `serverShutdown` and close after the notice."""


def subscribed_symbols(venue: Exchange) -> list[str]:
    """Return the listed symbols that somebody is subscribed to."""
    names = {in_capitals(stream.partition("@")[0]) for one in venue.connections for stream in one.streams}
    return sorted(names & set(venue.source.rules))
