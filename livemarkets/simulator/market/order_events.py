"""The events of one order, in the streams of single events."""

from __future__ import annotations

from collections.abc import Sequence

from livemarkets.simulator.market.history import Aggregate, Trade
from livemarkets.simulator.market.streams import (
    StreamEvent,
    aggregate_payload,
    book_payload,
    trade_payload,
)
from livemarkets.simulator.market.traded_symbol import TradedSymbol

__all__ = ["add_events"]


def add_events(
    symbol: TradedSymbol,
    trades: Sequence[Trade],
    aggregates: Sequence[Aggregate],
    event_ms: int,
    events: list[StreamEvent],
) -> None:
    """Add the events of an order to `events`, for the subscribed streams of its symbol."""
    name, kinds = symbol.encoded, symbol.kinds
    event_ms = max(event_ms, trades[0].time_ms)
    if wanted := kinds.get("trade"):
        stream, prefix = wanted
        at = len(prefix)
        for trade in trades:
            text = prefix + trade_payload(name, trade, event_ms) + b"}"
            events.append(StreamEvent(stream, text, at))
    if wanted := kinds.get("aggTrade"):
        stream, prefix = wanted
        for aggregate in aggregates:
            text = prefix + aggregate_payload(name, aggregate, event_ms) + b"}"
            events.append(StreamEvent(stream, text, len(prefix)))
    if wanted := kinds.get("bookTicker"):
        stream, prefix = wanted
        text = prefix + book_payload(name, symbol.book.quote()) + b"}"
        events.append(StreamEvent(stream, text, len(prefix)))
