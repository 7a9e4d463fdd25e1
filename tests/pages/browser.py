"""A real Chromium for the pages, and the small application in a process of its own.

Every tab must stay free of errors and of requests to elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.support.app import Process, running_process
from tests.support.certificates import Certificate
from tests.support.helpers import CHROMIUM_ARGUMENTS, eventually, free_port

DESKTOP = {"width": 1400, "height": 800}
PHONE = {"width": 390, "height": 844}


class Tab:
    """One page in a browser, with what went wrong in it."""

    def __init__(self, context: BrowserContext, page: Page, base: str) -> None:
        self.context = context
        self.page = page
        self.base = base
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("request", lambda request: self._check(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(f"{kind}: {text}")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.base).netloc:
            self.problems.append(f"a request to elsewhere: {url}")

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
    predicate: Callable[[], Awaitable[Any]], timeout_seconds: float = 5.0, *, because: str = ""
) -> Any:
    """Ask the browser until the answer is true, and return it."""
    return await eventually(predicate, timeout_seconds, interval_seconds=0.05, because=because)


async def has_price(shown: Tab, symbol: str) -> str:
    """Wait for a price of the row, and return it."""
    return str(await soon(lambda: shown.price(symbol), because=f"{symbol} has a price"))


@contextlib.asynccontextmanager
async def local_pages(
    *options: str, environment: dict[str, str] | None = None, port: int | None = None
) -> AsyncIterator[tuple[Process, str]]:
    """`tests.pages.local` in a process of its own, and its address."""
    port = port or free_port()
    arguments = ("-m", "tests.pages.local", "--port", str(port), *options)
    async with running_process(*arguments, environment=environment) as process:
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
async def tab(browser: Browser, base: str, **options: Any) -> AsyncIterator[Tab]:
    """A tab with its own storage, on a system with a dark theme."""
    defaults: dict[str, Any] = {"viewport": DESKTOP, "color_scheme": "dark", "timezone_id": "Europe/Berlin"}
    context = await browser.new_context(**(defaults | options))
    context.set_default_timeout(10_000)
    opened = Tab(context, await context.new_page(), base)
    yield opened
    await context.close()
    assert opened.problems == [], opened.problems
