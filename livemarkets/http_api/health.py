"""Readiness: whether every wanted stream is live."""

from __future__ import annotations

from collections.abc import Mapping, Set

from livemarkets.exchanges.base import StreamState
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.models import ExchangeState, QualityState, StreamKey

__all__ = ["readiness"]

_MOST_STREAMS = 20
"""Streams of an exchange that are named; the others are counted."""


def readiness(feeds: Mapping[str, ExchangeFeed]) -> list[str]:
    """Return the reasons why a wanted stream is not live; empty when all are live."""
    reasons = []
    for exchange, feed in feeds.items():
        if feed.status.state not in (ExchangeState.IDLE, ExchangeState.LIVE):
            reasons.append(
                f"{exchange} is {feed.status.state}"
                + (f": {feed.status.reason}" if feed.status.reason else "")
            )
        refused: set[StreamKey] = set()
        wanted = feed.keys()
        for key in wanted:
            if feed.client.state_of(key) is StreamState.ACKNOWLEDGED:
                continue
            if rejection := feed.client.rejection(key):
                refused.add(key)
                reasons.append(f"{exchange} refused {key.symbol}: {rejection}")
            elif feed.status.state is ExchangeState.LIVE:
                reasons.append(f"{exchange} has not yet confirmed {key.symbol}")
        if feed.status.state in (ExchangeState.LIVE, ExchangeState.STALE):
            reasons += _troubles(exchange, feed, refused)
    return reasons


def _troubles(exchange: str, feed: ExchangeFeed, told: Set[StreamKey]) -> list[str]:
    """Return what is wrong with single streams. Mute ones stand in the reason of the exchange's state."""
    troubled = [
        quality
        for quality in feed.quality.troubled()
        if quality.key not in told and quality.state is not QualityState.STALE
    ]
    reasons = [
        f"{exchange}: {quality.key.symbol} is {quality.state} ({quality.reason})"
        for quality in troubled[:_MOST_STREAMS]
    ]
    if len(troubled) > _MOST_STREAMS:
        reasons.append(f"{exchange}: {len(troubled) - _MOST_STREAMS} more streams are not live")
    return reasons
