"""How long a stream is usually quiet, and when its silence is worth a question. Pure.

Trades come in bursts, so neither their number nor their mean distance says much. What counts is in how
many of the last short slots of time there was any trade at all: that is the stream's rhythm.
"""

from __future__ import annotations

import math

import msgspec

from livemarkets.exchanges.base import Silence

__all__ = ["SilenceDetector", "SilenceLimits"]


class SilenceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """From which silence on a stream is suspected."""

    slot_seconds: float = 0.25
    """How often :meth:`SilenceDetector.observe` is called."""
    memory_seconds: float = 120.0
    """How far back the rhythm reaches (time constant)."""
    floor_seconds: float = 1.5
    """No silence shorter than this is suspicious."""
    tolerance: float = 5.0
    """So many times the usual distance between trades are suspicious. With trades at random that is one
    question in e⁵ ≈ 150 pauses; and BTCUSDT, whose genuine rhythm makes it 2 s, is found mute within 3 s."""
    unknown_seconds: float = 30.0
    """The same for a stream whose rhythm is not known."""
    ceiling_seconds: float = 300.0
    """The longest time between two questions about a quiet stream."""


class SilenceDetector:
    """The rhythm of one stream. Times are monotonic seconds that the caller passes in."""

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
        """Trades since :meth:`observe`; counted by the owner, with :attr:`last_at`."""
        self._activity = 0.0
        self._slots = 0
        self._reassured_until = now
        self._real_until = now
        self._observed_at = now

    def observe(self, now: float) -> None:
        """Close one slot of time."""
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
        """Return how many seconds of silence are nothing special for this stream."""
        limits = self.limits
        usual = limits.slot_seconds / self._activity if self._activity > 1e-6 else math.inf
        return max(limits.floor_seconds, min(limits.tolerance * usual, limits.unknown_seconds))

    def is_silent(self, now: float) -> bool:
        """Tell whether the stream has been silent for longer than it usually is."""
        return now - self.last_at >= self.usual_silence()

    def is_suspicious(self, now: float) -> bool:
        """Tell whether the silence is worth a question: too long, and not asked about lately."""
        return now >= self._reassured_until and self.is_silent(now)

    def meaning(self, now: float) -> Silence:
        """Return what the silence says of the connection that the stream shares with others."""
        if now < self._real_until or self.usual_silence() >= self.limits.unknown_seconds:
            return Silence.NATURAL
        return Silence.UNUSUAL if self.is_silent(now) else Silence.NONE

    def postpone(self, now: float) -> None:
        """Note that the silence was asked about without an answer: the next question comes at twice of it."""
        self._reassured_until = now + min(now - self.last_at, self.limits.ceiling_seconds)

    def reassure(self, now: float) -> None:
        """Note that the silence is real: the exchange has no newer trade. The next question comes as late."""
        self.postpone(now)
        self._real_until = self._reassured_until

    def restart(self, now: float) -> None:
        """Count the silence from now on (the stream was interrupted, or subscribed again)."""
        self.last_at = self._reassured_until = self._real_until = now
