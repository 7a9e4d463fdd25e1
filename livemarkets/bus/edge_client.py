"""One exchange behind the bus, for an edge: an :class:`~livemarkets.exchanges.base.ExchangeClient`.

It takes the place of the client of an exchange. What it wants is leased from every ingest, and all of them
publish it; the ledger takes whichever trade comes first. So nobody notices the end of one of two ingests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence

from livemarkets.bus import subjects
from livemarkets.bus.edge_streams import CarriedStream, TradesStream, UpdatesStream
from livemarkets.bus.heard import NO_INGEST, HeardIngest, Ingests
from livemarkets.bus.history import BusHistory
from livemarkets.bus.link import Link
from livemarkets.bus.messages import StreamRow, key_of
from livemarkets.bus.wants import WantedSet
from livemarkets.errors import ExchangeError
from livemarkets.exchanges.base import (
    ClientStatistics,
    ClientStatus,
    Evidence,
    ExchangeEvents,
    Guarantee,
    StreamState,
)
from livemarkets.market.channels import TRADES
from livemarkets.market.clock import Clock
from livemarkets.market.models import ExchangeName, ExchangeState, StreamKey, TradeTick

__all__ = ["FIRST_BEAT_SECONDS", "BusClient"]

FIRST_BEAT_SECONDS = 2.5
"""How long after the connection was made the first beat of an ingest is waited for."""
_JOIN_SECONDS = 0.5
"""How long the trades of a new stream are kept back for those that an ingest has in memory. A stream without
a trade by then can still begin with them."""
_JOINS_AT_ONCE = 8
_LOOK_SECONDS = 0.25
_RETRY_STEP_SECONDS = 1.0


class BusClient:
    """The client of one exchange, through the ingests.

    Args:
        exchange: its name.
        events: receives what arrives.
        link: the connection to the bus.
        wanted: what this process wants.
        ingests: those that are heard.
        history: asks ingests.
        prime: begins a stream with trades of the past.
        recent: how many trades a new stream begins with.
        clock: source of the time.

    """

    guarantee = Guarantee(ids="consecutive", history="by_id")

    def __init__(
        self,
        exchange: ExchangeName,
        events: ExchangeEvents,
        link: Link,
        wanted: WantedSet,
        ingests: Ingests,
        history: BusHistory,
        prime: Callable[[StreamKey, Sequence[TradeTick]], None],
        *,
        recent: int,
        clock: Clock,
    ) -> None:
        self.exchange: ExchangeName = exchange
        self.status = ClientStatus(ExchangeState.IDLE)
        self.counts: Counter[str] = Counter()
        """What was received since the start: `malformed`, `lost` batches."""
        self.first: Counter[str] = Counter()
        """How many trades each ingest brought first."""
        self.leader: str | None = None
        """The one ingest whose data counts; `None` if that of all does."""
        self._events = events
        self._link = link
        self._wanted = wanted
        self._ingests = ingests
        self._history = history
        self._prime = prime
        self._recent = recent
        self._clock = clock.monotonic
        self._streams: dict[StreamKey, CarriedStream] = {}
        self._joining: list[TradesStream] = []
        self._places = asyncio.Semaphore(_JOINS_AT_ONCE)
        self._wake = asyncio.Event()
        self._connected_at = 0.0

    # subscriptions

    def want(self, key: StreamKey) -> None:
        """Listen to a stream, and lease it from the ingests. Idempotent."""
        if key in self._streams:
            return
        stream: CarriedStream
        if key.channel == TRADES:
            stream = TradesStream(key, self, self._events)
            self._joining.append(stream)
            self._wake.set()
        else:
            stream = UpdatesStream(key, self, self._events)
        self._streams[key] = stream
        self._link.subscribe(subjects.data(key), stream.handle)
        self._wanted.add(key)
        self.refresh()

    def unwant(self, key: StreamKey) -> None:
        """Listen to a stream no more, and give up its lease. Idempotent."""
        if self._streams.pop(key, None) is not None:
            self._link.unsubscribe(subjects.data(key))
            self._wanted.discard(key)
            self.refresh()

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Tell the ingests again what is wanted: one that lost the lease does not publish the stream."""
        if evidence is Evidence.BEHIND:
            self._wanted.tell_all()

    def state_of(self, key: StreamKey) -> StreamState:
        """Return the state of a stream: an ingest that is heard has it, or the exchange refuses it."""
        stream = self._streams.get(key)
        if stream is None or not self._link.is_connected:
            return StreamState.PENDING
        if stream.acknowledged:
            return StreamState.ACKNOWLEDGED
        return StreamState.REJECTED if stream.rejection is not None else StreamState.PENDING

    def acknowledged_at(self, key: StreamKey) -> float | None:
        """Return since when an ingest that is heard has a stream; `None` if none has it."""
        stream = self._streams.get(key)
        if stream is None or not self._link.is_connected:
            return None
        return min(stream.acknowledged.values(), default=None)

    def rejection(self, key: StreamKey) -> str | None:
        """Return the exchange's error text if it refused the stream, else `None`."""
        stream = self._streams.get(key)
        return None if stream is None or stream.acknowledged else stream.rejection

    def statistics(self) -> ClientStatistics:
        """Return the counters since the start."""
        link = self._link.statistics()
        return ClientStatistics(
            connections=int(link.is_connected),
            connects=link.connects,
            rotations=0,
            complaints={kind: count for kind, count in self.counts.items() if count},
        )

    # what the node hears

    def note_row(self, node: str, row: StreamRow) -> None:
        """Note what an ingest says of a stream: whether it has it, and its newest id."""
        stream = self._streams.get(key_of(row[0]))
        if stream is None or self.leader not in (None, node):
            return
        _, is_acknowledged, newest_id, stream.rejection = row
        if is_acknowledged:
            stream.acknowledge(node, self._clock())
        else:
            stream.acknowledged.pop(node, None)
        if newest_id is not None and newest_id > stream.newest_id:
            self._events.on_newest(stream.key, newest_id)

    def note_link(self, is_connected: bool) -> None:
        """Note that the connection to the bus was opened or lost."""
        if is_connected:
            self._connected_at = self._clock()
        else:
            for stream in self._streams.values():
                stream.acknowledged.clear()
        self.refresh()

    def note_gone(self, ingest: HeardIngest) -> None:
        """Note that an ingest is gone. What no other had at the same time was interrupted."""
        interrupted = [
            stream
            for stream in self._streams.values()
            if stream.acknowledged.pop(ingest.node, None) is not None
            and not any(since <= ingest.heard_at for since in stream.acknowledged.values())
        ]
        for stream in interrupted:
            stream.acknowledged.clear()
        self.refresh(is_news=bool(interrupted))

    def refresh(self, *, is_news: bool = False) -> None:
        """Find the state of the exchange, and tell it if it changed, or if something else did."""
        leader = self._ingests.leader(self.exchange)
        if leader != self.leader:
            self.leader = leader
            for stream in self._streams.values():
                stream.acknowledged.clear()
        status = self._assess()
        if is_news or _differs(status, self.status):
            self.status = status
            self._events.on_status(status)

    def _assess(self) -> ClientStatus:
        if not self._streams:
            return ClientStatus(ExchangeState.IDLE)
        if not self._link.is_connected:
            reason = self._link.reason
            if reason is None:
                return ClientStatus(ExchangeState.CONNECTING)
            return ClientStatus(ExchangeState.DOWN, f"the bus cannot be reached: {reason}")
        status = self._ingests.status_of(self.exchange)
        if status is not None:
            return status
        if self._clock() - self._connected_at < FIRST_BEAT_SECONDS:
            return ClientStatus(ExchangeState.CONNECTING)
        return ClientStatus(ExchangeState.DOWN, NO_INGEST)

    # task

    async def run(self) -> None:
        """Bring new streams what ingests have in memory, and keep the status, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                joining, self._joining = self._joining, []
                for stream in joining:
                    tasks.create_task(self._join(stream), name=f"recent trades of {stream.key.symbol}")
                self.refresh()
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._wake.wait()

    async def _join(self, stream: TradesStream) -> None:
        """Begin a stream with the trades that an ingest has in memory, unless a trade comes too soon."""
        release = asyncio.get_running_loop().call_later(_JOIN_SECONDS, stream.end_join)
        try:
            async with self._places:
                ticks = await self._history.recent_trades(stream.key.symbol, self._recent)
            if self._streams.get(stream.key) is stream:
                self._prime(stream.key, ticks)
        except ExchangeError:
            pass  # it begins with the next trade
        finally:
            release.cancel()
            stream.end_join()


def _differs(one: ClientStatus, other: ClientStatus) -> bool:
    """Return whether two states differ. The time of the next attempt is told again and again, a bit apart."""
    if (one.state, one.reason, one.retry_at is None) != (other.state, other.reason, other.retry_at is None):
        return True
    return abs((one.retry_at or 0.0) - (other.retry_at or 0.0)) > _RETRY_STEP_SECONDS
