"""The planned replacement of a connection: why, and when the new one may take over. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from livemarkets.exchanges.binance.attempts import Attempt
from livemarkets.market.models import StreamKey

__all__ = ["RETURN", "Held", "Rotation"]

RETURN = "its preferred address may work again"


class Held(msgspec.Struct, eq=False):
    """What belongs to one connection until it ends."""

    attempt: Attempt
    expires_at: float
    task: asyncio.Task[None]


class Rotation:
    """The rotation of one shard, if any. Times are monotonic seconds, passed in by the caller.

    Args:
        takeover_seconds: how long it waits for data of quiet streams on the new connection.

    """

    def __init__(self, takeover_seconds: float) -> None:
        self.reason: str | None = None
        """Why the connection is to be replaced; `None` while it need not be. After :data:`RETURN` it stays if
        the new one fails."""
        self.deadline: float | None = None
        """When the new connection takes over at the latest; `None` until it has all streams acknowledged."""
        self._takeover_seconds = takeover_seconds
        self._seen: set[StreamKey] = set()

    def begin(self) -> None:
        """Note that a new connection is opened."""
        self._seen.clear()
        self.deadline = None

    def note_data(self, key: StreamKey) -> bool:
        """Note data on the new connection. Return whether it is the first of its stream."""
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def may_take_over(
        self, streams: Iterable[StreamKey], is_awaited: Callable[[StreamKey], bool], now: float
    ) -> bool:
        """Return whether the new connection, which has all streams acknowledged or refused, may take over.

        Args:
            streams: the wanted streams.
            is_awaited: returns whether a stream can be expected to bring something on it.
            now: monotonic seconds.

        """
        if self.deadline is None:
            self.deadline = now + self._takeover_seconds
        return now >= self.deadline or all(key in self._seen or not is_awaited(key) for key in streams)

    def end(self) -> None:
        """Note that the new connection took over, or that the old one ended."""
        self.reason = self.deadline = None
