"""The limits of `/ws/markets`."""

from __future__ import annotations

from typing import Self

import msgspec

from livemarkets.config.settings import Settings

__all__ = ["RouteLimits"]


class RouteLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one client, and of the number of clients."""

    clients: int
    symbols: int
    """Distinct symbols, whatever the number of channels."""
    streams: int
    """Names, over all channels."""
    buffer_bytes: int
    messages_per_second: int = 20
    names_per_second: int = 400
    """How many symbols the messages of a client name on average. A message above that waits."""
    names_at_once: int = 2_000
    message_bytes: int = 16_384
    flood_messages: int = 400
    """How many consecutive messages over the rate limit close the connection."""
    clients_per_address: int = 2_000
    """Limit per address, so that one address cannot use up `clients`."""
    heartbeat_seconds: int = 5
    stuck_seconds: float = 30.0
    """A client that reads nothing for this time, while messages wait for it, is disconnected."""

    @classmethod
    def of(cls, settings: Settings, *, heartbeat_seconds: int) -> Self:
        """Return the limits that the settings ask for."""
        return cls(
            clients=settings.max_clients,
            symbols=settings.max_symbols_per_client,
            streams=settings.max_streams_per_client,
            buffer_bytes=settings.client_buffer_bytes,
            heartbeat_seconds=heartbeat_seconds,
        )
