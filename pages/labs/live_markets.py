"""Labs › Live markets: the page on which a person picks symbols and watches their trades."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from nicegui import Client, ui

from livemarkets.market.models import StreamKey
from pages.elements.copy_button import CopyButton
from pages.elements.market_grid.market_grid import MarketGrid, symbol_argument
from pages.elements.symbol_panel.symbol_panel import SymbolPanel
from pages.elements.symbol_picker import SymbolPicker
from pages.elements.trade_tape import TradeTape
from pages.in_turns import InTurns
from pages.labs.picker_answers import PickerAnswers
from pages.labs.url import Notice, WatchlistUrl, read_view
from pages.labs.watchlist import PageSubscriber, Watchlist
from pages.paths import prefixed
from pages.ports import PageServices
from pages.shell import Shell, shell, text
from pages.wording import label

__all__ = ["FLUSH_SECONDS", "LabsPage", "register"]

FLUSH_SECONDS = 0.25
"""How often a page reads the stores and sends what changed. People cannot read faster than that."""
TRACE_LENGTH = 120
"""Trades in the sparkline of a row when it is first drawn."""
TRACES_LENGTH = 6_000
"""The same for all rows together: with more than 50 rows, each has fewer."""
_ROWS_AT_ONCE = 25
"""Rows whose values are sent in one turn of the event loop, in 2 ms."""


def register(services: PageServices) -> None:
    """Register the page under `/labs`."""

    @ui.page("/labs", title="Labs · Live Markets")
    async def labs_page(client: Client, exchange: str = "", symbols: str | None = None) -> None:
        view, notices = read_view(
            exchange,
            symbols,
            exchanges=services.exchanges(),
            defaults=services.settings.default_symbols,
            limit=services.settings.max_symbols_per_client,
        )
        with shell(services, path="/labs", has_strip=True) as frame:
            await services.page_turns.wait()  # in one piece, frame, page and answer take 20 ms
            page = LabsPage(services, view, frame, client.id)
            page.note(notices)
        client.on_connect(page.on_connect)
        client.on_delete(page.close)
        await services.page_turns.wait()


class LabsPage:
    """The elements of one open page, and the timer that keeps them up to date.

    Args:
        services: the application.
        view: exchange and symbols from the address.
        frame: the shell around the page.
        client_id: NiceGUI's id of the page, and the subscriber's.
    """

    def __init__(self, services: PageServices, view: WatchlistUrl, frame: Shell, client_id: str) -> None:
        self._services = services
        self._frame = frame
        self.watch = Watchlist(services, view, PageSubscriber(client_id))
        self._answers = PickerAnswers(services, self.watch)
        self._values = InTurns(services.page_turns, self._send_values)
        self._version = 0
        self._is_visible = True
        self._was_opened = False
        self._url = ""
        self._prefix = prefixed("")
        with ui.element("div").classes("labs") as self._root:
            self._build_head()
            with ui.element("div").classes("labs-picker"):
                self.picker = SymbolPicker(search=self._answers.search, on_pick=self.add)
                self._notices = ui.element("div").classes("labs-notices").props('role="alert"')
            with ui.element("div").classes("labs-grid"):
                self._build_grid()
            with ui.element("div").classes("labs-panel"):
                self.panel = SymbolPanel()
            with ui.element("div").classes("labs-tape"):
                self.tape = TradeTape(on_change=self._fill_tape)
        self._lay_out()
        ui.timer(FLUSH_SECONDS, self._take_turn)

    def _build_head(self) -> None:
        with ui.element("div").classes("labs-head"):
            text("span", "LAB", "lab-label").props('title="Experimental: it may change or be removed"')
            text("h1", "Live markets")
            with ui.element("div").classes("labs-tools"):
                with ui.element("label"):
                    text("span", "Exchange ")
                    self._build_exchange_choice()
                CopyButton("Share")

    def _build_exchange_choice(self) -> None:
        choice = ui.element("select").classes("field").props('aria-label="Exchange"').mark("exchange")
        with choice:
            for exchange in self._services.exchanges():
                option = text("option", label(exchange)).props(f'value="{exchange}"')
                if exchange == self.watch.view.exchange:
                    option.props("selected")
        js_handler = "(event) => emit(event.target.value)"
        choice.on("change", lambda event: self.choose(symbol_argument(event)), js_handler=js_handler)

    def _build_grid(self) -> None:
        self.grid = MarketGrid(on_select=self.select, on_remove=self.remove, on_visibility=self.set_visible)
        with ui.element("div").classes("grid-empty") as self._empty:
            text("h2", "No symbol chosen")
            text("p", "Search above, or start with one of these:")
        self._popular = ui.element("div").classes("popular")

    # What the person does

    def add(self, symbols: str) -> None:
        """Add the symbols that were picked or typed."""
        self.note(self.watch.add(symbols))
        self._lay_out_changes()

    def remove(self, symbol: str) -> None:
        """Remove a row."""
        self.watch.remove(symbol)
        self._lay_out_changes()

    def select(self, symbol: str) -> None:
        """Show the tape of a row."""
        self.watch.select(symbol)
        self._lay_out_changes()

    def choose(self, exchange: str) -> None:
        """Show another exchange."""
        self.watch.choose(exchange)
        self._lay_out_changes()

    def set_visible(self, is_visible: bool) -> None:
        """Stop sending to a hidden page. Send everything when it is visible again."""
        self._is_visible = is_visible
        if is_visible:
            self._send_all()

    def on_connect(self) -> None:
        """Subscribe and send everything: the page is new, or has reconnected."""
        self.watch.open()
        self._was_opened = True
        self._lay_out()

    def close(self) -> None:
        """Unsubscribe, and drop the elements that call this page, so that it is freed: it is closed."""
        self.watch.close()
        self._values.end()
        del self.picker, self.tape, self._values

    # What is shown

    def note(self, notices: Iterable[Notice], *, is_more: bool = False) -> None:
        """Show messages. They replace the earlier ones unless `is_more`."""
        if not is_more:
            self._notices.clear()
        with self._notices:
            for notice in notices:
                self._build_notice(notice)

    def _build_notice(self, notice: Notice) -> None:
        with ui.element("div").classes("notice") as element:
            text("span", notice.text, "notice-text")
            for symbol in notice.suggestions:
                self._build_chip(symbol)
            with ui.element("button").classes("icon-button") as close:
                text("span", "×")
            close.props("type=button aria-label=Dismiss").on("click", element.delete)

    def _build_chip(self, symbol: str) -> None:
        chip = text("button", self.watch.title(symbol), "chip").props("type=button").mark(f"add-{symbol}")
        chip.on("click", lambda: self.add(symbol))

    def _lay_out_changes(self) -> None:
        """Lay out again if the person has changed something: with 200 rows it takes milliseconds."""
        if self._laid_out != (self.watch.view, self.watch.selected):
            self._lay_out()

    def _lay_out(self) -> None:
        """Update everything but the values from the watchlist, then send all values."""
        watch = self.watch
        self._laid_out = (watch.view, watch.selected)
        lines = watch.lines()
        infos = {line.symbol: info for line in lines if (info := watch.info(line.symbol)) is not None}
        self.grid.set_lines(lines, infos)
        self.grid.set_visibility(bool(lines))
        self._empty.set_visibility(not lines)
        self._popular.clear()
        with self._popular:
            if popular := self._answers.popular():
                text("span", "Popular" if lines else "")
                for symbol in popular:
                    self._build_chip(symbol)
        self.picker.set_placeholder(self._answers.hint())
        self._show_states()
        self._send_all()
        if watch.view.url != self._url:
            self._url = watch.view.url
            with self._root:  # the slot of a pressed suggestion is deleted by now
                ui.navigate.history.replace(self._prefix + self._url)

    def _show_states(self) -> None:
        watch, now_ms = self.watch, self._services.now_ms()
        if self._frame.strip is not None:
            self._frame.strip.show(watch.strip, now_ms=now_ms)
        if self._frame.badge is not None:
            statuses = [self._services.status(exchange) for exchange in self._services.exchanges()]
            self._frame.badge.show(statuses, asked=watch.view.exchange, shown=watch.shown, now_ms=now_ms)
        self.grid.set_state(selected=watch.selected, tone=self._tone(), is_simulated=watch.is_simulated)

    def _tone(self) -> str:
        """Return the tone of the values: how old they are. Simulated prices are marked elsewhere."""
        tone = self.watch.strip.tone
        return "live" if tone == "simulated" else tone

    def _show_tape_state(self) -> None:
        """Update the caption of the tape. Call it after the lines changed, so that both fit."""
        tag, tone = "simulated" if self.watch.is_simulated else "", self._tone()
        self.tape.set_state(tag=tag, tone=tone, hint=self._tape_hint(tone))

    def _tape_hint(self, tone: str) -> str:
        if not self.watch.selected:
            return "Choose a symbol to see its trades."
        if tone in ("stale", "down"):
            return "These are the last trades received."
        if self.tape.has_filter:
            return ""  # the tape itself says what its filter shows
        return "Every trade, newest on top." if self.tape.shown else "No trade yet."

    def _send_all(self) -> None:
        if self._was_opened:  # before, it would be queued until :meth:`on_connect` sends the same
            self._values.begin()

    def _send_values(self) -> Iterator[None]:
        """Send all values, those of many rows in pieces: with 200 rows they take 15 ms."""
        self._version = self._services.latest.version
        keys = self.watch.shown_keys()
        length = min(TRACE_LENGTH, TRACES_LENGTH // max(1, len(keys)))
        self._send_rows(keys[:_ROWS_AT_ONCE], length, is_first=True)
        for at in range(_ROWS_AT_ONCE, len(keys), _ROWS_AT_ONCE):
            yield
            self._send_rows(keys[at : at + _ROWS_AT_ONCE], length, is_first=False)
        if len(keys) > _ROWS_AT_ONCE:
            yield
        self._fill_tape()
        self._fill_panel()

    def _send_rows(self, keys: Sequence[StreamKey], trace_length: int, *, is_first: bool) -> None:
        ticks = [tick for key in keys if (tick := self._services.latest.get(key)) is not None]
        traces = {key.symbol: self._services.trades.recent(key, trace_length) for key in keys}
        put = self.grid.put_all if is_first else self.grid.put
        put(ticks, traces=traces, now_ms=self._services.now_ms())

    def _fill_panel(self) -> None:
        key, symbol, trades = self.watch.selected_key(), self.watch.selected, self._services.trades
        self.panel.set_visibility(key is not None)
        self.panel.fill(key, title=self.watch.title(symbol), info=self.watch.info(symbol), trades=trades)

    def _fill_tape(self) -> None:
        key, symbol, trades = self.watch.selected_key(), self.watch.selected, self._services.trades
        title, info = self.watch.title(symbol) if key is not None else "", self.watch.info(symbol)
        self.tape.fill(key, title=title, info=info, trades=trades)
        self._show_tape_state()

    async def _take_turn(self) -> None:
        await self._services.page_turns.wait()  # the timers of many pages are due together
        self._flush()

    def _flush(self) -> None:
        notices = self.watch.follow()
        for exchange in self.watch.take_due_directories():
            self._load_directory(exchange)
        if notices is not None:
            self.note(notices, is_more=True)
            self._lay_out()
        if not self._is_visible:
            return
        self._show_states()
        ticks = self._services.latest.changed_since(self._version, self.watch.shown_keys())
        self._version = self._services.latest.version
        self.grid.put(ticks, now_ms=self._services.now_ms())
        self.tape.flush(self._services.trades)
        self._show_tape_state()
        self.panel.flush(self._services.trades)

    def _load_directory(self, exchange: str) -> None:
        async def load() -> None:
            await self._services.ensure_symbols(exchange)

        with self._root:  # the timer is cancelled when the page is deleted, and with it the wait
            ui.timer(0, load, once=True)
