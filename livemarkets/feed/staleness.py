"""Detects trades that a stream did not bring and that no later trade shows.

One call asks the exchange for the newest ids of many streams: of all streams that were interrupted, and of
streams that are silent for unusually long. If the exchange has no newer trade, the stream is whole, or quiet.
If it has one, the missing trades are fetched. If the stream was silent for long, it is *mute*: the client is
told, and decides how to restart the stream. Whatever bears the newest id of a stream is evidence too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable
from livemarkets.exchanges.base import Evidence, Silence, StreamState
from livemarkets.feed.ledger import Ledger, Outcome
from livemarkets.feed.monitored_stream import MonitoredStream
from livemarkets.feed.silence import SilenceDetector, SilenceLimits
from livemarkets.market.models import StreamKey
from livemarkets.rate_limit import LogLimiter

__all__ = ["StalenessLimits", "StalenessMonitor"]

_LOG_SECONDS = 60.0


class StalenessLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a staleness monitor."""

    silence: SilenceLimits = SilenceLimits()
    grace_seconds: float = 0.3
    """How long a trade of which the exchange told may still be on its way."""
    gather_seconds: float = 0.8
    """After a reconnect, how long the question waits for further streams to be acknowledged."""
    retry_seconds: float = 1.0
    """After a question without an answer, it is asked again after this time, then after twice this time."""
    retry_most_seconds: float = 30.0


class Upstream(Protocol):
    """The exchange's client; a part of :class:`livemarkets.exchanges.base.ExchangeClient`."""

    def state_of(self, key: StreamKey) -> StreamState:
        """Return the subscription state of a stream at the exchange."""

    def acknowledged_at(self, key: StreamKey) -> float | None:
        """Return when the exchange confirmed its present subscription, monotonic seconds."""

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        """Report that a stream may be mute."""


class SecondOpinion(Protocol):
    """The exchange's REST API; a part of :class:`livemarkets.exchanges.base.TradeHistory`."""

    async def newest_ids(self, symbols: Sequence[str]) -> Mapping[str, int]:
        """Return the newest trade id of each symbol that has traded."""


