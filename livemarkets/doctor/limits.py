"""The limits that decide between pass and fail. No I/O."""

from __future__ import annotations

import msgspec

__all__ = ["Limits"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that decide between pass and fail. Every default is what the product relies on."""

    acknowledgement_seconds: float = 5.0
    """`SessionTimings.ack_timeout_seconds`: later replies count as lost."""
    memory_lag_seconds: float = 2.0
    """DESIGN: what was missed in a cut is known within 2 s, by calls that answer from memory."""
    database_lag_seconds: float = 15.0
    """`LIVE_GAP_PATIENCE_SECONDS`: after that, missing trades are declared lost."""
    clock_seconds: float = 1.0
    """Beyond this, ages and latencies on the page mislead."""
    ping_seconds: float = 20.0
    """Interval of the exchange's pings (`web-socket-streams.md`, "General WSS information")."""
    open_seconds: float = 10.0
    """`ConnectionTimings.open_seconds`: the longest time for a handshake."""
    connect_seconds: float = 3.0
    """A dead route of an address may not take longer than this of the 10 s of an attempt."""
    weight_per_minute: int = 6000
    """`REQUEST_WEIGHT` of `exchangeInfo`, which the weight budget starts from."""
    streams_per_connection: int = 1024
    """`web-socket-streams.md`, "WebSocket Limits"."""
    pace_tolerance: float = 0.5
    """How much the interval of periodic events may differ from the documented one, as a share of it."""
    side_trades: int = 20
    """Fewer trades than this say nothing about the meaning of `m`."""
    side_share: float = 0.9
    """The share of trades that must move the price as `m` says. A recording of 2024 has 99.7 %."""
    settle_seconds: float = 2.0
    """Time in which the stream must bring an id that something else has named."""
