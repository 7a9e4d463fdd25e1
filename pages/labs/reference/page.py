"""Labs › Reference: the contract of `/ws/markets` and of HTTP, for people."""

from __future__ import annotations

from functools import cache

from nicegui import Client, ui

from livemarkets.http_api.asyncapi import asyncapi_template
from livemarkets.http_api.openapi import openapi_template
from pages.labs.reference.render import render_http, render_websocket
from pages.labs.url import DEFAULT_EXCHANGE
from pages.paths import prefixed
from pages.ports import PageServices
from pages.shell import shell, text
from pages.style import sheet_html

__all__ = ["register"]

REFRESH_SECONDS = 1.0


def register(services: PageServices) -> None:
    """Register the page under `/labs/reference`."""

    @ui.page("/labs/reference", title="Reference · Live Markets")
    async def reference_page(client: Client) -> None:
        ui.add_head_html(sheet_html("reference"))
        with shell(services, path="/labs/reference") as frame, ui.element("div").classes("reference"):
            with ui.element("div").classes("labs-head"):
                text("h1", "Reference")
                with ui.element("div").classes("labs-tools"):
                    for name in ("/asyncapi.json", "/openapi.json", "/labs/console"):
                        text("a", name).props(f'href="{prefixed(name)}"')
            await services.page_turns.wait()
            websocket = _websocket_html()
            await services.page_turns.wait()
            http = _http_html()
            await services.page_turns.wait()
            with ui.element("div").classes("reference-columns"):
                _build_contents()
                ui.html(websocket + http, sanitize=False, tag="article")

        def refresh() -> None:
            if frame.badge is not None:
                statuses = [services.status(exchange) for exchange in services.exchanges()]
                frame.badge.show(
                    statuses, asked=DEFAULT_EXCHANGE, shown=DEFAULT_EXCHANGE, now_ms=services.now_ms()
                )

        refresh()
        ui.timer(REFRESH_SECONDS, refresh)
        await services.page_turns.wait()


@cache
def _websocket_html() -> str:
    return render_websocket(asyncapi_template())


@cache
def _http_html() -> str:
    return render_http(openapi_template(is_enabled=True))


def _build_contents() -> None:
    messages = asyncapi_template()["components"]["messages"]
    paths = openapi_template(is_enabled=True)["paths"]
    links = {f"#message-{name}": name for name in messages}
    links |= {"#error-codes": "Error codes", "#close-codes": "Close codes"}
    links |= {f"#path-{path.strip('/').replace('/', '-')}": path for path in paths}
    items = "".join(f'<li><a href="{href}">{name}</a></li>' for href, name in links.items())
    ui.html(f"<ul>{items}</ul>", sanitize=False, tag="nav").props('aria-label="Contents"')
