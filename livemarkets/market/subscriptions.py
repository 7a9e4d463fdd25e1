"""Who wants what: reference counts, linger, and the wanted set.

The manager knows no socket and no web framework. It changes its books synchronously and tells
whoever listens that an exchange's wanted set changed; that listener brings the world into line.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from livemarkets.market.models import StreamKey

__all__ = ["SubscriptionManager"]


class SubscriptionManager:
    """Keeps subscriber → streams and stream → subscribers, and lingers before it lets a stream go.

    Args:
        linger_seconds: how long a stream stays wanted after its last subscriber left, so that a page
            reload does not cost an UNSUBSCRIBE and a SUBSCRIBE at the exchange. 0 lets go at once.
        clock: monotonic seconds.

    A subscriber is any hashable object: a page, a `/ws/markets` connection.
    """

    def __init__(self, *, linger_seconds: float, clock: Callable[[], float]) -> None:
        self._linger_seconds = linger_seconds
        self._clock = clock
        self._subscribers: dict[StreamKey, set[Hashable]] = {}
        self._subscriptions: dict[Hashable, dict[StreamKey, None]] = {}
        self._lingering: dict[StreamKey, float] = {}  # stream -> when it expires; oldest first
        self._listeners: list[Callable[[StreamKey, bool], None]] = []

    def add_listener(self, listener: Callable[[StreamKey, bool], None]) -> None:
        """Have `listener(key, is_wanted)` called at once when a stream becomes or ceases to be wanted."""
        self._listeners.append(listener)

    def subscribe(self, subscriber: Hashable, key: StreamKey) -> bool:
        """Note that `subscriber` wants `key`. Return whether that is new."""
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
        """Note that `subscriber` no longer wants `key`. Return whether it did."""
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
        """Drop everything that `subscriber` wants, however it went away. Idempotent; returns what it had."""
        mine = list(self._subscriptions.get(subscriber, ()))
        for key in mine:
            self.unsubscribe(subscriber, key)
        return mine

    def expire(self) -> list[StreamKey]:
        """Let go of the streams whose linger is over, and return them."""
        now = self._clock()
        expired: list[StreamKey] = []
        for key, deadline in self._lingering.items():
            if deadline > now:
                break  # every stream lingers equally long, so the first that is not due ends the search
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
        """Return what `subscriber` wants, in the order in which it asked."""
        return list(self._subscriptions.get(subscriber, ()))

    def counts(self) -> tuple[int, int, int]:
        """Return how many subscribers, subscribed streams and lingering streams there are."""
        return len(self._subscriptions), len(self._subscribers), len(self._lingering)

    def subscribe_all(self, subscriber: Hashable, keys: Iterable[StreamKey]) -> None:
        """Make the wishes of `subscriber` exactly `keys`."""
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
