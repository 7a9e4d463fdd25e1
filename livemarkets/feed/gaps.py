"""Counts the gaps of one exchange, and logs them: a few lines, however many gaps there are."""

from __future__ import annotations

from collections.abc import Callable

from loguru import logger

from livemarkets.market.models import Gap
from livemarkets.rate_limit import LogLimiter

__all__ = ["GapRecord"]

_LOG_SECONDS = 60.0


class GapRecord:
    """The gaps since the start. It logs at most one of each cause a minute.

    Args:
        far_ids: the most trades that one gap counts as lost. A longer one is no loss, but a jump of the ids.
        clock: monotonic seconds.

    """

    def __init__(self, far_ids: int, clock: Callable[[], float]) -> None:
        self.count = 0
        """Gaps of all causes."""
        self.lost = 0
        """Trades in gaps with the cause `upstream`."""
        self._far_ids = far_ids
        self._lines = LogLimiter(interval_seconds=_LOG_SECONDS, clock=clock)

    def note(self, gap: Gap) -> None:
        """Count and log a gap that was declared."""
        self.count += 1
        if gap.cause == "upstream":
            self.lost += min(gap.to_id - gap.from_id + 1, self._far_ids)
        suppressed = self._lines.suppressed_since_last(gap.cause)
        if suppressed is not None:
            more = f"; {suppressed} more of this cause since the last such line" if suppressed else ""
            logger.warning("{}: gap from {} to {} ({}){}", gap.key, gap.from_id, gap.to_id, gap.cause, more)
