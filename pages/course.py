"""The course of a price, thinned out for drawing without losing what it touched. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from livemarkets.market.models import TradeTick

__all__ = ["bucket_ms_for", "course"]

_POINTS_A_BUCKET = 3


def course(ticks: Iterable[TradeTick], bucket_ms: int) -> list[TradeTick]:
    """Keep of every `bucket_ms` the lowest, the highest and the last trade, in the order they came in."""
    kept: list[TradeTick] = []
    for _, group in groupby(ticks, key=lambda tick: tick.ts // bucket_ms):
        bucket = list(group)
        lowest = min(bucket, key=lambda tick: tick.price)
        highest = max(bucket, key=lambda tick: tick.price)
        chosen = {tick.id: tick for tick in (lowest, highest, bucket[-1])}
        kept += sorted(chosen.values(), key=lambda tick: tick.id)
    return kept


def bucket_ms_for(ticks: Sequence[TradeTick], *, most_points: int, least_ms: int) -> int:
    """Return a bucket with which the course of `ticks` has about `most_points` points at most."""
    if not ticks:
        return least_ms
    span_ms = ticks[-1].ts - ticks[0].ts
    return max(least_ms, -(-span_ms * _POINTS_A_BUCKET // most_points))
