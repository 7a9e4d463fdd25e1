"""The connection attempts of one exchange: when the next may be made, and to which address. No I/O.

All shards share it, and it outlives the subscribers: a ban concerns every connection from here, whoever
wants it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import msgspec

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.addresses import Addresses
from livemarkets.exchanges.budgets import ConnectBudget, backoff

__all__ = ["Attempt", "AttemptTimings", "Attempts"]

_FORGET_SECONDS = 300.0
"""Failures are forgotten if nothing was tried for this long, because nobody wanted a stream."""
_LONGEST_BAN_SECONDS = 600.0
_MOST_RETURN_PAUSES, _CALM_RETURNS = 20, 60
"""The longest pause between two returns, and when it is the least one again: so many times the least one."""


class AttemptTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Delays between connection attempts."""

    backoff_initial_seconds: float = 0.5
    backoff_cap_seconds: float = 30.0
    """Upper limits of the first delay and of every delay before a new attempt."""
    short_life_cap_seconds: float = 5.0
    """Upper limit of a delay after a connection that worked, but not for long: the exchange can be reached,
    and prices should not be away for long."""
    ban_seconds: float = 30.0
    """Least delay after HTTP 418 or 429 without a Retry-After. It doubles with each further one."""
    good_life_seconds: float = 10.0
    """A connection that worked for this long proves that its address works and that attempts may be quick
    again. Its loss is no failure of the address: the exchange ends connections, such as at 24 h."""
    rest_seconds: float = 10.0
    longest_rest_seconds: float = 300.0
    """How long an address is passed over after its first failure, and at most after further ones."""
    return_seconds: float | None = None
    """A connection to another address than the preferred one is replaced as soon as that may work again: two
    legs that stay at one address would end together. Least time between two such replacements; it doubles,
    up to twenty times this, while they follow each other. `None`: it stays."""


class Attempt(msgspec.Struct, eq=False):
    """One attempt, and the connection that it became."""

    url: str
    begun_at: float
    is_return: bool = False
    """It finds out whether the preferred address works again, while a connection to another one works."""
    is_open: bool = False
    """The handshake succeeded."""
    proved_at: float | None = None
    """When the exchange first sent a trade or an answer, monotonic seconds."""


