"""Limits: token buckets, concurrent use per key, one log line per kind and interval, counts of refusals.

No I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

__all__ = ["REFUSALS", "LogLimiter", "Refusals", "TokenBucket", "TokenBuckets", "UsageCounter", "Use"]


class TokenBucket:
    """Allows `rate_per_second` events on average, and `burst` events at once.

    Args:
        rate_per_second: tokens added per second.
        burst: the most tokens in the bucket. It starts full.
        clock: monotonic seconds.

    """

    __slots__ = (
        "_at",
        "_burst",
        "_clock",
        "_rate",
        "_tokens",
    )

    def __init__(self, *, rate_per_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()

    def take(self) -> bool:
        """Take one token. Return `False` when there is none and the event is not allowed."""
        self._fill()
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def charge(self, tokens: float) -> float:
        """Take tokens, also if there are too few. Return how many seconds the caller has to wait."""
        self._fill()
        self._tokens -= tokens
        return max(0.0, -self._tokens / self._rate)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class TokenBuckets:
    """A token bucket per key, such as per address.

    Args:
        rate_per_second: tokens added per second to each bucket.
        burst: the most tokens in a bucket.
        clock: monotonic seconds.
        keys: how many buckets are kept: the most recently used ones. A new bucket is full.

    """

    def __init__(
        self, *, rate_per_second: float, burst: float, clock: Callable[[], float], keys: int = 10_000
    ) -> None:
        self._new = partial(TokenBucket, rate_per_second=rate_per_second, burst=burst, clock=clock)
        self._keys = keys
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, key: str) -> bool:
        """Take one token of this key. Return `False` when there is none and the event is not allowed."""
        bucket = self._buckets.pop(key, None) or self._new()
        self._buckets[key] = bucket
        if len(self._buckets) > self._keys:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take()


class UsageCounter:
    """Counts what is in use at present per key, such as open connections per address."""

    def __init__(self) -> None:
        self._in_use: Counter[str] = Counter()
        self.uses = 0
        """How many there were since the start."""

    def total(self) -> int:
        """Return how many are in use, for all keys together."""
        return self._in_use.total()

    def in_use(self, key: str) -> int:
        """Return how many are in use for this key."""
        return self._in_use[key]

    def use(self, key: str) -> Use:
        """Count one more for this key until the context ends, however it ends."""
        self.uses += 1
        return Use(self._in_use, key)


class Use:
    """One use of a :class:`UsageCounter`. A generator would take twice the memory of each connection."""

    __slots__ = ("_in_use", "_key")

    def __init__(self, in_use: Counter[str], key: str) -> None:
        self._in_use = in_use
        self._key = key

    def __enter__(self) -> None:
        self._in_use[self._key] += 1

    def __exit__(self, *_: object) -> None:
        self._in_use[self._key] -= 1
        if not self._in_use[self._key]:
            del self._in_use[self._key]


REFUSALS: Mapping[str, tuple[str, ...]] = {
    "message": (
        "invalid_json",
        "invalid_message",
        "unknown_type",
        "unknown_exchange",
        "unknown_channel",
        "symbol_limit",
        "rate_limited",
        "message_too_big",
    ),
    "subscription": ("unknown_symbol", "symbol_limit"),
    "page": ("address",),
    "page_socket": ("address", "unread"),
    "page_event": ("delayed",),
    "fetch": ("address", "all", "foreign"),
}
"""What is refused to peers → for which reasons. Refused handshakes of `/ws/markets` are counted apart."""


class Refusals:
    """Counts what was refused to peers since the start, by the kinds and reasons of :data:`REFUSALS`."""

    def __init__(self) -> None:
        self.counts = {(kind, reason): 0 for kind, reasons in REFUSALS.items() for reason in reasons}
        """(kind, reason) → how often."""

    def note(self, kind: str, reason: str) -> None:
        """Count one refusal."""
        self.counts[kind, reason] += 1


class LogLimiter:
    """Allows one log line of each kind per interval, and counts the others.

    Args:
        interval_seconds: least time between two lines of the same kind.
        clock: monotonic seconds.
        kinds: how many kinds are distinguished. All further kinds share one.

    """

    def __init__(self, *, interval_seconds: float, clock: Callable[[], float], kinds: int = 100) -> None:
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._kinds = kinds
        self._state: dict[str, tuple[float, int]] = {}

    def suppressed_since_last(self, kind: str) -> int | None:
        """Return how many lines of this kind were suppressed since the last one; `None`: suppress it too."""
        if kind not in self._state and len(self._state) >= self._kinds:
            kind = "other"
        now = self._clock()
        last, held_back = self._state.get(kind, (-self._interval_seconds, 0))
        if kind in self._state and now - last < self._interval_seconds:
            self._state[kind] = (last, held_back + 1)
            return None
        self._state[kind] = (now, 0)
        return held_back

    def limited(self, kind: str, text: str) -> str | None:
        """Return the line to log now, with a note of how many were suppressed; `None`: log nothing."""
        suppressed = self.suppressed_since_last(kind)
        if suppressed is None:
            return None
        return f"{text} ({suppressed} similar messages not logged)" if suppressed else text
