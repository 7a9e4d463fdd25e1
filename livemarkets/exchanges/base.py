"""The ports between an exchange and what reads it."""

from __future__ import annotations

import msgspec

from livemarkets.market.models import ExchangeState, TradeTick

__all__ = ["PAGE_TRADES", "ClientStatus", "FetchedTrades"]

PAGE_TRADES = 1000
"""Trades in one page of history."""


class ClientStatus(msgspec.Struct, frozen=True):
    """How the exchange is, seen from its connections."""

    state: ExchangeState
    reason: str | None = None
    retry_at: float | None = None
    """On the monotonic clock; `None` when no attempt is waiting."""


class FetchedTrades(msgspec.Struct, frozen=True):
    """Trades by id, and how far the answer is proof."""

    ticks: list[TradeTick]
    covered_to: int
    """The answer is complete from the id asked for up to here; less than that id when nothing is proven."""
    newest_id: int | None
    """The newest id that the exchange was seen to have."""
