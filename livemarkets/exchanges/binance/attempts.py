"""The connection attempts of one shard: how many failed, when the next is due, to which endpoint. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from livemarkets.errors import ExchangeUnreachable
from livemarkets.exchanges.budgets import backoff

__all__ = ["Attempts"]


class Attempts:
    """Failed attempts since the last good data, and the backoff that follows from them.

    Args:
        initial_seconds: upper limit of the first delay.
        cap_seconds: upper limit of every delay.
        uniform: returns a random number between its two arguments.

    """

    def __init__(
        self, initial_seconds: float, cap_seconds: float, uniform: Callable[[float, float], float]
    ) -> None:
        self.failures = 0
        """Failed attempts since the last good data."""
        self.is_down = False
        """Whether the exchange cannot be reached. The loss of one open connection does not say so."""
        self.reason: str | None = None
        """Why the last attempt failed; `None` after good data."""
        self.retry_at: float | None = None
        """When the next attempt is due, monotonic seconds; `None` when none is waiting."""
        self.endpoint = 0
        """Number of the endpoint to use next. It counts up; the owner maps it to its list of addresses."""
        self._initial_seconds = initial_seconds
        self._cap_seconds = cap_seconds
        self._uniform = uniform
        self._delays: Iterator[float] | None = None

    def note_failure(self, error: ExchangeUnreachable, now: float, *, was_open: bool) -> float:
        """Note a failed attempt or a lost connection. Return the delay before the next attempt, in seconds.

        Args:
            error: what happened. Its `retry_after_seconds` is the shortest delay.
            now: monotonic seconds.
            was_open: whether the handshake had succeeded. If not, the next attempt uses another endpoint.

        """
        self.endpoint += not was_open
        self.failures += 1
        self.is_down = self.failures > 1 or not was_open
        if self._delays is None:
            self._delays = backoff(
                initial_seconds=self._initial_seconds, cap_seconds=self._cap_seconds, uniform=self._uniform
            )
        delay = max(next(self._delays), error.retry_after_seconds or 0.0)
        self.retry_at = now + delay
        self.reason = error.reason
        return delay

    def note_good_data(self) -> None:
        """Restart the backoff. A handshake alone is no reason: the exchange may accept and then close."""
        self.failures, self._delays, self.reason = 0, None, None

    def note_acknowledged(self) -> None:
        """Note that a connection carries all wanted streams."""
        self.is_down = False

    def reset(self) -> None:
        """Forget the failures: no stream is wanted. The endpoint stays."""
        self.note_good_data()
        self.is_down, self.retry_at = False, None
