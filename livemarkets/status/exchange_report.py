"""What the report says of one exchange. Times are ms since the epoch. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from livemarkets.exchanges.latency import HopStatistics

__all__ = [
    "AddressReport",
    "ClockReport",
    "ConnectionReport",
    "ExchangeReport",
    "LegReport",
    "RestReport",
    "StateChange",
    "StreamReport",
    "StreamsReport",
]


class ConnectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One connection to an exchange."""

    name: str
    """As in the log."""
    shard: str
    """The group of streams that it carries, as in the log. During a rotation, two connections carry it."""
    url: str
    """The address, without user name and password."""
    role: Literal["active", "standby"]
    """A standby will replace the active connection of its shard."""
    streams: int
    """How many streams its shard carries."""
    acknowledged: int
    """How many of them the exchange has confirmed on this connection."""
    opened_ts: int | None
    """When it opened; `None` while it is opening."""
    rotates_ts: int
    """When it is replaced at the latest."""
    round_trip_ms: float | None
    """How long the answer to the last ping took; `None` before the first answer."""


class AddressReport(msgspec.Struct, frozen=True, kw_only=True):
    """One base address of an exchange."""

    url: str
    """Without user name and password."""
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
    """Why, for a person; `None` if there is nothing to explain."""
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
    """How far it was ahead of the next leg, of what it brought first: the median of the last minute; `None`
    without a sample."""
    lead_p99_ms: float | None
    """In 99 of 100 samples it was ahead by at most this."""


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
    """The base addresses of the API, in the order in which they are tried."""


class StreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """One wanted stream."""

    channel: str
    """`trades`, `tickers`, `book`, `depth` or `candles`."""
    symbol: str
    """As the exchange writes it; `*` for all symbols in one stream."""
    parameter: str | None
    """The interval of candles; `None` for other channels."""
    state: str
    """As in `quality`: `live`, `recovering`, `stale`, `halted`, `delisted` or `unknown`."""
    reason: str | None
    """Why, for a person; `None` if there is nothing to explain."""
    since_ts: int
    """When the state began."""
    usual_silence_ms: int | None
    """From which age on its silence is unusual: its rhythm. `None` for other channels than trades."""
    last_ts: int | None
    """When something last came; `None` if nothing has."""
    last_id: int | None
    """The highest trade id that was seen; `None` before the first trade and for other channels."""
    missing: int
    """Trade ids that are missing at present."""
    backfilled: int
    """Missing trades that were fetched."""
    duplicates: int
    """Trades that came again, and were dropped."""
    lost: int
    """Trades declared as lost in the last hour."""
    lost_ts: int | None
    """When the last of them was declared; `None` if there was none."""


class StreamsReport(msgspec.Struct, frozen=True, kw_only=True):
    """The wanted streams of an exchange. Counters are since the start."""

    wanted: int
    """How many are wanted at present, of all channels."""
    states: Mapping[str, int]
    """How many of them are in each state, by state."""
    received: int
    """Trades read from the streams, repeats included."""
    backfilled: int
    """Missing trades that were fetched."""
    duplicates: int
    """Trades that came again, and were dropped."""
    lost: int
    """Trades declared as lost: they exist, but could not be fetched in time."""
    gaps: int
    """Gaps declared, of all causes."""
    holes_open: int
    """Streams with missing trades at present."""
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
    """When it began."""
    state: str
    """`idle`, `connecting`, `live`, `stale` or `down`."""
    reason: str | None
    """Why, for a person; `None` if there is nothing to explain."""


class ExchangeReport(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange."""

    exchange: str
    """Its name, such as `binance`."""
    state: str
    """As in `status`."""
    reason: str | None
    """Why, for a person; `None` if there is nothing to explain."""
    since_ts: int
    """When the state began."""
    retry_ts: int | None
    """When the next attempt to connect is due; `None` if none is waiting."""
    banned_until_ts: int | None
    """Until when the exchange forbids connections; `None` if they are allowed."""
    connects: int
    """Attempts to connect since the start."""
    rotations: int
    """Connections that were replaced before they ended, since the start."""
    complaints: Mapping[str, int]
    """Malformed messages and refusals that came from the exchange since the start, by kind."""
    symbols_known: int
    """How many symbols its list has."""
    connections: Sequence[ConnectionReport]
    """Those that are open or opening."""
    legs: Sequence[LegReport]
    """Empty if the streams come by one connection alone."""
    addresses: Sequence[AddressReport]
    """The base addresses of its streams, in the order in which they are tried."""
    rest: RestReport
    """Its REST API."""
    streams: StreamsReport
    """What is wanted of it."""
    latency: Mapping[str, HopStatistics]
    """The steps of the way of its trades, by name; empty if they are not measured."""
    clock: ClockReport | None
    """`None` without a sample."""
    changes: Sequence[StateChange]
    """The last twenty states, the newest first: some last shorter than a second."""
