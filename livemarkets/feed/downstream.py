"""Passes what a ledger changes to the stores and the publisher. No I/O.

Trades that arrive in their turn do not come here: the feed passes them on itself.
"""

from __future__ import annotations

from livemarkets.feed.gaps import GapRecord
from livemarkets.feed.ledger import Ledger, Outcome
from livemarkets.feed.publisher import TradePublisher
from livemarkets.market.models import Gap, StreamKey
from livemarkets.market.stores import LatestPriceStore, RecentTrades

__all__ = ["Downstream"]


class Downstream:
    """The way from the ledgers of one exchange to the stores and the publisher.

    Args:
        latest: the store of the newest trade of each stream.
        trades: the store of recent trades.
        publisher: receives the trades and gaps.
        gaps: counts, logs and tells each gap before it is published.

    """

    def __init__(
        self,
        latest: LatestPriceStore,
        trades: RecentTrades,
        publisher: TradePublisher,
        gaps: GapRecord,
    ) -> None:
        self._latest = latest
        self._trades = trades
        self._publisher = publisher
        self._gaps = gaps

    def apply(self, ledger: Ledger, outcome: Outcome) -> None:
        """Pass on what one call of a ledger changed: first what arrived, then what is in order of ids."""
        key = ledger.key
        for tick in outcome.arrived:
            # Neither a price on a page nor a reader in order of arrival waits until the hole is closed.
            self._publisher.publish_arrival(key, tick, is_newest=self._latest.put(key, tick))
        if ledger.holes and (newest_id := ledger.newest_known()) is not None:
            self._publisher.publish_pending(key, newest_id)
        for item in outcome.released:
            if isinstance(item, Gap):
                self._declare(item)
            else:
                self._trades.append(key, item)
                self._publisher.publish_released(key, item)

    def drop_false_id(self, key: StreamKey, trade_id: int) -> None:
        """Take back a trade that arrived with a false id, and was held behind a hole."""
        self._gaps.note_false_id(key, trade_id)
        self._publisher.publish_retraction(key, trade_id)

    def _declare(self, gap: Gap) -> None:
        self._gaps.note(gap)
        self._trades.note_gap(gap)
        self._publisher.publish_gap(gap)
