"""How long a resumption waits for trades that do not come. No I/O."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

__all__ = ["Patience", "ResumeLimits"]

_RETRY_SECONDS = 0.25
_LONGEST_RETRY_SECONDS = 2.0
_LEAST_WAIT_SECONDS = 0.5


class ResumeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one resumption."""

    history_trades: int = 20_000
    """How far back it reaches, in trades. A gap is declared for older ones."""
    patience_seconds: float = 15.0
    """How long it waits without progress while REST does not answer, or for a stream that is behind the
    client. After that, a gap is declared."""
    longest_seconds: float = 120.0
    """How long it waits without progress while REST answers without the trades, while the exchange's rate
    limit holds the calls up, or while there is nobody to ask."""


class Patience:
    """How long one resumption has made no progress, and how long it waits for more.

    Args:
        limits: its limits.
        is_working: returns whether REST has answered since a time, or the rate limit holds it up, or there is
            nobody to ask.
        clock: monotonic seconds.

    """

    def __init__(
        self, limits: ResumeLimits, is_working: Callable[[float], bool], clock: Callable[[], float]
    ) -> None:
        self._limits = limits
        self._is_working = is_working
        self._clock = clock
        self._since = clock()
        self._retry_seconds = _RETRY_SECONDS

    def note_progress(self) -> None:
        """Begin to wait anew."""
        self._since = self._clock()
        self._retry_seconds = _RETRY_SECONDS

    def is_over(self) -> bool:
        """Return whether to declare a gap instead of waiting longer."""
        now = self._clock()
        waited = now - self._since
        if waited < self._limits.patience_seconds:
            return False
        if waited >= self._limits.longest_seconds:
            return True
        return not self._is_working(now - self._limits.patience_seconds)

    def seconds(self) -> float:
        """Return how long to wait for an answer before asking :meth:`is_over`."""
        waited = self._clock() - self._since
        return max(self._limits.patience_seconds - waited, _LEAST_WAIT_SECONDS)

    def retry_seconds(self) -> float:
        """Return how long to wait after an answer without progress; longer each time."""
        seconds = self._retry_seconds
        self._retry_seconds = min(seconds * 1.5, _LONGEST_RETRY_SECONDS)
        return seconds