class StalenessMonitor:
    """Monitors the streams of one exchange.

    Args:
        upstream: the exchange's client.
        second_opinion: the exchange's REST API.
        take: called with a ledger that misses trades, and what changed in it.
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
        take: Callable[[Ledger, Outcome], None],
        on_change: Callable[[], None],
        is_expected: Callable[[StreamKey], bool] = lambda key: True,
        *,
        limits: StalenessLimits,
        clock: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._second_opinion = second_opinion
        self._take = take
        self._on_change = on_change
        self._is_expected = is_expected
        self._limits = limits
        self._clock = clock
        self._streams: dict[StreamKey, MonitoredStream] = {}
        self._asking: set[StreamKey] = set()
        self._failures = 0  # consecutive questions without an answer
        self._retry_at = 0.0
        self._wake = asyncio.Event()
        self._lines = LogLimiter(interval_seconds=_LOG_SECONDS, clock=clock)

    @property
    def mute(self) -> list[StreamKey]:
        """The streams that are mute at present."""
        return [key for key, stream in self._streams.items() if stream.is_mute]

    def is_mute(self, key: StreamKey) -> bool:
        """Return whether the exchange has newer trades of this stream, and they do not arrive."""
        stream = self._streams.get(key)
        return stream is not None and stream.is_mute

    def add(self, ledger: Ledger) -> SilenceDetector:
        """Monitor a stream. The caller must update the returned detector with every trade."""
        silence = SilenceDetector(self._limits.silence, self._clock())
        self._streams[ledger.key] = MonitoredStream(ledger, silence)
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

    def note_status(self, *, is_live: bool) -> None:
        """Note which streams are acknowledged at this moment, without waiting for the end of the time slot.

        Args:
            is_live: every wanted stream is acknowledged, so that nobody need be waited for.

        """
        self._note_acknowledged(self._clock())
        if is_live:
            self._wake.set()

    def note_newest(self, key: StreamKey, trade_id: int) -> None:
        """Note an id that something showed as the newest of a stream. The trade may still be on its way."""
        stream = self._streams.get(key)
        if stream is not None:
            stream.note_claim(trade_id, self._clock())

    async def run(self) -> None:
        """Run until cancelled."""
        slot_at = self._clock()
        async with asyncio.TaskGroup() as tasks:
            while True:
                now = self._clock()
                if now >= slot_at:
                    slot_at = now + self._limits.silence.slot_seconds
                    self.observe(now)
                self._note_acknowledged(now)
                keys = [] if self._asking else self.to_ask(now)
                if keys:
                    self._asking.update(keys)
                    streams = {key: self._streams[key] for key in keys}
                    tasks.create_task(self._ask(streams), name=f"newest ids of {len(keys)} streams")
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(slot_at - self._clock()):
                        await self._wake.wait()

    def observe(self, now: float) -> None:
        """End a time slot for every stream."""
        for key, stream in self._streams.items():
            if stream.is_mute and (stream.silence.arrivals or not self._is_expected(key)):
                stream.is_mute = False
                if stream.silence.arrivals:
                    self._note_again(key)
                self._on_change()
            stream.silence.observe(now)
            newest = stream.take_claim(now - self._limits.grace_seconds)
            if newest is not None:
                self._judge(stream, newest, now)

    def _note_again(self, key: StreamKey) -> None:
        more = self._lines.suppressed_since_last("again")
        if more is not None:
            logger.info("{}: trades arrive again{}", key, f", as for {more} more streams" if more else "")

    def _note_acknowledged(self, now: float) -> None:
        for key, stream in self._streams.items():
            at = self._upstream.acknowledged_at(key)
            stream.is_acknowledged = at is not None
            if at is None or at == stream.began_at:
                continue
            stream.began_at = at
            if stream.silence.last_at <= at:  # else a trade came since then, and shows what is missing
                stream.silence.restart(now)
                if stream.ledger.next_id is not None:  # else it misses nothing
                    stream.interrupted_at = now

    def to_ask(self, now: float) -> list[StreamKey]:
        """Return the streams to ask about now, in one question."""
        interrupted = self._interrupted(now)
        suspects = [
            (key, stream)
            for key, stream in self._streams.items()
            if stream.is_acknowledged and stream.silence.is_suspicious(now) and self._is_expected(key)
        ]
        if not interrupted and not any(stream.silence.is_urgent(now) for _, stream in suspects):
            return []
        return list(dict.fromkeys([*interrupted, *(key for key, _ in suspects)]))

    def _interrupted(self, now: float) -> list[StreamKey]:
        """Return the streams that were interrupted and may miss trades that no later trade shows."""
        found: dict[StreamKey, float] = {}
        for key, stream in self._streams.items():
            if stream.interrupted_at is None or not stream.is_acknowledged:
                continue
            if stream.silence.last_at > stream.interrupted_at or not self._is_expected(key):
                stream.interrupted_at = None  # a trade came since then, and shows what is missing
            else:
                found[key] = stream.interrupted_at
        if not found or now < self._retry_at:
            return []
        is_gathered = now - min(found.values()) >= self._limits.gather_seconds
        if not is_gathered and any(self._upstream.state_of(k) is StreamState.PENDING for k in self._streams):
            return []
        return list(found)

    async def _ask(self, streams: Mapping[StreamKey, MonitoredStream]) -> None:
        asked_at = self._clock()
        try:
            newest = await self._second_opinion.newest_ids([key.symbol for key in streams])
            now = self._clock()
            self._failures, self._retry_at = 0, 0.0
            behind = []
            for key, stream in streams.items():
                if stream.interrupted_at is not None and stream.interrupted_at <= asked_at:
                    stream.interrupted_at = None
                if stream.is_behind(newest.get(key.symbol)):
                    behind.append(stream)
                else:
                    self._note_whole(stream, now)
            if behind:
                await asyncio.sleep(self._limits.grace_seconds)  # the trade may still be on its way
                for stream in sorted(behind, key=lambda stream: stream.ledger.last_ts):
                    self._judge(stream, newest[stream.ledger.key.symbol], self._clock())
        except ExchangeError as error:
            self._note_failure(streams, error)
        finally:
            self._asking.clear()

    def _note_failure(self, streams: Mapping[StreamKey, MonitoredStream], error: ExchangeError) -> None:
        now, limits = self._clock(), self._limits
        logger.debug("could not ask for the newest ids of {} streams: {}", len(streams), error)
        wait = min(limits.retry_seconds * 2 ** min(self._failures, 16), limits.retry_most_seconds)
        told = error.retry_after_seconds if isinstance(error, ExchangeUnreachable) else None
        self._retry_at = now + max(wait, told or 0.0)
        self._failures += 1
        for key, stream in streams.items():
            if self._streams.get(key) is stream and stream.silence.is_suspicious(now):
                self._upstream.suspect(key, Evidence.SILENT)
                stream.silence.postpone(now)

    def _note_whole(self, stream: MonitoredStream, now: float) -> None:
        """Note that the exchange has no newer trade: the stream is whole. Perhaps it is quiet."""
        if stream.silence.is_suspicious(now):
            stream.silence.reassure(now)
        if stream.is_mute and stream.silence.is_rare():
            stream.is_mute = False  # its next trade may be far away
            self._on_change()

    def _judge(self, stream: MonitoredStream, newest: int, now: float) -> None:
        """Act on what the exchange is said to have, after the grace."""
        ledger = stream.ledger
        if self._streams.get(ledger.key) is not stream or not stream.is_behind(newest):
            return
        self._take(ledger, ledger.expect(newest, now))
        known = ledger.newest_known()
        if known is not None and known < newest:
            return  # it is not believed
        if now - stream.silence.last_at < self._limits.silence.floor_seconds:
            return  # it was interrupted, or lost a trade, but it is not silent
        self._upstream.suspect(ledger.key, Evidence.BEHIND)
        stream.silence.restart(now)
        if not stream.is_mute:
            stream.is_mute = True
            self._on_change()
