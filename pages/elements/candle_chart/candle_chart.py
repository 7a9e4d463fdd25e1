"""The chart of candles with their volume. The browser keeps the candles, and gets those that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from nicegui.elements import echart

from livemarkets.market.candles import Candle
from livemarkets.market.models import SymbolInfo
from pages.elements.live_element import LiveElement
from pages.elements.market_grid.market_grid import symbol_argument
from pages.number_format import decimals_of, significant_decimals, trimmed

__all__ = ["MOST_CANDLES", "CandleChart"]

MOST_CANDLES = 1_000
"""Candles that a browser keeps at most."""

_ECHARTS = Path(echart.__file__).parent / "dist"
"""The page framework's own copy of ECharts. The browser loads it when the first chart is shown."""


class CandleChart(
    LiveElement,
    component="candle_chart.js",
    dependencies=[
        "candle_list.js",
        "chart_options.js",
        "../shared/canvas.js",
        "../shared/dom.js",
        "../shared/number_format.js",
        "../shared/page_link.js",
        "../shared/server_clock.js",
        "../shared/time_format.js",
    ],
    esm={"nicegui-echart": str(_ECHARTS)},
):
    """Candles of one symbol, their volume below, and the values of the one under the pointer.

    Args:
        intervals: the lengths of candles on offer.
        on_interval: called with the one that the person chose.
        on_book: called when the person presses the button of the order book.
    """

    def __init__(
        self,
        intervals: Sequence[str],
        *,
        on_interval: Callable[[str], None],
        on_book: Callable[[], None],
    ) -> None:
        super().__init__()
        self._props["intervals"] = list(intervals)
        self._props["mostCandles"] = MOST_CANDLES
        self._info: SymbolInfo | None = None
        self.shaded: list[int] = []
        """Open times of the candles in which trades are missing, as last sent."""
        self.on("interval", lambda event: on_interval(symbol_argument(event)))
        self.on("book", on_book)

    def describe(self, *, title: str, info: SymbolInfo | None, interval: str, hint: str) -> None:
        """Say what is shown. Without a change, nothing is sent.

        Args:
            title: the symbol as people write it.
            info: what is known of it.
            interval: the length of the candles.
            hint: what to say while there is no candle.
        """
        self._info = info
        texts = {"title": title, "interval": interval, "hint": hint, "base": info.base_asset if info else ""}
        for name, value in texts.items():
            if self._props.get(name) != value:
                self._props[name] = value

    def press_book(self, *, is_pressed: bool) -> None:
        """Show whether the order book is displayed."""
        self._props["book"] = is_pressed

    def put(self, candles: Sequence[Candle], *, is_whole: bool, after_holes: Sequence[int] = ()) -> None:
        """Send candles, oldest first. A candle replaces the one with the same open time.

        Args:
            candles: what changed.
            is_whole: whether they replace all that the browser has.
            after_holes: the open times of all candles before which some are missing.
        """
        running = [candle.open_ts for candle in candles if not candle.closed]
        if is_whole:
            self.shaded = []
        self.call(
            "apply",
            {
                "of": {"title": self._props["title"], "interval": self._props["interval"]},
                "whole": is_whole,
                "candles": self._columns(candles),
                "running": running[-1] if running else None,
                "afterHoles": list(after_holes),
            },
        )

    def shade(self, open_times: list[int]) -> None:
        """Mark the candles in which trades are missing. Without a change, nothing is sent."""
        if open_times != self.shaded:
            self.shaded = open_times
            self.call("shade", open_times)

    def _columns(self, candles: Sequence[Candle]) -> dict[str, list[int] | list[str]]:
        """Return the values by their names, which would be most of the message if each candle had them."""
        return {
            "open_ts": [candle.open_ts for candle in candles],
            "open": self._prices([candle.open for candle in candles]),
            "high": self._prices([candle.high for candle in candles]),
            "low": self._prices([candle.low for candle in candles]),
            "close": self._prices([candle.close for candle in candles]),
            "volume": [trimmed(candle.volume, 0) for candle in candles],
        }

    def _prices(self, prices: Sequence[Decimal]) -> list[str]:
        if self._info is None:
            return [trimmed(price, significant_decimals(price)) for price in prices]
        decimals = decimals_of(self._info.tick_size)
        return [trimmed(price, decimals) for price in prices]
