"""What a person sees: server-driven pages that sample the stores and state wishes.

    shell       header, navigation, badge, theme, strip
    home        what this is, whether it runs, how to begin
    examples    the programs on the home page
    plain       pages without the framework: what does not exist, and the frame of the login
    login       the form that asks for the access token
    labs        the live page: builds elements, flushes what changed four times a second
    watch       what one Labs page wants and shows, without any element
    view        a page's address, read and written
    fallback    when the simulator stands in for an exchange that cannot be reached
    words       the words for every state
    digits      numbers as text
    summary     what the trades of a symbol's last minutes amount to
    course      the course of a price, thinned out for drawing
    elements/   the pages' own elements, a Python class and a script each
    style/      tokens, style sheets, the theme script
    services    what the pages need of the application

Pages know the services and the models, never an exchange.
"""

from __future__ import annotations

from typing import Any, Protocol

from fastapi import FastAPI
from nicegui import app as framework
from nicegui import ui

from livemarkets.security.token_auth import TokenAuth
from pages import home
from pages.labs import live_markets
from pages.login import login_router
from pages.ports import PageServices
from pages.static_page import not_found
from pages.style import FAVICON

__all__ = ["InstalledServices", "PageServices", "install", "login_router", "register", "run_with_options"]


class InstalledServices(PageServices, Protocol):
    """What the pages need to be put into a web app."""

    access: TokenAuth


RECONNECT_TIMEOUT_SECONDS = 6.0
"""How long a page whose network is gone is kept, with its subscriptions."""
MESSAGE_HISTORY_LENGTH = 200
"""Messages replayed to a page that comes back. More are not needed: every connect sends the full state."""


def install(web: FastAPI, services: InstalledServices) -> None:
    """Put the pages into the web app: the login where a token is asked for, home, and Labs while it is on."""
    if services.access.is_on:
        web.include_router(login_router(services.access))
    register(services)
    ui.run_with(web, **run_with_options())


def register(services: PageServices) -> None:
    """Register the pages: home always, Labs only while streaming is enabled."""
    framework.add_exception_handler(404, not_found)
    home.register(services)
    if services.settings.stream_enabled:
        live_markets.register(services)


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
        "show_welcome_message": False,
    }
