"""The report: everything that the status page shows, as one value. Times are ms since the epoch. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from livemarkets.status.bus_report import BusReport
from livemarkets.status.exchange_report import ExchangeReport

__all__ = [
    "Need",
    "ProcessReport",
    "ReaderReport",
    "ReadersReport",
    "StatusReport",
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


class ReaderReport(msgspec.Struct, frozen=True, kw_only=True):
    """One client of `/ws/markets`."""

    client: str
    """Its `client_id`."""
    names: int
    """What it is subscribed to, counted."""
    mode: str
    """`all`, `latest`, or both with a comma."""
    is_lagging: bool
    """Whether it gets only the newest trades at present, because it reads too slowly."""
    backlog_bytes: int
    """What waits to be sent to it."""
    behind_ms: int
    """How long its connection has taken nothing although something waits; 0 if nothing waits."""


class ReadersReport(msgspec.Struct, frozen=True, kw_only=True):
    """The clients of `/ws/markets`."""

    connected: int
    """How many are connected."""
    most: int
    """How many may be connected."""
    pages: int
    """Subscribers that are pages."""
    lagging: int
    """How many get only the newest trades at present, because they read too slowly."""
    closed_slow: int
    """Clients disconnected since the start because they stopped reading."""
    refused: Mapping[str, int]
    """Handshakes refused since the start, by reason."""
    worst: Sequence[ReaderReport]
    """The first hundred, those with the longest backlog first."""
    others: int
    """How many are not in `worst`."""


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """This process."""

    started_ts: int
    """When it started."""
    memory_bytes: int | None
    """What it has in memory at present; `None` where the system does not tell."""
    files_left: int | None
    """How many more files and connections it may open; `None` if there is no limit."""
    files_limit: int | None
    """How many it may have open; `None` if there is no limit."""
    loop_longest_ms: float
    """The longest delay of the event loop in the last minute."""
    loop_p99_ms: float
    """At most this in 99 of 100 measurements since the start; infinite is told as a minute."""
    log_lines: int
    """Lines of the log in the last minute, from INFO on."""
    versions: Mapping[str, str]
    """Of this program, of Python and of the packages, by name; `system` is the operating system."""
    warnings: Sequence[str]
    """What is doubtful in the settings."""


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the whole program at one moment.

    What ends with `ts` is a time in ms since the epoch, `_ms` a length in ms, `_bytes` a size in bytes.
    """

    ts: int
    """When it was collected."""
    needs: Sequence[Need]
    """What a person should do or know, problems first."""
    process: ProcessReport
    """This process."""
    exchanges: Sequence[ExchangeReport]
    """Each exchange that is served."""
    readers: ReadersReport
    """The clients of `/ws/markets`."""
    bus: BusReport | None = None
    """`None` without a role on the bus."""
