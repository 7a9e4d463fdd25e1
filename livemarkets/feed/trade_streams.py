"""The wanted streams of trades of one exchange, each with its ledger and its silence detector. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from livemarkets.feed.ledger import Ledger, LedgerLimits
from livemarkets.feed.silence import SilenceDetector
from livemarkets.market.models import StreamKey
from livemarkets.market.stores import LatestPriceStore, RecentTrades

__all__ = ["TradeStream", "TradeStreams"]


class TradeStream:
    """One wanted stream. The hot path finds all that it needs with one look-up."""

    __slots__ = ("key", "ledger", "silence")

    def __init__(self, ledger: Ledger, silence: SilenceDetector) -> None:
        self.key = ledger.key
        self.ledger = ledger
        self.silence = silence


class TradeStreams:
    """The wanted streams of trades of one exchange.

    Args:
        limits: of the ledgers.
        latest: the store of the newest trade of each stream.
        trades: the store of recent trades.

    """

    def __init__(self, limits: LedgerLimits, latest: LatestPriceStore, trades: RecentTrades) -> None:
        self.by_key: dict[StreamKey, TradeStream] = {}
        self.ledgers: dict[StreamKey, Ledger] = {}
        self.keys: dict[str, StreamKey] = {}
        """Symbol → the key of its trades."""
        self._limits = limits
        self.latest = latest
        self.recent = trades
        self._duplicates = 0  # of streams that are no longer wanted

    def add(self, key: StreamKey, watch: Callable[[Ledger], SilenceDetector]) -> None:
        """Add a stream.

        Args:
            key: the stream.
            watch: begins to monitor the stream of a ledger.

        """
        ledger = self.ledgers[key] = Ledger(key, self._limits, partial(self.recent.contains, key))
        self.by_key[key] = TradeStream(ledger, watch(ledger))
        self.keys[key.symbol] = key

    def discard(self, key: StreamKey) -> Ledger:
        """Remove a stream with its trades, and return its ledger."""
        del self.by_key[key], self.keys[key.symbol]
        ledger = self.ledgers.pop(key)
        self._duplicates += ledger.duplicates
        self.latest.discard(key)
        self.recent.discard(key)
        return ledger

    @property
    def duplicates(self) -> int:
        """How many trades were dropped since the start because their id was seen."""
        return self._duplicates + sum(ledger.duplicates for ledger in self.ledgers.values())
