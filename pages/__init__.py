"""The web UI: server-driven pages that subscribe to symbols and sample the stores.

    home             the home page: what this is, whether it runs, how to start
    labs/            the Labs pages
      live_markets     builds the elements, and sends what changed four times a second
      watchlist        state of one page: what its address says, its rows, its subscriptions
      url              all that a person set, read from a page's address and written to it
      row_values       what the stores hold of the rows
      row_lines        what the rows say beside their values
      sorting          what rows can be sorted by
      undo             the removal of a row, which can be undone
      price_source     whose prices are shown: those of the exchange asked for, or simulated ones
      fallback         when simulated prices are shown or offered
      list_loads       when lists of symbols are asked for
      picker_answers   what the symbol picker offers
      messages         notices, the offer to undo, popular symbols
      shortcuts        the keys of the pages
      market/          the selected market: head, chart, tape, order book, price alert
      overview/        all symbols of an exchange in one table
      console/         sends messages to `/ws/markets` from the browser, and shows the frames
      reference/       the contract of `/ws/markets` and of HTTP, for people
      status/          what needs a person, and how everything fares
    login            the form that asks for the access token
    static_page      pages without NiceGUI: not found, and the frame of the login page
    paths            addresses of the app's own paths, behind a proxy too
    cycles           lets what a page leaves be freed at once
    event_costs      tells a page's socket what its events take
    framework_costs  has the framework build a page with half the work
    cached_files     lets browsers cache the framework's files under a path prefix
    shell            frame of every page: header, navigation, badge, theme, banner
    examples         the example programs on the home page
    elements/        the pages' own elements, a Python class and a script each
      shared/          what the scripts have in common
    wording          the texts for every state of an exchange
    number_format    numbers as text
    style/           tokens, style sheets, the scripts of the head
    ports            what the pages need of the application

Pages know the services and the models, never an exchange.
"""

from __future__ import annotations

from typing import Any, Protocol

from fastapi import FastAPI
from nicegui import app as framework
from nicegui import ui

from livemarkets.security.token_auth import TokenAuth
from pages import home
from pages.cached_files import CachedFiles
from pages.cycles import break_cycles
from pages.event_costs import charge_events
from pages.framework_costs import compressed, cut_framework_costs
from pages.labs import live_markets
from pages.labs.console import page as console
from pages.labs.overview import page as overview
from pages.labs.reference import page as reference
from pages.labs.status import page as status
from pages.login import login_router
from pages.ports import PageServices
from pages.static_page import not_found
from pages.style import FAVICON

__all__ = [
    "InstalledServices",
    "PageServices",
    "are_open",
    "install",
    "login_router",
    "register",
    "run_with_options",
]


class InstalledServices(PageServices, Protocol):
    """What :func:`install` needs of the application."""

    access: TokenAuth


RECONNECT_TIMEOUT_SECONDS = 6.0
"""How long the server keeps a disconnected page and its subscriptions."""
MESSAGE_HISTORY_LENGTH = 200
"""Messages replayed to a page that reconnects. Few are enough: every connect sends the full state anyway."""


def install(web: FastAPI, services: InstalledServices) -> None:
    """Add the pages to the web app: the login if there is an access token, home, Labs if streaming is on."""
    if services.access.is_on:
        web.include_router(login_router(services.access))
    register(services)
    ui.run_with(web, **run_with_options())
    web.add_middleware(CachedFiles)


def register(services: PageServices) -> None:
    """Register the pages: home always, Labs only while streaming is enabled."""
    framework.add_exception_handler(404, not_found)
    break_cycles()
    charge_events()
    cut_framework_costs()
    home.register(services)
    if services.settings.stream_enabled:
        live_markets.register(services)
        overview.register(services)
        console.register(services)
        reference.register(services)
        status.register(services)


def run_with_options() -> dict[str, Any]:
    """Return the keyword arguments for `ui.run_with`."""
    return {
        "title": "Live Markets",
        "favicon": FAVICON,
        "dark": None,
        "language": "en-US",
        "tailwind": False,
        "reconnect_timeout": RECONNECT_TIMEOUT_SECONDS,
        "message_history_length": MESSAGE_HISTORY_LENGTH,
        "binding_refresh_interval": None,
        "gzip_middleware_factory": compressed,
        "show_welcome_message": False,
    }
