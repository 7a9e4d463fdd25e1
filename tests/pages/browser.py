"""A real Chromium for the pages, and the small application in a process of its own.

Every tab must stay free of errors and of requests to elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    ViewportSize,
    async_playwright,
)

from tests.support.app import Process, running_warm
from tests.support.certificates import Certificate
from tests.support.helpers import CHROMIUM_ARGUMENTS, eventually, free_port

TIMEOUT_SECONDS = 20.0
"""How long a browser on a busy machine may take for anything."""

DESKTOP = {"width": 1400, "height": 800}
PHONE = {"width": 390, "height": 844}
IDLE = "about:blank#idle"
"""Where a tab is between two visits, so that the next one finds what its process has already compiled."""

OUTAGE = (
    "net::ERR",
    "WebSocket is closed before the connection is established",
    "Connection closed before receiving a handshake response",
)
"""What Chromium reports of requests and sockets that found no server."""

FORGET = """() => {
    try { localStorage.clear(); sessionStorage.clear(); return true; } catch { return false; }
}"""


class Tab:
    """One page in a browser, with what went wrong in it."""

    def __init__(self, context: BrowserContext, page: Page, base: str) -> None:
        self.context = context
        self.page = page
        self.base = base
        self.problems: list[str] = []
        self._expected: tuple[str, ...] = ()
        page.on("pageerror", self._note_exception)
        page.on("console", self._note)
        page.on("request", self._check)

    def expect_an_outage(self) -> None:
        """From now on, a request without an answer is no problem: that is what the test is about."""
        self._expected = OUTAGE

    def let_go(self) -> None:
        """Note nothing more."""
        self.page.remove_listener("pageerror", self._note_exception)
        self.page.remove_listener("console", self._note)
        self.page.remove_listener("request", self._check)

    def _note_exception(self, error: Error) -> None:
        self.problems.append(f"exception: {error}")

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(part in message.text for part in self._expected):
            self.problems.append(f"{message.type}: {message.text}")

    def _check(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.base).netloc:
            self.problems.append(f"a request to elsewhere: {request.url}")

    async def goto(self, path: str) -> None:
        """Open a path of the application."""
        await self.page.goto(self.base + path)

    async def text(self, selector: str) -> str:
        """The text of the first element that fits, as a person reads it."""
        return (await self.page.locator(selector).first.inner_text()).strip()

    async def texts(self, selector: str) -> list[str]:
        """The texts of all elements that fit."""
        return [text.strip() for text in await self.page.locator(selector).all_inner_texts()]

    async def price(self, symbol: str) -> str:
        """The price that a row shows, as text; empty while it has none."""
        return await self.text(f"tr[data-symbol={symbol}] .price")

    async def symbols(self) -> list[str]:
        """The rows, from the top."""
        script = "rows => rows.map(row => row.dataset.symbol)"
        found = await self.page.locator("tr[data-symbol]").evaluate_all(script)
        return [str(symbol) for symbol in found]

    async def run(self, script: str) -> Any:
        """Run JavaScript in the page."""
        return await self.page.evaluate(script)


async def soon(
    predicate: Callable[[], Awaitable[Any]], timeout_seconds: float = TIMEOUT_SECONDS, *, because: str = ""
) -> Any:
    """Ask the browser until the answer is true, and return it."""
    return await eventually(predicate, timeout_seconds, interval_seconds=0.05, because=because)


async def has_price(shown: Tab, symbol: str) -> str:
    """Wait for a price of the row on a page that hears from its server, and return it."""
    # The first price is in the HTML of a page, and is there before the socket is open.
    await shown.page.wait_for_function("window.nextMessageId > 0")
    return str(await soon(lambda: shown.price(symbol), because=f"{symbol} has a price"))


@contextlib.asynccontextmanager
async def local_pages(
    *options: str, environment: dict[str, str] | None = None, port: int | None = None
) -> AsyncIterator[tuple[Process, str]]:
    """`tests.pages.local` in a process of its own, and its address."""
    port = port or free_port()
    arguments = ("-m", "tests.pages.local", "--port", str(port), *options)
    async with running_warm(*arguments, environment=environment) as process:
        await process.says("serving")
        yield process, f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def browser(chromium: str, *, trusting: Certificate | None = None) -> AsyncIterator[Browser]:
    """A Chromium that ends with the test, and takes a certificate as one of a known authority.

    To ignore errors of certificates is not the same: each request is refused first, and then tried again.
    """
    arguments = list(CHROMIUM_ARGUMENTS)
    if trusting is not None:
        arguments.append(f"--ignore-certificate-errors-spki-list={trusting.key_hash()}")
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=chromium, args=arguments)


@contextlib.asynccontextmanager
async def tab(
    browser: Browser,
    base: str,
    *,
    viewport: ViewportSize | Mapping[str, int] = DESKTOP,
    color_scheme: Any = "dark",
    reduced_motion: Any = "no-preference",
    leaves_traces: bool = False,
    **options: Any,
) -> AsyncIterator[Tab]:
    """A tab without anything stored, on a system with a dark theme.

    Without further options it may be one that an earlier visit has left: to compile the scripts of a page
    takes longer than most visits. A visit that `leaves_traces`, such as a script for every page, a permission
    or a slower network, is not followed by another one.
    """
    page = None if options else next(_idle(browser), None)
    if page is None:
        context = await browser.new_context(timezone_id="Europe/Berlin", **options)
        context.set_default_timeout(TIMEOUT_SECONDS * 1000)
        page = await context.new_page()
    await page.goto("about:blank")
    await page.set_viewport_size(ViewportSize(width=viewport["width"], height=viewport["height"]))
    await page.emulate_media(color_scheme=color_scheme, reduced_motion=reduced_motion)
    opened = Tab(page.context, page, base)
    yield opened
    opened.let_go()
    if options or leaves_traces or not await _is_left_clean(opened):
        await page.context.close()
    assert opened.problems == [], opened.problems


def _idle(browser: Browser) -> Iterator[Page]:
    for context in browser.contexts:
        if [page.url for page in context.pages] == [IDLE]:
            yield context.pages[0]


async def _is_left_clean(tab: Tab) -> bool:
    """Forget what the visit has stored, and leave the page. A page that showed an error cannot."""
    if not await tab.page.evaluate(FORGET):
        return False
    await tab.context.clear_cookies()
    await tab.page.mouse.move(-1, -1)  # nothing of the next page is below it
    await tab.page.goto(IDLE)
    return True
