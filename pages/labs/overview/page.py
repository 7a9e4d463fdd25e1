"""Labs › Overview: the page on which a person sees the whole exchange."""

from __future__ import annotations

from nicegui import Client, ui

from livemarkets.market.updates import TickerRow
from pages.elements.choice import Choice
from pages.elements.copy_button import CopyButton
from pages.elements.movers import Mover, Movers
from pages.elements.overview_table.overview_table import OverviewTable
from pages.elements.search_box import SearchBox
from pages.labs.directories import load_directory
from pages.labs.overview.overview import Overview
from pages.labs.overview.ranking import COLUMNS, COMMON_ASSET, MOVERS_AMONG
from pages.labs.overview.url import OverviewUrl, read_overview
from pages.labs.shortcuts import OVERVIEW_SHORTCUTS
from pages.labs.url import Notice
from pages.labs.watchlist import PageSubscriber
from pages.number_format import percent
from pages.paths import prefixed
from pages.ports import PageServices
from pages.shell import Shell, shell, text
from pages.wording import label

__all__ = ["SAMPLE_SECONDS", "OverviewPage", "register"]

SAMPLE_SECONDS = 0.5
"""How often a page reads the store and sends what changed in sight. The exchange tells once a second."""
MOVERS_SHOWN = 3

TITLES = {
    "symbol": ("Symbol", "Sort by name"),
    "last": ("Last", "The price of the newest trade"),
    "change": ("24 h", "The change of the price in 24 hours"),
    "high": ("High", "The highest price of the last 24 hours"),
    "low": ("Low", "The lowest price of the last 24 hours"),
    "volume": ("Volume", f"In 24 hours, in the quote asset; sorted by its worth in {COMMON_ASSET}"),
    "trades": ("Trades", "How many trades in 24 hours"),
}


def register(services: PageServices) -> None:
    """Register the page under `/labs/overview`."""

    @ui.page("/labs/overview", title="Overview · Live Markets")
    async def overview_page(
        client: Client, exchange: str = "", quote: str = "", q: str = "", sort: str = "", symbols: str = ""
    ) -> None:
        view, notices = read_overview(exchange, quote, q, sort, symbols, exchanges=services.exchanges())
        with shell(services, path="/labs/overview", has_strip=True, shortcuts=OVERVIEW_SHORTCUTS) as frame:
            await services.page_turns.wait()
            page = OverviewPage(services, view, frame, client.id)
            for notice in notices:
                page.note(notice)
        client.on_connect(page.on_connect)
        client.on_delete(page.close)
        await services.page_turns.wait()


