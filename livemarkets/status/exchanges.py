"""Describes one exchange: its connections, its REST API, its latency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from livemarkets.exchanges.base import ClientStatistics, HistoryStatistics
from livemarkets.exchanges.statistics import AddressStatistics, ConnectionStatistics, LegStatistics
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.status.exchange_report import (
    AddressReport,
    ClockReport,
    ConnectionReport,
    ExchangeReport,
    LegReport,
    RestReport,
    StateChange,
)
from livemarkets.status.streams import describe_streams
from livemarkets.status.times import Times

__all__ = ["describe_exchange"]

_TICK_MS = 1.0
"""Both clocks are read in whole milliseconds."""


async def describe_exchange(
    feed: ExchangeFeed, changes: Sequence[StateChange], times: Times
) -> ExchangeReport:
    """Describe one exchange."""
    statistics, status = feed.statistics(), feed.status
    latency = None if feed.latency is None else feed.latency.statistics()
    return ExchangeReport(
        exchange=feed.exchange,
        state=status.state.value,
        reason=status.reason,
        since_ts=status.ts,
        retry_ts=status.retry_ts,
        banned_until_ts=times.until(statistics.client.ban_seconds),
        connects=statistics.client.connects,
        rotations=statistics.client.rotations,
        complaints=statistics.client.complaints,
        symbols_known=statistics.symbols_known,
        connections=[_connection(each, times) for each in statistics.client.each],
        legs=[_leg(each, times) for each in statistics.client.legs],
        addresses=_addresses(statistics.client.addresses, times),
        rest=_rest(statistics.history, times),
        streams=await describe_streams(feed, statistics, times),
        latency={} if latency is None else latency.hops,
        clock=_clock(None if latency is None else latency.least_ms, statistics.client),
        changes=changes,
    )


def _connection(each: ConnectionStatistics, times: Times) -> ConnectionReport:
    round_trip = each.round_trip_seconds
    return ConnectionReport(
        name=each.name,
        shard=each.shard,
        url=each.url,
        role="standby" if each.is_standby else "active",
        streams=each.streams,
        acknowledged=each.acknowledged,
        opened_ts=None if each.opened_at is None else times.ts(each.opened_at),
        rotates_ts=times.ts(each.expires_at),
        round_trip_ms=None if round_trip is None else round(round_trip * 1000, 2),
    )


def _leg(each: LegStatistics, times: Times) -> LegReport:
    return LegReport(
        leg=each.number,
        state=each.state.value,
        reason=each.reason,
        since_ts=times.ts(each.since),
        urls=each.urls,
        trades=each.brought,
        first=each.first,
        missed=each.missed,
        disagreed=each.disagreed,
        lead_p50_ms=each.lead_p50_ms,
        lead_p99_ms=each.lead_p99_ms,
    )


def _addresses(addresses: Iterable[AddressStatistics], times: Times) -> list[AddressReport]:
    return [
        AddressReport(
            url=each.url,
            failures=each.failures,
            rests_until_ts=times.until(each.rest_seconds),
            proxy=each.proxy,
        )
        for each in addresses
    ]


def _rest(history: HistoryStatistics, times: Times) -> RestReport:
    limit = history.rate_limit
    return RestReport(
        calls=history.calls,
        failures=history.failures,
        used=0 if limit is None else limit.used,
        usable=0 if limit is None else limit.usable,
        counted=None if limit is None else limit.counted,
        waiting={} if limit is None else {why.name.lower(): count for why, count in limit.waiting.items()},
        paused_until_ts=None if limit is None else times.until(limit.pause_seconds),
        addresses=_addresses(history.addresses, times),
    )


def _clock(least_ms: float | None, client: ClientStatistics) -> ClockReport | None:
    if least_ms is None:
        return None
    trips = [each.round_trip_seconds for each in client.each if each.round_trip_seconds is not None]
    half_ms = min(trips) * 500 if trips else None
    return ClockReport(
        offset_ms=round(least_ms - (half_ms or 0.0), 1),
        precision_ms=None if half_ms is None else round(half_ms + _TICK_MS, 1),
    )
