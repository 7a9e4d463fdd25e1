"""Logs which wanted streams the exchange does not trade, or trades again: few lines, however many streams."""

from __future__ import annotations

from collections.abc import Callable

from loguru import logger

from livemarkets.market.models import QualityState, StreamKey, StreamQuality
from livemarkets.rate_limit import LogLimiter

__all__ = ["NotTradedLog"]

_LOG_SECONDS = 60.0
_NOT_TRADED = (QualityState.HALTED, QualityState.DELISTED)


class NotTradedLog:
    """A listener of the quality of streams. It logs at most one line of each kind a minute.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._told: set[StreamKey] = set()
        self._lines = LogLimiter(interval_seconds=_LOG_SECONDS, clock=clock)

    def note(self, quality: StreamQuality, is_new_state: bool) -> None:
        """Log a stream that is halted or delisted from now on, or no longer."""
        if not is_new_state:
            return
        key = quality.key
        if quality.state in _NOT_TRADED:
            self._told.add(key)
            if (more := self._more(quality.state)) is not None:
                logger.warning("{}: {}: {}{}", key, quality.state, quality.reason, more)
        elif key in self._told:
            self._told.discard(key)
            if (more := self._more("again")) is not None:
                logger.info("{}: traded again{}", key, more)

    def _more(self, kind: str) -> str | None:
        suppressed = self._lines.suppressed_since_last(kind)
        if suppressed is None:
            return None
        return f"; {suppressed} more streams since the last such line" if suppressed else ""
