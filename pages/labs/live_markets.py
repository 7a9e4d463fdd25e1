"""The Live page: the page on which a person picks symbols and watches their trades."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fastapi import Request
from nicegui import Client, ui

from pages.elements.choice import Choice
from pages.elements.copy_button import CopyButton
from pages.elements.market_grid.market_grid import MarketGrid
from pages.elements.page_address import PageAddress
from pages.elements.symbol_picker import SymbolPicker
from pages.in_turns import InTurns
from pages.labs.directories import load_directory
from pages.labs.market.selected import SelectedMarket
from pages.labs.messages import Messages
from pages.labs.overview.url import OverviewUrl
from pages.labs.picker_answers import PickerAnswers
from pages.labs.shortcuts import LIVE_SHORTCUTS
from pages.labs.url import Notice, WatchlistUrl, read_view
from pages.labs.watchlist import PageSubscriber, Watchlist
from pages.paths import prefixed
from pages.ports import PageServices
from pages.shell import Shell, shell, text
from pages.wording import label

__all__ = ["FLUSH_SECONDS", "LabsPage", "register"]

FLUSH_SECONDS = 0.25
"""How often a page reads the stores and sends what changed. People cannot read faster than that."""
FLUSHES_PER_SORT = 4
"""Rows that are sorted by their values move once a second at most."""


def register(services: PageServices) -> None:
    """Register the page under `/labs`."""

    @ui.page("/labs", title="Live · Live Markets")
    async def labs_page(client: Client, request: Request) -> None:
        exchanges, settings = services.exchanges(), services.settings
        asked, limit = request.query_params, settings.max_symbols_per_client
        view, notices = read_view(asked, exchanges=exchanges, defaults=settings.default_symbols, limit=limit)
        with shell(services, path="/labs", has_strip=True, shortcuts=LIVE_SHORTCUTS) as frame:
            await services.page_turns.wait()  # in one piece, frame, page and answer take 20 ms
            page = LabsPage(services, view, frame, client.id)
            await services.page_turns.wait()  # 200 rows take as long as everything else
            page.lay_out()
            page.note(notices)
        client.on_connect(page.on_connect)
        client.on_delete(page.close)
        await services.page_turns.wait()


class LabsPage:
    """The elements of one open page, and the timer that keeps them up to date.

    Args:
        services: the application.
        view: what the address says.
        frame: the shell around the page.
        client_id: NiceGUI's id of the page, and the subscriber's.
    """

    def __init__(self, services: PageServices, view: WatchlistUrl, frame: Shell, client_id: str) -> None:
        self._services = services
        self._frame = frame
        self.watch = Watchlist(services, view, PageSubscriber(client_id))
        self._answers = PickerAnswers(services, self.watch)
        self._values = InTurns(services.page_turns, self._send_values)
        self._is_visible = True
        self._was_opened = False
        self._flushes = 0
        self._prefix = prefixed("")
        with frame.bar:
            self._build_bar()
        with ui.element("div").classes("labs") as self._root:
            text("h1", "Live", "visually-hidden")
            self._address = PageAddress(on_step=self.step)
            with ui.element("section").classes("labs-list").props('aria-label="Watch list"'):
                self._messages = Messages(title=self.watch.title, on_add=self.add, on_undo=self.undo)
                self._build_grid()
            with ui.element("section").classes("labs-market").props('aria-label="Selected market"'):
                back = text("button", "‹ Back to the list", "button labs-back").props("type=button")
                back.on("click", lambda: self.select(""))
                self.market = SelectedMarket(
                    services,
                    client_id,
                    on_view=self.set_market_view,
                    interval=view.interval,
                    minimum=view.minimum,
                    alert=view.private.get("alert", ""),
                    is_paused="paused" in view.private,
                )
        if frame.strip is not None:
            frame.strip.on_action(self.choose_simulator)
        ui.timer(FLUSH_SECONDS, self._take_turn)

    def _build_bar(self) -> None:
        text("span", "LAB", "lab-label").props('title="Experimental: it may change or be removed"')
        self.picker = SymbolPicker(search=self._answers.search, on_pick=self.add)
        exchanges = {exchange: label(exchange) for exchange in self._services.exchanges()}
        choice = Choice("Exchange", on_choose=self.choose).mark("exchange")
        choice.set_options(exchanges, self.watch.view.exchange)
        self._share = CopyButton("Share")

    def _build_grid(self) -> None:
        self.grid = MarketGrid(
            on_select=self.select,
            on_remove=self.remove,
            on_move=self.move,
            on_sort=self.sort,
            on_hold=self.watch.hold,
            on_visibility=self.set_visible,
        )
        with ui.element("div").classes("grid-empty") as self._empty:
            text("h2", "No symbol chosen")
            text("p", "Search above, or start with one of these:")
        self._popular = ui.element("div").classes("popular")

    # What the person does

    def add(self, symbols: str) -> None:
        """Add the symbols that were picked or typed."""
        self.note(self.watch.add(self._answers.meant(symbols)))
        self._lay_out_changes()

    def remove(self, symbol: str) -> None:
        """Remove a row."""
        self.watch.remove(symbol)
        self._lay_out_changes()

    def undo(self) -> None:
        """Bring the row back that was removed last."""
        self.watch.undo()
        self._lay_out_changes()

    def move(self, symbol: str, place: int) -> None:
        """Move a row to a place from the top."""
        self.watch.move(symbol, place)
        self._show_order()

    def sort(self, column: str) -> None:
        """Sort by a column, the other way round, or not at all."""
        self.watch.sort(column)
        self._show_order()

    def select(self, symbol: str) -> None:
        """Show the market of a row; on a phone it opens over the list. Without a symbol, close it."""
        self.watch.select(symbol)
        self._show_selected(is_step=True)

    def step(self, selected: str) -> None:
        """Follow the browser's Back and Forward: they open and close the market."""
        self.watch.select(selected)
        self._address.url = ""  # the address is another one by now
        self._show_selected(is_step=False)

    def choose(self, exchange: str) -> None:
        """Show another exchange."""
        self.watch.choose(exchange)
        self._lay_out_changes()

    def choose_simulator(self) -> None:
        """Take what the banner offers during an outage."""
        self.watch.choose_simulator()
        self.lay_out()

    def set_market_view(self, **view: str | None) -> None:
        """Keep in the address what the person set in the market."""
        self.watch.set_market_view(**view)
        self._write_address()

    def set_visible(self, is_visible: bool) -> None:
        """Stop sending to a hidden page. Send everything when it is visible again."""
        self._is_visible = is_visible
        if is_visible:
            self._send_all()

    def on_connect(self) -> None:
        """Subscribe and send everything: the page is new, or has reconnected."""
        self.watch.open()
        self._was_opened = True
        self._address.url = ""
        self.lay_out()

    def close(self) -> None:
        """Unsubscribe, and drop the elements that call this page, so that it is freed: it is closed."""
        self.watch.close()
        self.market.close()
        self._messages.close()
        self._values.end()
        del self.picker, self.market, self._messages, self._values

    # What is shown

    def note(self, notices: Iterable[Notice], *, is_more: bool = False) -> None:
        """Show messages. They replace the earlier ones unless `is_more`."""
        self._messages.note(notices, is_more=is_more)

    def _lay_out_changes(self) -> None:
        """Lay out again if the person has changed something: with 200 rows it takes milliseconds."""
        if self._laid_out != self.watch.view:
            self.lay_out()

    def lay_out(self) -> None:
        """Update everything but the values from the watchlist, then send all values."""
        watch = self.watch
        self._laid_out = watch.view
        lines = watch.lines()
        infos = {line.symbol: info for line in lines if (info := watch.info(line.symbol)) is not None}
        self.grid.set_lines(lines, infos)
        self.grid.set_visibility(bool(lines))
        self._empty.set_visibility(not lines)
        self._popular.clear()
        with self._popular:
            if popular := self._answers.popular():
                text("span", "Popular" if lines else "")
                self._messages.build_chips(popular)
        self.picker.set_placeholder(self._answers.hint())
        self._show_states()
        self._send_all()
        self._write_address()

    def _show_order(self) -> None:
        self._laid_out = self.watch.view
        self.grid.arrange(self.watch.order)
        self._show_states()
        self._write_address()

    def _show_selected(self, *, is_step: bool) -> None:
        """Only the market is another one: the rows stay as they are."""
        was_open = bool(self._laid_out.selected)
        self._laid_out = self.watch.view
        self._show_states()
        self._write_address(is_step=is_step and not was_open and bool(self.watch.view.selected))

    def _write_address(self, *, is_step: bool = False) -> None:
        view = self.watch.view
        self._share.set_address(self._prefix + view.shared_url)
        overview = OverviewUrl(exchange=view.exchange, symbols=view.symbols)
        self._frame.link_to("/labs/overview", self._prefix + overview.url)
        self._address.write(self._prefix + view.url, is_step=is_step)

    def _show_states(self) -> None:
        watch = self.watch
        self._frame.show(self._services, watch.strip, asked=watch.view.exchange, shown=watch.shown)
        self.grid.set_state(
            selected=watch.selected,
            tone=watch.tone,
            is_simulated=watch.is_simulated,
            column=watch.view.sort.column,
            is_descending=watch.view.sort.is_descending,
        )
        is_open = "open" if watch.view.selected else "closed"
        if self._root.props.get("data-market") != is_open:
            self._root.props["data-market"] = is_open
        self._messages.offer_undo(watch.removed)
        tag, title = "simulated" if watch.is_simulated else "", watch.title(watch.selected)
        info = watch.info(watch.selected)
        self.market.show(watch.selected_key(), title=title, info=info, tone=watch.tone, tag=tag)

    def _send_all(self) -> None:
        if self._was_opened:
            self._values.begin()
        else:  # for the first paint; :meth:`on_connect` sends all
            self.grid.put_all(self.watch.values.all(), traces={}, now_ms=self._services.now_ms())

    def _send_values(self) -> Iterator[None]:
        """Send all values, those of many rows in pieces: with 200 rows they take 15 ms."""
        for index, (news, traces) in enumerate(self.watch.values.pieces()):
            if index:
                yield
            put = self.grid.put if index else self.grid.put_all
            put(news, traces=traces, now_ms=self._services.now_ms())
        self.market.send_all()

    async def _take_turn(self) -> None:
        await self._services.page_turns.wait()  # the timers of many pages are due together
        self._flush()

    def _flush(self) -> None:
        notices = self.watch.follow()
        for exchange in self.watch.take_due_directories():
            load_directory(self._services, exchange, self._root)
        if notices is not None:
            self.note(notices, is_more=True)
            self.lay_out()
        if not self._is_visible:
            self.market.flush(is_visible=False)
            return
        self._show_states()
        self.grid.put(self.watch.values.read(), now_ms=self._services.now_ms())
        self._flushes += 1
        if self._flushes % FLUSHES_PER_SORT == 0 and self.watch.sort_anew():
            self.grid.arrange(self.watch.order)
        self.market.flush()
