"""The counters of a feed, for metrics, health and pages."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from livemarkets.exchanges.base import ClientStatistics, HistoryStatistics

__all__ = ["FeedStatistics", "UpdateStatistics"]


class UpdateStatistics(msgspec.Struct, frozen=True):
    """One channel in which the newest wins."""

    wanted: int
    """Streams that are wanted at present."""
    received: int
    """Updates read from the streams since the start, repeats included."""


class FeedStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the start and present sizes."""

    received: int
    """Trades read from the streams, duplicates included. A counter."""
    backfilled: int
    """Missing trades fetched over REST."""
    duplicates: int
    """Trades dropped because their id was seen."""
    lost: int
    """Trades in gaps with the cause `upstream`: they exist, but could not be fetched in time."""
    gaps: int
    """Gaps declared, all causes."""
    holes_open: int
    """Streams with missing trades that are not fetched yet."""
    streams_wanted: int
    """Of all channels."""
    updates: Mapping[str, UpdateStatistics]
    """Channel in which the newest wins → its streams and updates."""
    symbols_known: int
    symbols_skipped: int
    """Entries of the newest list of symbols that made no sense."""
    qualities: Mapping[str, int]
    """State of :class:`~livemarkets.market.models.QualityState` → wanted streams in it."""
    client: ClientStatistics
    history: HistoryStatistics
