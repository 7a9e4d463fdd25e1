"""Remembers the last states of an exchange: some last shorter than the time between two looks."""

from __future__ import annotations

from collections import deque

from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.models import ExchangeStatus
from livemarkets.status.exchange_report import StateChange

__all__ = ["Changes"]

_KEPT = 20


class Changes:
    """The last states of the exchange of a feed."""

    def __init__(self, feed: ExchangeFeed) -> None:
        self._changes: deque[StateChange] = deque(maxlen=_KEPT)
        feed.add_status_listener(self._note)

    def newest_first(self) -> list[StateChange]:
        """Return the states."""
        return list(reversed(self._changes))

    def _note(self, status: ExchangeStatus) -> None:
        ts = status.ts
        if self._changes and self._changes[-1].state == status.state.value:
            ts = self._changes.pop().ts  # only the reason is new
        self._changes.append(StateChange(ts=ts, state=status.state.value, reason=status.reason))
