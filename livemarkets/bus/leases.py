"""What the edges want, as an ingest knows it. Each edge is one subscriber; its wants lapse when it is silent.

Wants are noted at once and applied in pieces, since a hundred edges may say two thousand names each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from livemarkets.bus import subjects
from livemarkets.bus.link import Link
from livemarkets.bus.messages import VERSION, AskWants, Name, Wants, decode, encode, key_of
from livemarkets.bus.statistics import NodeStatistics
from livemarkets.market.models import StreamKey
from livemarkets.market.subscriptions import SubscriptionManager

__all__ = ["Leases"]

_LEASE_SECONDS = 5.0
"""An edge that is silent for so long wants nothing any more."""
_AT_ONCE = 50
"""Streams that are subscribed in one turn of the event loop."""
_LOOK_SECONDS = 0.25
_ASK_SECONDS = 0.5
"""Least time between two questions to one edge."""

_WANTS = msgspec.msgpack.Decoder(Wants)


class _Edge:
    """One edge, and what it wants."""

    __slots__ = ("asked_at", "coming", "heard_at", "revision", "wanted")

    def __init__(self, now: float) -> None:
        self.heard_at = now
        self.asked_at = -_ASK_SECONDS
        self.revision = -1  # unknown
        self.wanted: dict[StreamKey, None] = {}
        self.coming: dict[StreamKey, None] | None = None  # the parts so far of all that it wants


class Leases:
    """The wants of all edges.

    Args:
        node: the name of this process.
        link: the connection to the bus.
        manager: the subscriptions; each edge is a subscriber in it.
        accepts: returns whether a stream can be subscribed here.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        node: str,
        link: Link,
        manager: SubscriptionManager,
        accepts: Callable[[StreamKey], bool],
        clock: Callable[[], float],
    ) -> None:
        self.lapsed = 0
        """How many leases lapsed since the start."""
        self._node = node
        self._link = link
        self._manager = manager
        self._accepts = accepts
        self._clock = clock
        self._edges: dict[str, _Edge] = {}
        self._to_apply: dict[str, None] = {}  # edges of which not all is subscribed yet
        self._wake = asyncio.Event()
        link.subscribe(subjects.WANTS, self._handle)

    @property
    def edges(self) -> list[tuple[str, int]]:
        """The edges that are heard, and how many streams each wants."""
        return [(node, len(edge.wanted)) for node, edge in self._edges.items()]

    def nodes(self) -> list[NodeStatistics]:
        """Return the edges that are heard."""
        return [
            NodeStatistics(
                node=node,
                role="edge",
                heard_at=edge.heard_at,
                streams=len(edge.wanted),
                exchanges={},
                first=0,
            )
            for node, edge in self._edges.items()
        ]

    def ask_all(self) -> None:
        """Ask every edge to say all that it wants: this process is new, or was away."""
        self._link.publish(subjects.ASK_WANTS, encode(AskWants(VERSION, self._node, "")))

    def _handle(self, data: bytes, subject: bytes, reply: bytes) -> None:
        wants = decode(data, _WANTS)
        if wants is None:
            return
        now = self._clock()
        edge = self._edges.get(wants.node)
        if edge is None:
            edge = self._edges[wants.node] = _Edge(now)
        edge.heard_at = now
        if wants.base == -1:
            self._take_part(wants, edge)
        elif wants.base == edge.revision:
            self._take_changes(wants, edge)
        if wants.is_last and (edge.revision, len(edge.wanted)) != (wants.revision, wants.count):
            self._ask(wants.node, edge, now)

    def _take_part(self, wants: Wants, edge: _Edge) -> None:
        if wants.is_first:
            edge.coming = {}
        if edge.coming is None:
            return  # the first part was lost
        _add(edge.coming, wants.added)
        if wants.is_last:
            edge.wanted, edge.coming, edge.revision = edge.coming, None, wants.revision
            self._note_change(wants.node)

    def _take_changes(self, wants: Wants, edge: _Edge) -> None:
        if wants.revision == wants.base:
            return
        for name in wants.removed:
            edge.wanted.pop(key_of(name), None)
        _add(edge.wanted, wants.added)
        if wants.is_last:
            edge.revision = wants.revision
        self._note_change(wants.node)

    def _ask(self, node: str, edge: _Edge, now: float) -> None:
        if now - edge.asked_at >= _ASK_SECONDS:
            edge.asked_at = now
            self._link.publish(subjects.ASK_WANTS, encode(AskWants(VERSION, self._node, node)))

    def _note_change(self, node: str) -> None:
        self._to_apply[node] = None
        self._wake.set()

    async def run(self) -> None:
        """Apply what edges want, and let leases lapse, until cancelled."""
        while True:
            while self._to_apply:
                node = next(iter(self._to_apply))
                del self._to_apply[node]
                await self._apply(node)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._wake.wait()
            self._end_lapsed()

    async def _apply(self, node: str) -> None:
        """Subscribe what an edge wants, and unsubscribe the rest, in pieces."""
        edge, manager = self._edges.get(node), self._manager
        wanted = dict.fromkeys(filter(self._accepts, edge.wanted)) if edge is not None else {}
        before = dict.fromkeys(manager.subscriptions(node))
        changes = [(manager.subscribe, key) for key in wanted if key not in before]
        changes += [(manager.unsubscribe, key) for key in before if key not in wanted]
        for start in range(0, len(changes), _AT_ONCE):
            for change, key in changes[start : start + _AT_ONCE]:
                change(node, key)
            await asyncio.sleep(0)

    def _end_lapsed(self) -> None:
        if not self._link.is_connected:
            # Nobody can be heard. What was wanted goes on, so that nothing is missing when edges are back.
            for edge in self._edges.values():
                edge.heard_at = self._clock()
            return
        oldest = self._clock() - _LEASE_SECONDS
        for node in [node for node, edge in self._edges.items() if edge.heard_at < oldest]:
            del self._edges[node]
            self.lapsed += 1
            self._note_change(node)


def _add(wanted: dict[StreamKey, None], names: list[Name]) -> None:
    wanted.update((key_of(name), None) for name in names)
