"""The selected symbol: its last price, the course of the trades that are kept, and their figures."""

from __future__ import annotations

from nicegui import ui

from livemarkets.market.models import StreamKey, SymbolInfo, TradeTick
from livemarkets.market.stores import RecentTrades
from pages.course import bucket_ms_for, course
from pages.digits import decimals_of, significant_decimals, trimmed
from pages.summary import Summary, summarise

__all__ = ["MAX_POINTS", "SymbolPanel"]

MAX_POINTS = 300
"""About how many points of the course are sent when a symbol is chosen."""
BUCKET_MS = 250
"""How finely the course is told, ms."""


class SymbolPanel(ui.element, component="symbol_panel.js", dependencies=["market_kit.js", "page_link.js"]):
    """One symbol in more detail. The last price follows the grid; the rest is told at leisure."""

    def __init__(self) -> None:
        super().__init__()
        self.summary: Summary | None = None
        self._key: StreamKey | None = None
        self._info: SymbolInfo | None = None
        self._last_id = 0

    def fill(
        self, key: StreamKey | None, *, title: str, info: SymbolInfo | None, trades: RecentTrades
    ) -> None:
        """Show the stream `key` from the beginning; nothing when it is `None`."""
        self._key, self._info = key, info
        self._props["title"] = title
        self._props["tag"] = "simulated" if key and key.exchange == "simulator" else ""
        self._props["base"] = info.base_asset if info else ""
        recent = trades.recent(key, trades.length) if key else []
        bucket_ms = bucket_ms_for(recent, most_points=MAX_POINTS, least_ms=BUCKET_MS)
        self._send("fill", recent, bucket_ms)

    def flush(self, trades: RecentTrades) -> None:
        """Send what the course touched since the last time, and the figures. Without any trade, nothing."""
        if self._key is None:
            return
        recent = trades.recent(self._key, trades.length)
        if recent and recent[-1].id < self._last_id:
            self._send("fill", recent, BUCKET_MS)  # the exchange numbers anew
            return
        fresh = [tick for tick in recent if tick.id > self._last_id]
        if fresh:
            self._send("extend", recent, BUCKET_MS, len(fresh))

    def _send(self, method: str, recent: list[TradeTick], bucket_ms: int, fresh: int | None = None) -> None:
        self.summary = summarise(recent)
        self._last_id = recent[-1].id if recent else 0
        told = recent if fresh is None else recent[-fresh:]
        points = [[tick.ts, format(tick.price, "f")] for tick in course(told, bucket_ms)]
        self.run_method(method, points, self._described(self.summary) if self.summary else None)

    def _described(self, summary: Summary) -> dict[str, str | int | float | None]:
        info = self._info
        price_decimals = decimals_of(info.tick_size) if info else significant_decimals(summary.high)
        size_decimals = decimals_of(info.step_size) if info else significant_decimals(summary.largest)
        return {
            "trades": summary.trades,
            "span_ms": summary.span_ms,
            "per_second": round(summary.per_second, 1),
            "last": trimmed(summary.last, price_decimals),
            "high": trimmed(summary.high, price_decimals),
            "low": trimmed(summary.low, price_decimals),
            "largest": trimmed(summary.largest, size_decimals),
            "bought": summary.bought_percent,
        }
