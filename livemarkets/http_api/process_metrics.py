"""The metrics of the process: those that every program has, under their usual names, and what it serves."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from livemarkets import __version__
from livemarkets.market.clock import Clock
from livemarkets.protocol.messages import PROTOCOL
from livemarkets.rate_limit import UsageCounter
from livemarkets.server.garbage_pauses import GarbagePauses
from livemarkets.server.memory import resident_bytes
from livemarkets.server.open_files import files_limit, open_files

__all__ = ["MeasuredProcess", "ProcessMetrics"]


class MeasuredProcess(Protocol):
    """The measured parts of the program."""

    garbage_pauses: GarbagePauses
    page_sockets: UsageCounter
    started_at: float
    clock: Clock


class ProcessMetrics(Collector):
    """Collects the metrics of the process. What the system does not tell is left out."""

    def __init__(self, services: MeasuredProcess) -> None:
        self._services = services
        clock = services.clock
        # Only once, since the two clocks drift apart, and a start that moves looks like a restart.
        self._start_seconds = clock.now_ms() / 1000 - (clock.monotonic() - services.started_at)

    def describe(self) -> Iterable[Metric]:
        """Return the metrics for the registration."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics with their present values."""
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time of the process, user and system", value=time.process_time()
        )
        for name, meaning, value in (
            ("start_time_seconds", "When the process started, seconds since the epoch", self._start_seconds),
            ("resident_memory_bytes", "Memory of the process", resident_bytes()),
            ("open_fds", "Open files of the process, connections included", open_files()),
            ("max_fds", "Files that the process may open", files_limit()),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"process_{name}", meaning, value=value)
        build = GaugeMetricFamily(
            "livemarkets_build_info",
            "1, with the versions of the program as labels",
            labels=["version", "protocol", "python"],
        )
        build.add_metric([__version__, str(PROTOCOL), platform.python_version()], 1)
        yield build
        yield self._garbage()
        pages = self._services.page_sockets
        yield GaugeMetricFamily("livemarkets_pages", "Open pages, by their sockets", value=pages.total())
        yield CounterMetricFamily(
            "livemarkets_pages_opened", "Sockets of pages that were opened", value=pages.uses
        )

    def _garbage(self) -> Metric:
        family = HistogramMetricFamily(
            "livemarkets_garbage_collection_seconds",
            "How long each garbage collection took, by generation",
            labels=["generation"],
        )
        for generation, pauses in enumerate(self._services.garbage_pauses.by_generation):
            family.add_metric([str(generation)], list(pauses.buckets()), pauses.total)
        return family
