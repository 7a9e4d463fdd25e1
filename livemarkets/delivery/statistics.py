"""The counters of the fan-out, for metrics and pages."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

__all__ = ["FanoutStatistics"]


class FanoutStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of a fan-out since the start."""

    delivered: Mapping[str, int]
    """Channel → trades or updates passed to mailboxes; only channels that had some."""
    lags: int
    """How many times a reader exceeded its limit."""
    lagging: int
    """Readers that lag at present."""
