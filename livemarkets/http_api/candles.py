"""`/api/candles`: candles of one symbol, from memory, and from the exchange where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
from msgspec.structs import replace
from starlette.requests import HTTPConnection

from livemarkets.errors import ExchangeError, RestError
from livemarkets.exchanges.base import Purpose, StreamState
from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.candle_proof import CandleProof
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.http_api.fetching import FetchGuard, unavailable
from livemarkets.http_api.queries import unlisted
from livemarkets.market.candles import Candle
from livemarkets.market.models import StreamKey

__all__ = ["CandleFinder", "FoundCandles", "Span"]

_WEIGHT = 2
"""Of one call, at Binance (`rest-api.md`, "Kline/Candlestick data")."""


class Span(msgspec.Struct, frozen=True):
    """Which candles are wanted."""

    limit: int
    """At most so many: the newest ones, or with a start the oldest ones."""
    start_ts: int | None
    """The first open time that is wanted."""
    end_ts: int | None
    """The last open time that is wanted, included."""

    def cut(self, candles: Sequence[Candle]) -> Sequence[Candle]:
        """Return those that are wanted. They must be in order."""
        start_ts, end_ts = self.start_ts, self.end_ts
        wanted = [
            candle
            for candle in candles
            if (start_ts is None or candle.open_ts >= start_ts)
            and (end_ts is None or candle.open_ts <= end_ts)
        ]
        return wanted[-self.limit :] if start_ts is None else wanted[: self.limit]


class FoundCandles(msgspec.Struct, frozen=True):
    """Candles, oldest first."""

    candles: Sequence[Candle]
    source: str
    """Where they come from: `memory`, `exchange` or `both`."""


class CandleFinder:
    """Finds candles in memory, and asks the exchange for those that memory lacks.

    Args:
        guard: bounds what requests may ask the exchange.
        now_ms: returns the time, ms since the epoch.

    """

    def __init__(self, guard: FetchGuard, now_ms: Callable[[], int]) -> None:
        self._guard = guard
        self._now_ms = now_ms
        self._proof = CandleProof(CandleLimits())

    def in_memory(self, feed: ExchangeFeed, key: StreamKey, span: Span) -> FoundCandles | None:
        """Return the candles if memory has them all, and the stream delivers; else `None`."""
        line = feed.updates.candles.line(key)
        if line is None or line.oldest is None or line.waiting_since is not None:
            return None
        is_acknowledged = feed.client.state_of(key) is StreamState.ACKNOWLEDGED
        if not is_acknowledged or feed.updates.is_mute(key) or line.is_overdue(self._now_ms()):
            return None
        wanted = span.cut(_kept(feed, key))
        if span.start_ts is not None:
            has_all = line.memory.reaches(span.start_ts - 1)
        else:
            has_all = len(wanted) == span.limit or line.memory.has_oldest
        return FoundCandles(wanted, "memory") if has_all else None

    async def find(
        self, request: HTTPConnection, feed: ExchangeFeed, key: StreamKey, span: Span
    ) -> FoundCandles:
        """Ask the exchange, and return its candles together with those in memory.

        Raises:
            Refused: the request must not make this server ask, or the exchange gave no usable answer, or it
                does not have the symbol.

        """
        try:
            found = await self._guard.ask(
                request,
                feed.exchange,
                (key, span),
                _WEIGHT,
                lambda asker: feed.updates.candle_history.candles(
                    key.symbol,
                    key.parameter or "",
                    limit=span.limit,
                    start_ts=span.start_ts,
                    end_ts=span.end_ts,
                    purpose=Purpose.LIST,
                    asker=asker,
                ),
            )
        except ExchangeError as error:
            is_refusal = isinstance(error, RestError) and error.status == 400
            if is_refusal and key.symbol not in feed.directory.names():
                raise unlisted(feed, key.symbol) from None
            kept = span.cut(_kept(feed, key)) if span.start_ts is None and span.end_ts is None else []
            if not kept:
                raise unavailable(feed.exchange, error) from None
            return FoundCandles(kept, "memory")  # the newest candles are there, though fewer than wanted
        return self._joined(feed, key, self._settled(found), span)

    def _settled(self, found: Sequence[Candle]) -> list[Candle]:
        """Return fetched candles, marked as closed where their figures can no longer change."""
        now_ms, proof = self._now_ms(), self._proof
        settled = [replace(candle, closed=proof.is_old(candle, now_ms)) for candle, _ in pairwise(found)]
        return settled + [replace(last, closed=proof.is_ended(last, now_ms)) for last in found[-1:]]

    def _joined(
        self, feed: ExchangeFeed, key: StreamKey, found: Sequence[Candle], span: Span
    ) -> FoundCandles:
        """Join an answer with what is in memory, which is never behind it, if nothing lies between them."""
        joined = {candle.open_ts: candle for candle in found}
        kept = {candle.open_ts: candle for candle in _kept(feed, key)}
        in_memory = set()
        newest = found[-1].open_ts if found else None
        for open_ts, candle in kept.items():
            fetched = joined.get(open_ts)
            if fetched is None:
                is_next = newest is not None and newest in kept and open_ts > newest
            else:
                is_next = candle.closed or (not fetched.closed and candle.trades >= fetched.trades)
            if is_next:
                joined[open_ts] = candle
                in_memory.add(open_ts)
        candles = span.cut([joined[open_ts] for open_ts in sorted(joined)])
        count = sum(candle.open_ts in in_memory for candle in candles)
        source = "exchange" if not count else "memory" if count == len(candles) else "both"
        return FoundCandles(candles, source)


def _kept(feed: ExchangeFeed, key: StreamKey) -> list[Candle]:
    """Return the candles in memory: those that were told as closed, and the running one."""
    line = feed.updates.candles.line(key)
    if line is None:
        return []
    running = [] if line.running is None else [line.running]
    return [
        candle if not candle.revised else replace(candle, revised=False) for candle in line.closed
    ] + running
