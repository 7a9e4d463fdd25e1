"""The frame of every page: header, navigation, badge, theme, banner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from nicegui import ui

from pages.elements.connection_badge import ConnectionBadge
from pages.elements.key_help import KeyHelp, Shortcut
from pages.elements.live_element import embed_calls
from pages.elements.status_banner import StatusBanner
from pages.elements.theme_toggle import ThemeToggle
from pages.paths import prefixed
from pages.ports import PageServices
from pages.style import head_html
from pages.wording import Banner

__all__ = ["Shell", "shell", "text"]


@dataclass(frozen=True, slots=True)
class Shell:
    """The parts of the frame that a page keeps up to date or fills."""

    badge: ConnectionBadge | None
    """Absent while the feature is off."""
    strip: StatusBanner | None
    """Only on a page that shows prices."""
    bar: ui.element
    """The room in the header for what a page needs always at hand."""
    links: Mapping[str, ui.element]
    """The links of the navigation, by the path of their page."""

    def show(
        self, services: PageServices, banner: Banner | None = None, *, asked: str, shown: str | None = None
    ) -> None:
        """Show the states of all exchanges.

        Args:
            services: the application.
            banner: what the banner says.
            asked: the exchange that the person chose.
            shown: the exchange that the page shows, if it is another one.
        """
        now_ms = services.now_ms()
        if self.strip is not None and banner is not None:
            self.strip.show(banner, now_ms=now_ms)
        if self.badge is not None:
            statuses = [services.status(exchange) for exchange in services.exchanges()]
            self.badge.show(statuses, asked=asked, shown=shown or asked, now_ms=now_ms)

    def link_to(self, path: str, href: str) -> None:
        """Have the link to a page bring along what this page shows. Without a change, nothing is sent."""
        link = self.links.get(path)
        if link is not None and link.props.get("href") != href:
            link.props["href"] = href


@contextmanager
def shell(
    services: PageServices, *, path: str, has_strip: bool = False, shortcuts: Sequence[Shortcut] = ()
) -> Iterator[Shell]:
    """Build the frame. Elements built inside the context become the main part of the page.

    What is told them there is in the HTML of the page, not only sent when it has a socket.

    Args:
        services: the application.
        path: of this page, to mark it in the navigation.
        has_strip: whether the page shows prices, and so needs the banner that says if they are live.
        shortcuts: the keys of the page; without any there is no help.
    """
    ui.add_head_html(head_html())
    _drop_outer_main()
    is_on = services.settings.stream_enabled
    links: dict[str, ui.element] = {}
    with ui.element("header").classes("shell-header"):
        with (
            ui.element("a")
            .classes("shell-mark")
            .props(f'href="{prefixed("/")}" aria-label="Live Markets, home"')
        ):
            text("span", "Live Markets")
        with ui.element("nav").classes("shell-nav").props('aria-label="Pages"'):
            if services.settings.role == "ingest":
                _navigation_link("Status", "/labs/status", path)
            elif is_on:
                links["/labs"] = _navigation_link("Live", "/labs", path)
                links["/labs/overview"] = _navigation_link("Overview", "/labs/overview", path)
                links["/labs/status"] = _navigation_link("Status", "/labs/status", path)
            else:
                _navigation_link("Home", "/", path)
        bar = ui.element("div").classes("shell-bar")
        with ui.element("div").classes("shell-tools"):
            badge = ConnectionBadge(has_age=has_strip) if is_on else None
            ThemeToggle()
            if shortcuts:
                KeyHelp(shortcuts)
            if services.settings.access_token:
                _logout_button()
    strip = StatusBanner() if has_strip else None
    frame = Shell(badge, strip, bar, links)
    with ui.element("main") as main:
        yield frame
    if badge is not None and not badge.statuses:  # until the page has a report, a button without a text
        frame.show(services, asked=services.exchanges()[0])
    ui.skip_link("Skip to content", target=main)
    embed_calls(ui.context.client)


def _drop_outer_main() -> None:
    """Make the framework's element around the page a plain one: there is one `main`, without the header."""
    slot = ui.context.client.content.parent_slot
    assert slot is not None
    slot.parent.tag = "div"


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


def _navigation_link(name: str, href: str, path: str) -> ui.element:
    link = text("a", name).props(f'href="{prefixed(href)}"')
    if href == path:
        link.props('aria-current="page"')
    return link
