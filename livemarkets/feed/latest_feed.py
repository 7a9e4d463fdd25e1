"""The wanted streams of one exchange in which the newest update wins: tickers, best bid and ask, depth.

Nothing is missing from such a stream that its next update does not replace. So it has no ledger and nothing
is fetched: an update goes to the store and to the publisher, unless it is a repeat or late. A ticker bears
the id of its symbol's newest trade, which is evidence for the stream of those trades, at no cost.

An update may come only when something changes. So when a subscription begins, nobody can say whether what is
stored is still true, until the stream brings something or the exchange has been asked. A question that was
sent before does not count. The answer may be older than the question, since REST servers have copies of their
own, so that the exchange is asked once more after a while.

Silence means something only where the exchange promises updates. The stream of all tickers promises one each
second. Depth promises one each tenth of a second in which the order book changes, which trades and the best
bid and ask show. The others promise nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Mapping

from livemarkets.exchanges.base import Evidence, FirstValues
from livemarkets.feed.first_values import FirstValueQuestions
from livemarkets.feed.latest_streams import LatestStream, UpdateLimits
from livemarkets.feed.publisher import UpdatePublisher
from livemarkets.feed.staleness import Upstream
from livemarkets.feed.statistics import UpdateStatistics
from livemarkets.feed.trade_streams import TradeStreams
from livemarkets.feed.wanted_streams import WantedStreams
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, CHANNELS, DEPTH, NEWEST_WINS
from livemarkets.market.clock import Clock
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import SymbolUpdate, TickersDelta, TickerUpdate, Update

__all__ = ["LatestFeed"]

_LIVELY_SECONDS = 2.0
"""A stream that brought something within this time shows that its connection delivers."""
_MOST_SUSPECT_SECONDS = 600.0
"""A stream that stays mute is suspected again after ever longer times, up to this."""
_MOST_ASK_SECONDS = 30.0
"""What is in doubt is asked for again after ever longer times without an answer, up to this."""
_REST_LAG_SECONDS = 10.0
"""An answer of REST may be so old (`rest-api.md`, "Data Sources": a delay is normal)."""
_UNDER_WAY_MS = 1000
"""What another stream of the symbol brought may be this far ahead of depth."""


class LatestFeed(WantedStreams[LatestStream]):
    """The streams of one exchange in which the newest wins.

    Args:
        upstream: the exchange's client.
        store: the newest updates.
        publisher: receives each new update.
        trades: the wanted streams of trades.
        on_newest: told the id of the newest trade of one of these.
        on_change: called when a stream became mute or delivers again.
        first_values: the exchange's first values, if it has some.
        is_listed: returns whether the exchange lists a symbol.
        limits: time limits (:class:`UpdateLimits`).
        clock: source of the time.

    """

    def __init__(
        self,
        upstream: Upstream,
        store: LatestUpdates,
        publisher: UpdatePublisher,
        trades: TradeStreams,
        on_newest: Callable[[StreamKey, int], None],
        on_change: Callable[[], None],
        first_values: FirstValues | None,
        is_listed: Callable[[str], bool],
        *,
        limits: UpdateLimits,
        clock: Clock,
    ) -> None:
        super().__init__(_LIVELY_SECONDS, clock.monotonic)
        self.store = store
        self._upstream = upstream
        self._publisher = publisher
        self._trades = trades
        self._on_newest = on_newest
        self._on_change = on_change
        self._limits = limits
        self._now_ms = clock.now_ms
        self._received: Counter[str] = Counter()
        self._is_listed = is_listed
        self.questions = FirstValueQuestions(
            first_values, self._lacks_value, self._take_first, self._end_wait, clock.monotonic
        )

    # subscriptions

    def add(self, key: StreamKey) -> None:
        """Note a stream that is wanted from now on."""
        stream = self._streams[key] = LatestStream(key, self._clock(), self._now_ms())
        if self.questions.ask(key, is_new=True):
            stream.known = asyncio.Event()

    def discard(self, key: StreamKey) -> None:
        """Forget a stream that is no longer wanted, and its update. Idempotent."""
        stream = self._streams.pop(key, None)
        self.store.discard(key)
        if stream is not None and stream.is_mute:
            self._on_change()

    # first values

    def is_awaited(self, key: StreamKey) -> bool:
        """Return whether nothing is known of a stream yet, and the exchange is asked for a first value."""
        stream = self._streams.get(key)
        return stream is not None and stream.known is not None

    async def wait_known(self, key: StreamKey) -> None:
        """Wait until something is known of a stream, or a moment has passed."""
        stream = self._streams.get(key)
        if stream is not None and stream.known is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.first_seconds):
                    await stream.known.wait()

    def _lacks_value(self, key: StreamKey) -> bool:
        stream = self._streams.get(key)
        is_listed = key.symbol == ALL_SYMBOLS or self._is_listed(key.symbol)
        return is_listed and stream is not None and (stream.is_doubted or not self.store.has(key))

    def _take_first(self, key: StreamKey, update: Update, asked_at: float) -> None:
        """Store and publish a value that was asked for. It is for eyes, so that no id in it is evidence."""
        stream = self._streams[key]
        if stream.is_doubted and asked_at >= stream.began_at:
            stream.ask_again_at = stream.began_at + _REST_LAG_SECONDS
            stream.is_doubted = asked_at < stream.ask_again_at
        news = self.store.put_fetched(key, update)
        if news is not None:
            self._publisher.publish_update(key, news)

    def _end_wait(self, key: StreamKey) -> None:
        stream = self._streams.get(key)
        if stream is None:
            return
        if stream.known is not None:
            stream.known.set()
            stream.known = None
        if stream.is_doubted:
            now = self._clock()
            pause = min(now - stream.last_at, _MOST_ASK_SECONDS)
            stream.ask_again_at = max(stream.ask_again_at, now + pause)

    # state

    def newest(self, key: StreamKey) -> SymbolUpdate | None:
        """Return the newest update about one symbol; `None` if there is none."""
        return self.store.get(key)

    def statistics(self) -> Mapping[str, UpdateStatistics]:
        """Return how many streams are wanted, and how many updates were read, by channel."""
        wanted = Counter(key.channel for key in self._streams)
        return {
            channel: UpdateStatistics(wanted[channel], self._received[channel])
            for channel in CHANNELS
            if channel in NEWEST_WINS
        }

    # events

    def on_update(self, key: StreamKey, update: Update) -> None:
        """Store and publish an update, unless it is a repeat or late."""
        stream = self._streams.get(key)
        if stream is None:
            return  # unsubscribed a moment ago
        stream.last_at = stream.brought_at = self._clock()
        if stream.is_doubted and key.symbol != ALL_SYMBOLS:  # of all symbols, it brings some
            stream.is_doubted = False
        self._received[key.channel] += 1
        news = self.store.put(key, update)
        if news is not None:
            if stream.known is not None:
                self._end_wait(key)
            self._publisher.publish_update(key, news)
            self._note_ids(news)

    def _note_ids(self, news: Update) -> None:
        """Pass on the ids of newest trades, which tickers bear."""
        trade_keys = self._trades.keys
        if not trade_keys or not isinstance(news, TickersDelta | TickerUpdate):
            return
        for row in news.rows if isinstance(news, TickersDelta) else (news,):
            key = trade_keys.get(row.symbol)
            if key is not None and row.last_id is not None:
                self._on_newest(key, row.last_id)

    # task

    async def run(self) -> None:
        """Watch the streams whose channel promises updates, until cancelled."""
        while True:
            await asyncio.sleep(self._limits.sweep_seconds)
            now = self._clock()
            self.note_interruptions()
            for stream in list(self._streams.values()):
                key = stream.key
                if stream.is_acknowledged and (key.symbol == ALL_SYMBOLS or key.channel == DEPTH):
                    self._look_at(stream, now)

    def note_interruptions(self) -> None:
        """See which subscriptions have begun. The owner calls it when the client's status changed, too."""
        now = self._clock()
        for key, stream in self._streams.items():
            at = self._upstream.acknowledged_at(key)
            stream.is_acknowledged = at is not None
            if at is None:
                continue
            if at != stream.began_at:
                stream.is_doubted, stream.ask_again_at = self._may_be_outdated(stream, at), now
                stream.last_at, stream.began_at = max(stream.last_at, now), at
            if stream.is_doubted and now >= stream.ask_again_at:
                self.questions.ask(key, is_new=False)

    def _may_be_outdated(self, stream: LatestStream, began_at: float) -> bool:
        """Return whether what is stored may be from before the subscription that began at this time."""
        if stream.key.symbol == ALL_SYMBOLS:  # its updates are about some
            return self.store.has(stream.key) and not math.isinf(stream.began_at)
        return stream.brought_at < began_at

    def _look_at(self, stream: LatestStream, now: float) -> None:
        key, limit = stream.key, self._limits.mute_seconds
        is_mute = now - stream.last_at >= limit and self._is_promised(stream)
        if not is_mute:
            stream.suspect_seconds = 0.0
        elif now - stream.suspected_at >= stream.suspect_seconds:
            stream.suspected_at = now
            # Perhaps the exchange has given up this stream. It must not cost the others their connection.
            stream.suspect_seconds = min(max(2 * stream.suspect_seconds, limit), _MOST_SUSPECT_SECONDS)
            self._upstream.suspect(key, Evidence.BEHIND)
        if is_mute is not stream.is_mute:
            stream.is_mute = is_mute
            stream.is_doubted |= not is_mute and key.symbol == ALL_SYMBOLS
            self._on_change()

    def _is_promised(self, stream: LatestStream) -> bool:
        """Return whether a silent stream should have brought something."""
        key = stream.key
        if key.symbol == ALL_SYMBOLS:
            return True
        shown = self.store.get(key)
        trade = self._trades.latest.get(StreamKey.trades(key.exchange, key.symbol))
        book = self.store.get(StreamKey(key.exchange, BOOK, key.symbol))
        moved_ms = max(trade.recv_ts if trade else 0, book.recv_ts if book else 0)
        return moved_ms > (stream.since_ms if shown is None else shown.recv_ts) + _UNDER_WAY_MS
