"""Describes the wanted streams of one exchange: those in trouble first, a hundred at most."""

from __future__ import annotations

import asyncio
import heapq

from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.feed.statistics import FeedStatistics
from livemarkets.market.models import QualityState, StreamKey, StreamQuality
from livemarkets.status.exchange_report import StreamReport, StreamsReport
from livemarkets.status.times import Times

__all__ = ["describe_streams"]

WORST = 100
_AT_ONCE = 250
_SEVERITY = {
    state: place
    for place, state in enumerate(
        (
            QualityState.STALE,
            QualityState.RECOVERING,
            QualityState.UNKNOWN,
            QualityState.DELISTED,
            QualityState.HALTED,
            QualityState.LIVE,
        )
    )
}


async def describe_streams(
    feed: ExchangeFeed, statistics: FeedStatistics, times: Times, *, worst: int = WORST
) -> StreamsReport:
    """Describe the streams; `worst` of them one by one."""
    found: list[StreamReport] = []
    keys = feed.keys()
    for begin in range(0, len(keys), _AT_ONCE):
        part = [_describe(feed, key, times) for key in keys[begin : begin + _AT_ONCE]]
        found = heapq.nsmallest(worst, [*found, *filter(None, part)], key=_rank)
        await asyncio.sleep(0)
    return StreamsReport(
        wanted=len(keys),
        states=statistics.qualities,
        received=statistics.received,
        backfilled=statistics.backfilled,
        duplicates=statistics.duplicates,
        lost=statistics.lost,
        gaps=statistics.gaps,
        holes_open=statistics.holes_open,
        worst=found,
        others=max(len(keys) - len(found), 0),
    )


def _rank(stream: StreamReport) -> tuple[int, bool, bool, str, str, str]:
    """Trouble first; then by name, so that rows stay where they are."""
    severity = _SEVERITY[QualityState(stream.state)]
    return (
        severity,
        not stream.missing,
        not stream.lost,
        stream.symbol,
        stream.channel,
        stream.parameter or "",
    )


def _describe(feed: ExchangeFeed, key: StreamKey, times: Times) -> StreamReport | None:
    quality = feed.quality.of(key)
    if quality is None:
        return None  # unsubscribed a moment ago
    stream = feed.trade_streams.by_key.get(key)
    if stream is None:
        newest = feed.updates.get(key)
        return _report(key, quality, last_ts=None if newest is None else newest.recv_ts)
    silence, ledger = stream.silence, stream.ledger
    return _report(
        key,
        quality,
        usual_silence_ms=round(silence.usual_silence() * 1000, -2),
        last_ts=None if ledger.next_id is None else times.ts(silence.last_at),
        missing=sum(hole.last - hole.first + 1 for hole in ledger.holes),
        backfilled=ledger.holes.fetched,
        duplicates=ledger.duplicates,
    )


def _report(
    key: StreamKey,
    quality: StreamQuality,
    *,
    last_ts: int | None,
    usual_silence_ms: float | None = None,
    missing: int = 0,
    backfilled: int = 0,
    duplicates: int = 0,
) -> StreamReport:
    return StreamReport(
        channel=key.channel,
        symbol=key.symbol,
        parameter=key.parameter,
        state=quality.state.value,
        reason=quality.reason,
        since_ts=quality.since,
        usual_silence_ms=None if usual_silence_ms is None else int(usual_silence_ms),
        last_ts=last_ts,
        last_id=quality.last_id,
        missing=missing,
        backfilled=backfilled,
        duplicates=duplicates,
        lost=quality.lost,
        lost_ts=quality.lost_ts,
    )
