"""The counters of a feed, for metrics, health and pages."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from livemarkets.exchanges.base import ClientStatistics, HistoryStatistics

__all__ = ["CandleStatistics", "FeedStatistics", "UpdateStatistics"]


class UpdateStatistics(msgspec.Struct, frozen=True):
    """One channel in which the newest wins."""

    wanted: int
    """Streams that are wanted at present."""
    received: int
    """Updates read from the streams since the start, repeats included."""


class CandleStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The streams of candles. Counters since the start and present sizes."""

    wanted: int
    """Streams that are wanted at present."""
    received: int
    """Candles read from the streams, repeats included."""
    agreed: int
    """Closed candles that agree with our own trades."""
    disagreed: int
    """Closed candles that differ from our own trades."""
    revised: int
    """Closed candles that were told again with other figures."""
    gaps: int
    """Gaps declared."""
    waiting: int
    """Streams with candles that wait for others at present."""


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
    candles: CandleStatistics
    symbols_known: int
    symbols_skipped: int
    """Entries of the newest list of symbols that made no sense."""
    qualities: Mapping[str, int]
    """State of :class:`~livemarkets.market.models.QualityState` → wanted streams in it."""
    client: ClientStatistics
    history: HistoryStatistics
