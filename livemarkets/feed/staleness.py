"""Notices streams that are mute though they should not be, without crying wolf on quiet ones.

A silence that is long for its stream is only a suspicion. The second opinion is one cheap REST call: has
the exchange a newer trade than we have? If not, the stream is quiet. If so, the missing trades are
fetched and the stream is subscribed again; if that does not help, or the other streams of its connection
are mute too, the connection is replaced, make before break.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
from loguru import logger

from livemarkets.errors import ExchangeError
from livemarkets.feed.ledger import Ledger
from livemarkets.feed.silence import Rhythm, RhythmLimits

__all__ = ["WatchLimits", "Watcher"]

_GRACE_SECONDS = 0.3
_QUESTIONS_AT_ONCE = 4


class WatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the watcher may do."""

    rhythm: RhythmLimits = RhythmLimits()
    resubscribe_seconds: float = 20.0
    """A stream that is mute again within this time after it was subscribed anew has a bad connection."""


class Upstream(Protocol):
    """What can be asked and done about a stream."""

    def is_acknowledged(self, symbol: str) -> bool:
        """Whether the exchange confirmed the stream."""

    def neighbours(self, symbol: str) -> set[str]:
        """The symbols on the same connection, itself included."""

    def resubscribe(self, symbol: str) -> None:
        """Ask for the stream again."""

    def rotate(self, symbol: str, reason: str) -> None:
        """Replace the connection."""


class NewestID(Protocol):
    """The second opinion (:class:`livemarkets.exchanges.binance.rest.BinanceRest`)."""

    async def newest_id(self, symbol: str) -> int | None:
        """Return the newest trade id that the exchange has."""


class _Stream:
    """One watched stream."""

    def __init__(self, ledger: Ledger, rhythm: Rhythm) -> None:
        self.ledger = ledger
        self.rhythm = rhythm
        self.baseline: int | None = None  # the newest id when there was no trade of ours to compare with
        self.resubscribed_at: float | None = None
        self.was_acknowledged = False
        self.is_mute = False


class Watcher:
    """Watches the streams of one exchange.

    Args:
        upstream: see there.
        second_opinion: see there.
        tend: called with a ledger that turned out to miss trades.
        on_change: called when the set of mute streams changed.
        limits: see there.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        upstream: Upstream,
        second_opinion: NewestID,
        tend: Callable[[Ledger], None],
        on_change: Callable[[], None],
        *,
        limits: WatchLimits,
        clock: Callable[[], float],
    ) -> None:
        self.questions = 0
        """Second opinions asked for."""
        self._upstream = upstream
        self._second_opinion = second_opinion
        self._tend = tend
        self._on_change = on_change
        self._limits = limits
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._asking: set[str] = set()

    @property
    def mute(self) -> list[str]:
        """The symbols whose streams are mute now."""
        return [symbol for symbol, stream in self._streams.items() if stream.is_mute]

    def add(self, ledger: Ledger) -> Rhythm:
        """Watch a stream from now on. The rhythm returned is to be fed by whoever reads the stream."""
        rhythm = Rhythm(self._limits.rhythm, self._clock())
        self._streams[ledger.key.symbol] = _Stream(ledger, rhythm)
        return rhythm

    def discard(self, symbol: str) -> None:
        """Watch it no more."""
        stream = self._streams.pop(symbol, None)
        if stream is not None and stream.is_mute:
            self._on_change()

    def handle_arrival(self, symbol: str) -> None:
        """A mute stream spoke: it is not mute."""
        stream = self._streams.get(symbol)
        if stream is not None and stream.is_mute:
            stream.is_mute = False
            logger.info("{}: no longer mute", symbol)
            self._on_change()

    async def run(self) -> None:
        """Do it until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(self._limits.rhythm.slot_seconds)
                for symbol in self.suspects(self._clock()):
                    self._asking.add(symbol)
                    tasks.create_task(self._ask(symbol), name=f"second opinion on {symbol}")

    def suspects(self, now: float) -> list[str]:
        """Close a slot of time for every stream and return the symbols to ask about."""
        found: list[str] = []
        for symbol, stream in self._streams.items():
            rhythm = stream.rhythm
            if rhythm.arrivals and stream.is_mute:
                self.handle_arrival(symbol)
            rhythm.observe(now)
            acknowledged = self._upstream.is_acknowledged(symbol)
            if acknowledged and not stream.was_acknowledged:
                # What was missed while the stream was away shows soon: at the first trade, or by a question.
                rhythm.restart(now)
            stream.was_acknowledged = acknowledged
            if acknowledged and symbol not in self._asking and rhythm.is_suspicious(now):
                found.append(symbol)
        return found[: max(0, _QUESTIONS_AT_ONCE - len(self._asking))]

    async def _ask(self, symbol: str) -> None:
        stream = self._streams.get(symbol)
        try:
            if stream is not None:
                self.questions += 1
                newest = await self._second_opinion.newest_id(symbol)
                await self._judge(symbol, stream, newest)
        except ExchangeError as error:
            logger.debug("{}: no second opinion on its silence: {}", symbol, error)
            if stream is not None:
                self._judge_alone(symbol, stream)
        finally:
            self._asking.discard(symbol)

    async def _judge(self, symbol: str, stream: _Stream, newest: int | None) -> None:
        if not self._is_behind(stream, newest):
            stream.rhythm.reassure(self._clock())
            return
        await asyncio.sleep(_GRACE_SECONDS)  # it may be on its way
        if newest is not None and self._is_behind(stream, newest) and self._streams.get(symbol) is stream:
            if stream.ledger.expect(newest, self._clock()):
                self._tend(stream.ledger)
            self._act(symbol, stream)

    def _is_behind(self, stream: _Stream, newest: int | None) -> bool:
        if newest is None:
            return False
        if stream.ledger.next_id is not None:
            return stream.ledger.newest_seen() < newest
        if stream.baseline is None:
            stream.baseline = newest
        return newest > stream.baseline

    def _judge_alone(self, symbol: str, stream: _Stream) -> None:
        """Without a second opinion: only a connection whose every lively stream is silent is replaced."""
        now = self._clock()
        neighbours = [other.rhythm for other in self._known(self._upstream.neighbours(symbol))]
        lively = [rhythm for rhythm in neighbours if rhythm.usual_silence() < rhythm.limits.unknown_seconds]
        if len(lively) > 1 and all(rhythm.is_silent(now) for rhythm in lively):
            self._upstream.rotate(symbol, "all its streams are silent")
        stream.rhythm.reassure(now)

    def _act(self, symbol: str, stream: _Stream) -> None:
        now = self._clock()
        others = self._known(self._upstream.neighbours(symbol) - {symbol})
        recently = stream.resubscribed_at is not None and (
            now - stream.resubscribed_at < self._limits.resubscribe_seconds
        )
        if recently or (others and all(other.is_mute or other.rhythm.is_suspicious(now) for other in others)):
            self._upstream.rotate(symbol, f"{symbol} is mute on it")
        else:
            logger.warning("{}: mute: the exchange has newer trades; subscribing again", symbol)
            self._upstream.resubscribe(symbol)
        stream.resubscribed_at = now
        stream.rhythm.restart(now)
        if not stream.is_mute:
            stream.is_mute = True
            self._on_change()

    def _known(self, symbols: Iterable[str]) -> list[_Stream]:
        return [self._streams[symbol] for symbol in symbols if symbol in self._streams]
