"""Counts the gaps of one exchange, and logs gaps and false ids: a few lines, however many there are."""

from __future__ import annotations

from collections.abc import Callable

from loguru import logger

from livemarkets.market.models import Gap, StreamKey
from livemarkets.rate_limit import LogLimiter

__all__ = ["GapRecord"]

_LOG_SECONDS = 60.0


class GapRecord:
    """The gaps since the start. It logs at most one gap of each cause a minute, and one false id.

    Args:
        far_ids: the most trades that one gap counts as lost. A longer one is no loss, but a jump of the ids.
        tell: called with each gap.
        clock: monotonic seconds.

    """

    def __init__(self, far_ids: int, tell: Callable[[Gap], None], clock: Callable[[], float]) -> None:
        self.count = 0
        """Gaps of all causes."""
        self.lost = 0
        """Trades in gaps with the cause `upstream`."""
        self._far_ids = far_ids
        self._tell = tell
        self._lines = LogLimiter(interval_seconds=_LOG_SECONDS, clock=clock)

    def note(self, gap: Gap) -> None:
        """Count and log a gap that was declared."""
        self._tell(gap)
        self.count += 1
        if gap.cause == "upstream":
            self.lost += min(gap.to_id - gap.from_id + 1, self._far_ids)
        suppressed = self._lines.suppressed_since_last(gap.cause)
        if suppressed is not None:
            more = f"; {suppressed} more of this cause since the last such line" if suppressed else ""
            logger.warning("{}: gap from {} to {} ({}){}", gap.key, gap.from_id, gap.to_id, gap.cause, more)

    def note_false_id(self, key: StreamKey, trade_id: int) -> None:
        """Log that a trade is left out because of its id, which is far ahead of all others."""
        suppressed = self._lines.suppressed_since_last("false id")
        if suppressed is not None:
            more = f"; {suppressed} more such trades since the last such line" if suppressed else ""
            logger.warning(
                "{}: leaving out a trade with the id {}: no other trade confirms this id{}",
                key,
                trade_id,
                more,
            )
