"""The ingests that a process hears: who is there, and the state of each exchange as they see it. No I/O."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from livemarkets.bus.messages import Beat, ExchangeBeat
from livemarkets.bus.statistics import NodeStatistics
from livemarkets.exchanges.base import ClientStatus
from livemarkets.market.models import ExchangeState

__all__ = ["NO_INGEST", "HeardIngest", "Ingests"]

NO_INGEST = "no ingest is heard on the bus"
_SILENT_SECONDS = 2.5
"""An ingest without a beat for so long is gone. Five beats come in this time."""

_BEST_FIRST = ("live", "connecting", "idle", "down")


class HeardIngest(msgspec.Struct):
    """One ingest."""

    node: str
    started_ms: int
    heard_at: float
    exchanges: dict[str, ExchangeBeat]
    edges: list[tuple[str, int]]


class Ingests:
    """The ingests that are heard at present.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: dict[str, HeardIngest] = {}

    @property
    def present(self) -> list[HeardIngest]:
        """The ingests, the one that has run longest first."""
        return sorted(self._heard.values(), key=lambda ingest: (ingest.started_ms, ingest.node))

    def is_heard(self, node: str) -> bool:
        """Return whether an ingest is there."""
        return node in self._heard

    def note(self, beat: Beat) -> None:
        """Note a beat."""
        exchanges = {each.exchange: each for each in beat.exchanges}
        self._heard[beat.node] = HeardIngest(beat.node, beat.started_ms, self._clock(), exchanges, beat.edges)

    def nodes(self, first: Callable[[str], int] = lambda _node: 0) -> list[NodeStatistics]:
        """Return the ingests for the status page. `first` counts what one brought before others."""
        return [
            NodeStatistics(
                node=ingest.node,
                role="ingest",
                heard_at=ingest.heard_at,
                streams=None,
                exchanges={name: beat.state for name, beat in ingest.exchanges.items()},
                first=first(ingest.node),
            )
            for ingest in self.present
        ]

    def edges(self, *, but: str) -> list[NodeStatistics]:
        """Return the edges that the ingests hear, except one."""
        found = {}
        for ingest in self.present:
            for node, streams in ingest.edges:
                if node != but:
                    found[node] = NodeStatistics(
                        node=node,
                        role="edge",
                        heard_at=ingest.heard_at,
                        streams=streams,
                        exchanges={},
                        first=0,
                    )
        return list(found.values())

    def take_silent(self) -> list[HeardIngest]:
        """Forget the ingests that are gone, and return them."""
        oldest = self._clock() - _SILENT_SECONDS
        gone = [ingest for ingest in self._heard.values() if ingest.heard_at < oldest]
        for ingest in gone:
            del self._heard[ingest.node]
        return gone

    def forget(self) -> list[HeardIngest]:
        """Forget all, since nothing can be heard, and return them."""
        gone, self._heard = list(self._heard.values()), {}
        return gone

    def leader(self, exchange: str) -> str | None:
        """Return the one ingest whose data counts, if the exchange is private to each ingest; else `None`.

        Every edge follows the one that has run longest, so that all have the same prices.
        """
        for ingest in self.present:
            beat = ingest.exchanges.get(exchange)
            if beat is not None and beat.is_private:
                return ingest.node
        return None

    def answerer(self, exchange: str) -> str | None:
        """Return an ingest to ask about an exchange, at random of those that fare best; `None` without one.

        One that hangs is asked no more after its beats are missed.
        """
        leader = self.leader(exchange)
        if leader is not None:
            return leader
        offers = [
            (_place(beat.state), node)
            for node, ingest in self._heard.items()
            if (beat := ingest.exchanges.get(exchange)) is not None
        ]
        best = min(offers, default=(0, ""))[0]
        nodes = [node for place, node in offers if place == best]
        return random.choice(nodes) if nodes else None

    def status_of(self, exchange: str) -> ClientStatus | None:
        """Return the state of an exchange: the best that a present ingest has; `None` if none is heard."""
        if not self._heard:
            return None
        leader = self.leader(exchange)
        offers = [
            (each, ingest.heard_at)
            for ingest in self.present
            if leader in (None, ingest.node) and (each := ingest.exchanges.get(exchange)) is not None
        ]
        if not offers:
            return ClientStatus(ExchangeState.DOWN, f"no ingest on the bus offers {exchange}")
        beat, heard_at = min(offers, key=lambda offer: _place(offer[0].state))
        if beat.state == ExchangeState.IDLE:
            return ClientStatus(ExchangeState.CONNECTING)  # it has not heard yet what is wanted here
        retry_at = None if beat.retry_seconds is None else heard_at + beat.retry_seconds
        return ClientStatus(_state_of(beat.state), beat.reason, retry_at)


def _place(state: str) -> int:
    return _BEST_FIRST.index(state) if state in _BEST_FIRST else len(_BEST_FIRST)


def _state_of(state: str) -> ExchangeState:
    try:
        return ExchangeState(state)
    except ValueError:
        return ExchangeState.CONNECTING
