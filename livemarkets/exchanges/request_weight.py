"""The request weight of the calls of a minute, and the shares that are kept back for a purpose. No I/O.

Source: Binance spot API documents, `rest-api.md` ("LIMITS"): the weight is limited per minute and IP address.
Every answer says what the exchange has counted in its present minute. Other programs may use the same IP
address.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from livemarkets.exchanges.base import Purpose

__all__ = ["KeptBack", "RequestWeight", "Spent"]

WINDOW_SECONDS = 60.0
_DEFAULT_LIMIT = 6000
_BELIEVABLE_LIMITS = range(600, 1_000_000)
_PART_WHILE_UNKNOWN = 0.5
"""Part of the limit that is used as long as it is unknown what other programs use."""
_PART = 0.9


class KeptBack(msgspec.Struct, frozen=True):
    """Shares of a total that are kept back, one for each purpose. The rest is for all."""

    parts: Sequence[float]
    """By :class:`~livemarkets.exchanges.base.Purpose`, parts of 1."""

    def fits(
        self,
        used: Sequence[int],
        purpose: Purpose,
        amount: int,
        total: int,
        *,
        others: int = 0,
        may_share: bool = True,
    ) -> bool:
        """Return whether a purpose may use an amount more.

        Args:
            used: what each purpose uses at present.
            purpose: the purpose that wants more.
            amount: how much more.
            total: what all may use together.
            others: what is used by nobody of them. It counts as used of the common rest.
            may_share: whether the purpose may use the common rest.

        """
        if sum(used) + others + amount > total:
            return False
        kept = [int(part * total) for part in self.parts]
        if used[purpose] + amount <= kept[purpose]:
            return True
        beyond = [max(0, one - own) for one, own in zip(used, kept, strict=True)]
        beyond[purpose] = used[purpose] + amount - kept[purpose]
        return may_share and sum(beyond) + others <= total - sum(kept)


class Spent:
    """The weight of one call."""

    __slots__ = ("at", "purpose", "weight")

    def __init__(self, at: float, purpose: Purpose, weight: int) -> None:
        self.at = at
        self.purpose = purpose
        self.weight = weight


class RequestWeight:
    """The weight spent in the minute that ends now, by us and, as far as the exchange tells, by others.

    Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self.limit = _DEFAULT_LIMIT
        """The exchange's limit of a minute."""
        self.counted: int | None = None
        """The exchange's last count of its present minute; `None` before the first."""
        self._counted_until = 0.0
        self._spent: deque[Spent] = deque()
        self._by_purpose = [0] * len(Purpose)
        self._ever = 0  # weight spent since the start
        self._ever_at_count = 0  # the part of it that the exchange's last count is sure to contain

    @property
    def usable(self) -> int:
        """The weight that may be used in a minute by all programs together."""
        return int(self.limit * (_PART_WHILE_UNKNOWN if self.counted is None else _PART))

    def used(self, now: float) -> Sequence[int]:
        """Return what we spent in the minute that ends now, by purpose."""
        self._forget(now)
        return self._by_purpose

    def others(self, now: float) -> int:
        """Return what other programs spent, as far as the exchange's count is above our own."""
        if self.counted is None or now >= self._counted_until:
            return 0
        return max(0, self.counted + self._ever - self._ever_at_count - sum(self.used(now)))

    def next_change(self, now: float) -> float:
        """Return when weight is free again that is used at present; infinite when none is used."""
        self._forget(now)
        times = [self._spent[0].at + WINDOW_SECONDS] if self._spent else []
        if self.others(now):
            times.append(self._counted_until)
        return min(times, default=float("inf"))

    def spend(self, weight: int, purpose: Purpose, now: float) -> Spent:
        """Count a call."""
        spent = Spent(now, purpose, weight)
        self._spent.append(spent)
        self._by_purpose[purpose] += weight
        self._ever += weight
        return spent

    def take_back(self, spent: Spent, now: float) -> None:
        """Undo :meth:`spend`: the call never reached the exchange."""
        self._forget(now)
        if spent.at > now - WINDOW_SECONDS:
            self._by_purpose[spent.purpose] -= spent.weight
        self._ever -= spent.weight
        spent.weight = 0

    def note_limit(self, limit: int) -> None:
        """Set the limit that the exchange announced. A value that makes no sense is ignored."""
        if limit in _BELIEVABLE_LIMITS:
            self.limit = limit

    def note_count(self, counted: int, in_flight: int, now: float, minute_ends_seconds: float) -> None:
        """Set what the exchange has counted in its present minute for all programs at our IP address.

        A count above the limit makes no sense in an answer that was given, and is ignored.

        Args:
            counted: the exchange's count.
            in_flight: weight of our other calls that have no answer yet, which may be counted or not.
            now: monotonic seconds.
            minute_ends_seconds: when the exchange's minute ends, from now.

        """
        if not 0 < counted <= self.limit:
            return
        is_same_minute = self.counted is not None and now < self._counted_until
        if is_same_minute and self.counted is not None and counted <= self.counted <= counted + in_flight:
            return  # the answers overtook each other
        self.counted = counted
        self._counted_until = now + min(WINDOW_SECONDS, minute_ends_seconds)
        self._ever_at_count = self._ever - in_flight

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0].at <= now - WINDOW_SECONDS:
            spent = self._spent.popleft()
            self._by_purpose[spent.purpose] -= spent.weight