class OverviewPage:
    """The elements of one open page, and the timer that keeps them up to date.

    Args:
        services: the application.
        view: what the address says.
        frame: the shell around the page.
        client_id: NiceGUI's id of the page, which becomes the id of the subscriber.
    """

    def __init__(self, services: PageServices, view: OverviewUrl, frame: Shell, client_id: str) -> None:
        self._services = services
        self._frame = frame
        self.state = Overview(services, view, PageSubscriber(client_id))
        self._is_visible = True
        self._url = ""
        self._prefix = prefixed("")
        with ui.element("div").classes("overview") as self._root:
            self._build_head()
            self._notices = ui.element("div").classes("labs-notices").props('role="alert"')
            self.movers = Movers(hint=f"Among the {MOVERS_AMONG} symbols with the largest volume")
            self._build_caption()
            self.table = OverviewTable(
                columns={name: TITLES[name] for name in COLUMNS},
                on_sort=self.sort,
                on_hold=self.hold,
                on_window=self._flush,
                on_visibility=self.set_visible,
            )
        self._flush()
        ui.timer(SAMPLE_SECONDS, self._take_turn)

    def _build_head(self) -> None:
        with ui.element("div").classes("labs-head"):
            text("span", "LAB", "lab-label").props('title="Experimental: it may change or be removed"')
            text("h1", "Overview")
            self.search_box = SearchBox(
                self.state.view.query, label="Search symbols: btc, eth usdt, …", on_search=self.search
            )
            with ui.element("div").classes("labs-tools"):
                self.quotes = Choice("Quote asset", on_choose=self.filter)
                self.exchanges = Choice("Exchange", on_choose=self.choose)
                CopyButton("Share")

    def _build_caption(self) -> None:
        with ui.element("p").classes("overview-caption"):
            self._tag = text("span", "simulated", "tag")
            self._count = text("span", "").props('role="status"')
            self._quality = text("span", "")
            self._held = text("span", "The order is held while you point at the rows.")

    # What the person does

    def choose(self, exchange: str) -> None:
        """Show another exchange."""
        self.state.choose(exchange)
        self.table.forget()
        self._show_anew()

    def filter(self, quote: str) -> None:
        """Show only symbols with a quote asset."""
        self.state.filter(quote)
        self._show_anew()

    def search(self, query: str) -> None:
        """Show only symbols that contain the words of `query`."""
        self.state.search(query)
        self._show_anew()

    def sort(self, column: str) -> None:
        """Sort by a column, or the other way round."""
        self.state.sort(column)
        self._show_anew()

    def hold(self, is_held: bool) -> None:
        """Keep the rows in place, or let them move again."""
        self.state.hold(is_held)
        self._flush()

    def set_visible(self, is_visible: bool) -> None:
        """Stop sending to a hidden page. Send everything when it is visible again."""
        self._is_visible = is_visible
        if is_visible:
            self._send_all()

    def on_connect(self) -> None:
        """Subscribe and send everything: the page is new, or has reconnected."""
        self.state.open()
        self._send_all()

    def close(self) -> None:
        """Unsubscribe, and drop the elements that call this page, so that it is freed: it is closed."""
        self.state.close()
        del self.table, self.search_box, self.quotes, self.exchanges

    # What is shown

    def note(self, notice: Notice) -> None:
        """Show a message until it is dismissed."""
        with self._notices, ui.element("div").classes("notice") as element:
            text("span", notice.text, "notice-text")
            close = ui.element("button").classes("icon-button").props('type="button" aria-label="Dismiss"')
            with close:
                text("span", "×")
            close.on("click", element.delete)

    async def _take_turn(self) -> None:
        await self._services.page_turns.wait()  # the timers of many pages are due together
        if not self._root.is_deleted:
            self._flush()

    def _flush(self) -> None:
        due = self.state.take_due_directory()
        if due is not None:
            load_directory(self._services, due, self._root)
        if not self._is_visible:
            return
        is_new = self.state.sample()
        self._show_states()
        if is_new:
            self._show_offers()
        self._show_table()

    def _send_all(self) -> None:
        self.table.forget()
        self._flush()
        self.movers.send()

    def _show_anew(self) -> None:
        """Show other rows from the top, under another address."""
        self.table.call("toTop")
        self._flush()

    def _show_states(self) -> None:
        state = self.state
        view, exchanges = state.view, self._services.exchanges()
        self._frame.show(self._services, state.banner, asked=view.exchange)
        self.exchanges.set_options({exchange: label(exchange) for exchange in exchanges}, view.exchange)
        self._tag.set_visibility(state.is_simulated)
        self._count.set_text(state.counted())
        self._quality.set_text(state.quality_text())
        self._held.set_visibility(state.is_held)
        self.table.set_state(
            column=view.column,
            is_descending=view.is_descending,
            tone=state.tone,
            is_simulated=state.is_simulated,
            opening=self._prefix + view.opening("{}").replace("%7B%7D", "{}"),
        )
        if view.url != self._url:
            self._url = view.url
            with self._root:
                ui.navigate.history.replace(self._prefix + self._url)

    def _show_offers(self) -> None:
        """Show what follows from all figures: the quote assets and the movers."""
        view = self.state.view
        quotes = dict.fromkeys([*self.state.quotes(), *filter(None, [view.quote])])
        self.quotes.set_options({"": "All quotes"} | {asset: asset for asset in quotes}, view.quote)
        gainers, losers = self.state.movers(MOVERS_SHOWN)
        groups = {"Gainers": gainers, "Losers": losers}
        self.movers.show(
            {title: [self._mover(row) for row in rows] for title, rows in groups.items() if rows}
        )

    def _mover(self, row: TickerRow) -> Mover:
        info = self.state.info(row.symbol)
        return Mover(
            symbol=row.symbol,
            title=f"{info.base_asset}/{info.quote_asset}" if info else row.symbol,
            change=percent(row.change_percent),
            href=self._prefix + self.state.view.opening(row.symbol),
        )

    def _show_table(self) -> None:
        state, now_ms = self.state, self._services.now_ms()
        self.table.show(state.order, state.rows, state.info, news_ms=state.news_ms, now_ms=now_ms)
