"""What a feed tells about itself, for metrics, health and pages."""

from __future__ import annotations

import msgspec

from livemarkets.exchanges.base import ClientStatistics, HistoryStatistics

__all__ = ["FeedStatistics"]


class FeedStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed has done since the start, and what it has open now."""

    received: int
    """Trades read from the streams, duplicates included."""
    backfilled: int
    """Trades fetched afterwards to close a hole."""
    duplicates: int
    """Trades dropped because their id was seen."""
    lost: int
    """Trades declared missing for our own fault (`upstream`)."""
    gaps: int
    """Holes declared, whatever the cause."""
    holes_open: int
    """Streams that wait for a hole to close."""
    streams_wanted: int
    symbols_known: int
    client: ClientStatistics
    history: HistoryStatistics
