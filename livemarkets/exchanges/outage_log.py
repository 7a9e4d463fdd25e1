"""The log lines about one exchange being lost, away and back: few, however long it is away. No I/O."""

from __future__ import annotations

from loguru import logger

from livemarkets.exchanges.base import ClientStatus
from livemarkets.market.models import ExchangeState
from livemarkets.rate_limit import LogLimiter

__all__ = ["OutageLog"]

_INTERVAL_MINUTES = (1, 2, 5, 10, 20, 30, 60)
"""Intervals between two lines while the exchange is away; the last one is repeated."""
_CALM_SECONDS = 300.0
"""A loss sooner than this after the last outage belongs to it, so its lines keep to the intervals."""


class OutageLog:
    """Logs what a person needs to know: lost and why, still away, back and after how long, idle.

    Args:
        exchange: the exchange's name.
        limiter: limits warnings, and the lines about coming and going of subscribers.

    """

    def __init__(self, exchange: str, limiter: LogLimiter) -> None:
        self._exchange = exchange
        self._limiter = limiter
        self._lost_at: float | None = None
        self._back_at = -_CALM_SECONDS
        self._failures = 0
        self._held_back = 0
        self._next_line_at = 0.0
        self._interval = 0
        self._has_said_so = False

    def note_failure(self, what: str, delay_seconds: float, now: float) -> None:
        """Note that an attempt failed or a connection in use was lost.

        Args:
            what: the address and the reason.
            delay_seconds: delay before the next attempt.
            now: monotonic seconds.

        """
        if self._lost_at is None:
            self._lost_at, self._failures = now, 0
            if now - self._back_at >= _CALM_SECONDS:
                self._interval, self._next_line_at, self._held_back = 0, now, 0
        self._failures += 1
        if now < self._next_line_at:
            self._held_back += 1
            return
        text = f"{what}; next attempt in {_duration(delay_seconds)}"
        if self._failures > 1:
            text = f"not reachable for {_duration(now - self._lost_at)}, {_count(self._failures)}; {text}"
        elif self._held_back:
            text = f"{_count(self._held_back)} not logged; {text}"
        logger.warning("{}: {}", self._exchange, text)
        minutes = _INTERVAL_MINUTES[min(self._interval, len(_INTERVAL_MINUTES) - 1)]
        self._interval += 1
        self._next_line_at, self._held_back, self._has_said_so = now + 60.0 * minutes, 0, True

    def note_status(self, status: ClientStatus, now: float) -> None:
        """Note that the state of the exchange changed."""
        state = status.state
        if state is ExchangeState.LIVE and self._lost_at is not None:
            if self._has_said_so:
                away = _duration(now - self._lost_at)
                logger.info("{}: live again after {}, {}", self._exchange, away, _count(self._failures))
            self._end(now)
        elif state is ExchangeState.IDLE:
            text = "idle: nobody wants a stream, so there are no further attempts"
            if self._lost_at is not None:
                text += f"; it was not reachable for {_duration(now - self._lost_at)}"
                self._end(now)
            self._log_change(text)
        elif state is not ExchangeState.DOWN and self._lost_at is None:
            self._log_change(state.value)

    def note_stop(self, now: float) -> None:
        """Note that the client ends, such as at the stop of the app."""
        if self._lost_at is not None:
            away = _duration(now - self._lost_at)
            logger.info("{}: stopped; it was not reachable for {}", self._exchange, away)
            self._end(now)
        else:
            logger.info("{}: stopped", self._exchange)

    def warn(self, kind: str, text: str) -> None:
        """Log a warning, at most one of each kind per interval of the limiter."""
        line = self._limiter.limited(kind, text)
        if line is not None:
            logger.warning(line)

    def _log_change(self, text: str) -> None:
        line = self._limiter.limited(f"state {text.partition(':')[0]}", text)
        if line is not None:
            logger.info("{}: {}", self._exchange, line)

    def _end(self, now: float) -> None:
        self._lost_at, self._back_at, self._has_said_so = None, now, False


def _count(failures: int) -> str:
    return "1 failure" if failures == 1 else f"{failures} failures"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
