"""How long a stream is usually silent, and when its silence is suspicious. No I/O.

Trades arrive in bursts, so their number and their mean distance are poor measures. The measure used is the
share of recent short time slots with at least one trade: the stream's *activity*.
"""

from __future__ import annotations

import math

import msgspec

from livemarkets.exchanges.base import Silence

__all__ = ["SilenceDetector", "SilenceLimits"]


class SilenceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When a silence is suspicious."""

    slot_seconds: float = 0.25
    """How often :meth:`SilenceDetector.observe` is called."""
    memory_seconds: float = 120.0
    """Time constant of the moving average of the activity."""
    floor_seconds: float = 1.5
    """A shorter silence is never suspicious."""
    tolerance: float = 5.0
    """A silence is suspicious at this multiple of the usual distance between trades. For random arrivals,
    one in e⁵ ≈ 150 silences is that long. A stalled BTCUSDT stream is found within 3 s."""
    unknown_seconds: float = 30.0
    """The longest silence that is not suspicious; used while the activity is low or not known."""
    ceiling_seconds: float = 300.0
    """The longest time between two checks of a quiet stream."""

    @property
    def unhurried_seconds(self) -> float:
        """How long the check of a rare stream waits for others, so that one call answers for all: 5 s."""
        return self.unknown_seconds / 6


class SilenceDetector:
    """The activity of one stream. Times are monotonic seconds, passed in by the caller."""

    __slots__ = (
        "_activity",
        "_observed_at",
        "_real_until",
        "_reassured_until",
        "_slots",
        "arrivals",
        "last_at",
        "limits",
    )

    def __init__(self, limits: SilenceLimits, now: float) -> None:
        self.limits = limits
        self.last_at = now
        """When the last trade arrived, or when the stream began."""
        self.arrivals = 0
        """Trades since the last :meth:`observe`. The owner updates it together with :attr:`last_at`."""
        self._activity = 0.0
        self._slots = 0
        self._reassured_until = now
        self._real_until = now
        self._observed_at = now

    def observe(self, now: float) -> None:
        """End one time slot."""
        elapsed = max(now - self._observed_at, 1e-9)
        self._observed_at = now
        active = 1.0 if self.arrivals else 0.0
        if self.arrivals:
            self.arrivals = 0
            self._reassured_until = self._real_until = now
        self._slots += 1
        weight = 1.0 - math.exp(-elapsed / self.limits.memory_seconds)
        self._activity += (active - self._activity) * max(weight, 1.0 / self._slots)

    def usual_silence(self) -> float:
        """Return from how many seconds on a silence is suspicious for this stream."""
        limits = self.limits
        usual = limits.slot_seconds / self._activity if self._activity > 1e-6 else math.inf
        return max(limits.floor_seconds, min(limits.tolerance * usual, limits.unknown_seconds))

    def is_silent(self, now: float) -> bool:
        """Return whether the stream has been silent for longer than usual."""
        return now - self.last_at >= self.usual_silence()

    def is_suspicious(self, now: float) -> bool:
        """Return whether the silence should be checked: it is too long and was not checked recently."""
        return now >= self._reassured_until and self.is_silent(now)

    def is_rare(self) -> bool:
        """Return whether the stream trades so rarely, or is so new, that no silence is unusual for it."""
        return self.usual_silence() >= self.limits.unknown_seconds

    def is_urgent(self, now: float) -> bool:
        """Return whether a suspicious silence should be checked now. A rare stream may wait for others."""
        since = max(self._reassured_until, self.last_at + self.usual_silence())
        return not self.is_rare() or now - since >= self.limits.unhurried_seconds

    def meaning(self, now: float) -> Silence:
        """Return what the silence says about the connection that the stream shares with others."""
        if now < self._real_until or self.is_rare():
            return Silence.NATURAL
        return Silence.UNUSUAL if self.is_silent(now) else Silence.NONE

    def postpone(self, now: float) -> None:
        """Note a check without an answer. The next check is due when the silence is twice as long."""
        self._reassured_until = now + min(now - self.last_at, self.limits.ceiling_seconds)

    def reassure(self, now: float) -> None:
        """Note that the exchange has no newer trade. The next check is due as after :meth:`postpone`."""
        self.postpone(now)
        self._real_until = self._reassured_until

    def restart(self, now: float) -> None:
        """Measure the silence from now on, because the stream was interrupted or subscribed again."""
        self.last_at = self._reassured_until = self._real_until = now
