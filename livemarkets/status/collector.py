"""Collects the report: at most once a second for all who ask, and in pieces."""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from livemarkets import __version__
from livemarkets.config.settings import Settings
from livemarkets.delivery.fanout import Fanout
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.market.clock import Clock
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.server.loop_delay import BOUNDS_SECONDS, LoopDelay
from livemarkets.server.memory import resident_bytes
from livemarkets.server.open_files import files_limit, free_files
from livemarkets.status.bus import describe_bus
from livemarkets.status.changes import Changes
from livemarkets.status.exchanges import describe_exchange
from livemarkets.status.needs import find_needs
from livemarkets.status.readers import describe_readers
from livemarkets.status.report import ProcessReport, StatusReport
from livemarkets.status.times import Times
from livemarkets.ws_markets.hub import MarketsHub

if TYPE_CHECKING:
    from livemarkets.bus.node import BusNode

__all__ = ["InspectedServices", "StatusCollector"]

_FRESH_SECONDS = 0.9
_PACKAGES = ("nicegui", "fastapi", "starlette", "uvicorn", "uvloop", "websockets", "httpx", "msgspec")
_ENDLESS_MS = 60_000.0


class InspectedServices(Protocol):
    """The parts of the program that the report is about."""

    settings: Settings
    feeds: dict[str, ExchangeFeed]
    manager: SubscriptionManager
    hub: MarketsHub
    fanout: Fanout
    loop_delay: LoopDelay
    started_at: float
    clock: Clock

    @property
    def bus(self) -> BusNode | None:
        """This process on the bus; `None` without a role on it."""


class StatusCollector:
    """Collects the report from the services."""

    def __init__(self, services: InspectedServices) -> None:
        self.log_lines: Callable[[], int] = lambda: 0
        """Returns how many lines the log had in the last minute. Whoever configures the log sets it."""
        self._services = services
        self._lock = asyncio.Lock()
        self._report: StatusReport | None = None
        self._collected_at = 0.0
        self._versions: Mapping[str, str] = {}
        self._times = Times(services.clock)
        self._changes = {exchange: Changes(feed) for exchange, feed in services.feeds.items()}

    async def report(self) -> StatusReport:
        """Return a report that is at most a second old."""
        async with self._lock:
            now = self._services.clock.monotonic()
            if self._report is None or now - self._collected_at >= _FRESH_SECONDS:
                self._report = await self._collect()
                self._collected_at = now
            return self._report

    async def _collect(self) -> StatusReport:
        services, times = self._services, self._times
        times.renew()
        exchanges = [
            await describe_exchange(feed, self._changes[exchange].newest_first(), times)
            for exchange, feed in services.feeds.items()
        ]
        report = StatusReport(
            ts=services.clock.now_ms(),
            needs=(),
            process=self._describe_process(),
            exchanges=exchanges,
            readers=await describe_readers(services.hub, services.fanout, services.manager),
            bus=describe_bus(services.bus, times),
        )
        return replace(report, needs=find_needs(report))

    def _describe_process(self) -> ProcessReport:
        services, limit = self._services, files_limit()
        self._versions = self._versions or _versions()
        return ProcessReport(
            started_ts=self._times.ts(services.started_at),
            memory_bytes=resident_bytes(),
            files_left=None if limit is None else free_files(),
            files_limit=limit,
            loop_longest_ms=round(services.loop_delay.longest_seconds() * 1000, 1),
            loop_p99_ms=_percentile_99(services.loop_delay.counts),
            log_lines=self.log_lines(),
            versions=self._versions,
            warnings=services.settings.warnings,
        )


def _versions() -> dict[str, str]:
    """Return the versions of what is loaded. To look into the installed packages would take 50 ms."""
    found = {"livemarkets": __version__, "python": platform.python_version(), "system": platform.system()}
    loaded = {name: getattr(sys.modules.get(name), "__version__", None) for name in _PACKAGES}
    return found | {name: str(version) for name, version in loaded.items() if version is not None}


def _percentile_99(counts: Sequence[int]) -> float:
    """Return the upper bound of the step in which 99 of 100 delays lie or below, in ms."""
    bounds = [bound * 1000 for bound in BOUNDS_SECONDS]
    total = sum(counts)
    for bound, count in zip([*bounds, _ENDLESS_MS], accumulate(counts), strict=True):
        if count >= 0.99 * total:
            return bound
    return _ENDLESS_MS
