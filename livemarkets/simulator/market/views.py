"""Klines, statistics and order books as far as the kept trades and the quote of a symbol say."""

from __future__ import annotations

from livemarkets.simulator.market.history import History
from livemarkets.simulator.market.source import Depth
from livemarkets.simulator.market.statistics import Bar, Summary, bars_of, summary_of
from livemarkets.simulator.market.streams import Quote

__all__ = ["candles_of", "depth_of", "summary_since"]


def candles_of(
    history: History, interval: str, start_ms: int | None, end_ms: int | None, limit: int, offset_ms: int
) -> list[Bar]:
    """Return the klines of the kept trades; see `Source.candles`."""
    bars = [
        bar
        for bar in bars_of(history.trades, interval, offset_ms)
        if (start_ms is None or bar.open_ms >= start_ms) and (end_ms is None or bar.open_ms <= end_ms)
    ]
    return bars[-limit:] if start_ms is None else bars[:limit]


def summary_since(history: History, start_ms: int) -> Summary | None:
    """Return a summary of the kept trades since a time; see `Source.summary`."""
    trades = history.since_time(start_ms)
    before = trades.pop(0) if trades and trades[0].time_ms < start_ms else None
    summary = summary_of(trades)
    if summary is not None and before is not None:
        summary.previous_close = before.price
    return summary


def depth_of(quote: Quote) -> Depth:
    """Return an order book of the best bid and ask; see `Source.depth`."""
    return Depth(quote.update_id, [(quote.bid, quote.bid_size)], [(quote.ask, quote.ask_size)])
