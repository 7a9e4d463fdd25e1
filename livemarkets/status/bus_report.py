"""What the report says of the bus. Times are ms since the epoch. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

__all__ = ["BusNodeReport", "BusReport"]


class BusNodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """Another process on the bus."""

    node: str
    """Its name; a new process has a new one."""
    role: str
    """`ingest` or `edge`."""
    heard_ts: int
    """When it was last heard."""
    streams: int | None
    """What an edge wants, counted; `None` for an ingest."""
    exchanges: Mapping[str, str]
    """The state of each exchange of an ingest."""
    first: int
    """Trades that an ingest brought this edge before any other."""


class BusReport(msgspec.Struct, frozen=True, kw_only=True):
    """This process on the bus. Counters are since the start."""

    role: str
    """`ingest` or `edge`."""
    node: str
    """The name of this process; a new process has a new one."""
    is_connected: bool
    """Whether it is connected to a server of the bus."""
    reason: str | None
    """Why it is not connected."""
    url: str | None
    """The server in use."""
    connects: int
    """Connections that were opened."""
    failures: int
    """Attempts that failed, and connections that were lost."""
    sent: int
    """Messages sent."""
    received: int
    """Messages received."""
    dropped: int
    """Messages that could not be sent."""
    trades: int
    """Trades that an ingest published, or that an edge read before any copy of them."""
    lost_batches: int
    """Messages of streams that did not arrive at an edge; their trades are fetched."""
    malformed: int
    """Messages that could not be read."""
    lapsed_leases: int
    """Edges that an ingest no longer heard."""
    questions: int
    """Questions that an edge asked, or that an ingest was asked."""
    failed_questions: int
    """Those without an answer."""
    from_memory: int
    """Questions that an ingest answered without the exchange."""
    nodes: Sequence[BusNodeReport]
    """The others that it hears, or that the ingests hear."""
