"""Readiness: whether every wanted stream is live."""

from __future__ import annotations

from collections.abc import Mapping

from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.models import ExchangeState

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
        for key, rejection in feed.unconfirmed():
            if rejection:
                reasons.append(f"{exchange} refused {key.symbol}: {rejection}")
            elif feed.status.state is ExchangeState.LIVE:
                reasons.append(f"{exchange} has not yet confirmed {key.symbol}")
    return reasons
