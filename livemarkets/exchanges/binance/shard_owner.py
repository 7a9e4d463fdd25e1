"""What a shard needs of its owner: time limits, and calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from livemarkets.exchanges.binance.attempts import AttemptTimings
from livemarkets.exchanges.binance.connection import Connection, ConnectionEvents, ConnectionTimings
from livemarkets.market.models import StreamKey, TradeTick

__all__ = ["ShardOwner", "ShardTimings"]


class ShardTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of a shard and its connections."""

    connection: ConnectionTimings = ConnectionTimings()
    lifetime_seconds: float = 23 * 3600.0
    """A connection is replaced at this age, or up to 5 % earlier at random. The exchange closes it at 24 h
    (`web-socket-streams.md`, "General WSS information")."""
    takeover_seconds: float = 30.0
    """How long a rotation waits for trades of quiet streams (:class:`Rotation`)."""
    attempts: AttemptTimings = AttemptTimings()


class ShardOwner(Protocol):
    """What a shard needs of its owner. Called synchronously."""

    def handle_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Trades arrived on either connection. During a rotation there may be duplicates."""

    def handle_invalid(self, key: StreamKey, trade_id: int) -> None:
        """A trade with impossible values arrived."""

    def handle_change(self) -> None:
        """The status may have changed."""

    def handle_complaint(self, connection: Connection, kind: str, detail: str) -> None:
        """The exchange sent a malformed message or refused a request."""

    def handle_outcome(self) -> None:
        """An attempt succeeded or ended. Another shard may wait for that."""

    def handle_failure(self, what: str, delay_seconds: float, *, is_covered: bool) -> None:
        """A connection in use failed. If it is covered, another one delivers the same streams."""

    def new_connection(self, shard: str, url: str, events: ConnectionEvents) -> Connection:
        """Return a new connection of the shard of this name to a base address."""
