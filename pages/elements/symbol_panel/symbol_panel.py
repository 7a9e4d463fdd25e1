"""The selected symbol: last price, chart and figures, all computed from the same trades."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from livemarkets.market.models import StreamKey, SymbolInfo, TradeTick
from livemarkets.market.stores import RecentTrades
from pages.elements.symbol_panel.downsample import course
from pages.elements.symbol_panel.statistics import BUCKET_MS, Summary, Window
from pages.number_format import decimals_of, significant_decimals, trimmed

__all__ = ["FLUSHES_PER_SUMMARY", "SymbolPanel"]

FLUSHES_PER_SUMMARY = 4
"""Figures that change slowly are sent with every fourth flush."""
FINE_MS = 250
"""Bucket of the chart, ms, while it has few trades. It divides `BUCKET_MS`, so that chart and figures drop
the same trades."""
_FILL_TRADES = 2_000
"""How many recent trades a newly selected symbol begins with. They take some 6 ms, and memory may have fifty
times as many. Those that come later are added, up to five minutes of them."""
MAX_FINE_TRADES = 500
"""Up to this number of trades a newly selected symbol is drawn with `FINE_MS`."""


class SymbolPanel(
    ui.element,
    component="symbol_panel.js",
    dependencies=[
        "../shared/canvas.js",
        "../shared/number_format.js",
        "../shared/page_link.js",
        "../shared/server_clock.js",
        "../shared/time_format.js",
    ],
):
    """One symbol in detail. Everything it shows at one moment comes from the same trades."""

    def __init__(self) -> None:
        super().__init__()
        self._window = Window()
        self._key: StreamKey | None = None
        self._info: SymbolInfo | None = None
        self._last_id = 0
        self._flushes = 0
        self._is_owed = False

    @property
    def summary(self) -> Summary | None:
        """The figures of the trades shown; `None` without a trade."""
        return self._window.summary()

    def fill(
        self, key: StreamKey | None, *, title: str, info: SymbolInfo | None, trades: RecentTrades
    ) -> None:
        """Show the recent trades of `key`; none when it is `None`."""
        self._key, self._info = key, info
        self._props["title"] = title
        self._props["tag"] = "simulated" if key and key.exchange == "simulator" else ""
        self._props["base"] = info.base_asset if info else ""
        self._begin(trades)

    def flush(self, trades: RecentTrades) -> None:
        """Send new points of the chart, and the figures. Without a trade, nothing is sent."""
        if self._key is None:
            return
        self._flushes += 1
        is_turn = self._flushes % FLUSHES_PER_SUMMARY == 0
        newest, oldest_id = trades.recent(self._key, 1), trades.oldest_id(self._key)
        is_renumbered = bool(newest) and newest[0].id < self._last_id
        has_hole = (
            oldest_id is not None and oldest_id > self._last_id + 1
        )  # trades left the feed before this flush
        if is_renumbered or has_hole:
            self._begin(trades)
            return
        fresh = trades.after(self._key, self._last_id)
        has_all = is_turn or self._last_id == 0
        if fresh:
            self._last_id = fresh[-1].id
            self._window.add(fresh)
        if fresh or (is_turn and self._is_owed):
            self._is_owed = not has_all
            self._send("extend", course(fresh, BUCKET_MS), has_all=has_all)

    def _begin(self, trades: RecentTrades) -> None:
        recent = trades.recent(self._key, _FILL_TRADES) if self._key else []
        self._last_id = recent[-1].id if recent else 0
        self._window.clear()
        self._window.add(recent)
        count = self._window.trades
        shown = recent[-count:] if count else []
        self._is_owed = False
        self._send("fill", course(shown, FINE_MS if count <= MAX_FINE_TRADES else BUCKET_MS), has_all=True)

    def _send(self, method: str, ticks: Sequence[TradeTick], *, has_all: bool) -> None:
        points = [[tick.ts, format(tick.price, "f")] for tick in ticks]
        summary = self._window.summary()
        self.run_method(method, points, self._described(summary, has_all=has_all) if summary else None)

    def _described(self, summary: Summary, *, has_all: bool) -> dict[str, str | int | float | None]:
        info = self._info
        price_decimals = decimals_of(info.tick_size) if info else significant_decimals(summary.high)
        prices: dict[str, str | int | float | None] = {
            "from_ts": summary.from_ts,
            "last": trimmed(summary.last, price_decimals),
            "high": trimmed(summary.high, price_decimals),
            "low": trimmed(summary.low, price_decimals),
        }
        if not has_all:
            return prices
        size_decimals = decimals_of(info.step_size) if info else significant_decimals(summary.largest)
        return prices | {
            "trades": summary.trades,
            "span_ms": summary.span_ms,
            "per_second": round(summary.per_second, 1),
            "largest": trimmed(summary.largest, size_decimals),
            "bought": summary.bought_percent,
        }
