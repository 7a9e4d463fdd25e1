"""Everything that `/metrics` tells."""

from __future__ import annotations

from typing import Protocol

from prometheus_client.registry import Collector

from livemarkets.http_api.bus_metrics import BusMetrics, MeasuredBus
from livemarkets.http_api.latency_metrics import LatencyMetrics, MeasuredFeeds
from livemarkets.http_api.metrics import MarketsCollector, MeasuredServices
from livemarkets.http_api.process_metrics import MeasuredProcess, ProcessMetrics

__all__ = ["Measured", "collectors"]


class Measured(MeasuredServices, MeasuredFeeds, MeasuredProcess, MeasuredBus, Protocol):
    """The measured parts of the program."""


def collectors(services: Measured) -> tuple[Collector, ...]:
    """Return the collectors of all metrics."""
    return (
        MarketsCollector(services),
        LatencyMetrics(services),
        ProcessMetrics(services),
        BusMetrics(services),
    )
