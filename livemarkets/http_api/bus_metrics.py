"""The metrics of the bus. Without a role on it, they have no values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from livemarkets.bus.node import BusNode
    from livemarkets.bus.statistics import BusStatistics

__all__ = ["BusMetrics", "MeasuredBus"]

_GAUGES: tuple[tuple[str, str, Callable[[BusStatistics], float]], ...] = (
    ("connected", "Whether this process is connected to the bus", lambda bus: bus.link.is_connected),
    (
        "nodes",
        "Other processes that are heard: of an edge the ingests, of an ingest the edges",
        lambda bus: sum(node.role != bus.role for node in bus.nodes),
    ),
)
_COUNTERS: tuple[tuple[str, str, Callable[[BusStatistics], float]], ...] = (
    ("connects", "Connections to the bus that were opened", lambda bus: bus.link.connects),
    (
        "failures",
        "Attempts to connect to the bus that failed, and connections that were lost",
        lambda bus: bus.link.failures,
    ),
    ("messages_sent", "Messages sent to the bus", lambda bus: bus.link.sent),
    ("sent_bytes", "Bytes of the messages sent to the bus", lambda bus: bus.link.sent_bytes),
    ("messages_received", "Messages read from the bus", lambda bus: bus.link.received),
    ("received_bytes", "Bytes of the messages read from the bus", lambda bus: bus.link.received_bytes),
    (
        "messages_dropped",
        "Messages that could not be sent: no connection, or too much unsent before them",
        lambda bus: bus.link.dropped,
    ),
    (
        "trades",
        "Trades that an ingest published, or that an edge read before any copy of them",
        lambda bus: bus.trades,
    ),
    (
        "batches_lost",
        "Messages of streams that did not arrive at an edge; their trades are fetched",
        lambda bus: bus.lost_batches,
    ),
    ("malformed", "Messages that an edge could not read", lambda bus: bus.malformed),
    ("leases_lapsed", "Edges that an ingest no longer heard", lambda bus: bus.lapsed_leases),
    ("questions", "Questions that an edge asked, or an ingest was asked", lambda bus: bus.questions),
    ("questions_failed", "Those without an answer", lambda bus: bus.failed_questions),
    (
        "questions_from_memory",
        "Those that an ingest answered from memory, without the exchange",
        lambda bus: bus.from_memory,
    ),
)


class MeasuredBus(Protocol):
    """The measured part of the program."""

    @property
    def bus(self) -> BusNode | None:
        """This process on the bus; `None` without a role on it."""


class BusMetrics(Collector):
    """Collects the metrics of the bus, named `livemarkets_bus_…`."""

    def __init__(self, services: MeasuredBus) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        """Return the metrics for the registration."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics with their present values."""
        node = self._services.bus
        statistics = None if node is None else node.statistics()
        for name, meaning, read in _GAUGES:
            gauge = GaugeMetricFamily(f"livemarkets_bus_{name}", meaning, labels=["role"])
            if statistics is not None:
                gauge.add_metric([statistics.role], float(read(statistics)))
            yield gauge
        for name, meaning, read in _COUNTERS:
            counter = CounterMetricFamily(f"livemarkets_bus_{name}", meaning, labels=["role"])
            if statistics is not None:
                counter.add_metric([statistics.role], float(read(statistics)))
            yield counter
