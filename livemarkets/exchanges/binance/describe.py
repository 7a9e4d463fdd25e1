"""What the client tells of itself: its counters, its connections, its addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from livemarkets.exchanges.base import ClientStatistics
from livemarkets.exchanges.binance.attempts import Attempts
from livemarkets.exchanges.binance.shard import Shard
from livemarkets.exchanges.outbound import Outbound
from livemarkets.exchanges.statistics import ConnectionStatistics, without_credentials

__all__ = ["describe_client"]


def describe_client(
    shards: Sequence[Shard],
    attempts: Attempts,
    outbound: Outbound,
    connects: int,
    complaints: Mapping[str, int],
    now: float,
) -> ClientStatistics:
    """Return the counters since the start, and the present connections."""
    each = [connection for shard in shards for connection in _connections(shard)]
    return ClientStatistics(
        connections=len(each),
        connects=connects,
        rotations=sum(shard.rotations for shard in shards),
        complaints=dict(complaints),
        each=each,
        addresses=attempts.addresses.describe(now, outbound.describe_proxy),
        ban_seconds=attempts.ban_seconds(now),
    )


def _connections(shard: Shard) -> Iterator[ConnectionStatistics]:
    streams = shard.streams.values()
    for connection in (shard.active, shard.standby):
        held = shard.held.get(connection) if connection is not None else None
        if connection is not None and held is not None:
            yield ConnectionStatistics(
                name=connection.name,
                shard=shard.name,
                url=without_credentials(connection.url),
                is_standby=connection is shard.standby,
                streams=len(streams),
                acknowledged=len(connection.session.acknowledged & set(streams)),
                opened_at=connection.opened_at,
                expires_at=held.expires_at,
                round_trip_seconds=None if connection.pings is None else connection.pings.round_trip_seconds,
            )
