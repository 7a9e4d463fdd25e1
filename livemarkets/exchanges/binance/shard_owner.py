"""What a shard needs of its owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from livemarkets.exchanges.base import Silence
from livemarkets.exchanges.binance.connection import Connection, ConnectionEvents
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.updates import StreamUpdate

__all__ = ["ShardOwner"]


class ShardOwner(Protocol):
    """What a shard needs of its owner. Called synchronously."""

    def handle_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Trades arrived on either connection. During a rotation there may be duplicates."""

    def handle_invalid(self, key: StreamKey, trade_id: int) -> None:
        """A trade with impossible values arrived."""

    def handle_update(self, key: StreamKey, update: StreamUpdate) -> None:
        """An update arrived on either connection. During a rotation there may be duplicates."""

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a wanted stream means now."""

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
