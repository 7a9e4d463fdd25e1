"""What the bus tells of itself, for metrics and the status page. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

__all__ = ["BusStatistics", "LinkStatistics", "NodeStatistics"]


class LinkStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the connection, and counters since the start."""

    is_connected: bool
    reason: str | None
    """Why it is not connected; `None` while it is, or before the first attempt failed."""
    url: str | None
    """The server in use; `None` without one."""
    connects: int
    """Connections that were opened."""
    failures: int
    """Attempts that failed, and connections that were lost."""
    sent: int
    """Messages."""
    sent_bytes: int
    received: int
    received_bytes: int
    dropped: int
    """Messages that could not be sent: without a connection, or with too much unsent before them."""


class NodeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Another process on the bus."""

    node: str
    role: str
    """`ingest` or `edge`."""
    heard_at: float
    """When it was last heard; monotonic seconds."""
    streams: int | None
    """What an edge wants, counted; `None` for an ingest."""
    exchanges: Mapping[str, str]
    """The state of each exchange of an ingest."""
    first: int
    """Trades that an ingest brought this edge before all others."""


class BusStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The state of this process on the bus, and counters since the start."""

    node: str
    role: str
    link: LinkStatistics
    nodes: Sequence[NodeStatistics]
    """The others that it hears, or that the ingests hear."""
    trades: int
    """Trades that an ingest published, or that an edge was first brought."""
    batches: int
    """Messages with trades or updates that an ingest published; 0 for an edge."""
    lost_batches: int
    """Messages that an edge did not get, as far as the numbers tell; their trades are fetched."""
    malformed: int
    lapsed_leases: int
    """Edges that an ingest no longer heard."""
    questions: int
    """Questions that an edge asked, or that an ingest was asked."""
    failed_questions: int
    """Those without an answer."""
    from_memory: int
    """Those that an ingest answered from memory; 0 for an edge."""
