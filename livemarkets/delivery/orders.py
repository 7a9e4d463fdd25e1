"""The two orders of every stream, and the readers that do not get every message of one. No I/O.

In order of ids, a trade behind a hole waits; in order of arrival it does not. Each order has its own key, by
which readers are found.
"""

from __future__ import annotations

from livemarkets.delivery.arrival import ArrivalOrder
from livemarkets.delivery.conflation import Conflator, EncodeGap, EncodeSkipped, Published
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.market.models import StreamKey

__all__ = ["Orders"]

_ARRIVAL = "order of arrival"
"""The parameter of a key that names the order of arrival of a stream."""


class Orders:
    """What is published of the streams, by order, as far as something must be remembered of it.

    That is the order of ids while a reader lags, and the order of arrival while it has readers.

    Args:
        encode_skipped: encodes the message that declares skipped trades to a lagging reader.
        encode_gap: encodes the message that declares a gap.

    """

    def __init__(self, encode_skipped: EncodeSkipped, encode_gap: EncodeGap) -> None:
        self._encode_skipped = encode_skipped
        self._encode_gap = encode_gap
        self.by_key: dict[StreamKey, Published] = {}
        """Key of an order → what is published in it. The key of the order of ids is that of the stream."""
        self.arrivals: dict[StreamKey, Published] = {}
        """Stream → its order of arrival."""

    def enter_arrival(self, stream: StreamKey, known: ArrivalOrder) -> Published:
        """Return the order of arrival of a stream. It begins with `known` if nobody reads it yet."""
        arrival = self.arrivals.get(stream)
        if arrival is None:
            arrival = Published(stream, stream._replace(parameter=_ARRIVAL), known)
            self.arrivals[stream] = self.by_key[arrival.key] = arrival
        elif arrival.ids.next_id is None:
            arrival.ids = known
        return arrival

    def conflate(self, key: StreamKey, mailbox: Mailbox, interval_seconds: float) -> Conflator:
        """Return a new conflator between the order and the mailbox."""
        published = self.by_key.get(key)
        if published is None:
            published = self.by_key[key] = Published(key, key, ArrivalOrder())
        conflator = Conflator(published, interval_seconds, self._encode_skipped, self._encode_gap)
        published.conflators[mailbox] = conflator
        return conflator

    def release(self, key: StreamKey, mailbox: Mailbox, *, is_read: bool) -> None:
        """Forget the mailbox's conflator, and the order if nobody needs it. Idempotent.

        Args:
            key: of the order.
            mailbox: the reader's.
            is_read: whether there are readers that get every message of this order.

        """
        published = self.by_key.get(key)
        if published is None:
            return
        published.conflators.pop(mailbox, None)
        published.idle.pop(mailbox, None)
        is_arrival = published.key is not published.stream
        if published.conflators or (is_arrival and is_read):
            return
        del self.by_key[key]
        if is_arrival:
            del self.arrivals[published.stream]

    def keys(self, stream: StreamKey) -> list[StreamKey]:
        """Return the key of the order of ids, and that of the order of arrival where it is read."""
        arrival = self.arrivals.get(stream)
        return [stream] if arrival is None else [stream, arrival.key]
