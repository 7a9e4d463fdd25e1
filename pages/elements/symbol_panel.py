"""The selected symbol: its last price, the course of the trades that are kept, and their figures."""

from __future__ import annotations

from nicegui import ui

from livemarkets.models import StreamKey, SymbolInfo
from livemarkets.stores import FeedStore
from pages.digits import decimals_of, significant_decimals, trimmed
from pages.summary import Summary, summarise

__all__ = ["MAX_POINTS", "SymbolPanel"]

MAX_POINTS = 300
"""Points of the course that are sent when a symbol is chosen; the browser adds what it is shown later."""


class SymbolPanel(ui.element, component="symbol_panel.js", dependencies=["market_kit.js"]):
    """One symbol in more detail. The course follows the grid's own values, so it costs nothing to send."""

    def __init__(self) -> None:
        super().__init__()
        self.summary: Summary | None = None
        self._key: StreamKey | None = None
        self._info: SymbolInfo | None = None

    def fill(self, key: StreamKey | None, *, title: str, info: SymbolInfo | None, trades: FeedStore) -> None:
        """Show the stream `key` from the beginning; nothing when it is `None`."""
        self._key, self._info = key, info
        self.summary = None
        self._props["title"] = title
        self._props["base"] = info.base_asset if info else ""
        recent = trades.recent(key, trades.length) if key else []
        step = -(-len(recent) // MAX_POINTS) or 1
        # Counted from the end, so that the newest trade is always among the points.
        points = [[tick.ts, format(tick.price, "f")] for tick in recent[::-step]]
        self.run_method("fill", points[::-1])
        self.flush(trades)

    def flush(self, trades: FeedStore) -> None:
        """Send the figures. When they are as before, nothing is sent."""
        summary = summarise(trades.recent(self._key, trades.length)) if self._key else None
        if summary == self.summary:
            return
        self.summary = summary
        if summary is not None:
            self.run_method("summarise", self._described(summary))

    def _described(self, summary: Summary) -> dict[str, str | int | float | None]:
        info = self._info
        price_decimals = decimals_of(info.tick_size) if info else significant_decimals(summary.high)
        size_decimals = decimals_of(info.step_size) if info else significant_decimals(summary.largest)
        return {
            "trades": summary.trades,
            "span_ms": summary.span_ms,
            "per_second": round(summary.per_second, 1),
            "high": trimmed(summary.high, price_decimals),
            "low": trimmed(summary.low, price_decimals),
            "largest": trimmed(summary.largest, size_decimals),
            "bought": summary.bought_percent,
        }
