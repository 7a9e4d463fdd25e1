"""Our pings on one connection: when the next one is due, and whether the last one was answered."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.binance.timings import ConnectionTimings

__all__ = ["Pings"]


class Pings:
    """The pings of one connection. Times are monotonic seconds.

    Args:
        socket: the open connection.
        timings: interval and time limit.
        now: the present time.

    """

    def __init__(self, socket: ClientConnection, timings: ConnectionTimings, now: float) -> None:
        self.due_at = now + timings.ping_seconds
        """When the next ping is due."""
        self._socket = socket
        self._timings = timings
        self._pong: asyncio.Future[float] | None = None
        self._lost_at = 0.0

    @property
    def round_trip_seconds(self) -> float | None:
        """How long the answer to the last ping took; `None` before the first answer."""
        return self._socket.latency or None

    def check(self, now: float) -> None:
        """Check that no answer is overdue.

        Raises:
            ExchangeUnreachable: the connection is lost.

        """
        if self._is_waiting() and now >= self._lost_at:
            raise ExchangeUnreachable("connection lost: a ping was not answered")

    async def send(self, now: float) -> None:
        """Send a ping."""
        self._pong = await self._socket.ping()  # type: ignore[assignment]
        self._lost_at = now + self._timings.pong_seconds
        self.due_at = now + self._timings.ping_seconds

    def next_at(self) -> float:
        """Return when something is to be done: when a ping is due, or an answer is overdue."""
        return min(self.due_at, self._lost_at) if self._is_waiting() else self.due_at

    def _is_waiting(self) -> bool:
        return self._pong is not None and not self._pong.done()