class Attempts:
    """Failed attempts since the exchange last worked, and the delays that follow from them.

    Args:
        urls: base addresses, the preferred one first.
        budget: the exchange's limit of attempts.
        timings: delays (:class:`AttemptTimings`).
        uniform: returns a random number between its two arguments.

    """

    def __init__(
        self,
        urls: Iterable[str],
        budget: ConnectBudget,
        timings: AttemptTimings,
        uniform: Callable[[float, float], float],
    ) -> None:
        rests = timings.rest_seconds, timings.longest_rest_seconds
        self.addresses = Addresses(urls, rest_seconds=rests[0], longest_rest_seconds=rests[1])
        self.failures = 0
        """Failures since the exchange last worked."""
        self.is_down = False
        """Whether the exchange cannot be reached. The loss of one working connection does not say so."""
        self.reason: str | None = None
        """Why the last attempt failed; `None` after it worked again."""
        self._budget = budget
        self._timings = timings
        self._uniform = uniform
        self._delays: Iterator[float] | None = None
        self._retry_at = 0.0
        self._told: dict[str, float] = {}  # until when an address wants no attempt
        self._failed_at = 0.0
        self._bans = 0
        self._opening: set[Attempt] = set()
        self._works_since: float | None = None  # proof of an attempt that began after the last failure
        self._good_url: str | None = None
        self._returned_at = -math.inf
        self._return_pause = 0.0

    def use_addresses(self, urls: Iterable[str]) -> None:
        """Replace the addresses. What failed at other ones says nothing of new ones."""
        fresh = tuple(urls)
        is_new = not set(fresh) & set(self.addresses)
        self.addresses.replace(fresh)
        if is_new:
            self._recover()
            self._retry_at = self._budget.banned_until = 0.0
        self._told = {url: until for url, until in self._told.items() if url in self.addresses}

    def due_at(self, now: float) -> float | None:
        """Return when an attempt may begin, `now` or later; `None` while another one has to end first.

        After a failure, one attempt at a time finds out whether the exchange works again.
        """
        if self.failures and self._works_since is None and self._opening:
            return None
        return max(now + self._budget.delay(now), self._allowed_at())

    def ban_seconds(self, now: float) -> float:
        """Return how long the exchange has forbidden every connection from now on; 0 if it has not."""
        return max(0.0, self._budget.banned_until - now)

    def begin(self, now: float, *, is_planned: bool = False, is_return: bool = False) -> Attempt:
        """Count an attempt and choose its address.

        Args:
            now: monotonic seconds.
            is_planned: whether a connection that works stays open meanwhile (a rotation). If so, the
                preferred address is tried. Otherwise, the one that worked last is.
            is_return: whether the reason of the rotation is the preferred address itself.

        """
        if self.failures and now - max(self._failed_at, self._allowed_at()) > _FORGET_SECONDS:
            self._recover()
        self._budget.spend(now)
        if is_return:
            self._note_return(now)
        attempt = Attempt(self._choose(now, is_planned), now, is_return)
        self._opening.add(attempt)
        return attempt

    def returns_at(self, url: str) -> float:
        """Return when a connection to this address may be replaced by one to the preferred address."""
        preferred = next(iter(self.addresses), url)
        if self._timings.return_seconds is None or url == preferred:
            return math.inf
        rest, told = self.addresses.rests_until(preferred), self._told.get(preferred, 0.0)
        return max(rest, told, self._returned_at + self._return_pause)

    def _note_return(self, now: float) -> None:
        """Let returns that follow each other be ever more seldom: the address may open and then be mute."""
        least = self._timings.return_seconds or 0.0
        is_calm = now - self._returned_at > _CALM_RETURNS * least
        self._return_pause = least if is_calm else min(2 * self._return_pause, _MOST_RETURN_PAUSES * least)
        self._returned_at = now

    def note_open(self, attempt: Attempt) -> None:
        """Note that the handshake succeeded. That alone proves nothing: the exchange may close at once."""
        attempt.is_open = True
        self._opening.discard(attempt)

    def note_proof(self, attempt: Attempt, now: float) -> None:
        """Note that the exchange sent a trade or an answer on this connection."""
        if attempt.proved_at is not None:
            return
        attempt.proved_at = now
        self._good_url = attempt.url
        self.addresses.note_success(attempt.url)
        if attempt.begun_at >= self._failed_at:
            self._works_since = now if self._works_since is None else self._works_since
            self.is_down, self.reason, self._bans = False, None, 0

    def note_failure(self, attempt: Attempt, error: ExchangeUnreachable, now: float) -> float:
        """Note that an attempt failed or its connection was lost. Return the delay before the next attempt.

        Args:
            attempt: what failed.
            error: what happened. After a ban, its `retry_after_seconds` is the shortest delay of all shards,
                at every address. Otherwise it concerns the address alone, and is at most the longest delay
                of a failure: whatever stands before one address must not stop the others.
            now: monotonic seconds.

        """
        self._opening.discard(attempt)
        if attempt.is_return and attempt.proved_at is None and not error.is_ban:
            self._blame(attempt.url, now)  # nothing else is known that was not known before
            return 0.0
        good_life = self._timings.good_life_seconds
        if self._works_since is not None and now - self._works_since >= good_life:
            self._recover()
        self._works_since, self._failed_at, self.reason = None, now, error.reason
        if attempt.proved_at is not None and now - attempt.proved_at >= good_life:
            self.failures = max(self.failures, 1)
            delay = self._uniform(0, self._timings.backoff_initial_seconds)
        else:
            self._blame(attempt.url, now)
            self.failures += 1
            self.is_down = not attempt.is_open or (self.failures > 1 and attempt.proved_at is None)
            delay = self._next_delay()
            if attempt.proved_at is not None:
                delay = min(delay, self._timings.short_life_cap_seconds)
        if error.is_ban:
            delay = max(delay, self._ban_seconds(error.retry_after_seconds))
            self._budget.banned_until = max(self._budget.banned_until, now + delay)
        elif error.retry_after_seconds is not None:
            pause = min(error.retry_after_seconds, self._timings.backoff_cap_seconds)
            self._told[attempt.url] = now + pause
        self._retry_at = max(self._retry_at, now + delay)
        return self._allowed_at() - now

    def note_mute(self, url: str, now: float) -> None:
        """Note that a connection to this address brings no trades though the exchange has some."""
        self._blame(url, now)

    def note_end(self, attempt: Attempt) -> None:
        """Note that an attempt was given up or its connection closed by us."""
        self._opening.discard(attempt)

    def _allowed_at(self) -> float:
        """Return when the first address may be tried."""
        return max(self._retry_at, min((self._told.get(url, 0.0) for url in self.addresses), default=0.0))

    def _choose(self, now: float, is_planned: bool) -> str:
        addresses = sorted(self.addresses.in_order(now), key=lambda url: self._told.get(url, 0.0) > now)
        good = self._good_url
        if is_planned or good is None or good not in addresses:
            return addresses[0]
        must_wait = self.addresses.is_resting(good, now) or self._told.get(good, 0.0) > now
        return addresses[0] if must_wait else good

    def _ban_seconds(self, told: float | None) -> float:
        """Return the pause after a ban, in seconds."""
        if told is not None:
            return told
        self._bans += 1
        return min(self._timings.ban_seconds * 2.0 ** min(self._bans - 1, 20), _LONGEST_BAN_SECONDS)

    def _blame(self, url: str, now: float) -> None:
        self.addresses.note_failure(url, now)
        if self._good_url == url:
            self._good_url = None

    def _next_delay(self) -> float:
        if self._delays is None:
            self._delays = backoff(
                initial_seconds=self._timings.backoff_initial_seconds,
                cap_seconds=self._timings.backoff_cap_seconds,
                uniform=self._uniform,
            )
        return next(self._delays)

    def _recover(self) -> None:
        self.failures, self._delays, self.is_down, self.reason = 0, None, False, None
