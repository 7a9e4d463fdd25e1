"""The wanted streams of candles of one exchange.

A candle goes through the line of its stream (:mod:`livemarkets.feed.candle_line`), which orders them. What
the stream does not bring in time is fetched (:mod:`livemarkets.feed.candle_filler`). Where the trades of the
symbol are wanted too, closed candles are compared with them. A candle bears the id of its newest trade, which
is evidence for the stream of trades and for the other candles of the symbol.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from loguru import logger

from livemarkets.exchanges.base import CandleHistory, Evidence, StreamState
from livemarkets.feed.candle_filler import CandleFiller
from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.candle_line import CandleLine
from livemarkets.feed.candle_streams import CandleStream
from livemarkets.feed.past_candles import PastCandles
from livemarkets.feed.publisher import CandlePublisher
from livemarkets.feed.staleness import Upstream
from livemarkets.feed.statistics import CandleStatistics
from livemarkets.feed.trade_streams import TradeStreams
from livemarkets.feed.wanted_streams import WantedStreams
from livemarkets.market.candles import Candle, ReleasedCandle
from livemarkets.market.clock import Clock
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.rate_limit import LogLimiter

__all__ = ["CandleFeed"]

_SWEEP_SECONDS = 1.0
_LIVELY_SECONDS = 3.0
"""A stream that brought something within this time shows that its connection delivers."""
_COMPARE_MS = 20_000
"""How long a closed candle waits for its trades."""


class CandleFeed(WantedStreams[CandleStream]):
    """The streams of candles of one exchange.

    Args:
        upstream: the exchange's client.
        history: the exchange's past candles.
        publisher: receives candles and gaps in order.
        trades: the wanted streams of trades.
        on_newest: told the id of the newest trade of one of these.
        on_change: called when a stream became mute or delivers again, or when candles begin to wait.
        limits: sizes and time limits (:class:`CandleLimits`).
        clock: source of the time.

    """

    def __init__(
        self,
        upstream: Upstream,
        history: CandleHistory,
        publisher: CandlePublisher,
        trades: TradeStreams,
        on_newest: Callable[[StreamKey, int], None],
        on_change: Callable[[], None],
        *,
        limits: CandleLimits,
        clock: Clock,
    ) -> None:
        super().__init__(_LIVELY_SECONDS, clock.monotonic)
        self._upstream = upstream
        self._publisher = publisher
        self._trades = trades
        self._on_newest = on_newest
        self._on_change = on_change
        self._limits = limits
        self._now_ms = clock.now_ms
        self._filler = CandleFiller(history, self._take, clock)
        self.past = PastCandles(history, self._streams.get, self._publish_answer, limits, clock)
        self._newest_ids: dict[str, int] = {}  # symbol -> the newest trade id that a candle showed
        self._counts: Counter[str] = Counter()
        self._log = LogLimiter(interval_seconds=60.0, clock=clock.monotonic)

    # subscriptions

    def line(self, key: StreamKey) -> CandleLine | None:
        """Return the candles of a wanted stream, for reading only."""
        stream = self._streams.get(key)
        return None if stream is None else stream.line

    async def ensure(self, key: StreamKey, count: int, asker: str | None) -> None:
        """Have so many closed candles of a wanted stream in memory (:meth:`PastCandles.ensure`)."""
        await self.past.ensure(key, count, asker)

    def add(self, key: StreamKey) -> None:
        """Note a stream that is wanted from now on."""
        self._streams[key] = CandleStream(key, self._limits, self._clock())

    def discard(self, key: StreamKey) -> None:
        """Forget a stream that is no longer wanted, and its candles. Idempotent."""
        stream = self._streams.pop(key, None)
        if stream is None:
            return
        self._filler.forget(stream)
        if not any(other.symbol == key.symbol for other in self._streams):
            self._newest_ids.pop(key.symbol, None)
        if stream.is_mute:
            self._on_change()

    # state

    def newest(self, key: StreamKey) -> Candle | None:
        """Return the newest candle that a stream brought; `None` if there is none."""
        stream = self._streams.get(key)
        return None if stream is None else stream.newest

    @property
    def recovering(self) -> list[StreamKey]:
        """The streams with candles that wait for others that are being fetched."""
        return list(filter(self.is_recovering, self._streams))

    def is_recovering(self, key: StreamKey) -> bool:
        """Return whether candles of a stream wait for others that are being fetched."""
        stream = self._streams.get(key)
        return stream is not None and stream.line.waiting_since is not None

    def statistics(self) -> CandleStatistics:
        """Return the counters since the start, and the present sizes."""
        return CandleStatistics(
            wanted=len(self._streams),
            received=self._counts["received"],
            agreed=self._counts["agreed"],
            disagreed=self._counts["disagreed"],
            revised=self._counts["revised"],
            gaps=self._counts["gaps"],
            waiting=len(self.recovering),
        )

    # events

    def on_candle(self, key: StreamKey, candle: Candle) -> None:
        """Process a candle that a stream brought."""
        stream = self._streams.get(key)
        if stream is None:
            return  # unsubscribed a moment ago
        now = self._clock()
        self._counts["received"] += 1
        stream.note_arrival(candle, now)
        self._publish(stream, stream.line.accept(candle, now))
        if stream.line.waiting_since is not None and self._filler.tend(stream):
            self._on_change()
        self._compare(stream)
        if candle.last_id is not None:
            self._note_id(candle.symbol, candle.last_id)

    def _publish_answer(self, key: StreamKey, released: Sequence[ReleasedCandle]) -> None:
        """Publish what an answer to a reader's question released."""
        stream = self._streams.get(key)
        if stream is not None:
            self._publish(stream, released)
            if stream.needs_history(self._clock(), self._now_ms()):
                self._filler.tend(stream)

    def _note_id(self, symbol: str, last_id: int) -> None:
        self._newest_ids[symbol] = last_id  # lower than before, if the exchange restarted its numbering
        key = self._trades.keys.get(symbol)
        if key is not None:
            self._on_newest(key, last_id)

    def _take(
        self, stream: CandleStream, found: Sequence[Candle], released: Sequence[ReleasedCandle]
    ) -> None:
        """Publish what an answer or the time limit released, and see whether the stream is mute."""
        if self._streams.get(stream.key) is not stream:
            return  # unsubscribed a moment ago
        self._publish(stream, released)
        if stream.behind_since is None and any(map(stream.lacks, found)):
            stream.behind_since = max(stream.last_at, self._clock() - self._limits.behind_seconds)

    def _publish(self, stream: CandleStream, released: Sequence[ReleasedCandle]) -> None:
        for each in released:
            if isinstance(each, Candle):
                self._counts["revised"] += each.revised
                self._publisher.publish_candle(stream.key, each)
                if each.closed:
                    stream.comparison.note(each)
            else:
                self._counts["gaps"] += 1
                logger.warning(
                    "{}: candles from {} to {} are missing", stream.key, each.from_open_ts, each.to_open_ts
                )
                self._publisher.publish_candle_gap(each)

    # comparison with trades

    def _compare(self, stream: CandleStream) -> None:
        """Compare the closed candles with their trades, as far as these are here."""
        key = self._trades.keys.get(stream.key.symbol)
        if key is None:
            return
        comparison = stream.comparison
        while (closed := comparison.wanted) is not None:
            agrees = comparison.advance(closed, self._ticks(key, stream, closed))
            if agrees is None:
                if self._is_awaited(key, closed):
                    return
                comparison.give_up()
            else:
                self._counts["agreed" if agrees else "disagreed"] += 1
                if not agrees and self._log.suppressed_since_last(str(stream.key)) is not None:
                    logger.warning(
                        "{}: the candle from {} on differs from its trades", stream.key, closed.open_ts
                    )
        if (running := stream.newest) is not None and not running.closed:
            comparison.advance(running, self._ticks(key, stream, running))

    def _ticks(self, key: StreamKey, stream: CandleStream, candle: Candle) -> Sequence[TradeTick]:
        first_id = stream.comparison.next_id_of(candle)
        return () if first_id is None else self._trades.recent.after(key, first_id - 1)

    def _is_awaited(self, key: StreamKey, candle: Candle) -> bool:
        """Return whether the trades of a closed candle may still come."""
        ledger = self._trades.ledgers[key]
        is_late = self._now_ms() - candle.recv_ts > _COMPARE_MS
        return not is_late and (ledger.complete_to or 0) < (candle.last_id or 0)

    # task

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._filler.run(), name="candle filler")
            while True:
                await asyncio.sleep(_SWEEP_SECONDS)
                now, now_ms = self._clock(), self._now_ms()
                for stream in list(self._streams.values()):
                    self._look_at(stream, now, now_ms)

    def _look_at(self, stream: CandleStream, now: float, now_ms: int) -> None:
        if stream.needs_history(now, now_ms):
            self._filler.tend(stream)
        self._compare(stream)
        key = stream.key
        if self._upstream.state_of(key) is not StreamState.ACKNOWLEDGED:
            stream.behind_since = None
        elif stream.behind_since is None and stream.is_older_than(self._newest_id(key)):
            stream.behind_since = now
        since = stream.behind_since
        is_mute = since is not None and now - since >= self._limits.behind_seconds
        if is_mute and now - stream.suspected_at >= self._limits.suspect_seconds:
            stream.suspected_at = now
            self._upstream.suspect(key, Evidence.BEHIND)
        if is_mute is not stream.is_mute:
            stream.is_mute = is_mute
            self._on_change()

    def _newest_id(self, key: StreamKey) -> int:
        trade = self._trades.latest.get(StreamKey.trades(key.exchange, key.symbol))
        return max(-1 if trade is None else trade.id, self._newest_ids.get(key.symbol, -1))
