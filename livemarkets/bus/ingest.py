"""An ingest: the exchanges' feeds publish to the bus what edges want, and answer their questions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from livemarkets.bus import subjects
from livemarkets.bus.answers import ExchangeAnswers
from livemarkets.bus.heard import Ingests
from livemarkets.bus.leases import Leases
from livemarkets.bus.link import Link
from livemarkets.bus.messages import VERSION, Beat, ExchangeBeat, StreamRow, Streams, decode, encode, name_of
from livemarkets.bus.nats_client import NatsOptions
from livemarkets.bus.node import Stores, new_node_name
from livemarkets.bus.publisher import BusPublisher
from livemarkets.bus.replies import Replies
from livemarkets.bus.statistics import BusStatistics
from livemarkets.config.settings import Settings
from livemarkets.exchanges.base import StreamState
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.feed.supervision import supervise
from livemarkets.market.channels import TRADES
from livemarkets.market.clock import Clock
from livemarkets.market.models import StreamKey
from livemarkets.market.subscriptions import SubscriptionManager

__all__ = ["Ingest"]

_BEAT_SECONDS = 0.5
_ROWS_AT_ONCE = 400
"""Streams in one message: about 25 KB."""

_BEAT = msgspec.msgpack.Decoder(Beat)


class Ingest:
    """This process as an ingest.

    Args:
        settings: how to reach the bus.
        manager: the subscriptions; each edge is a subscriber.
        stores: what the feeds keep in memory.
        private: the exchanges that are this process's own, such as the embedded one.
        clock: source of the time.

    """

    role = "ingest"
    ports = None

    def __init__(
        self,
        settings: Settings,
        manager: SubscriptionManager,
        stores: Stores,
        *,
        private: frozenset[str],
        clock: Clock,
    ) -> None:
        self.node = new_node_name(settings.port)
        self._started_ms = clock.now_ms()
        self._clock = clock
        self._manager = manager
        self._stores = stores
        self._private = private
        self._feeds: Mapping[str, ExchangeFeed] = {}
        self._answers: list[ExchangeAnswers] = []
        self.link = Link(NatsOptions(name=f"ingest {self.node}", settings=settings), self._note_link, clock)
        self.publisher = self._publisher = BusPublisher(
            self.node, self.link, lambda callback: asyncio.get_running_loop().call_soon(callback)
        )
        self._leases = Leases(self.node, self.link, manager, self._accepts, clock.monotonic)
        self._replies = Replies(self.node, self.link)
        self._others = Ingests(clock.monotonic)
        self.link.subscribe(subjects.BEATS, self._handle_beat)

    def use(self, feeds: Mapping[str, ExchangeFeed]) -> None:
        """Publish these feeds, and answer questions about them. Called once, before the start."""
        self._feeds = feeds
        for exchange, feed in feeds.items():
            answers = ExchangeAnswers(feed, self._stores.trades, self._stores.updates)
            self._answers.append(answers)
            self._replies.add(exchange, answers)
        self._manager.add_listener(self._note_wanted)

    def _handle_beat(self, data: bytes, subject: bytes, reply: bytes) -> None:
        """Note another ingest, for the status page alone."""
        beat = decode(data, _BEAT)
        if beat is not None and beat.node != self.node:
            self._others.note(beat)

    def _accepts(self, key: StreamKey) -> bool:
        feed = self._feeds.get(key.exchange)
        return feed is not None and key.channel in feed.channels

    def _note_wanted(self, key: StreamKey, is_wanted: bool) -> None:
        if not is_wanted:
            self._publisher.forget(key)

    def _note_link(self, is_connected: bool) -> None:
        if is_connected:
            self._publish_beat()
            self._leases.ask_all()

    def statistics(self) -> BusStatistics:
        """Return the state and the counters."""
        return BusStatistics(
            node=self.node,
            role=self.role,
            link=self.link.statistics(),
            nodes=[*self._others.nodes(), *self._leases.nodes()],
            trades=self._publisher.trades,
            batches=self._publisher.batches,
            lost_batches=0,
            malformed=0,
            lapsed_leases=self._leases.lapsed,
            questions=self._replies.answered,
            failed_questions=self._replies.refused,
            from_memory=sum(answers.from_memory for answers in self._answers),
        )

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(supervise("the link to the bus", self.link.run), name="bus link")
            tasks.create_task(supervise("leases of edges", self._leases.run), name="bus leases")
            tasks.create_task(supervise("answers to edges", self._replies.run), name="bus answers")
            tasks.create_task(supervise("beats", self._beat), name="bus beats")

    async def _beat(self) -> None:
        while True:
            self._publish_beat()
            self._others.take_silent()
            for feed in list(self._feeds.values()):
                await self._publish_rows(feed)
            await asyncio.sleep(_BEAT_SECONDS)

    def _publish_beat(self) -> None:
        now = self._clock.monotonic()
        exchanges = []
        for exchange, feed in self._feeds.items():
            status = feed.client.status
            retry = None if status.retry_at is None else max(status.retry_at - now, 0.0)
            is_private = exchange in self._private
            exchanges.append(ExchangeBeat(exchange, status.state, status.reason, retry, is_private))
        beat = Beat(VERSION, self.node, self._started_ms, exchanges, self._leases.edges)
        self.link.publish(subjects.BEATS, encode(beat))

    async def _publish_rows(self, feed: ExchangeFeed) -> None:
        """Say which streams are here, and the newest id of each, so that a loss shows without a trade."""
        keys = feed.keys()
        for start in range(0, len(keys), _ROWS_AT_ONCE):
            rows = [self._row(feed, key) for key in keys[start : start + _ROWS_AT_ONCE]]
            self.link.publish(subjects.STREAMS, encode(Streams(VERSION, self.node, rows)))
            await asyncio.sleep(0)

    def _row(self, feed: ExchangeFeed, key: StreamKey) -> StreamRow:
        client = feed.client
        newest_id = None
        if key.channel == TRADES and (ledger := feed.ledger(key)) is not None:
            newest_id = ledger.newest_seen() if ledger.next_id is not None else None
        is_acknowledged = client.state_of(key) is StreamState.ACKNOWLEDGED
        return (name_of(key), is_acknowledged, newest_id, client.rejection(key))
