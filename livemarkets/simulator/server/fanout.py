"""The subscriptions of the connections, and the delivery of events to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from livemarkets.simulator.faults.disturbances import Disturbances
from livemarkets.simulator.market.streams import StreamEvent
from livemarkets.simulator.protocol.connection import ExchangeConnection, text_frame
from livemarkets.simulator.protocol.time_unit import in_microseconds

__all__ = ["Fanout"]

_BY_STREAM = attrgetter("stream")


class Fanout:
    """The subscriptions of all connections.

    Args:
        disturbances: the faults of streams.

    """

    def __init__(self, disturbances: Disturbances) -> None:
        self._disturbances = disturbances
        self._listeners: dict[str, dict[ExchangeConnection, None]] = {}
        self.sent: Counter[str] = Counter()
        """Frames written, per stream."""

    @property
    def streams(self) -> set[str]:
        """The subscribed streams of all connections."""
        return set(self._listeners)

    def add(self, connection: ExchangeConnection, streams: Sequence[str]) -> None:
        """Subscribe streams. Idempotent. It ends the muting of a stream."""
        for stream in streams:
            connection.streams[stream] = None
            connection.muted.discard(stream)
            self._listeners.setdefault(stream, {})[connection] = None

    def remove(self, connection: ExchangeConnection, streams: Sequence[str]) -> None:
        """Unsubscribe streams. Idempotent."""
        for stream in streams:
            connection.streams.pop(stream, None)
            listeners = self._listeners.get(stream)
            if listeners is not None:
                listeners.pop(connection, None)
                if not listeners:
                    del self._listeners[stream]

    def deliver(self, events: Sequence[StreamEvent]) -> list[ExchangeConnection]:
        """Put events into the outboxes of their subscribers. Return the connections with data to write."""
        touched: dict[ExchangeConnection, None] = {}
        for stream, group in groupby(events, _BY_STREAM):
            listeners = self._listeners.get(stream)
            if listeners:
                run = self._disturbances.apply(list(group))
                self._spread(stream, run, listeners)
                touched.update(listeners)
        return [connection for connection in touched if connection.outbox]

    def _spread(self, stream: str, run: list[StreamEvent], listeners: dict[ExchangeConnection, None]) -> None:
        # Each shape is encoded once, when the first connection needs it.
        shapes: dict[tuple[bool, bool], bytes] = {}
        for connection in listeners:
            if connection.silent or connection.half_open or stream in connection.muted:
                continue
            shape = connection.combined, connection.in_microseconds
            own = self._disturbances.apply(run, connection.number)
            if own is not run:
                data = _frames(own, *shape)
            elif (shaped := shapes.get(shape)) is not None:
                data = shaped
            else:
                data = shapes[shape] = _frames(run, *shape)
            if data:
                connection.outbox.append(data)
                self.sent[stream] += len(own)


def _frames(run: Sequence[StreamEvent], combined: bool, micro: bool) -> bytes:
    texts = [event.combined for event in run] if combined else [event.raw() for event in run]
    return b"".join([text_frame(in_microseconds(text) if micro else text) for text in texts])
