"""Begins a stream of an edge with the trades that an ingest has in memory. No I/O.

They are kept as recent trades, for snapshots and resumptions, and published to nobody: who subscribes asks
for as many past trades as it wants, and gets the live ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from livemarkets.feed.trade_streams import TradeStreams
from livemarkets.market.models import StreamKey, TradeTick

__all__ = ["prime"]


def prime(streams: TradeStreams, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
    """Begin a stream that has no trade yet. The next trade is the one after the last of these.

    Args:
        streams: the wanted streams of the exchange.
        key: the stream.
        ticks: in the order of ids. Where ids are missing, what is before the last missing one is left out.

    """
    ledger = streams.ledgers.get(key)
    if ledger is None or ledger.next_id is not None or not ticks:
        return
    first = len(ticks) - 1
    while first and ticks[first - 1].id == ticks[first].id - 1:
        first -= 1
    ledger.begin(ticks[first].id)
    for tick in ticks[first:]:
        ledger.take_if_next(tick)
        streams.latest.put(key, tick)
        streams.recent.append(key, tick)
