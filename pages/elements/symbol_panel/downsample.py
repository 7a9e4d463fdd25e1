"""Downsampling of trades for a chart that keeps every high and low. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from livemarkets.market.models import TradeTick

__all__ = ["course"]


def course(ticks: Iterable[TradeTick], bucket_ms: int) -> list[TradeTick]:
    """Return the lowest, the highest and the last trade of every `bucket_ms`, in the order of their ids."""
    kept: list[TradeTick] = []
    for _, group in groupby(ticks, key=lambda tick: tick.ts // bucket_ms):
        bucket = list(group)
        lowest = min(bucket, key=lambda tick: tick.price)
        highest = max(bucket, key=lambda tick: tick.price)
        chosen = {tick.id: tick for tick in (lowest, highest, bucket[-1])}
        kept += sorted(chosen.values(), key=lambda tick: tick.id)
    return kept
