"""The selected market: its chart, figures and tape."""

from __future__ import annotations

from typing import Protocol

from nicegui.events import GenericEventArguments

from livemarkets.market.models import StreamKey, SymbolInfo
from pages.elements.market_grid.market_grid import symbol_argument
from pages.elements.symbol_panel.symbol_panel import SymbolPanel
from pages.elements.trade_tape import TradeTape
from pages.ports import PageServices

__all__ = ["MarketPanels", "ViewChanged"]


class ViewChanged(Protocol):
    """Called when the person changed something that stands in the address of the page."""

    def __call__(
        self,
        *,
        interval: str | None = None,
        minimum: str | None = None,
        paused: str | None = None,
        alert: str | None = None,
    ) -> None:
        """Note what is set now; `None` is as it was."""


class MarketPanels:
    """The right half of a page.

    Args:
        services: the application.
        client_id: NiceGUI's id of the page.
        on_view: called when the person changed something that stands in the address.
        interval: the length of candles.
        minimum: the smallest value that the tape shows, in the quote asset; empty for all.
        alert: the price alert; empty for none.
        is_paused: whether the tape is paused.
    """

    def __init__(
        self,
        services: PageServices,
        client_id: str,
        *,
        on_view: ViewChanged,
        interval: str = "",
        minimum: str = "",
        alert: str = "",
        is_paused: bool = False,
    ) -> None:
        self._trades = services.trades
        self._on_view = on_view
        self._key: StreamKey | None = None
        self._title, self._tag, self._tone = "", "", "quiet"
        self._info: SymbolInfo | None = None
        self.panel = SymbolPanel()
        self.tape = TradeTape(on_change=self._fill_tape)
        self.tape.on("pause", self._tell_pause)
        self.tape.on("minimum", lambda event: self._on_view(minimum=symbol_argument(event)))

    def show(
        self, key: StreamKey | None, *, title: str, info: SymbolInfo | None, tone: str, tag: str = ""
    ) -> None:
        """Show a symbol, or say how its values are. Without a change, nothing is sent."""
        is_other = (key, info, title) != (self._key, self._info, self._title)
        self._key, self._info, self._title, self._tag, self._tone = key, info, title, tag, tone
        if is_other:
            self.send_all()
        self._show_tape_state()

    def send_all(self) -> None:
        """Send everything: the page is open, visible again, or has reconnected."""
        self._fill_tape()
        self.panel.set_visibility(self._key is not None)
        self.panel.fill(self._key, title=self._title, info=self._info, trades=self._trades)

    def flush(self, *, is_visible: bool = True) -> None:
        """Send what changed since the last flush; nothing to a page that is hidden."""
        if not is_visible:
            return
        self.tape.flush(self._trades)
        self._show_tape_state()
        self.panel.flush(self._trades)

    def close(self) -> None:
        """Drop the elements that call this object, so that it is freed."""
        del self.tape

    def _tell_pause(self, event: GenericEventArguments) -> None:
        self._on_view(paused="1" if event.args is True else "")

    def _fill_tape(self) -> None:
        title = self._title if self._key is not None else ""
        self.tape.fill(self._key, title=title, info=self._info, trades=self._trades)
        self._show_tape_state()

    def _show_tape_state(self) -> None:
        """Update the caption of the tape. Call it after the lines changed, so that both fit."""
        self.tape.set_state(tag=self._tag, tone=self._tone, hint=self._tape_hint(self._tone))

    def _tape_hint(self, tone: str) -> str:
        if self._key is None:
            return "Choose a symbol to see its trades."
        if tone in ("stale", "down"):
            return "These are the last trades received."
        if self.tape.has_filter:
            return ""  # the tape itself says what its filter shows
        return "Every trade, newest on top." if self.tape.shown else "No trade yet."
