"""When the simulator replaces an exchange that cannot be reached. Pure; the clock is passed in."""

from __future__ import annotations

from livemarkets.market.models import ExchangeState

__all__ = ["FALLBACK_AFTER_MS", "Fallback"]

FALLBACK_AFTER_MS = 4_000
"""How long an exchange may be unreachable before the simulator replaces it, ms: longer than a usual connect
with one retry, shorter than a person waits at an empty screen."""


class Fallback:
    """Decides whether simulated prices are shown instead of those of the exchange a page asked for.

    A `stale` exchange is connected and is never replaced: its last prices are real, and shown as stale.

    Args:
        is_available: whether there is a simulator.
        now_ms: when the page was opened.
    """

    def __init__(self, *, is_available: bool, now_ms: int) -> None:
        self._is_available = is_available
        self._unreachable_since_ms: int | None = now_ms
        self.is_active = False

    def update(self, state: ExchangeState, now_ms: int) -> bool:
        """Note the state of the exchange asked for. Return whether the decision changed."""
        was_active = self.is_active
        if state in (ExchangeState.LIVE, ExchangeState.STALE):
            self._unreachable_since_ms = None
            self.is_active = False
        else:
            if self._unreachable_since_ms is None:
                self._unreachable_since_ms = now_ms
            waited_ms = now_ms - self._unreachable_since_ms
            self.is_active = self.is_active or (self._is_available and waited_ms >= FALLBACK_AFTER_MS)
        return self.is_active is not was_active

    def reset(self, *, is_available: bool, now_ms: int) -> None:
        """Start over for another exchange."""
        self._is_available = is_available
        self._unreachable_since_ms = now_ms
        self.is_active = False
