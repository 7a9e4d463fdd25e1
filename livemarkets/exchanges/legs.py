"""Several clients of one exchange at once: the loss of one of them costs nothing.

Every leg brings every wanted stream. Whoever takes the trades drops what it has seen, by id, so it gets each
trade from the leg that is first, and a hole only where every leg has one. Nothing here knows of addresses,
or of an exchange: a leg is anything that implements :class:`~livemarkets.exchanges.base.ExchangeClient`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from livemarkets.exchanges.base import (
    ClientStatistics,
    ClientStatus,
    Evidence,
    ExchangeClient,
    ExchangeEvents,
    StreamState,
)
from livemarkets.exchanges.leg import Leg
from livemarkets.exchanges.leg_streams import Race
from livemarkets.exchanges.statistics import AddressStatistics
from livemarkets.market.models import ExchangeName, ExchangeState, StreamKey

__all__ = ["Legs"]

_LOOK_SECONDS = 1.0
_MOST_INVALID = 1000
"""Invalid trades of which one leg alone told; the oldest is forgotten."""
_RANK = (ExchangeState.LIVE, ExchangeState.CONNECTING, ExchangeState.DOWN, ExchangeState.IDLE)
"""The states of clients, the best first."""


class Legs:
    """A client that consists of several (an :class:`~livemarkets.exchanges.base.ExchangeClient`).

    Args:
        exchange: its name, for the tasks.
        connects: each makes one leg's client, which passes what it reads to the leg (an
            :class:`~livemarkets.exchanges.base.ExchangeEvents`).
        events: receives what the legs bring, repeats included.
        clock: monotonic seconds.

    Raises:
        ValueError: there are no legs.

    """

    def __init__(
        self,
        exchange: ExchangeName,
        connects: Sequence[Callable[[Leg], ExchangeClient]],
        events: ExchangeEvents,
        *,
        clock: Callable[[], float],
    ) -> None:
        if not connects:
            raise ValueError("there must be a leg")
        self.status = ClientStatus(ExchangeState.IDLE)
        self._exchange = exchange
        self._events = events
        self._clock = clock
        self._races: dict[StreamKey, Race] = {}
        self._invalid: dict[tuple[StreamKey, int], set[int]] = {}  # who told of an invalid trade
        self._is_changing = True
        self.legs = [Leg(at + 1, connect, events, self, clock) for at, connect in enumerate(connects)]
        self._is_changing = False
        self.guarantee = self.legs[0].client.guarantee

    # subscriptions

    def want(self, key: StreamKey) -> None:
        """Keep this stream subscribed on every leg from now on. Idempotent."""
        race = self._races.setdefault(key, Race(self._clock))
        self._change(lambda leg: leg.want(key, race))

    def unwant(self, key: StreamKey) -> None:
        """Unsubscribe the stream. Idempotent."""
        self._races.pop(key, None)
        self._change(lambda leg: leg.unwant(key))

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Note that a stream may be mute: then it is mute on every leg that has it acknowledged."""
        for leg in self.legs:
            if leg.client.state_of(key) is StreamState.ACKNOWLEDGED:
                leg.client.suspect(key, evidence)

    # state

    def state_of(self, key: StreamKey) -> StreamState:
        """Return the subscription state of a stream on the leg where it is best."""
        is_rejected = False
        for leg in self.legs:
            state = leg.client.state_of(key)
            if state is StreamState.ACKNOWLEDGED:
                return state
            is_rejected |= state is StreamState.REJECTED
        return StreamState.REJECTED if is_rejected else StreamState.PENDING

    def acknowledged_at(self, key: StreamKey) -> float | None:
        """Return since when a leg has a stream without a pause; `None` if none has it."""
        times = (leg.client.acknowledged_at(key) for leg in self.legs)
        return min((at for at in times if at is not None), default=None)

    def rejection(self, key: StreamKey) -> str | None:
        """Return the exchange's error text if a leg was refused the stream and no leg has it, else `None`."""
        if self.state_of(key) is not StreamState.REJECTED:
            return None
        return next(filter(None, (leg.client.rejection(key) for leg in self.legs)), None)

    def statistics(self) -> ClientStatistics:
        """Return the counters of all legs since the start."""
        each = [leg.client.statistics() for leg in self.legs]
        complaints: Counter[str] = Counter()
        for one in each:
            complaints.update(one.complaints)
        return ClientStatistics(
            connections=sum(one.connections for one in each),
            connects=sum(one.connects for one in each),
            rotations=sum(one.rotations for one in each),
            complaints=complaints,
            each=[connection for one in each for connection in one.each],
            addresses=_merged(each),
            ban_seconds=max(one.ban_seconds for one in each),
            legs=[leg.statistics() for leg in self.legs],
        )

    async def run(self) -> None:
        """Run until cancelled, then close every connection."""
        async with asyncio.TaskGroup() as tasks:
            for leg in self.legs:
                tasks.create_task(leg.client.run(), name=f"{self._exchange} leg {leg.number}")
            tasks.create_task(self._watch(), name=f"{self._exchange} legs")

    # events of the legs (LegOwner)

    def handle_status(self) -> None:
        """Take the status of the best leg, and report it if it changed. The only place that changes it."""
        if self._is_changing:
            return
        statuses = [leg.client.status for leg in self.legs]
        best = min(statuses, key=lambda status: _RANK.index(status.state))
        if best.state is not ExchangeState.LIVE:
            waits = [status.retry_at for status in statuses if status.retry_at is not None]
            best = ClientStatus(best.state, best.reason, min(waits, default=None))
        if best != self.status:
            self.status = best
            self._events.on_status(best)

    def handle_invalid(self, leg: Leg, key: StreamKey, trade_id: int) -> None:
        """Pass on the id of an invalid trade if it is invalid on every leg that may bring it."""
        told = self._invalid.setdefault((key, trade_id), set())
        told.add(leg.number)
        if any(
            other.number not in told and other.client.state_of(key) is StreamState.ACKNOWLEDGED
            for other in self.legs
        ):
            if len(self._invalid) > _MOST_INVALID:
                del self._invalid[next(iter(self._invalid))]
            return
        del self._invalid[key, trade_id]
        self._events.on_invalid(key, trade_id)

    # streams that are mute on some legs

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look(self._clock())

    def look(self, now: float) -> None:
        """See which legs bring nothing of a stream that comes on another one. Called once a second."""
        for key in self._races:
            late = [leg for leg in self.legs if not leg.has_news(key, now)]
            for leg in late:
                leg.look_at(key, now, is_behind=len(late) < len(self.legs))
        for leg in self.legs:
            leg.note_look()

    def _change(self, change: Callable[[Leg], None]) -> None:
        """Change every leg, and compare their states once: on the way they differ."""
        was_changing, self._is_changing = self._is_changing, True
        try:
            for leg in self.legs:
                change(leg)
        finally:
            self._is_changing = was_changing
        self.handle_status()


def _merged(legs: Sequence[ClientStatistics]) -> list[AddressStatistics]:
    """Return each address once: as the leg sees it that is connected to it, else as it fares worst."""
    found: dict[str, AddressStatistics] = {}
    used: set[str] = set()
    for leg in legs:
        open_urls = [each.url for each in leg.each if each.opened_at is not None]
        for address in leg.addresses:
            known = found.get(address.url)
            if any(url.startswith(address.url) for url in open_urls):
                used.add(address.url)
                found[address.url] = address
            elif known is None or (address.url not in used and known.rest_seconds < address.rest_seconds):
                found[address.url] = address
    return list(found.values())
