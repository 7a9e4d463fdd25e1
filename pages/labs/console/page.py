"""Labs › Console: the page on which a person tries `/ws/markets`."""

from __future__ import annotations

from dataclasses import replace

from nicegui import Client, ui

from livemarkets.market.channels import CHANNELS
from livemarkets.protocol.messages import CLIENT_MESSAGE_TYPES
from pages.elements.choice import Choice
from pages.elements.copy_button import CopyButton
from pages.labs.console.console_panel import ConsolePanel, text_argument
from pages.labs.console.message_form import Draft, FormField, compose, fault_in, fields_of, read_draft
from pages.labs.console.programs import programs
from pages.labs.console.url import MOST_CHARACTERS, MOST_FILTER_CHARACTERS, ConsoleUrl
from pages.labs.url import DEFAULT_EXCHANGE
from pages.paths import markets_url, prefixed
from pages.ports import PageServices
from pages.shell import Shell, shell, text
from pages.style import sheet_html
from pages.wording import label

__all__ = ["ConsolePage", "register"]

REFRESH_SECONDS = 1.0
_MOST_FIELD_CHARACTERS = 4000
FIRST = Draft(kind="subscribe", exchange=DEFAULT_EXCHANGE, values={"symbols": "BTCUSDT"})


def register(services: PageServices) -> None:
    """Register the page under `/labs/console`."""

    @ui.page("/labs/console", title="Console · Live Markets")
    async def console_page(client: Client, message: str = "", show: str = "") -> None:
        ui.add_head_html(sheet_html("console"))
        with shell(services, path="/labs/console") as frame:
            await services.page_turns.wait()
            view = ConsoleUrl(message=message[:MOST_CHARACTERS], filter=show[:MOST_FILTER_CHARACTERS])
            page = ConsolePage(services, view, frame, markets_url(client))
        client.on_delete(page.close)
        await services.page_turns.wait()
        page.begin()
        await services.page_turns.wait()


