"""When the simulator is shown in place of an exchange that cannot be reached. Pure: the clock is passed."""

from __future__ import annotations

from livemarkets.market.models import ExchangeState

__all__ = ["FALLBACK_AFTER_MS", "Fallback"]

FALLBACK_AFTER_MS = 4_000
"""How long an exchange may be unreachable before the simulator is shown or offered, ms: longer than a usual
connect with one retry, shorter than a person waits at an empty screen."""


class Fallback:
    """Decides whether simulated prices are shown instead of those of the exchange a page asked for.

    A page that never had a real price shows them by itself. A page that had one keeps it, and only offers
    them: real prices are never replaced by simulated ones unless the person says so. A `stale` exchange is
    connected and is never replaced.

    Args:
        is_available: whether there is a simulator.
        now_ms: when the page was opened.
    """

    def __init__(self, *, is_available: bool, now_ms: int) -> None:
        self.reset(is_available=is_available, now_ms=now_ms)

    def reset(self, *, is_available: bool, now_ms: int) -> None:
        """Start over for another exchange."""
        self._is_available = is_available
        self._unreachable_since_ms: int | None = now_ms
        self.is_active = False
        """Whether simulated prices are shown."""
        self.is_offered = False
        """Whether the person may choose them. The page keeps its real prices meanwhile."""
        self.is_chosen = False
        """Whether they are shown because the person chose them."""

    def update(self, state: ExchangeState, now_ms: int, *, has_prices: bool) -> bool:
        """Note the state of the exchange asked for. Return whether a decision changed.

        Args:
            state: the state.
            now_ms: the time.
            has_prices: whether the page has had a real price.
        """
        before = (self.is_active, self.is_offered)
        if state in (ExchangeState.LIVE, ExchangeState.STALE):
            self._unreachable_since_ms = None
            self.is_active = self.is_offered = self.is_chosen = False
        elif self._unreachable_since_ms is None:
            self._unreachable_since_ms = now_ms
        elif self._is_available and now_ms - self._unreachable_since_ms >= FALLBACK_AFTER_MS:
            self.is_offered = not self.is_active and has_prices
            self.is_active = self.is_active or not has_prices
        return (self.is_active, self.is_offered) != before

    def choose(self, is_chosen: bool) -> None:
        """Show simulated prices where they are offered, or go back to the last real ones."""
        if is_chosen and self.is_offered:
            self.is_active, self.is_offered, self.is_chosen = True, False, True
        elif not is_chosen and self.is_chosen:
            self.is_active, self.is_offered, self.is_chosen = False, True, False
