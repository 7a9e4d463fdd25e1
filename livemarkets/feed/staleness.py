"""Notices streams that are mute though they should not be, and leaves quiet ones alone.

A silence that is long for its stream is only a suspicion. The second opinion is one cheap REST call: has
the exchange a newer trade than we have? If not, the stream is quiet. If so, the missing trades are fetched,
and the client hears that the stream is behind: how it gets the stream going again is the client's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from loguru import logger

from livemarkets.errors import ExchangeError
from livemarkets.exchanges.base import Evidence, Silence, StreamState
from livemarkets.feed.ledger import Ledger
from livemarkets.feed.silence import SilenceDetector, SilenceLimits
from livemarkets.market.models import StreamKey

__all__ = ["StalenessLimits", "StalenessMonitor"]

_GRACE_SECONDS = 0.3
_QUESTIONS_AT_ONCE = 4


class StalenessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the watcher may do."""

    silence: SilenceLimits = SilenceLimits()


class Upstream(Protocol):
    """What is asked and told about a stream; a part of :class:`livemarkets.exchanges.base.ExchangeClient`."""

    def state_of(self, key: StreamKey) -> StreamState:
        """Return where a stream stands with the exchange."""

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Hear that a stream may be mute."""


class SecondOpinion(Protocol):
    """Who knows better; a part of :class:`livemarkets.exchanges.base.TradeHistory`."""

    async def newest_ids(self, symbols: Sequence[str]) -> Mapping[str, int]:
        """Return the newest trade id of each symbol that has traded."""


class _Stream:
    """One watched stream."""

    def __init__(self, ledger: Ledger, silence: SilenceDetector) -> None:
        self.ledger = ledger
        self.silence = silence
        self.baseline: int | None = None  # the newest id when there was no trade of ours to compare with
        self.was_acknowledged = False
        self.is_mute = False


class StalenessMonitor:
    """Watches the streams of one exchange.

    Args:
        upstream: the exchange's client.
        second_opinion: the exchange's history.
        tend: called with a ledger that turned out to miss trades.
        on_change: called when the set of mute streams changed.
        limits: tolerances.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        upstream: Upstream,
        second_opinion: SecondOpinion,
        tend: Callable[[Ledger], None],
        on_change: Callable[[], None],
        *,
        limits: StalenessLimits,
        clock: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._second_opinion = second_opinion
        self._tend = tend
        self._on_change = on_change
        self._limits = limits
        self._clock = clock
        self._streams: dict[StreamKey, _Stream] = {}
        self._asking: set[StreamKey] = set()

    @property
    def mute(self) -> list[StreamKey]:
        """The streams that are mute now."""
        return [key for key, stream in self._streams.items() if stream.is_mute]

    def add(self, ledger: Ledger) -> SilenceDetector:
        """Watch a stream from now on. The rhythm returned is to be fed by whoever reads the stream."""
        silence = SilenceDetector(self._limits.silence, self._clock())
        self._streams[ledger.key] = _Stream(ledger, silence)
        return silence

    def discard(self, key: StreamKey) -> None:
        """Watch it no more."""
        stream = self._streams.pop(key, None)
        if stream is not None and stream.is_mute:
            self._on_change()

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a watched stream says of its connection."""
        stream = self._streams.get(key)
        if stream is None:
            return Silence.NATURAL
        return Silence.UNUSUAL if stream.is_mute else stream.silence.meaning(self._clock())

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(self._limits.silence.slot_seconds)
                for key in self.suspects(self._clock()):
                    self._asking.add(key)
                    tasks.create_task(self._ask(key), name=f"second opinion on {key.symbol}")

    def suspects(self, now: float) -> list[StreamKey]:
        """Close a slot of time for every stream and return the streams to ask about."""
        found: list[StreamKey] = []
        for key, stream in self._streams.items():
            silence = stream.silence
            if silence.arrivals and stream.is_mute:
                stream.is_mute = False
                logger.info("{}: trades arrive again", key)
                self._on_change()
            silence.observe(now)
            acknowledged = self._upstream.state_of(key) is StreamState.ACKNOWLEDGED
            if acknowledged and not stream.was_acknowledged:
                # What was missed while the stream was away shows soon: at the first trade, or by a question.
                silence.restart(now)
            stream.was_acknowledged = acknowledged
            if acknowledged and key not in self._asking and silence.is_suspicious(now):
                found.append(key)
        return found[: max(0, _QUESTIONS_AT_ONCE - len(self._asking))]

    async def _ask(self, key: StreamKey) -> None:
        stream = self._streams.get(key)
        try:
            if stream is not None:
                newest = await self._second_opinion.newest_ids([key.symbol])
                await self._judge(key, stream, newest.get(key.symbol))
        except ExchangeError as error:
            logger.debug("{}: could not ask the exchange for its newest trade id: {}", key, error)
            if stream is not None and self._streams.get(key) is stream:
                self._upstream.suspect(key, Evidence.SILENT)
                stream.silence.postpone(self._clock())
        finally:
            self._asking.discard(key)

    async def _judge(self, key: StreamKey, stream: _Stream, newest: int | None) -> None:
        if not self._is_behind(stream, newest):
            stream.silence.reassure(self._clock())
            return
        await asyncio.sleep(_GRACE_SECONDS)  # it may be on its way
        if newest is not None and self._is_behind(stream, newest) and self._streams.get(key) is stream:
            now = self._clock()
            if stream.ledger.expect(newest, now):
                self._tend(stream.ledger)
            self._upstream.suspect(key, Evidence.BEHIND)
            stream.silence.restart(now)
            if not stream.is_mute:
                stream.is_mute = True
                self._on_change()

    def _is_behind(self, stream: _Stream, newest: int | None) -> bool:
        if newest is None:
            return False
        if stream.ledger.next_id is not None:
            return stream.ledger.newest_seen() < newest
        if stream.baseline is None:
            stream.baseline = newest
        return newest > stream.baseline