class ConsolePage:
    """The elements of one open page. Frames stay in the browser.

    Args:
        services: the application.
        view: what the address says.
        frame: the shell around the page.
        url: of `/ws/markets`, for programs.
    """

    def __init__(self, services: PageServices, view: ConsoleUrl, frame: Shell, url: str) -> None:
        self._services = services
        self._frame = frame
        self._url = url
        self._prefix = prefixed("")
        message = view.message or compose(FIRST)
        self.view = replace(view, message=message)
        self.draft = read_draft(message, DEFAULT_EXCHANGE) or FIRST
        with ui.element("div").classes("console") as self._root:
            with ui.element("div").classes("labs-head"):
                text("span", "LAB", "lab-label").props('title="Experimental: it may change or be removed"')
                text("h1", "Console")
                text("p", "Send messages to /ws/markets from this browser, and watch the frames.", "muted")
                with ui.element("div").classes("labs-tools"):
                    text("a", "Reference").props(f'href="{prefixed("/labs/reference")}"')
                    CopyButton("Share")
            with ui.element("section").classes("card console-form").props('aria-label="Message form"'):
                self._fields = ui.element("div").classes("console-fields")
                self._build_copies()
            self.panel = ConsolePanel(
                path=prefixed("/ws/markets"),
                message=message,
                words=view.filter,
                on_edit=self.edit,
                on_filter=self.show_only,
            )

    def begin(self) -> None:
        """Fill in the form. In one piece with the rest, the page takes too long."""
        self._build_fields()
        self._tell()
        self._refresh()
        with self._root:
            ui.timer(REFRESH_SECONDS, self._refresh)

    # What the person does

    def fill(self, name: str, value: str) -> None:
        """Take the value of a field, and make the message anew."""
        draft = self.draft
        if name in ("kind", "channel"):
            kind = value if name == "kind" else draft.kind
            channel = value if name == "channel" else draft.channel
            known = {field.name for field in fields_of(kind, channel)}
            kept = {each: held for each, held in draft.values.items() if each in known}
            self.draft = replace(draft, kind=kind, channel=channel, values=kept)
            self._build_fields()
        elif name == "exchange":
            self.draft = replace(draft, exchange=value)
        else:
            self.draft = replace(draft, values={**draft.values, name: value[:_MOST_FIELD_CHARACTERS]})
        self.view = replace(self.view, message=compose(self.draft))
        self.panel.put(self.view.message)
        self._tell()

    def edit(self, message: str) -> None:
        """Take a message that was written by hand, and fill in the form if it is one of the contract."""
        self.view = replace(self.view, message=message)
        self.panel.message = message
        draft = read_draft(message, self.draft.exchange)
        if draft is not None and draft != self.draft:
            self.draft = draft
            self._build_fields()
        self._tell()

    def show_only(self, words: str) -> None:
        """Take the filter, which the browser applies."""
        self.view = replace(self.view, filter=words)
        self._show_address()

    def close(self) -> None:
        """Drop the elements that call this page, so that it is freed: it is closed."""
        del self.panel, self._fields, self._copies

    # What is shown

    def _build_copies(self) -> None:
        with ui.element("div").classes("console-copies").props('role="group" aria-label="Copy as"'):
            text("span", "Copy as", "muted")
            found = self._programs()
            self._copies = {language: CopyButton(language, program) for language, program in found.items()}

    def _programs(self) -> dict[str, str]:
        has_token = bool(self._services.settings.access_token)
        return programs(self.view.message, self._url, has_token=has_token)

    def _build_fields(self) -> None:
        """Build the form anew: another message has other fields."""
        draft = self.draft
        exchanges = {exchange: label(exchange) for exchange in self._services.exchanges()}
        self._fields.clear()
        with self._fields:
            self._choice("Type", "kind", {name: name for name in CLIENT_MESSAGE_TYPES}, draft.kind)
            if draft.has_channel:
                exchanges.setdefault(draft.exchange, draft.exchange)
                self._choice("Exchange", "exchange", exchanges, draft.exchange)
                self._choice("Channel", "channel", {name: name for name in CHANNELS}, draft.channel)
            fields = fields_of(draft.kind, draft.channel)
            options = [field for field in fields if not field.is_required]
            for field in fields:
                if field.is_required:
                    self._field(field)
            if options:
                with ui.element("details").classes("console-options") as details:
                    if any(draft.values.get(field.name) for field in options):
                        details.props("open")
                    text("summary", "Options")
                    for field in options:
                        self._field(field)

    def _choice(self, title: str, name: str, options: dict[str, str], chosen: str, meaning: str = "") -> None:
        with ui.element("div").classes("console-field").props(f'data-field="{name}"'):
            text("span", title, "console-label")
            choice = Choice(title, on_choose=lambda value: self.fill(name, value))
            choice.set_options(options, chosen)
            if meaning:
                text("span", meaning, "console-hint")

    def _field(self, field: FormField) -> None:
        title, value = field.name, self.draft.values.get(field.name, "")
        if field.kind == "choice":
            usual = f"as usual: {field.default}" if field.default else "–"
            options = {"": usual} | {word: word for word in field.options}
            if value not in options:
                options[value] = value
            self._choice(title, field.name, options, value, field.meaning)
            return
        with ui.element("div").classes("console-field").props(f'data-field="{field.name}"'):
            text("span", title, "console-label")
            box = ui.element("input").classes("field")
            box._props |= {
                "aria-label": title,
                "value": value,
                "placeholder": field.default or _HINTS.get(field.name, ""),
                "autocomplete": "off",
                "spellcheck": "false",
                "type": "number" if field.kind == "number" else "text",
            }
            if field.kind == "number":
                box._props |= {"min": field.least, "max": field.most}
            box.on(
                "input",
                lambda event: self.fill(field.name, text_argument(event, _MOST_FIELD_CHARACTERS)),
                js_handler="(event) => emit(event.target.value)",
                throttle=0.1,
            )
            text("span", field.meaning, "console-hint")

    def _tell(self) -> None:
        """Show what the message is worth: as programs, in the address, and whether the server takes it."""
        self.panel.judge(fault_in(self.view.message, self._services.exchanges()))
        for language, program in self._programs().items():
            button = self._copies[language]
            if button._props["text"] != program:
                button._props["text"] = program
                button.update()
        self._show_address()

    def _show_address(self) -> None:
        with self._root:
            ui.navigate.history.replace(self._prefix + self.view.url)

    def _refresh(self) -> None:
        is_offered = self.draft.exchange in self._services.exchanges()
        self._frame.show(self._services, asked=self.draft.exchange if is_offered else DEFAULT_EXCHANGE)


_HINTS = {"symbols": "BTCUSDT,ETHUSDT", "after": "BTCUSDT=3735683259"}
