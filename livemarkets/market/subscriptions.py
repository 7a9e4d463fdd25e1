"""The subscriptions of all subscribers: reference counts, linger, and the set of wanted streams.

The manager has no I/O. It changes its state synchronously, and calls its listeners when a stream becomes
wanted or unwanted. The listeners subscribe and unsubscribe at the exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Set
from itertools import islice

from livemarkets.market.models import StreamKey

__all__ = ["SubscriptionManager"]


class SubscriptionManager:
    """Maps subscribers to streams and streams to subscribers.

    A subscriber is any hashable object, such as a page or a `/ws/markets` connection.

    Args:
        linger_seconds: how long a stream stays wanted after its last subscriber left, so that a page
            reload does not cost an UNSUBSCRIBE and a SUBSCRIBE at the exchange. 0 disables lingering.
        clock: monotonic seconds.

    """

    def __init__(self, *, linger_seconds: float, clock: Callable[[], float]) -> None:
        self._linger_seconds = linger_seconds
        self._clock = clock
        self._subscribers: dict[StreamKey, set[Hashable]] = {}
        self._subscriptions: dict[Hashable, dict[StreamKey, None]] = {}
        self._lingering: dict[StreamKey, float] = {}  # stream -> when it expires; oldest first
        self._listeners: list[Callable[[StreamKey, bool], None]] = []

    def add_listener(self, listener: Callable[[StreamKey, bool], None]) -> None:
        """Call `listener(key, is_wanted)` synchronously when a stream becomes wanted or unwanted."""
        self._listeners.append(listener)

    def subscribe(self, subscriber: Hashable, key: StreamKey) -> bool:
        """Subscribe `subscriber` to `key`. Return whether it was not subscribed before."""
        mine = self._subscriptions.setdefault(subscriber, {})
        if key in mine:
            return False
        mine[key] = None
        holders = self._subscribers.get(key)
        if holders is not None:
            holders.add(subscriber)
            return True
        self._subscribers[key] = {subscriber}
        if self._lingering.pop(key, None) is None:
            self._notify(key, True)
        return True

    def unsubscribe(self, subscriber: Hashable, key: StreamKey) -> bool:
        """Unsubscribe `subscriber` from `key`. Return whether it was subscribed."""
        mine = self._subscriptions.get(subscriber)
        if mine is None or key not in mine:
            return False
        del mine[key]
        if not mine:
            del self._subscriptions[subscriber]
        holders = self._subscribers[key]
        holders.remove(subscriber)
        if not holders:
            del self._subscribers[key]
            self._let_go(key)
        return True

    def release(self, subscriber: Hashable) -> list[StreamKey]:
        """Unsubscribe `subscriber` from every stream, and return these. Idempotent."""
        mine = list(self._subscriptions.get(subscriber, ()))
        for key in mine:
            self.unsubscribe(subscriber, key)
        return mine

    def expire(self, most: int | None = None) -> list[StreamKey]:
        """Make the streams unwanted whose linger time is over, and return them: at most so many."""
        now = self._clock()
        expired: list[StreamKey] = []
        for key, deadline in islice(self._lingering.items(), most):
            if deadline > now:
                break  # all streams linger equally long, so the later ones are not due either
            expired.append(key)
        for key in expired:
            del self._lingering[key]
            self._notify(key, False)
        return expired

    def wanted(self, exchange: str) -> set[StreamKey]:
        """Return every stream of `exchange` that is subscribed or lingers."""
        return {
            key for books in (self._subscribers, self._lingering) for key in books if key.exchange == exchange
        }

    def subscriptions(self, subscriber: Hashable) -> list[StreamKey]:
        """Return the streams of `subscriber` in the order of subscription."""
        return list(self._subscriptions.get(subscriber, ()))

    def subscribers(self, key: StreamKey) -> Set[Hashable]:
        """Return the subscribers of a stream."""
        return self._subscribers.get(key, set())

    def counts(self) -> tuple[int, int, int]:
        """Return how many subscribers, subscribed streams and lingering streams there are."""
        return len(self._subscriptions), len(self._subscribers), len(self._lingering)

    def subscribe_all(self, subscriber: Hashable, keys: Iterable[StreamKey]) -> None:
        """Make `keys` the complete set of the subscriptions of `subscriber`."""
        wanted = dict.fromkeys(keys)
        for key in wanted:
            self.subscribe(subscriber, key)
        for key in self.subscriptions(subscriber):
            if key not in wanted:
                self.unsubscribe(subscriber, key)

    def _let_go(self, key: StreamKey) -> None:
        if self._linger_seconds <= 0:
            self._notify(key, False)
            return
        self._lingering[key] = self._clock() + self._linger_seconds

    def _notify(self, key: StreamKey, is_wanted: bool) -> None:
        for listener in self._listeners:
            listener(key, is_wanted)
