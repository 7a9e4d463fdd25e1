"""Readiness: whether every wanted stream is live."""

from __future__ import annotations

from collections.abc import Mapping

from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.models import ExchangeState, QualityState

__all__ = ["readiness"]


def readiness(feeds: Mapping[str, ExchangeFeed]) -> list[str]:
    """Return the reasons why a wanted stream is not live; empty when all are live."""
    reasons = []
    for exchange, feed in feeds.items():
        if feed.status.state not in (ExchangeState.IDLE, ExchangeState.LIVE):
            reasons.append(
                f"{exchange} is {feed.status.state}"
                + (f": {feed.status.reason}" if feed.status.reason else "")
            )
        refused = set()
        for key, rejection in feed.unconfirmed():
            if rejection:
                refused.add(key)
                reasons.append(f"{exchange} refused {key.symbol}: {rejection}")
            elif feed.status.state is ExchangeState.LIVE:
                reasons.append(f"{exchange} has not yet confirmed {key.symbol}")
        reasons += [
            f"{quality.key.symbol} is {quality.state}: {quality.reason}"
            for quality in feed.quality.troubled()
            if quality.key not in refused and quality.state is not QualityState.STALE
        ]
    return reasons
