"""The report: everything that the status page shows, as one value. Times are ms since the epoch. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from livemarkets.exchanges.latency import HopStatistics
from livemarkets.status.bus_report import BusReport

__all__ = [
    "AddressReport",
    "ClockReport",
    "ConnectionReport",
    "ExchangeReport",
    "LegReport",
    "Need",
    "ProcessReport",
    "ReaderReport",
    "ReadersReport",
    "RestReport",
    "StateChange",
    "StatusReport",
    "StreamReport",
    "StreamsReport",
]


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should do or know."""

    kind: str
    """A short name, the same for the same kind of trouble."""
    level: Literal["problem", "warning"]
    """A problem makes prices late, missing or open to others now; a warning may become one."""
    what: str
    """What is the matter, for a person who knows nothing of this program."""
    way: str
    """What to do."""
    until_ts: int | None = None
    """When it ends by itself; `None` if nobody knows."""


class ConnectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One connection to an exchange."""

    name: str
    shard: str
    url: str
    role: Literal["active", "standby"]
    streams: int
    acknowledged: int
    opened_ts: int | None
    """`None` while it is opening."""
    rotates_ts: int
    """When it is replaced at the latest."""
    round_trip_ms: float | None
    """How long the answer to the last ping took; `None` before the first answer."""


class AddressReport(msgspec.Struct, frozen=True, kw_only=True):
    """One base address of an exchange."""

    url: str
    failures: int
    """Consecutive failures."""
    rests_until_ts: int | None
    """Until when it is passed over; `None` if it is used."""
    proxy: str | None
    """The proxy on the way, without its password."""


class LegReport(msgspec.Struct, frozen=True, kw_only=True):
    """One of several clients that bring the same streams. Counters are since the start."""

    leg: int
    """From 1 on."""
    state: str
    """As of an exchange. `stale`: it does not bring a stream that comes on another leg."""
    reason: str | None
    since_ts: int
    """When the state began."""
    urls: Sequence[str]
    """The addresses of its open connections."""
    trades: int
    """Trades read, repeats included."""
    first: int
    """Trades that it brought before every other leg."""
    missed: int
    """Trades that it skipped."""
    disagreed: int
    """Sampled trades that differ from what the first leg brought under the same id."""
    lead_p50_ms: float | None
    """How far it was ahead of the next leg, of what it brought first; `None` without a sample in a minute."""
    lead_p99_ms: float | None


class RestReport(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of an exchange's REST API."""

    calls: int
    """Since the start."""
    failures: int
    """Calls that failed at every address."""
    used: int
    """Request weight of our calls in the last minute."""
    usable: int
    """Request weight that may be used in a minute."""
    counted: int | None
    """What the exchange counted in its present minute, other programs at our IP address included."""
    waiting: Mapping[str, int]
    """Calls that wait for their turn, by purpose."""
    paused_until_ts: int | None
    """Until when the exchange forbids calls; `None` if they are allowed."""
    addresses: Sequence[AddressReport]


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """One wanted stream."""

    channel: str
    symbol: str
    parameter: str | None
    state: str
    reason: str | None
    since_ts: int
    """When the state began."""
    usual_silence_ms: int | None
    """From which age on its silence is unusual: its rhythm. `None` for other channels than trades."""
    last_ts: int | None
    """When something last came; `None` if nothing has."""
    last_id: int | None
    missing: int
    """Trade ids that are missing at present."""
    backfilled: int
    """Missing trades that were fetched."""
    duplicates: int
    lost: int
    """Trades declared as lost in the last hour."""
    lost_ts: int | None


class StreamsReport(msgspec.Struct, frozen=True, kw_only=True):
    """The wanted streams of an exchange. Counters are since the start."""

    wanted: int
    states: Mapping[str, int]
    received: int
    backfilled: int
    duplicates: int
    lost: int
    gaps: int
    holes_open: int
    worst: Sequence[StreamReport]
    """The first hundred, those in trouble first."""
    others: int
    """How many are not in `worst`."""


class ClockReport(msgspec.Struct, frozen=True, kw_only=True):
    """Our clock compared with the exchange's, estimated from the fastest message of the last 30 s."""

    offset_ms: float
    """Above 0 if our clock is ahead. If `precision_ms` is `None`, the time on the way is in it."""
    precision_ms: float | None
    """Half the round trip of a ping, and 1 ms; `None` before the first answer to one."""


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """A state of an exchange, and when it began."""

    ts: int
    state: str
    reason: str | None


class ExchangeReport(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange."""

    exchange: str
    state: str
    reason: str | None
    since_ts: int
    retry_ts: int | None
    banned_until_ts: int | None
    """Until when the exchange forbids connections; `None` if they are allowed."""
    connects: int
    rotations: int
    complaints: Mapping[str, int]
    symbols_known: int
    connections: Sequence[ConnectionReport]
    legs: Sequence[LegReport]
    """Empty if the streams come by one connection alone."""
    addresses: Sequence[AddressReport]
    rest: RestReport
    streams: StreamsReport
    latency: Mapping[str, HopStatistics]
    clock: ClockReport | None
    """`None` without a sample."""
    changes: Sequence[StateChange]
    """The last twenty states, the newest first: some last shorter than a second."""


class ReaderReport(msgspec.Struct, frozen=True, kw_only=True):
    """One client of `/ws/markets`."""

    client: str
    """Its `client_id`."""
    names: int
    """What it is subscribed to, counted."""
    mode: str
    """`all`, `latest`, or both with a comma."""
    is_lagging: bool
    backlog_bytes: int
    behind_ms: int
    """How long its connection has taken nothing although something waits; 0 if nothing waits."""


class ReadersReport(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of `/ws/markets`."""

    connected: int
    most: int
    """How many may be connected."""
    pages: int
    """Subscribers that are pages."""
    lagging: int
    closed_slow: int
    refused: Mapping[str, int]
    worst: Sequence[ReaderReport]
    """The first hundred, those with the longest backlog first."""
    others: int


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """This process."""

    started_ts: int
    memory_bytes: int | None
    """What it has in memory at present; `None` where the system does not tell."""
    files_left: int | None
    files_limit: int | None
    """`None` if there is no limit."""
    loop_longest_ms: float
    """The longest delay of the event loop in the last minute."""
    loop_p99_ms: float
    """At most this in 99 of 100 measurements since the start; infinite is told as a minute."""
    log_lines: int
    """Lines of the log in the last minute, from INFO on."""
    versions: Mapping[str, str]
    warnings: Sequence[str]
    """What is doubtful in the settings."""


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the whole program at one moment."""

    ts: int
    needs: Sequence[Need]
    process: ProcessReport
    exchanges: Sequence[ExchangeReport]
    readers: ReadersReport
    bus: BusReport | None = None
    """`None` without a role on the bus."""
