"""The wanted streams of one exchange other than those of trades: each goes to the feed of its kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from livemarkets.exchanges.base import ExchangePorts, Silence
from livemarkets.feed.candle_feed import CandleFeed
from livemarkets.feed.latest_feed import LatestFeed
from livemarkets.feed.limits import FeedLimits
from livemarkets.feed.publisher import Publisher
from livemarkets.feed.staleness import Upstream
from livemarkets.feed.statistics import UpdateStatistics
from livemarkets.feed.trade_streams import TradeStreams
from livemarkets.market.candles import Candle
from livemarkets.market.channels import CANDLES
from livemarkets.market.clock import Clock
from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import StreamUpdate, SymbolUpdate

__all__ = ["UpdateFeeds"]


class UpdateFeeds:
    """The feed of candles, and that of the channels in which the newest wins.

    Args:
        upstream: the exchange's client.
        ports: the exchange.
        store: the newest updates.
        publisher: receives each update.
        trades: the wanted streams of trades.
        on_newest: told the id of the newest trade of one of these.
        on_change: called when a stream became mute or delivers again.
        is_listed: returns whether the exchange lists a symbol.
        limits: of all parts of the feed.
        clock: source of the time.

    """

    def __init__(
        self,
        upstream: Upstream,
        ports: ExchangePorts,
        store: LatestUpdates,
        publisher: Publisher,
        trades: TradeStreams,
        on_newest: Callable[[StreamKey, int], None],
        on_change: Callable[[], None],
        is_listed: Callable[[str], bool],
        *,
        limits: FeedLimits,
        clock: Clock,
    ) -> None:
        self.first_values = ports.first_values
        """The present values that the exchange can be asked for; `None` if it has none."""
        self.candle_history = ports.candles
        """The past candles that the exchange can be asked for."""
        self.latest = LatestFeed(
            upstream,
            store,
            publisher,
            trades,
            on_newest,
            on_change,
            ports.first_values,
            is_listed,
            limits=limits.updates,
            clock=clock,
        )
        self.candles = CandleFeed(
            upstream,
            ports.candles,
            publisher,
            trades,
            on_newest,
            on_change,
            limits=limits.candles,
            clock=clock,
        )

    def _of(self, key: StreamKey) -> LatestFeed | CandleFeed:
        return self.candles if key.channel == CANDLES else self.latest

    def add(self, key: StreamKey) -> None:
        """Note a stream that is wanted from now on."""
        self._of(key).add(key)

    def discard(self, key: StreamKey) -> None:
        """Forget a stream that is no longer wanted, and its data. Idempotent."""
        self._of(key).discard(key)

    def interned(self, key: StreamKey) -> StreamKey | None:
        """Return the wanted stream's own key object; `None` if it is not wanted."""
        return self._of(key).interned(key)

    def keys(self) -> list[StreamKey]:
        """Return the streams that are wanted."""
        return [*self.latest.keys(), *self.candles.keys()]

    @property
    def count(self) -> int:
        """How many streams are wanted."""
        return self.latest.count + self.candles.count

    @property
    def mute(self) -> list[StreamKey]:
        """The streams that do not bring what they should."""
        return [*self.latest.mute, *self.candles.mute]

    @property
    def recovering(self) -> list[StreamKey]:
        """The streams of which something is being fetched."""
        return self.candles.recovering

    def is_mute(self, key: StreamKey) -> bool:
        """Return whether a stream does not bring what it should."""
        return self._of(key).is_mute(key)

    def is_recovering(self, key: StreamKey) -> bool:
        """Return whether something of a stream is being fetched."""
        return self.candles.is_recovering(key)

    def silence_of(self, key: StreamKey) -> Silence:
        """Return what the silence of a stream says about its connection."""
        return self._of(key).silence_of(key)

    def get(self, key: StreamKey) -> SymbolUpdate | Candle | None:
        """Return the newest update of a stream about one symbol; `None` if there is none."""
        return self._of(key).newest(key)

    def note_status(self) -> None:
        """Note that the status of the exchange's client changed: streams may have been interrupted."""
        self.latest.note_interruptions()

    def on_update(self, key: StreamKey, update: StreamUpdate) -> None:
        """Process an update that a stream brought."""
        if isinstance(update, Candle):
            self.candles.on_candle(key, update)
        else:
            self.latest.on_update(key, update)

    def statistics(self) -> Mapping[str, UpdateStatistics]:
        """Return how many streams are wanted, and how many updates were read, by channel."""
        candles = self.candles.statistics()
        return {**self.latest.statistics(), CANDLES: UpdateStatistics(candles.wanted, candles.received)}

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.latest.run(), name="latest updates")
            tasks.create_task(self.latest.questions.run(), name="first values")
            tasks.create_task(self.candles.run(), name="candles")
