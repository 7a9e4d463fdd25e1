"""Which shard carries which stream: placed where there is room, moved together when many have gone."""

from __future__ import annotations

from collections.abc import Callable

from livemarkets.exchanges.binance.shard import Shard
from livemarkets.market.models import StreamKey

__all__ = ["Placement"]

_AMPLE = 0.7
"""Shards are merged only if the others stay at most this full, so that they do not split again soon."""


class Placement:
    """The shards of a client, and their streams.

    Args:
        streams_per_connection: how many streams a shard may have.
        new_shard: returns a new shard, given its number from 1.

    """

    def __init__(self, streams_per_connection: int, new_shard: Callable[[int], Shard]) -> None:
        self.shards: list[Shard] = []
        """All shards, also those without streams."""
        self._limit = streams_per_connection
        self._new_shard = new_shard
        self._shard_of: dict[StreamKey, Shard] = {}
        self._moving: dict[StreamKey, Shard] = {}  # stream -> the shard that it leaves

    def shard_of(self, key: StreamKey) -> Shard | None:
        """Return the shard that carries a stream, or is to carry it; `None` if it is not placed."""
        return self._shard_of.get(key)

    def add(self, key: StreamKey) -> None:
        """Place a stream on a shard with room, or on a new one.

        Raises:
            ValueError: the exchange has no such channel.

        """
        shard = next((shard for shard in self.shards if len(shard.streams) < self._limit), None)
        if shard is None:
            shard = self._new_shard(len(self.shards) + 1)
            self.shards.append(shard)
        shard.add(key)
        self._shard_of[key] = shard

    def discard(self, key: StreamKey) -> bool:
        """Remove a stream, and merge shards if that saves a connection. Return whether it was placed."""
        shard = self._shard_of.pop(key, None)
        if shard is None:
            return False
        shard.remove(key)
        if source := self._moving.pop(key, None):
            source.remove(key)
        self._rebalance()
        return True

    def _rebalance(self) -> None:
        """Move the streams of the smallest shard to the others if they have ample room, to save a connection.

        A stream is unsubscribed at the old shard when the new shard has it acknowledged (make before break).
        """
        busy = [shard for shard in self.shards if shard.streams]
        if len(busy) < 2 or self._moving:
            return
        source = min(busy, key=lambda shard: len(shard.streams))
        ample = int(self._limit * _AMPLE)
        places = [shard for shard in busy if shard is not source for _ in range(ample - len(shard.streams))]
        if len(places) < len(source.streams):
            return
        for key, target in zip(list(source.streams), places, strict=False):
            self._moving[key] = source
            self._shard_of[key] = target
            target.add(key)

    def finish_moves(self) -> None:
        """End the moves of streams that their new shards have acknowledged or were refused."""
        for key, source in list(self._moving.items()):
            target = self._shard_of[key]
            if target.acknowledged_at(key) is not None:
                del self._moving[key]
                source.remove(key)
            elif target.rejection(key) is not None:  # it stays at the old shard
                del self._moving[key]
                self._shard_of[key] = source
                target.remove(key)
