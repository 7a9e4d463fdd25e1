"""The live grid. Python owns the rows, the selection and the values; the browser draws what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from nicegui import ui
from nicegui.events import GenericEventArguments

from livemarkets.market.models import Side, SymbolInfo, TradeTick
from pages.number_format import decimals_of, significant_decimals, trimmed

__all__ = ["SIDES", "GridLine", "GridRow", "MarketGrid", "side_index", "symbol_argument"]

Direction = Literal[-1, 0, 1]
SIDES: tuple[Side, ...] = ("buy", "sell")
"""Packed rows and lines of the tape hold an index into this; the browser gets it once, as a property."""
_MAX_ARGUMENT_LENGTH = 200


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
    """Text in place of the price, while there is no trade."""
    state: str = ""
    """A word beside the price, such as `halted`; empty while the stream is live."""
    reason: str = ""
    """Why, for the tooltip of that word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """The values of one row, as last sent to the browser."""

    symbol: str
    price: str
    direction: Direction
    """Compared with the last different price."""
    size: str
    side: Side
    ts: int
    recv_ts: int
    id: int

    def packed(self) -> list[str | int]:
        """Return the values in the order of `ROW_FIELDS`. Names in every row would double the message."""
        return [side_index(self.side) if name == "side" else getattr(self, name) for name in ROW_FIELDS]


_LINE_FIELDS = tuple(field.name for field in fields(GridLine))
ROW_FIELDS = tuple(field.name for field in fields(GridRow))
"""Names of the values of a packed row. The browser gets them once, as a property."""


class MarketGrid(
    ui.element,
    component="market_grid.js",
    dependencies=[
        "market_row.js",
        "price_spark.js",
        "../shared/canvas.js",
        "../shared/dom.js",
        "../shared/number_format.js",
        "../shared/page_link.js",
        "../shared/price_flash.js",
        "../shared/server_clock.js",
        "../shared/time_format.js",
    ],
):
    """A table with one row per symbol, in the order of the person. A row never moves by itself.

    Args:
        on_select: called with the symbol of the selected row.
        on_remove: called with the symbol of the row to remove.
        on_visibility: called with whether the page is visible.
    """

    def __init__(
        self,
        *,
        on_select: Callable[[str], None],
        on_remove: Callable[[str], None],
        on_visibility: Callable[[bool], None],
    ) -> None:
        super().__init__()
        self._props["fields"] = list(ROW_FIELDS)
        self._props["sides"] = list(SIDES)
        self.lines: tuple[GridLine, ...] = ()
        self.rows: dict[str, GridRow] = {}
        self._ticks: dict[str, TradeTick] = {}
        self._decimals: dict[str, list[int]] = {}
        self.on("select", lambda event: on_select(symbol_argument(event)))
        self.on("remove", lambda event: on_remove(symbol_argument(event)))
        self.on("visibility", lambda event: on_visibility(event.args is True))

    @property
    def selected(self) -> str:
        """The symbol of the selected row; empty without one."""
        return str(self._props.get("selected", ""))

    def set_lines(self, lines: Sequence[GridLine], infos: Mapping[str, SymbolInfo]) -> None:
        """Set the rows and their order. `infos` holds what is known of their symbols."""
        self.lines = tuple(lines)
        for line in lines:
            info = infos.get(line.symbol)
            if info is not None:
                self._decimals[line.symbol] = [decimals_of(info.tick_size), decimals_of(info.step_size)]
        kept = {line.symbol for line in lines}
        for books in (self.rows, self._ticks, self._decimals):
            for symbol in [symbol for symbol in books if symbol not in kept]:
                del books[symbol]
        # A tuple, since the page framework would watch each dictionary of a list, at ten times the cost.
        self._props["lines"] = tuple({name: getattr(line, name) for name in _LINE_FIELDS} for line in lines)

    def set_state(self, *, selected: str, tone: str, is_simulated: bool) -> None:
        """Set the selected row, and the tone of the values."""
        for name, value in (("selected", selected), ("tone", tone), ("simulated", is_simulated)):
            if self._props.get(name) != value:
                self._props[name] = value

    def put(
        self,
        ticks: Iterable[TradeTick],
        *,
        now_ms: int,
        traces: Mapping[str, Sequence[TradeTick]] | None = None,
    ) -> None:
        """Show the latest ticks of the rows that changed, perhaps with the trades before them.

        Without any, nothing is sent.
        """
        changed = [self._take(tick) for tick in ticks]
        if changed:
            payload: dict[str, Any] = {"now": now_ms, "rows": [row.packed() for row in changed]}
            if traces is not None:
                payload["traces"] = _prices(traces)
            self.run_method("apply", payload)

    def put_all(
        self, ticks: Iterable[TradeTick], *, traces: Mapping[str, Sequence[TradeTick]], now_ms: int
    ) -> None:
        """Show exactly these ticks; a row without a tick is empty. `traces` are the trades before them."""
        rows = [self._take(tick) for tick in ticks]
        self.rows = {row.symbol: row for row in rows}
        self._ticks = {symbol: tick for symbol, tick in self._ticks.items() if symbol in self.rows}
        packed = [row.packed() for row in rows]
        self.run_method("apply", {"now": now_ms, "full": True, "rows": packed, "traces": _prices(traces)})

    def _take(self, tick: TradeTick) -> GridRow:
        symbol = tick.symbol
        direction = self._direction(tick)
        self._ticks[symbol] = tick
        decimals = self._decimals.setdefault(symbol, [2, 0])
        # Without the exchange's steps, a row shows as many decimals as any of its values needed.
        decimals[0] = max(decimals[0], significant_decimals(tick.price))
        decimals[1] = max(decimals[1], significant_decimals(tick.size))
        row = GridRow(
            symbol=symbol,
            price=trimmed(tick.price, decimals[0]),
            direction=direction,
            size=trimmed(tick.size, decimals[1]),
            side=tick.side,
            ts=tick.ts,
            recv_ts=tick.recv_ts,
            id=tick.id,
        )
        self.rows[symbol] = row
        return row

    def _direction(self, tick: TradeTick) -> Direction:
        before, row = self._ticks.get(tick.symbol), self.rows.get(tick.symbol)
        if before is None or row is None or before.exchange != tick.exchange:
            return 0
        if tick.price == before.price:
            return row.direction
        return 1 if tick.price > before.price else -1


def _prices(traces: Mapping[str, Sequence[TradeTick]]) -> dict[str, list[str]]:
    return {symbol: [format(tick.price, "f") for tick in trace] for symbol, trace in traces.items()}


def side_index(side: Side) -> int:
    """Return the index of `side` in `SIDES`."""
    return SIDES.index(side)


def symbol_argument(event: GenericEventArguments) -> str:
    """Return the text argument of an event, cut to a bound: a client can send anything."""
    argument: Any = event.args
    return argument[:_MAX_ARGUMENT_LENGTH] if isinstance(argument, str) else ""
