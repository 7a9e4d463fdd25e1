"""The metrics of how old trades are, from the samples that the status page shows too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from livemarkets.feed.exchange_feed import ExchangeFeed

__all__ = ["LatencyMetrics", "MeasuredFeeds"]


class MeasuredFeeds(Protocol):
    """The measured parts of the program."""

    feeds: dict[str, ExchangeFeed]


class LatencyMetrics(Collector):
    """Collects the histograms of the ages of trades."""

    def __init__(self, services: MeasuredFeeds) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        """Return the metrics for the registration."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yield both histograms with their present values."""
        hops = HistogramMetricFamily(
            "livemarkets_trade_hop_seconds",
            "How long a sample of trades took for each step of their way",
            labels=["exchange", "hop"],
        )
        ages = HistogramMetricFamily(
            "livemarkets_trade_age_seconds",
            "How old a sample of trades was when it was written to readers",
            labels=["exchange"],
        )
        for exchange, feed in self._services.feeds.items():
            if feed.latency is not None:
                for hop, seconds in feed.latency.by_hop.items():
                    hops.add_metric([exchange, hop], list(seconds.buckets()), seconds.total)
                seconds = feed.latency.ages
                ages.add_metric([exchange], list(seconds.buckets()), seconds.total)
        yield hops
        yield ages
