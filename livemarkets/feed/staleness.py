"""Detects stalled streams, and tells them apart from quiet ones.

A silence that is long for its stream is only a suspicion. One REST call checks whether the exchange has a
newer trade. If it has none, the stream is quiet. If it has one, the stream is *mute*: the missing trades are
fetched, and the client is told. The client decides how to restart the stream.
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
    """Limits of a staleness monitor."""

    silence: SilenceLimits = SilenceLimits()


class Upstream(Protocol):
    """The exchange's client; a part of :class:`livemarkets.exchanges.base.ExchangeClient`."""

    def state_of(self, key: StreamKey) -> StreamState:
        """Return the subscription state of a stream at the exchange."""

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Report that a stream may be mute."""


class SecondOpinion(Protocol):
    """The exchange's REST API; a part of :class:`livemarkets.exchanges.base.TradeHistory`."""

    async def newest_ids(self, symbols: Sequence[str]) -> Mapping[str, int]:
        """Return the newest trade id of each symbol that has traded."""


class _Stream:
    """One monitored stream."""

    def __init__(self, ledger: Ledger, silence: SilenceDetector) -> None:
        self.ledger = ledger
        self.silence = silence
        self.baseline: int | None = (
            None  # the newest id at the first check, if no trade had arrived until then
        )
        self.was_acknowledged = False
        self.is_mute = False


class StalenessMonitor:
    """Monitors the streams of one exchange.

    Args:
        upstream: the exchange's client.
        second_opinion: the exchange's REST API.
        tend: called with a ledger that misses trades.
        on_change: called when the set of mute streams changed.
        is_expected: returns whether trades of a stream are expected. While they are not, as during a halt of
            trading, its silence means nothing and is not asked about.
        limits: tolerances (:class:`StalenessLimits`).
        clock: monotonic seconds.

    """

    def __init__(
        self,
        upstream: Upstream,
        second_opinion: SecondOpinion,
        tend: Callable[[Ledger], None],
        on_change: Callable[[], None],
        is_expected: Callable[[StreamKey], bool] = lambda key: True,
        *,
        limits: StalenessLimits,
        clock: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._second_opinion = second_opinion
        self._tend = tend
        self._on_change = on_change
        self._is_expected = is_expected
        self._limits = limits
        self._clock = clock
        self._streams: dict[StreamKey, _Stream] = {}
        self._asking: set[StreamKey] = set()

    @property
    def mute(self) -> list[StreamKey]:
        """The streams that are mute at present."""
        return [key for key, stream in self._streams.items() if stream.is_mute and self._is_expected(key)]

    def is_mute(self, key: StreamKey) -> bool:
        """Return whether the exchange has newer trades of this stream, and they do not arrive."""
        stream = self._streams.get(key)
        return stream is not None and stream.is_mute

    def add(self, ledger: Ledger) -> SilenceDetector:
        """Monitor a stream. The caller must update the returned detector with every trade."""
        silence = SilenceDetector(self._limits.silence, self._clock())
        self._streams[ledger.key] = _Stream(ledger, silence)
        return silence

    def discard(self, key: StreamKey) -> None:
        """Stop monitoring a stream. Idempotent."""
        stream = self._streams.pop(key, None)
        if stream is not None and stream.is_mute:
            self._on_change()

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a stream says about its connection."""
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
        """End a time slot for every stream. Return the streams to check."""
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
                # Trades missed before the subscription are found at the next trade or the next check.
                silence.restart(now)
            stream.was_acknowledged = acknowledged
            may_ask = acknowledged and key not in self._asking and silence.is_suspicious(now)
            if may_ask and self._is_expected(key):
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
        await asyncio.sleep(_GRACE_SECONDS)  # the trade may still be on its way
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
