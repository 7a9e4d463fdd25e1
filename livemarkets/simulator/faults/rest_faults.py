"""The faults of REST."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from livemarkets.simulator.faults.active import ActiveFault, RestFault, once
from livemarkets.simulator.faults.commands import command
from livemarkets.simulator.protocol.connection import ExchangeConnection

__all__ = ["RestFaults"]


class RestFaults(ABC):
    """The commands that concern REST."""

    def __init__(self) -> None:
        self.rest: ActiveFault[RestFault] = ActiveFault()
        self.lag: ActiveFault[float] = ActiveFault()
        """By how many seconds the database is behind."""

    @abstractmethod
    def _begin(self, kind: str, connection: int | None = None) -> Sequence[ExchangeConnection]:
        """Count the fault and return the connections concerned."""

    @command
    def rest_down(self, *, count: int | None = None, seconds: float | None = None, status: int = 0) -> None:
        """Drop REST connections without an answer, or answer with an HTTP status such as 503."""
        self._begin("rest_down")
        self.rest.set(RestFault(status=status), count, seconds)

    @command
    def rest_limit(
        self,
        *,
        count: int | None = None,
        seconds: float | None = None,
        retry_after_seconds: int = 1,
        status: int = 429,
    ) -> None:
        """Answer REST calls with 429 and Retry-After (default: one call)."""
        self._begin("rest_limit")
        fault = RestFault(status=status, retry_after_seconds=retry_after_seconds)
        self.rest.set(fault, *once(count, seconds))

    @command
    def rest_lag(
        self, *, behind_seconds: float = 5.0, count: int | None = None, seconds: float | None = None
    ) -> None:
        """Answer klines, historicalTrades and aggTrades from a database that is some seconds behind."""
        self._begin("rest_lag")
        self.lag.set(behind_seconds, count, seconds)

    def _clear_rest(self) -> None:
        self.rest.clear()
        self.lag.clear()
