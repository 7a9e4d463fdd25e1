"""The metrics of the legs by which an exchange's streams come. Without legs there is no sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from livemarkets.http_api.latency_metrics import MeasuredFeeds
from livemarkets.market.models import ExchangeState

__all__ = ["LegMetrics"]

_LABELS = ["exchange", "leg"]


class LegMetrics(Collector):
    """Collects what each leg brought.

    Args:
        services: the parts of the program that have exchanges.

    """

    def __init__(self, services: MeasuredFeeds) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        """Return the metrics for the registration."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics with their present values."""
        up = GaugeMetricFamily(
            "livemarkets_leg_up",
            "1 while the leg is live and brings all that another leg brings, else 0",
            labels=_LABELS,
        )
        trades = CounterMetricFamily(
            "livemarkets_leg_trades", "Trades read on the leg, repeats included", labels=_LABELS
        )
        first = CounterMetricFamily(
            "livemarkets_leg_trades_first",
            "Trades that the leg brought before every other leg",
            labels=_LABELS,
        )
        missed = CounterMetricFamily(
            "livemarkets_leg_trades_missed",
            "Trades that the leg skipped, at most 1,000,000 at once",
            labels=_LABELS,
        )
        disagreed = CounterMetricFamily(
            "livemarkets_leg_trades_disagreed",
            "Sampled trades of the leg that differ from what the first leg brought under the same id",
            labels=_LABELS,
        )
        lead = HistogramMetricFamily(
            "livemarkets_leg_lead_seconds",
            "How far the leg was ahead of the next one, by a sample of the trades that it brought first",
            labels=_LABELS,
        )
        for exchange, feed in self._services.feeds.items():
            for leg in feed.client.statistics().legs:
                labels = [exchange, str(leg.number)]
                up.add_metric(labels, float(leg.state is ExchangeState.LIVE))
                trades.add_metric(labels, leg.brought)
                first.add_metric(labels, leg.first)
                missed.add_metric(labels, leg.missed)
                disagreed.add_metric(labels, leg.disagreed)
                lead.add_metric(labels, list(leg.lead.buckets()), leg.lead.total)
        yield from (up, trades, first, missed, disagreed, lead)
