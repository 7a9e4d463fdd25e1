"""Observations of bent exchanges, short ones, several at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from livemarkets.config.settings import outbound_variables
from livemarkets.doctor.checks import CHECKS
from livemarkets.doctor.limits import Limits
from livemarkets.doctor.observe import Observer
from livemarkets.doctor.record import Record
from livemarkets.doctor.values import Finding, judge
from livemarkets.exchanges.outbound import Outbound
from livemarkets.market.clock import system_clock
from tests.doctor.bends import GOOD_DEPTH
from tests.doctor.bent import Bend, bent_exchange

SECONDS = 6.0
LIMITS = Limits(
    acknowledgement_seconds=2.0,
    memory_lag_seconds=1.0,
    database_lag_seconds=1.0,
    ping_seconds=1.0,
    open_seconds=2.0,
    connect_seconds=1.5,
    pace_tolerance=0.8,
    side_trades=5,
    settle_seconds=1.0,
)
"""Short, so that six seconds are enough to break each of them."""

Findings = dict[str, Finding]


async def observe(bends: Sequence[Bend], streams: Sequence[str] = (), rests: Sequence[str] = ()) -> Findings:
    """What the doctor finds at an exchange with these bends, and at further addresses.

    `{port}` in an address becomes the port of the exchange.
    """
    if not any(bend.check == "depth.fields" for bend in bends):
        bends = (*bends, GOOD_DEPTH)
    async with bent_exchange(bends) as exchange:
        record = Record(LIMITS, ("BTCUSDT", "ETHUSDT"), SECONDS)
        observer = Observer(
            record,
            system_clock(),
            [each.format(port=exchange.port) for each in ("ws://127.0.0.1:{port}", *streams)],
            [each.format(port=exchange.port) for each in ("http://127.0.0.1:{port}", *rests)],
            Outbound("", outbound_variables()),
            lambda line: None,
        )
        await observer.run()
    assert record.notes == []
    return {check.id: finding for check, finding in judge(CHECKS, record)}


def failures(findings: Findings) -> dict[str, str]:
    """What was seen by each check that failed."""
    return {name: finding.seen for name, finding in findings.items() if finding.verdict == "fail"}


class BlackHole:
    """A TCP port at which no connection attempt is ever answered: its backlog is full."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._waiting: list[socket.socket] = []

    async def fill(self) -> None:
        """Connect until an attempt hangs."""
        loop = asyncio.get_running_loop()
        for _ in range(16):
            waiting = socket.socket()
            waiting.setblocking(False)
            self._waiting.append(waiting)
            try:
                async with asyncio.timeout(0.1):
                    await loop.sock_connect(waiting, ("127.0.0.1", self.port))
            except TimeoutError:
                return

    def close(self) -> None:
        for each in (*self._waiting, self._listener):
            each.close()
