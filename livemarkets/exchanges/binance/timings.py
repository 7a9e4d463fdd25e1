"""The limits and time limits of the client of Binance's streams, of its shards and of its connections."""

from __future__ import annotations

import msgspec

from livemarkets.exchanges.binance.attempts import AttemptTimings
from livemarkets.exchanges.binance.session import SessionTimings

__all__ = ["ClientTimings", "ConnectionTimings", "ShardTimings"]


class ConnectionTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of a connection."""

    open_seconds: float = 10.0
    """Limit for the TCP, TLS and WebSocket handshakes together."""
    ping_seconds: float = 15.0
    """Interval of our pings. They count as control messages and share their rate limit."""
    pong_seconds: float = 10.0
    """Limit for the answer to a ping. After that, the connection counts as lost."""
    close_seconds: float = 1.0
    """Limit for the closing handshake."""
    lost_answers: int = 3
    """How many consecutive control messages may stay unanswered while no trade comes. After that, the
    connection is closed."""
    ignored_requests: int = 6
    """How many may stay unanswered while trades come, if the exchange has answered before. After that, the
    connection is replaced (make before break)."""
    session: SessionTimings = SessionTimings()


class ShardTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of a shard and its connections."""

    connection: ConnectionTimings = ConnectionTimings()
    lifetime_seconds: float = 23 * 3600.0
    """A connection is replaced at this age, or up to 5 % earlier at random. The exchange closes it at 24 h
    (`web-socket-streams.md`, "General WSS information")."""
    takeover_seconds: float = 30.0
    """How long a rotation waits for data of quiet streams."""
    attempts: AttemptTimings = AttemptTimings()


class ClientTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and time limits of the client."""

    shard: ShardTimings = ShardTimings()
    streams_per_connection: int = 1000
    """The exchange allows 1024 (`web-socket-streams.md`, "WebSocket Limits")."""
    resubscribe_seconds: float = 20.0
    """If a stream is mute again within this time after it was resubscribed, its connection is replaced."""
