"""Past candles for readers: a snapshot, or everything since the last one that a reader has.

What memory does not hold is fetched. For a snapshot, memory is extended backwards, so that one call serves
all readers of the stream. A resumption fetches page by page, at the pace of its reader, up to what memory
holds. Either way the caller takes the rest from memory, and joins the stream without an `await` in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from msgspec.structs import replace

from livemarkets.errors import ExchangeError
from livemarkets.exchanges.base import PAGE_CANDLES, CandleHistory, Purpose
from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.candle_line import CandleLine
from livemarkets.feed.candle_proof import CandleProof
from livemarkets.feed.candle_streams import CandleStream
from livemarkets.feed.patience import Patience, ResumeLimits
from livemarkets.feed.question import Question
from livemarkets.market.candles import Candle, CandleGap, ReleasedCandle
from livemarkets.market.clock import Clock
from livemarkets.market.models import StreamKey

__all__ = ["CandlePart", "PastCandles"]

Publish = Callable[[StreamKey, Sequence[ReleasedCandle]], None]


class CandlePart(NamedTuple):
    """The next part of a resumption."""

    items: Sequence[ReleasedCandle]
    """Closed candles and gaps, oldest first."""
    told_to: int
    """The open time up to which the reader has everything, when it has these."""


class PastCandles:
    """The past candles of one exchange.

    Args:
        source: the exchange's history.
        streams: returns a wanted stream; `None` if it is not wanted.
        publish: publishes what the first answer of a stream released.
        limits: sizes and time limits (:class:`CandleLimits`).
        clock: source of the time.

    """

    def __init__(
        self,
        source: CandleHistory,
        streams: Callable[[StreamKey], CandleStream | None],
        publish: Publish,
        limits: CandleLimits,
        clock: Clock,
    ) -> None:
        self._source = source
        self._stream = streams
        self._publish = publish
        self._limits = limits
        self._clock = clock.monotonic
        self._now_ms = clock.now_ms
        self._questions: dict[tuple[StreamKey, int | None, int | None], Question[list[Candle] | None]] = {}

    async def ensure(self, key: StreamKey, count: int, asker: str | None) -> None:
        """Have so many closed candles in memory, if the exchange has them. Give up after the time limit.

        Args:
            key: the stream. It must be wanted already.
            count: how many.
            asker: the reader. Its share of the exchange's rate limit is bounded.

        """
        patience = self._patience()
        while (stream := self._stream(key)) is not None and _lacks(stream.line, count):
            oldest = stream.line.oldest
            limit = min(count - len(stream.line.closed) + 1, PAGE_CANDLES)
            end_ts = None if oldest is None else oldest.open_ts
            found = await self._ask(key, patience, limit=limit, end_ts=end_ts, asker=asker)
            if found is not None and self._use(key, found, limit):
                patience.note_progress()
            elif patience.is_over():
                return
            else:
                await asyncio.sleep(self._limits.confirm_seconds)

    def _use(self, key: StreamKey, found: list[Candle], limit: int) -> bool:
        """Put an answer before what is known. Return whether that was possible."""
        stream = self._stream(key)
        if stream is None:
            return False
        line, now, exchange_ms = stream.line, self._clock(), stream.exchange_ms(self._now_ms())
        if line.oldest is not None:
            is_used = line.prepend(found, now, exchange_ms)
        else:
            self._publish(key, line.begin(found, now, exchange_ms))
            is_used = True
        if is_used and len(found) < limit:
            line.memory.has_oldest = True
        return is_used

    async def resume(self, key: StreamKey, after: int, asker: str | None) -> AsyncGenerator[CandlePart, None]:
        """Yield the closed candles after one, oldest first, until memory holds what follows.

        The next page is fetched only when the caller asks for the next part: a slow reader slows only itself.

        Args:
            key: the stream. It must be wanted already.
            after: the open time of the last closed candle that the reader has.
            asker: the reader. Its share of the exchange's rate limit is bounded.

        """
        patience, proof, told_to = self._patience(), CandleProof(self._limits), after
        if (stream := self._stream(key)) is not None and stream.line.oldest is None:
            await self.ensure(key, 1, asker)
        while (stream := self._stream(key)) is not None:
            line = stream.line
            is_ahead = line.oldest is not None and told_to > line.told_to
            if line.memory.reaches(told_to) and not is_ahead:
                return
            if not is_ahead and (earliest := self._earliest(line)) > told_to + 1:
                yield CandlePart([CandleGap(key, told_to + 1, earliest - 1, "history")], earliest - 1)
                told_to = earliest - 1
            found = None
            if not is_ahead:
                found = await self._ask(key, patience, limit=PAGE_CANDLES, start_ts=told_to + 1, asker=asker)
            if found is not None and (part := self._part(key, found, told_to, proof)) is not None:
                patience.note_progress()
                yield part
                told_to = part.told_to
                continue
            if patience.is_over():
                if (gap := self._rest(key, told_to)) is not None:
                    yield gap
                return
            await asyncio.sleep(self._limits.confirm_seconds)

    def _part(
        self, key: StreamKey, found: Sequence[Candle], told_to: int, proof: CandleProof
    ) -> CandlePart | None:
        """Return what an answer has before memory; `None` if it has nothing that can be told yet."""
        stream = self._stream(key)
        oldest = None if stream is None else stream.line.oldest
        if stream is None or oldest is None:
            return None
        now, exchange_ms = self._clock(), stream.exchange_ms(self._now_ms())
        items: list[Candle] = []
        for candle, later in pairwise(found):
            if candle.open_ts >= oldest.open_ts or not proof.is_final(candle, now, exchange_ms):
                break
            items.append(replace(candle, closed=True))
            told_to = candle.open_ts
            if later.open_ts == oldest.open_ts:
                told_to = oldest.open_ts - 1
        if found and found[0].open_ts == oldest.open_ts:  # nothing is between
            return CandlePart([], oldest.open_ts - 1)
        return CandlePart(items, told_to) if items else None

    def _rest(self, key: StreamKey, told_to: int) -> CandlePart | None:
        """Return the gap up to what memory holds, for a reader that has waited for too long."""
        stream = self._stream(key)
        oldest = None if stream is None else stream.line.oldest
        if oldest is None or oldest.open_ts - 1 <= told_to:
            return None
        gap = CandleGap(key, told_to + 1, oldest.open_ts - 1, "history")
        return CandlePart([gap], oldest.open_ts - 1)

    def _earliest(self, line: CandleLine) -> int:
        """Return from which time on a resumption may fetch candles."""
        oldest = line.oldest
        if oldest is None:
            return 0
        span_ms = oldest.close_ts - oldest.open_ts + 1
        return max(0, oldest.open_ts - self._limits.history_candles * span_ms)

    def _patience(self) -> Patience:
        limits = ResumeLimits(patience_seconds=self._limits.resume_seconds)
        return Patience(limits, lambda since: False, self._clock)

    async def _ask(
        self,
        key: StreamKey,
        patience: Patience,
        *,
        limit: int,
        start_ts: int | None = None,
        end_ts: int | None = None,
        asker: str | None,
    ) -> list[Candle] | None:
        """Return an answer, which all who ask the same at the same time share; `None` without one in time."""
        name = (key, start_ts, limit if start_ts is None else None)
        question = self._questions.get(name)
        if question is None or question.is_over:
            work = self._fetch(key, limit, start_ts, end_ts, asker)
            question = self._questions[name] = Question(work, f"past candles of {key.symbol} {key.parameter}")
        try:
            return await question.answer(patience)
        finally:
            if question.is_over and self._questions.get(name) is question:
                del self._questions[name]

    async def _fetch(
        self, key: StreamKey, limit: int, start_ts: int | None, end_ts: int | None, asker: str | None
    ) -> list[Candle] | None:
        try:
            return await self._source.candles(
                key.symbol,
                key.parameter or "",
                limit=limit,
                start_ts=start_ts,
                end_ts=end_ts,
                purpose=Purpose.RESUME,
                asker=asker,
            )
        except ExchangeError:
            return None


def _lacks(line: CandleLine, count: int) -> bool:
    return count > 0 and not line.memory.has_oldest and len(line.closed) < count
