"""The frame of every page: header, navigation, badge, theme, banner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nicegui import ui

from pages.elements.connection_badge import ConnectionBadge
from pages.elements.status_banner import StatusBanner
from pages.elements.theme_toggle import ThemeToggle
from pages.paths import prefixed
from pages.ports import PageServices
from pages.style import head_html

__all__ = ["Shell", "shell", "text"]


@dataclass(frozen=True, slots=True)
class Shell:
    """The parts of the frame that a page keeps up to date. Both are absent while the feature is off."""

    badge: ConnectionBadge | None
    strip: StatusBanner | None


@contextmanager
def shell(services: PageServices, *, path: str, has_strip: bool = False) -> Iterator[Shell]:
    """Build the frame. Elements built inside the context become the main part of the page.

    Args:
        services: the application.
        path: of this page, to mark it in the navigation.
        has_strip: whether the page shows prices, and so needs the banner that says if they are live.
    """
    ui.add_head_html(head_html())
    is_on = services.settings.stream_enabled
    with ui.element("header").classes("shell-header"):
        with (
            ui.element("a")
            .classes("shell-mark")
            .props(f'href="{prefixed("/")}" aria-label="Live Markets, home"')
        ):
            text("span", "Live Markets")
        with ui.element("nav").classes("shell-nav").props('aria-label="Pages"'):
            _navigation_link("Home", "/", path)
            if is_on:
                _navigation_link("Labs", "/labs", path)
                _navigation_link("Overview", "/labs/overview", path)
                _navigation_link("Status", "/labs/status", path)
        with ui.element("div").classes("shell-tools"):
            badge = ConnectionBadge(has_age=has_strip) if is_on else None
            ThemeToggle()
            if services.settings.access_token:
                _logout_button()
    strip = StatusBanner() if has_strip else None
    with ui.element("main") as main:
        yield Shell(badge, strip)
    ui.skip_link("Skip to content", target=main)


def text(tag: str, content: str, classes: str = "") -> ui.label:
    """Add an element with `content` as plain text. Markup in it is escaped."""
    element = ui.label(content).classes(classes)
    element.tag = tag
    return element


def _logout_button() -> None:
    with (
        ui.element("form").classes("logout").props(f'method="post" action="{prefixed("/logout")}"'),
        ui.element("button")
        .classes("icon-button")
        .props('type="submit" aria-label="Log out" title="Log out"'),
        ui.element("svg").props('viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"'),
    ):
        ui.element("path").props(
            'd="M8 3H4v14h4M8 10h9M13.5 6.5 17 10l-3.5 3.5" fill="none" stroke="currentColor"'
            ' stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"'
        )


def _navigation_link(name: str, href: str, path: str) -> None:
    link = text("a", name).props(f'href="{prefixed(href)}"')
    if href == path:
        link.props('aria-current="page"')
