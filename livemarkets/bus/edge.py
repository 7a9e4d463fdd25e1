"""An edge: it serves readers from the bus, and calls no exchange."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from livemarkets.bus import subjects
from livemarkets.bus.edge_client import FIRST_BEAT_SECONDS, BusClient
from livemarkets.bus.heard import Ingests
from livemarkets.bus.history import BusHistory
from livemarkets.bus.link import Link
from livemarkets.bus.messages import Beat, Streams, decode
from livemarkets.bus.nats_client import NatsOptions
from livemarkets.bus.node import new_node_name
from livemarkets.bus.priming import prime
from livemarkets.bus.requests import Requests
from livemarkets.bus.statistics import BusStatistics
from livemarkets.bus.wants import WantedSet
from livemarkets.config.settings import Settings
from livemarkets.exchanges.base import ExchangeEvents, ExchangePorts
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.feed.publisher import Publisher
from livemarkets.feed.supervision import supervise
from livemarkets.market.channels import CHANNELS
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, StreamKey, TradeTick

__all__ = ["Edge"]

_LOOK_SECONDS = 0.25

_BEAT = msgspec.msgpack.Decoder(Beat)
_STREAMS = msgspec.msgpack.Decoder(Streams)


class Edge:
    """This process as an edge.

    Args:
        settings: how to reach the bus.
        clock: source of the time.

    """

    role = "edge"
    publisher: Publisher | None = None

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self.node = new_node_name(settings.port)
        self._clock = clock
        self._recent = settings.feed_length
        self._clients: dict[str, BusClient] = {}
        self._feeds: Mapping[str, ExchangeFeed] = {}
        self._malformed = 0
        self._heard = asyncio.Event()
        self.link = Link(NatsOptions(name=f"edge {self.node}", settings=settings), self._note_link, clock)
        self._wanted = WantedSet(
            self.node, self.link, lambda callback: asyncio.get_running_loop().call_soon(callback)
        )
        self._ingests = Ingests(clock.monotonic)
        self._requests = Requests(self.node, self.link)
        self.link.subscribe(subjects.BEATS, self._handle_beat)
        self.link.subscribe(subjects.STREAMS, self._handle_streams)

    def ports(self, exchange: ExchangeName) -> ExchangePorts:
        """Return the ports of one exchange."""
        history = BusHistory(exchange, self._requests, self._ingests)

        def connect(events: ExchangeEvents) -> BusClient:
            client = self._clients[exchange] = BusClient(
                exchange,
                events,
                self.link,
                self._wanted,
                self._ingests,
                history,
                partial(self._prime, exchange),
                recent=self._recent,
                clock=self._clock,
            )
            return client

        channels = frozenset(CHANNELS)
        return ExchangePorts(
            connect,
            history,
            history,
            self._wait_heard,
            channels,
            history,
            history,
            can_ask=lambda: self._ingests.answerer(exchange) is not None,
        )

    def use(self, feeds: Mapping[str, ExchangeFeed]) -> None:
        """Take the feeds, which have the ports of this node."""
        self._feeds = feeds

    async def _wait_heard(self) -> None:
        """Wait for the bus, and then for the first beat of an ingest, but not long: there may be none."""
        await self.link.wait_connected()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_BEAT_SECONDS):
                await self._heard.wait()

    def _prime(self, exchange: ExchangeName, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        prime(self._feeds[exchange].trade_streams, key, ticks)

    def statistics(self) -> BusStatistics:
        """Return the state and the counters."""
        clients = self._clients.values()
        return BusStatistics(
            node=self.node,
            role=self.role,
            link=self.link.statistics(),
            nodes=[
                *self._ingests.nodes(lambda node: sum(client.first[node] for client in clients)),
                *self._ingests.edges(but=self.node),
            ],
            trades=sum(client.first.total() for client in clients),
            batches=0,
            lost_batches=sum(client.counts["lost"] for client in clients),
            malformed=self._malformed + sum(client.counts["malformed"] for client in clients),
            lapsed_leases=0,
            questions=self._requests.asked,
            failed_questions=self._requests.failed,
            from_memory=0,
        )

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(supervise("the link to the bus", self.link.run), name="bus link")
            tasks.create_task(supervise("the lease", self._wanted.run), name="bus lease")
            tasks.create_task(supervise("hearing of ingests", self._watch), name="bus ingests")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for ingest in self._ingests.take_silent():
                self._requests.note_gone(ingest.node)
                for client in self._clients.values():
                    client.note_gone(ingest)

    def _note_link(self, is_connected: bool) -> None:
        if is_connected:
            self._wanted.tell_all()
        else:
            self._requests.note_gone(None)
            self._ingests.forget()
        for client in self._clients.values():
            client.note_link(is_connected)

    def _handle_beat(self, data: bytes, subject: bytes, reply: bytes) -> None:
        beat = decode(data, _BEAT)
        if beat is None:
            self._malformed += 1
            return
        is_first = not self._ingests.present
        self._ingests.note(beat)
        self._heard.set()
        if is_first:
            for feed in self._feeds.values():
                feed.symbols.refresh_soon()
        for client in self._clients.values():
            client.refresh()

    def _handle_streams(self, data: bytes, subject: bytes, reply: bytes) -> None:
        streams = decode(data, _STREAMS)
        if streams is None:
            self._malformed += 1
            return
        for row in streams.rows:
            client = self._clients.get(row[0][0])
            if client is not None:
                client.note_row(streams.node, row)
