"""The table of all symbols. Python owns order and values; the browser has those in and near its sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, NamedTuple

from nicegui.events import GenericEventArguments

from livemarkets.market.models import SymbolInfo
from livemarkets.market.updates import TickerRow
from pages.elements.live_element import LiveElement
from pages.elements.market_grid.grid_rows import Direction
from pages.elements.market_grid.market_grid import symbol_argument
from pages.number_format import decimals_of, percent, significant_decimals, trimmed

__all__ = ["MAX_WINDOW", "OverviewRow", "OverviewTable"]

MAX_WINDOW = 300
"""Rows that a browser may ask for at once: a screen, and as much again above and below it."""
FIRST_WINDOW = 80
"""Rows that are sent before the browser has told what is in its sight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewRow:
    """The values of one row, as last sent to the browser. A price is empty if there was no trade."""

    symbol: str
    base: str
    """Base asset; empty while the symbol is not known."""
    quote: str
    note: str
    """A word beside the symbol: `not trading`."""
    last: str
    direction: Direction
    """Compared with the last different price that was sent."""
    change: str
    """Percent, with its sign."""
    high: str
    low: str
    volume: str
    """In the quote asset."""
    trades: int

    def packed(self) -> list[str | int]:
        """Return the values in the order of `ROW_FIELDS`. Names in every row would double the message."""
        return [getattr(self, name) for name in ROW_FIELDS]


ROW_FIELDS = tuple(field.name for field in fields(OverviewRow))
"""Names of the values of a packed row. The browser gets them once, as a property."""


class _Sent(NamedTuple):
    ticker: TickerRow
    info: SymbolInfo | None
    row: OverviewRow


class OverviewTable(
    LiveElement,
    component="overview_table.js",
    dependencies=[
        "../shared/sort_head.js",
        "overview_row.js",
        "../shared/dom.js",
        "../shared/number_format.js",
        "../shared/page_link.js",
        "../shared/price_flash.js",
        "../shared/server_clock.js",
        "../shared/time_format.js",
    ],
):
    """A table of which only the rows in sight are sent and painted.

    Args:
        columns: title and tooltip of each column by its name, from the left.
        on_sort: called with the name of the column to sort by.
        on_hold: called with whether the person points at the rows, which then should not move.
        on_window: called when other rows came into sight.
        on_visibility: called with whether the page is visible.
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, tuple[str, str]],
        on_sort: Callable[[str], None],
        on_hold: Callable[[bool], None],
        on_window: Callable[[], None],
        on_visibility: Callable[[bool], None],
    ) -> None:
        super().__init__()
        self._props["fields"] = list(ROW_FIELDS)
        self._props["columns"] = [
            {"name": name, "title": title, "hint": hint} for name, (title, hint) in columns.items()
        ]
        self.rows: dict[str, OverviewRow] = {}
        self._window = (0, FIRST_WINDOW)
        self._shown: tuple[int, int, list[str]] = (0, 0, [])
        self._sent: dict[str, _Sent] = {}
        self._news_ms: int | None = None
        self.on("sort", lambda event: on_sort(symbol_argument(event)))
        self.on("hold", lambda event: on_hold(event.args is True))
        self.on("visibility", lambda event: on_visibility(event.args is True))
        self.on("window", lambda event: self._take_window(event, on_window))

    def set_state(
        self, *, column: str, is_descending: bool, tone: str, is_simulated: bool, opening: str
    ) -> None:
        """Set what the rows are sorted by, their tone, and the address that a row leads to.

        Args:
            column: the column that the rows are sorted by.
            is_descending: whether the largest value comes first.
            tone: how old the values are.
            is_simulated: whether the values are simulated.
            opening: the address, with `{}` where the symbol belongs.
        """
        state = {
            "sort": column,
            "descending": is_descending,
            "tone": tone,
            "simulated": is_simulated,
            "opening": opening,
        }
        for name, value in state.items():
            if self._props.get(name) != value:
                self._props[name] = value

    def forget(self) -> None:
        """Forget what was sent: the browser is new, or shows another exchange."""
        self._sent, self._shown, self._news_ms = {}, (0, 0, []), None

    def show(
        self,
        order: Sequence[str],
        tickers: Mapping[str, TickerRow],
        info: Callable[[str], SymbolInfo | None],
        *,
        news_ms: int | None,
        now_ms: int,
    ) -> None:
        """Show the rows in this order. Only what changed in the browser's window is sent.

        Args:
            order: all symbols, from the top.
            tickers: the figures of each.
            info: returns what is known of a symbol.
            news_ms: when the newest figures came, ms since the epoch.
            now_ms: the present time.
        """
        first = min(self._window[0], max(0, len(order) - 1))
        window = list(order[first : self._window[1]])
        is_full = not self._sent
        before, self._sent, changed = self._sent, {}, []
        for symbol in window:
            sent = _renew(before.get(symbol), tickers[symbol], info(symbol))
            self._sent[symbol] = sent
            if symbol not in before or sent.row != before[symbol].row:
                changed.append(sent.row.packed())
        self.rows = {symbol: sent.row for symbol, sent in self._sent.items()}
        payload: dict[str, Any] = {"now": now_ms}
        if (len(order), first, window) != self._shown or is_full:
            self._shown = (len(order), first, window)
            payload |= {"total": len(order), "first": first, "symbols": window}
        if changed:
            payload["rows"] = changed
        if news_ms != self._news_ms:
            self._news_ms = payload["news"] = news_ms
        if is_full:
            payload["full"] = True
        if len(payload) > 1:
            self.call("apply", payload)

    def _take_window(self, event: GenericEventArguments, on_window: Callable[[], None]) -> None:
        match event.args:
            case {"first": int(first), "last": int(last)} if 0 <= first < last:
                self._window = (first, min(last, first + MAX_WINDOW))
                on_window()


def _renew(before: _Sent | None, ticker: TickerRow, info: SymbolInfo | None) -> _Sent:
    """Return what is to be sent of a symbol; `before` itself if nothing is new."""
    if before is not None and before.ticker is ticker and before.info is info:
        return before
    decimals = _decimals(ticker, info)

    def price(value: Decimal | None) -> str:
        return "" if value is None else trimmed(value, decimals)

    row = OverviewRow(
        symbol=ticker.symbol,
        base=info.base_asset if info else "",
        quote=info.quote_asset if info else "",
        note="not trading" if info is not None and not info.is_trading else "",
        last=price(ticker.last),
        direction=_direction(before, ticker),
        change=percent(ticker.change_percent),
        high=price(ticker.high),
        low=price(ticker.low),
        volume=_whole(ticker.quote_volume),
        trades=ticker.trades,
    )
    return _Sent(ticker, info, row)


def _decimals(ticker: TickerRow, info: SymbolInfo | None) -> int:
    if info is not None:
        return decimals_of(info.tick_size)
    prices = (ticker.last, ticker.high, ticker.low)
    return max((significant_decimals(price) for price in prices if price is not None), default=0)


def _direction(before: _Sent | None, ticker: TickerRow) -> Direction:
    if before is None or before.ticker.last is None or ticker.last is None:
        return 0
    if ticker.last == before.ticker.last:
        return before.row.direction
    return 1 if ticker.last > before.ticker.last else -1


def _whole(value: Decimal) -> str:
    """Return a volume with as many digits as a person reads: no decimals from 1,000 on."""
    return format(round(value), "d") if value >= 1000 else f"{value:.4f}"
