"""Labs › Status: the page for whoever runs the server, and for whoever doubts a price."""

from __future__ import annotations

from collections.abc import Awaitable

from nicegui import Client, ui

from livemarkets.status.exchange_report import ExchangeReport
from livemarkets.status.report import StatusReport
from pages.elements.fact_table.fact_table import FactTable
from pages.elements.needs_list import NeedsList
from pages.labs.status import columns, tables
from pages.labs.status.breaks import Breaks
from pages.labs.status.bus import BusSection
from pages.paths import prefixed
from pages.ports import PageServices
from pages.shell import Shell, shell, text
from pages.wording import label

__all__ = ["SAMPLE_SECONDS", "StatusPage", "register"]

SAMPLE_SECONDS = 1.0
NOTHING_TO_DO = "Nothing needs you."


def register(services: PageServices) -> None:
    """Register the page under `/labs/status`."""

    @ui.page("/labs/status", title="Status · Live Markets")
    async def status_page(client: Client) -> None:
        with shell(services, path="/labs/status") as frame:
            await services.page_turns.wait()
            page = StatusPage(services, frame, client.id)
        client.on_connect(page.send_all)
        client.on_delete(page.close)
        await services.page_turns.wait()


class StatusPage:
    """The elements of one open page, and the timer that keeps them up to date.

    Args:
        services: the application.
        frame: the shell around the page.
        client_id: NiceGUI's id of the page.
    """

    def __init__(self, services: PageServices, frame: Shell, client_id: str) -> None:
        self._services = services
        self._frame = frame
        self._is_visible = True
        self.breaks: Breaks | None = None
        self.sections: dict[str, _Section] = {}
        with ui.element("div").classes("status-page") as self._root:
            self._build_head()
            with ui.element("section").classes("card").props('aria-labelledby="needs-title"'):
                text("h2", "What needs you").props('id="needs-title"')
                self.needs = NeedsList(none=NOTHING_TO_DO, on_visibility=self.set_visible)
            self.bus = BusSection() if services.settings.role != "all" else None
            for exchange in services.exchanges():
                self.sections[exchange] = self._build_exchange(exchange, client_id)
            with ui.element("section").classes("card").props('aria-labelledby="server-title"'):
                text("h2", "Server").props('id="server-title"')
                self.server = FactTable("Server at a glance", columns.FACT_COLUMNS, has_head=False)
                self.readers = FactTable(
                    "Programs", columns.READER_COLUMNS, caption="Programs on /ws/markets"
                )
        ui.timer(SAMPLE_SECONDS, self._take_turn)

    def _build_head(self) -> None:
        with ui.element("div").classes("labs-head"):
            text("span", "LAB", "lab-label").props('title="Experimental: it may change or be removed"')
            text("h1", "Status")
            with ui.element("div").classes("labs-tools"):
                text("a", "Download diagnostics", "button download").props(
                    f'href="{prefixed("/api/diagnostics")}" download="livemarkets-diagnostics.json"'
                    ' title="One file with all of this page and the settings, without secrets"'
                )

    def _build_exchange(self, exchange: str, client_id: str) -> _Section:
        with ui.element("section").classes("card").props(f'aria-labelledby="{exchange}-title"'):
            text("h2", label(exchange)).props(f'id="{exchange}-title"')
            if exchange == "simulator" and self._services.faults is not None:
                self.breaks = Breaks(self._services, self._services.faults, client_id)
            return _Section(exchange)

    def set_visible(self, is_visible: bool) -> Awaitable[None] | None:
        """Stop sending to a hidden page. Send everything when it is visible again."""
        self._is_visible = is_visible
        return self.send_all() if is_visible else None

    async def send_all(self) -> None:
        """Send everything: the page is new, was hidden, or has reconnected."""
        for table in self._tables():
            table.forget()
        self.needs.send()
        await self._take_turn()

    def close(self) -> None:
        """End the subscriptions: the page is closed."""
        if self.breaks is not None:
            self.breaks.close()

    def _tables(self) -> list[FactTable]:
        bus = [] if self.bus is None else self.bus.tables()
        return [
            self.server,
            self.readers,
            *bus,
            *(each for one in self.sections.values() for each in one.tables()),
        ]

    async def _take_turn(self) -> None:
        if not self._is_visible:
            return
        report = await self._services.inspection.report()
        await self._services.page_turns.wait()  # the timers of many pages are due together
        if not self._root.is_deleted:
            self._show(report)

    def _show(self, report: StatusReport) -> None:
        services, now_ms = self._services, self._services.now_ms()
        self._frame.show(services, asked=services.exchanges()[0])
        self.needs.show(report.needs)
        if self.bus is not None and report.bus is not None:
            self.bus.show(report.bus, now_ms)
        for exchange in report.exchanges:
            if exchange.exchange in self.sections:
                self.sections[exchange.exchange].show(exchange, now_ms)
        readers = report.readers
        self.server.show(tables.server_facts(report.process, readers), now_ms=now_ms)
        self.readers.show(
            tables.reader_rows(readers.worst), rest=tables.rest_of(readers.others, "programs"), now_ms=now_ms
        )


class _Section:
    """The tables of one exchange."""

    def __init__(self, exchange: str) -> None:
        name = label(exchange)
        self.facts = FactTable(f"{name} at a glance", columns.FACT_COLUMNS, has_head=False)
        self.changes, self.hops, self.streams, self.legs, self.connections, self.addresses = (
            FactTable(f"{name}: {caption}", each, caption=caption)
            for caption, each in (
                ("What happened", columns.CHANGE_COLUMNS),
                ("How old trades are", columns.HOP_COLUMNS),
                ("Streams", columns.STREAM_COLUMNS),
                ("Legs", columns.LEG_COLUMNS),
                ("Connections", columns.CONNECTION_COLUMNS),
                ("Addresses", columns.ADDRESS_COLUMNS),
            )
        )

    def tables(self) -> list[FactTable]:
        shown = self.facts, self.changes, self.hops, self.streams, self.legs, self.connections, self.addresses
        return list(shown)

    def show(self, exchange: ExchangeReport, now_ms: int) -> None:
        streams = exchange.streams
        self.facts.show(tables.exchange_facts(exchange), now_ms=now_ms)
        self.changes.show(tables.change_rows(exchange.changes), now_ms=now_ms)
        self.hops.show(tables.hop_rows(exchange), now_ms=now_ms)
        self.streams.show(
            tables.stream_rows(streams.worst), rest=tables.rest_of(streams.others, "streams"), now_ms=now_ms
        )
        self.legs.show(tables.leg_rows(exchange.legs), now_ms=now_ms)
        self.connections.show(tables.connection_rows(exchange.connections), now_ms=now_ms)
        self.addresses.show(tables.address_rows(exchange), now_ms=now_ms)
