"""The interface of an exchange for its faults."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from livemarkets.simulator.market.source import SimulatorError, Source
from livemarkets.simulator.market.symbols import in_capitals
from livemarkets.simulator.protocol.connection import ExchangeConnection

__all__ = ["Exchange", "connections_of", "subscribed_symbols"]


class Exchange(Protocol):
    """A running exchange, as its faults need it."""

    source: Source

    @property
    def connections(self) -> Sequence[ExchangeConnection]:
        """The open connections."""

    def now_ms(self) -> float:
        """Return the time, ms since the epoch."""

    def pulse(self) -> None:
        """Deliver the events until now."""

    def follow_list(self) -> None:
        """Subscribe the streams of a symbol that is listed from now on, and end those of one that is not."""

    def announce_shutdown(self, connections: Collection[ExchangeConnection], notice_seconds: float) -> None:
        """Send `serverShutdown`, and close after the notice time."""


def connections_of(exchange: Exchange, kind: str, number: int | None) -> list[ExchangeConnection]:
    """Deliver the events until now, and return the connections that a fault concerns.

    Args:
        exchange: the exchange.
        kind: the fault, for the error.
        number: the number of one connection; `None` for all.

    Raises:
        SimulatorError: no open connection has this number.

    """
    exchange.pulse()
    concerned = [one for one in exchange.connections if number is None or one.number == number]
    if number is not None and not concerned:
        raise SimulatorError(f"{kind}: there is no open connection {number}")
    return concerned


def subscribed_symbols(exchange: Exchange) -> list[str]:
    """Return the listed symbols that have a subscriber."""
    names = {in_capitals(stream.partition("@")[0]) for one in exchange.connections for stream in one.streams}
    return sorted(names & set(exchange.source.rules))
