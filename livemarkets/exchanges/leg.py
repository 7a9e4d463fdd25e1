"""One of several clients that bring the same streams: what it brings, and which of its streams are mute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from livemarkets.exchanges.base import (
    ClientStatus,
    Evidence,
    ExchangeClient,
    ExchangeEvents,
    Silence,
    StreamState,
)
from livemarkets.exchanges.leg_streams import LegStream, LegTally, Race
from livemarkets.exchanges.statistics import LegStatistics, without_credentials
from livemarkets.market.models import ExchangeState, StreamKey, TradeTick
from livemarkets.market.updates import StreamUpdate

__all__ = ["MUTE_SECONDS", "Leg", "LegOwner"]

MUTE_SECONDS = 10.0
"""A stream that brings nothing for this long while it comes on another leg is mute on this one."""
_MOST_SUSPECT_SECONDS = 600.0
"""A stream that stays mute is suspected again after ever longer times, up to this."""
_JUST_SECONDS = 2.5
_LEAD_SECONDS = 60.0


class LegOwner(Protocol):
    """What a leg needs of its owner. Called synchronously."""

    def handle_status(self) -> None:
        """The status of a leg changed."""

    def handle_invalid(self, leg: Leg, key: StreamKey, trade_id: int) -> None:
        """A leg brought a trade with impossible values."""


class _Watched:
    """What is known of the silence of one stream on one leg. Times are monotonic seconds."""

    __slots__ = ("arrived_at", "behind_since", "is_mute", "seen", "suspect_at", "suspect_seconds")

    def __init__(self) -> None:
        self.seen = 0  # arrivals at the last look
        self.arrived_at = float("-inf")
        self.behind_since: float | None = (
            None  # since when another leg has brought something that this has not
        )
        self.is_mute = False
        self.suspect_at = 0.0
        self.suspect_seconds = 0.0


class Leg:
    """A client with its tally. It passes on its events, and is the judge of its own silence.

    Args:
        number: from 1 on.
        connect: makes the client.
        events: of the whole exchange.
        owner: of the legs.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        number: int,
        connect: Callable[[Leg], ExchangeClient],
        events: ExchangeEvents,
        owner: LegOwner,
        clock: Callable[[], float],
    ) -> None:
        self.number = number
        self.tally = LegTally()
        self._events = events
        self._pass_trades = events.on_trades
        self._pass_update = events.on_update
        self._owner = owner
        self._clock = clock
        self._streams: dict[StreamKey, LegStream] = {}
        self._watched: dict[StreamKey, _Watched] = {}
        self._since = clock()
        self._state = ExchangeState.IDLE
        self.client = connect(self)

    # streams

    def want(self, key: StreamKey, race: Race) -> None:
        """Keep this stream subscribed. Idempotent."""
        if key not in self._streams:
            self._streams[key] = LegStream(race, self.tally, self._clock)
            self._watched[key] = _Watched()
        self.client.want(key)

    def unwant(self, key: StreamKey) -> None:
        """Unsubscribe the stream. Idempotent."""
        self._streams.pop(key, None)
        self._watched.pop(key, None)
        self.client.unwant(key)

    # events of the client (ExchangeEvents)

    def on_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        """Pass trades on, then count them."""
        self._pass_trades(key, ticks)
        stream = self._streams.get(key)
        if stream is not None:
            stream.take_trades(ticks)

    def on_update(self, key: StreamKey, update: StreamUpdate) -> None:
        """Pass an update on, unless another leg has brought a later one."""
        stream = self._streams.get(key)
        if stream is None or not stream.take_update(update):
            self._pass_update(key, update)

    def on_invalid(self, key: StreamKey, trade_id: int) -> None:
        """Let the owner decide: another leg may bring the trade with possible values."""
        if (stream := self._streams.get(key)) is not None:
            stream.arrivals += 1
        self._owner.handle_invalid(self, key, trade_id)

    def on_newest(self, key: StreamKey, trade_id: int) -> None:
        """Pass on an id that something showed as the newest."""
        self._events.on_newest(key, trade_id)

    def on_status(self, status: ClientStatus) -> None:
        """Note a new state, and let the owner compare the legs."""
        self._note_state()
        self._owner.handle_status()

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a stream on this leg means. Trades of another leg do not end it."""
        watched = self._watched.get(key)
        if watched is None:
            return Silence.NATURAL
        if watched.is_mute:
            return Silence.UNUSUAL
        if self._clock() - watched.arrived_at <= _JUST_SECONDS or self._streams[key].arrivals > watched.seen:
            return Silence.NONE
        silence = self._events.silence_of(key)
        return Silence.NATURAL if silence is Silence.NONE else silence

    # mute streams

    def has_news(self, key: StreamKey, now: float) -> bool:
        """Return whether a stream brought something since the last look."""
        watched, arrivals = self._watched[key], self._streams[key].arrivals
        if arrivals == watched.seen:
            return False
        watched.seen, watched.arrived_at = arrivals, now
        watched.behind_since, watched.is_mute, watched.suspect_seconds = None, False, 0.0
        return True

    def look_at(self, key: StreamKey, now: float, *, is_behind: bool) -> None:
        """See whether a stream is mute.

        Args:
            key: a stream that has brought nothing since the last look.
            now: monotonic seconds.
            is_behind: whether another leg has brought something since then.

        """
        watched = self._watched[key]
        if is_behind and watched.behind_since is None:
            watched.behind_since = now
        if watched.behind_since is None:
            return
        if self.client.state_of(key) is not StreamState.ACKNOWLEDGED:
            watched.behind_since, watched.is_mute = None, False
            return
        if now - watched.behind_since < MUTE_SECONDS:
            return
        watched.is_mute = True
        if now >= watched.suspect_at or not watched.suspect_seconds:
            watched.suspect_seconds = min(
                max(2 * watched.suspect_seconds, MUTE_SECONDS), _MOST_SUSPECT_SECONDS
            )
            watched.suspect_at = now + watched.suspect_seconds
            self.client.suspect(key, Evidence.BEHIND)

    def note_look(self) -> None:
        """Note that every stream was looked at."""
        self._note_state()

    # state

    def _note_state(self) -> None:
        state = self.client.status.state
        if state is ExchangeState.LIVE and any(watched.is_mute for watched in self._watched.values()):
            state = ExchangeState.STALE
        if state is not self._state:
            self._state, self._since = state, self._clock()

    def statistics(self) -> LegStatistics:
        """Return what it brought, and its state."""
        now, tally, status = self._clock(), self.tally, self.client.status
        leads = sorted(seconds for at, seconds in tally.leads if now - at <= _LEAD_SECONDS)
        last = len(leads) - 1
        mute = sum(watched.is_mute for watched in self._watched.values())
        urls = [each.url for each in self.client.statistics().each if each.opened_at is not None]
        return LegStatistics(
            number=self.number,
            state=self._state,
            reason=_mute(mute) if self._state is ExchangeState.STALE else status.reason,
            since=self._since,
            urls=tuple(dict.fromkeys(map(without_credentials, urls))),
            brought=tally.brought,
            first=tally.first,
            missed=tally.missed,
            disagreed=tally.disagreed,
            lead=tally.lead,
            lead_p50_ms=round(leads[round(last * 0.5)] * 1000, 3) if leads else None,
            lead_p99_ms=round(leads[round(last * 0.99)] * 1000, 3) if leads else None,
        )


def _mute(streams: int) -> str:
    return "1 stream is mute" if streams == 1 else f"{streams} streams are mute"
