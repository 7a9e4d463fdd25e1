"""Both ends of a pipeline as C programs: an exchange that sends, and subscribers that read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.natives import native
from benchmarks.programs import Program

__all__ = ["Latency", "Load", "Readers", "start_venue"]


class Latency(msgspec.Struct, frozen=True):
    """How old messages were when they were read, in µs."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class Load(msgspec.Struct, frozen=True):
    """What the subscribers saw."""

    messages: int
    closed: int
    """Connections that the server ended."""
    bytes: int
    reads: int
    """Calls of recv(2): messages / reads is how many messages came joined."""
    breaks: int
    """Trade ids that did not follow their predecessor."""
    behind: int
    """How far the last id of the hindmost reader is behind the foremost's."""
    least: int
    """Messages of the reading connection that got fewest."""
    most: int
    wall_seconds: float
    cpu_seconds: float
    worst_p99_us: float
    """The worst p99 of a single connection, with `--each`; else -1."""
    latency_us: dict[str, Latency]


class Readers(Program):
    """Subscribers of one WebSocket server; returns from its constructor when all are connected.

    Args:
        port: the server's.
        path: such as `/ws/markets`.
        connections: how many.
        options: see `c/loadgen.c`.
        name: for messages.

    """

    def __init__(
        self,
        port: int,
        path: str,
        connections: int,
        options: Sequence[str | Path] = (),
        *,
        name: str = "the load generator",
    ) -> None:
        place = ["--port", str(port), "--path", path, "--connections", str(connections)]
        super().__init__(name, [native("loadgen"), *place, *options])
        try:
            self.expect("READY", 60.0)
        except BaseException:
            self.stop()
            raise

    def result(self, timeout_seconds: float = 120.0) -> Load:
        """Wait for the end of the measurement and return it."""
        return msgspec.convert(json.loads(self.expect("{", timeout_seconds)), Load)


def start_venue(*options: str) -> tuple[Program, int]:
    """Start the C exchange (see `c/venue.c`); return it and its port."""
    venue = Program("the C exchange", [native("venue"), *options])
    try:
        return venue, int(venue.expect("LISTEN").split()[1])
    except BaseException:
        venue.stop()
        raise
