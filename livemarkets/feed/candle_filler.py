"""Asks the exchange's history for what the streams of candles did not bring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from loguru import logger

from livemarkets.errors import ExchangeError, ExchangeUnreachable
from livemarkets.exchanges.base import PAGE_CANDLES, CandleHistory, Purpose
from livemarkets.feed.candle_streams import CandleStream
from livemarkets.market.candles import Candle, ReleasedCandle
from livemarkets.market.clock import Clock

__all__ = ["CandleFiller"]

_CHECK_SECONDS = 0.1
_FIRST_CANDLES = 2
"""How many are asked for if nothing is known yet."""


class CandleFiller:
    """Asks for what is missing in the streams of candles of one exchange.

    Each stream has at most one call at a time. How many streams call at once is decided by the source, which
    keeps the exchange's rate limit.

    Args:
        source: the exchange's history.
        take: called with a stream, what was fetched, and what is released.
        clock: source of the time.

    """

    def __init__(
        self,
        source: CandleHistory,
        take: Callable[[CandleStream, Sequence[Candle], Sequence[ReleasedCandle]], None],
        clock: Clock,
    ) -> None:
        self.asked = 0
        """Calls since the start."""
        self._source = source
        self._take = take
        self._clock = clock.monotonic
        self._now_ms = clock.now_ms
        self._open: dict[CandleStream, asyncio.Task[None] | None] = {}
        self._wake = asyncio.Event()

    def tend(self, stream: CandleStream) -> bool:
        """Ask for what this stream needs. Return `False` if that is done already."""
        if stream in self._open:
            return False
        self._open[stream] = None
        self._wake.set()
        return True

    def forget(self, stream: CandleStream) -> None:
        """Stop asking for a stream. Idempotent."""
        task = self._open.pop(stream, None)
        if task is not None:
            task.cancel()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                if not self._open:
                    self._wake.clear()
                    await self._wake.wait()
                for stream in list(self._open):
                    self._look_at(stream, tasks)
                await asyncio.sleep(_CHECK_SECONDS)

    def _look_at(self, stream: CandleStream, tasks: asyncio.TaskGroup) -> None:
        now = self._clock()
        if released := stream.line.give_up(now):
            self._take(stream, (), released)
        task = self._open.get(stream)
        if task is not None and not task.done():
            return
        if not stream.needs_history(now, self._now_ms()):
            self.forget(stream)
        elif now >= stream.ask_at:
            name = f"candles of {stream.key.symbol} {stream.key.parameter}"
            self._open[stream] = tasks.create_task(self._ask(stream), name=name)

    async def _ask(self, stream: CandleStream) -> None:
        line, key = stream.line, stream.key
        start_ts = line.ask_from
        self.asked += 1
        try:
            found = await self._source.candles(
                key.symbol,
                key.parameter or "",
                limit=_FIRST_CANDLES if start_ts is None else PAGE_CANDLES,
                start_ts=start_ts,
                purpose=self._purpose(stream),
            )
        except ExchangeError as error:
            logger.debug("candles of {} {} cannot be fetched: {}", key.symbol, key.parameter, error)
            wait = error.retry_after_seconds if isinstance(error, ExchangeUnreachable) else None
            self._postpone(stream, wait or 0.0)
            return
        now, exchange_ms = self._clock(), stream.exchange_ms(self._now_ms())
        if start_ts is None:
            released = line.begin(found, now, exchange_ms)
        else:
            released = line.answer(found, now, exchange_ms)
        stream.answered_at = now
        if any(isinstance(each, Candle) and each.closed and each.trades for each in released):
            stream.asks = 0
        self._postpone(stream)
        self._take(stream, found, released)

    def _purpose(self, stream: CandleStream) -> Purpose:
        """Return how urgent a call is. While a stream is away for long, its calls are many and go last."""
        if self._clock() - stream.last_at >= stream.limits.quiet_seconds:
            return Purpose.LIST
        return Purpose.CHECK if stream.line.waiting_since is None else Purpose.HOLE

    def _postpone(self, stream: CandleStream, at_least_seconds: float = 0.0) -> None:
        limits = stream.limits
        waits = stream.line.waiting_since is not None
        most = limits.retry_most_seconds if waits else limits.retry_idle_seconds
        delay = min(limits.retry_seconds * 2 ** min(stream.asks, 10), most)
        stream.asks += 1
        stream.ask_at = self._clock() + max(delay, at_least_seconds)
