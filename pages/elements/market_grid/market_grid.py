"""The live grid. Python owns the rows, the selection and the values; the browser draws what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from nicegui.events import GenericEventArguments

from livemarkets.market.models import Side, SymbolInfo, TradeTick
from pages.elements.live_element import LiveElement
from pages.elements.market_grid.grid_rows import FIELDS, GridRow, GridRows, RowNews

__all__ = ["COLUMNS", "SIDES", "GridLine", "MarketGrid", "side_index", "symbol_argument"]

SIDES: tuple[Side, ...] = ("buy", "sell")
"""Lines of the tape hold an index into this; the browser gets it once, as a property."""
_MAX_ARGUMENT_LENGTH = 200

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("symbol", "Symbol", "Sort by name"),
    ("last", "Last", "The price of the last trade"),
    ("change", "24 h", "The change of the price in 24 hours"),
    ("bid", "Bid", "The best bid, once a second"),
    ("ask", "Ask", "The best ask, once a second"),
    ("trace", "Recent", "The prices of the last trades"),
    ("size", "Size", "The size of the last trade, in the base asset"),
    ("side", "Side", "The taker's side of the last trade"),
    ("time", "Time", "When the last trade was made"),
    ("age", "Age", "How old the last trade is"),
    ("remove", "", ""),
)
"""Name, title and tooltip of each column, from the left."""
_FIXED = ("trace", "remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridLine:
    """The part of a row that does not change with trades."""

    symbol: str
    base: str = ""
    """Base asset; empty until the exchange's list is loaded."""
    quote: str = ""
    tag: str = ""
    """A mark that holds for every value of the row: `simulated`."""
    note: str = ""
    """Text in place of the price, while there is none."""
    state: str = ""
    """A word beside the price, such as `halted`; empty while the stream is live."""
    reason: str = ""
    """Why, for the tooltip of that word."""


_LINE_FIELDS = tuple(field.name for field in fields(GridLine))


class MarketGrid(
    LiveElement,
    component="market_grid.js",
    dependencies=[
        "market_row.js",
        "price_spark.js",
        "row_order.js",
        "../shared/canvas.js",
        "../shared/dom.js",
        "../shared/number_format.js",
        "../shared/page_link.js",
        "../shared/price_flash.js",
        "../shared/server_clock.js",
        "../shared/sort_head.js",
        "../shared/time_format.js",
    ],
):
    """A table with one row per symbol. Only the rows in sight are painted.

    Args:
        on_select: called with the symbol of the selected row.
        on_remove: called with the symbol of the row to remove.
        on_move: called with the symbol of a row and its new place from the top.
        on_sort: called with the name of the column to sort by.
        on_hold: called with whether the person points at the rows, which then should not move.
        on_visibility: called with whether the page is visible.
    """

    def __init__(
        self,
        *,
        on_select: Callable[[str], None],
        on_remove: Callable[[str], None],
        on_move: Callable[[str, int], None],
        on_sort: Callable[[str], None],
        on_hold: Callable[[bool], None],
        on_visibility: Callable[[bool], None],
    ) -> None:
        super().__init__()
        self._props["columns"] = [
            {"name": name, "title": title, "hint": hint, "fixed": name in _FIXED}
            for name, title, hint in COLUMNS
        ]
        self._props["fields"] = FIELDS
        self.lines: tuple[GridLine, ...] = ()
        self.order: list[str] = []
        """The symbols of the rows, from the top, as last sent."""
        self._rows = GridRows()
        self.on("select", lambda event: on_select(symbol_argument(event)))
        self.on("remove", lambda event: on_remove(symbol_argument(event)))
        self.on("sort", lambda event: on_sort(symbol_argument(event)))
        self.on("hold", lambda event: on_hold(event.args is True))
        self.on("move", lambda event: _take_move(event, on_move))
        self.on("visibility", lambda event: on_visibility(event.args is True))

    @property
    def rows(self) -> Mapping[str, GridRow]:
        """The values by symbol, as last sent."""
        return self._rows.sent

    @property
    def selected(self) -> str:
        """The symbol of the selected row; empty without one."""
        return str(self._props.get("selected", ""))

    def set_lines(self, lines: Sequence[GridLine], infos: Mapping[str, SymbolInfo]) -> None:
        """Set the rows and their order. `infos` holds what is known of their symbols."""
        self.lines = tuple(lines)
        self.order = [line.symbol for line in lines]
        self._rows.follow(self.order, infos)
        # A tuple, since the page framework would watch each dictionary of a list, at ten times the cost.
        self._props["lines"] = tuple({name: getattr(line, name) for name in _LINE_FIELDS} for line in lines)

    def arrange(self, order: Sequence[str]) -> None:
        """Bring the rows into this order. Without a change, nothing is sent."""
        if list(order) != self.order:
            self.order = list(order)
            self.call("arrange", self.order)

    def set_state(
        self, *, selected: str, tone: str, is_simulated: bool, column: str, is_descending: bool
    ) -> None:
        """Set the selected row, the tone of the values, and what the rows are sorted by."""
        state = {
            "selected": selected,
            "tone": tone,
            "simulated": is_simulated,
            "sort": column,
            "descending": is_descending,
        }
        for name, value in state.items():
            if self._props.get(name) != value:
                self._props[name] = value

    def put(
        self,
        news: Iterable[RowNews],
        *,
        now_ms: int,
        traces: Mapping[str, Sequence[TradeTick]] | None = None,
    ) -> None:
        """Show what is new of the rows, perhaps with the trades before it.

        Only rows with a changed value are sent; without any, nothing.
        """
        changed = self._rows.take(news)
        if changed:
            payload: dict[str, Any] = {"now": now_ms, "rows": changed}
            if traces is not None:
                payload["traces"] = _prices(traces)
            self.call("apply", payload)

    def put_all(
        self, news: Iterable[RowNews], *, traces: Mapping[str, Sequence[TradeTick]], now_ms: int
    ) -> None:
        """Show exactly these values; other rows are empty. `traces` are the trades before them."""
        rows = self._rows.take_all(news)
        self.call("apply", {"now": now_ms, "full": True, "rows": rows, "traces": _prices(traces)})


def _take_move(event: GenericEventArguments, on_move: Callable[[str, int], None]) -> None:
    match event.args:
        case {"symbol": str(symbol), "place": int(place)} if abs(place) < _MAX_ARGUMENT_LENGTH * 10:
            on_move(symbol, place)


def _prices(traces: Mapping[str, Sequence[TradeTick]]) -> dict[str, list[str]]:
    return {symbol: [format(tick.price, "f") for tick in trace] for symbol, trace in traces.items()}


def side_index(side: Side) -> int:
    """Return the index of `side` in `SIDES`."""
    return SIDES.index(side)


def symbol_argument(event: GenericEventArguments) -> str:
    """Return the text argument of an event, cut to a bound: a client can send anything."""
    argument: Any = event.args
    return argument[:_MAX_ARGUMENT_LENGTH] if isinstance(argument, str) else ""
