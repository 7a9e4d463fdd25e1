"""The limits of a feed. Only tests and the fault campaign change them."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.latest_streams import UpdateLimits
from livemarkets.feed.ledger import LedgerLimits
from livemarkets.feed.resume import ResumeLimits
from livemarkets.feed.staleness import StalenessLimits
from livemarkets.feed.symbol_list import ListLimits

__all__ = ["FeedLimits"]


class FeedLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the parts that watch the streams and keep the ids of trades continuous."""

    ledger: LedgerLimits = LedgerLimits()
    staleness: StalenessLimits = StalenessLimits()
    resume: ResumeLimits = ResumeLimits()
    symbols: ListLimits = ListLimits()
    updates: UpdateLimits = UpdateLimits()
    candles: CandleLimits = CandleLimits()
    has_ledger: bool = True
    """False only in the test that shows that the tests of continuity can fail."""

    def with_patience(self, seconds: float) -> FeedLimits:
        """Return these limits with a setting of the patience, unless another than the default was chosen."""
        if self.ledger.patience_seconds != LedgerLimits().patience_seconds:
            return self  # a test chose it
        return replace(self, ledger=self.ledger.with_patience(seconds))
