"""The metrics of `/metrics`. They are read at each scrape, so that the hot path has no extra cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from livemarkets.delivery.fanout import Fanout
from livemarkets.embedded.exchange import EmbeddedExchange
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.feed.statistics import FeedStatistics
from livemarkets.market.channels import CANDLES, NEWEST_WINS, TRADES
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeState
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.rate_limit import Refusals
from livemarkets.server.loop_delay import BOUNDS_SECONDS, LoopDelay
from livemarkets.server.open_files import files_limit, free_files
from livemarkets.ws_markets.hub import MarketsHub

__all__ = ["MarketsCollector", "MeasuredServices"]


class MeasuredServices(Protocol):
    """The measured parts of the program."""

    feeds: dict[str, ExchangeFeed]
    manager: SubscriptionManager
    hub: MarketsHub
    fanout: Fanout
    simulator: EmbeddedExchange | None
    refusals: Refusals
    loop_delay: LoopDelay
    started_at: float
    clock: Clock


REFUSALS = ("address", "files", "full", "origin", "stopping", "token")
_PER_EXCHANGE: tuple[tuple[str, str, bool, Callable[[FeedStatistics], float]], ...] = (
    ("trades_received", "Trades read from the stream, duplicates included", True, lambda f: f.received),
    (
        "trades_backfilled",
        "Missing trades fetched over REST",
        True,
        lambda f: f.backfilled,
    ),
    ("trades_duplicate", "Trades dropped because their id was seen", True, lambda f: f.duplicates),
    (
        "trades_lost",
        "Trades lost: declared in gaps with the cause upstream, at most 1,000,000 for a gap",
        True,
        lambda f: f.lost,
    ),
    ("gaps", "Gaps declared, all causes", True, lambda f: f.gaps),
    ("holes_open", "Streams with missing trades that are not fetched yet", False, lambda f: f.holes_open),
    ("candles_revised", "Closed candles told again, corrected", True, lambda f: f.candles.revised),
    ("candle_gaps", "Gaps of candles declared", True, lambda f: f.candles.gaps),
    ("candle_streams_waiting", "Streams whose candles wait", False, lambda f: f.candles.waiting),
    (
        "streams_wanted",
        "Streams of all channels that have a subscriber or linger",
        False,
        lambda f: f.streams_wanted,
    ),
    ("upstream_connections", "Connections to the exchange", False, lambda f: f.client.connections),
    ("upstream_connects", "Connection attempts", True, lambda f: f.client.connects),
    ("upstream_rotations", "Connections replaced before they ended", True, lambda f: f.client.rotations),
    ("rest_calls", "REST calls made", True, lambda f: f.history.calls),
    ("rest_failures", "REST calls that failed at every address", True, lambda f: f.history.failures),
    (
        "rest_weight_used",
        "Request weight of our REST calls in the last minute",
        False,
        lambda f: 0 if f.history.rate_limit is None else f.history.rate_limit.used,
    ),
    (
        "rest_weight_usable",
        "Request weight that all programs at our IP address may use in a minute before calls wait",
        False,
        lambda f: 0 if f.history.rate_limit is None else f.history.rate_limit.usable,
    ),
    (
        "rest_weight_counted",
        "Request weight that the exchange counted for our IP address in its minute, as it last said",
        False,
        lambda f: 0 if f.history.rate_limit is None else f.history.rate_limit.counted or 0,
    ),
    (
        "rest_pause_seconds",
        "How long the exchange forbids REST calls from now on",
        False,
        lambda f: 0.0 if f.history.rate_limit is None else f.history.rate_limit.pause_seconds,
    ),
    ("symbols_known", "Symbols listed by the exchange", False, lambda f: f.symbols_known),
    (
        "symbols_skipped",
        "Entries of the newest list of symbols that make no sense",
        False,
        lambda f: f.symbols_skipped,
    ),
)


class MarketsCollector(Collector):
    """Collects all metrics of the application, named `livemarkets_…`."""

    def __init__(self, services: MeasuredServices) -> None:
        self._services = services

    def describe(self) -> Iterable[Metric]:
        """Return the metrics for the registration."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics with their present values."""
        feeds = {exchange: feed.statistics() for exchange, feed in self._services.feeds.items()}
        for name, meaning, is_counter, read in _PER_EXCHANGE:
            family = CounterMetricFamily if is_counter else GaugeMetricFamily
            metric = family(f"livemarkets_{name}", meaning, labels=["exchange"])
            for exchange, statistics in feeds.items():
                metric.add_metric([exchange], read(statistics))
            yield metric
        yield from self._states(feeds)
        yield from self._process()
        yield from self._limits()
        yield self._refusals()
        yield from self._loop_delay()

    def _states(self, feeds: Mapping[str, FeedStatistics]) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "livemarkets_exchange_state",
            "1 for the current state of the exchange, 0 for the others",
            labels=["exchange", "state"],
        )
        complaints = CounterMetricFamily(
            "livemarkets_upstream_complaints",
            "Malformed messages and refusals from the exchange",
            labels=["exchange", "kind"],
        )
        waiting = GaugeMetricFamily(
            "livemarkets_rest_waiting",
            "REST calls that wait for their turn, by purpose",
            labels=["exchange", "purpose"],
        )
        for exchange, feed in self._services.feeds.items():
            limit = feeds[exchange].history.rate_limit
            for purpose, count in (limit.waiting if limit is not None else {}).items():
                waiting.add_metric([exchange, purpose.name.lower()], count)
            for name in ExchangeState:
                state.add_metric([exchange, name.value], float(feed.status.state is name))
            for kind, count in feeds[exchange].client.complaints.items():
                complaints.add_metric([exchange, kind], count)
        qualities = GaugeMetricFamily(
            "livemarkets_streams_in_state",
            "Streams in each state of their quality",
            labels=["exchange", "state"],
        )
        for exchange, statistics in feeds.items():
            for quality, count in statistics.qualities.items():
                qualities.add_metric([exchange, quality], count)
        updates = CounterMetricFamily(
            "livemarkets_updates_received",
            "Updates read from the streams of a channel other than trades, repeats included",
            labels=["exchange", "channel"],
        )
        wanted = GaugeMetricFamily(
            "livemarkets_update_streams_wanted",
            "Streams of a channel other than trades that have a subscriber or linger",
            labels=["exchange", "channel"],
        )
        compared = CounterMetricFamily(
            "livemarkets_candles_compared",
            "Closed candles compared with our own trades",
            labels=["exchange", "result"],
        )
        for exchange, statistics in feeds.items():
            compared.add_metric([exchange, "agreed"], statistics.candles.agreed)
            compared.add_metric([exchange, "disagreed"], statistics.candles.disagreed)
            for channel, each in statistics.updates.items():
                updates.add_metric([exchange, channel], each.received)
                wanted.add_metric([exchange, channel], each.wanted)
        yield updates
        yield wanted
        yield compared
        yield state
        yield complaints
        yield waiting
        yield qualities

    def _process(self) -> Iterator[Metric]:
        hub, fanout = self._services.hub.statistics(), self._services.fanout.statistics()
        subscribers, subscribed, lingering = self._services.manager.counts()
        yield GaugeMetricFamily("livemarkets_clients", "Connections to /ws/markets", value=hub.clients)
        refused = CounterMetricFamily(
            "livemarkets_clients_refused", "Refused handshakes of /ws/markets", labels=["reason"]
        )
        for reason in REFUSALS:
            refused.add_metric([reason], hub.refused.get(reason, 0))
        yield refused
        yield CounterMetricFamily(
            "livemarkets_deliveries", "Trades handed to clients", value=fanout.delivered.get(TRADES, 0)
        )
        updates = CounterMetricFamily(
            "livemarkets_updates_delivered",
            "Updates of a channel other than trades handed to clients",
            labels=["channel"],
        )
        for channel in sorted({*NEWEST_WINS, CANDLES}):
            updates.add_metric([channel], fanout.delivered.get(channel, 0))
        yield updates
        yield GaugeMetricFamily("livemarkets_clients_lagging", "Clients that lag now", value=fanout.lagging)
        yield CounterMetricFamily("livemarkets_lags", "Times that a client fell behind", value=fanout.lags)
        yield CounterMetricFamily(
            "livemarkets_clients_too_slow",
            "Clients disconnected because they stopped reading",
            value=hub.closed_slow,
        )
        yield GaugeMetricFamily(
            "livemarkets_subscribers",
            "Clients and pages with a subscription; a Live page counts twice, for its rows and its market",
            value=subscribers,
        )
        yield GaugeMetricFamily(
            "livemarkets_streams_subscribed", "Streams with a subscriber", value=subscribed
        )
        yield GaugeMetricFamily(
            "livemarkets_streams_lingering",
            "Streams kept although their last subscriber left",
            value=lingering,
        )
        simulator = self._services.simulator
        yield GaugeMetricFamily(
            "livemarkets_simulator_running",
            "1 while the process of the embedded exchange runs and listens",
            value=float(simulator is not None and simulator.addresses is not None),
        )
        yield CounterMetricFamily(
            "livemarkets_simulator_starts",
            "Processes of the embedded exchange that were started",
            value=simulator.starts if simulator is not None else 0,
        )
        uptime = self._services.clock.monotonic() - self._services.started_at
        yield GaugeMetricFamily("livemarkets_uptime_seconds", "Seconds since the start", value=uptime)

    def _limits(self) -> Iterator[Metric]:
        hub = self._services.hub
        limits = {
            "clients": hub.limits.clients,
            "symbols_per_client": hub.limits.symbols,
            "streams_per_client": hub.limits.streams,
            "open_files": files_limit(),
        }
        left = {
            "clients": max(0, hub.limits.clients - len(hub.connections)),
            "open_files": None if files_limit() is None else free_files(),
        }
        for name, meaning, numbers in (
            ("limit", "Limits of this server", limits),
            ("limit_left", "How much of a limit is left", left),
        ):
            family = GaugeMetricFamily(f"livemarkets_{name}", meaning, labels=["limit"])
            for limit, number in numbers.items():
                if number is not None:
                    family.add_metric([limit], number)
            yield family

    def _refusals(self) -> Metric:
        family = CounterMetricFamily(
            "livemarkets_refusals", "What was refused to peers, by reason", labels=["what", "reason"]
        )
        for (what, reason), count in self._services.refusals.counts.items():
            family.add_metric([what, reason], count)
        return family

    def _loop_delay(self) -> Iterator[Metric]:
        delay = self._services.loop_delay
        bounds = [*map(str, BOUNDS_SECONDS), "+Inf"]
        histogram = HistogramMetricFamily(
            "livemarkets_loop_delay_seconds", "How late the event loop was, measured every 50 ms"
        )
        histogram.add_metric(
            [], list(zip(bounds, accumulate(delay.counts), strict=True)), delay.total_seconds
        )
        yield histogram
        yield GaugeMetricFamily(
            "livemarkets_loop_delay_longest_seconds",
            "The longest delay of the event loop in the last minute",
            value=delay.longest_seconds(),
        )
