"""axe-core finds nothing on any page, in both themes, on a laptop and a phone. Short form: test_comfort."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from playwright.async_api import Browser, ViewportSize

from tests.pages.axe import findings, needs_axe
from tests.pages.browser import Tab, soon, tab
from tests.pages.local import MANY

pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_axe]

LAPTOP: ViewportSize = {"width": 1366, "height": 768}
PHONE: ViewportSize = {"width": 390, "height": 844}
LONG_SECONDS = 30.0
HAS_PRICE = "tr[data-symbol] .price:not(:empty)"

PAGES = {
    "home": ("/", ".cards .card"),
    "live": ("/labs?symbols=BTCUSDT,ETHUSDT,SHIBUSDT", ".tape-line"),
    "live with an opened market": ("/labs?symbols=BTCUSDT,ETHUSDT&selected=ETHUSDT", ".tape-line"),
    "live with forty rows": (f"/labs?symbols={','.join(MANY)}", HAS_PRICE),
    "live without rows": ("/labs?symbols=", ".grid-empty"),
    "live with notices": ("/labs?symbols=BTCUSDT,NOPE&interval=7m", "[role=alert]"),
    "live on the simulator": ("/labs?exchange=simulator&symbols=BTCUSDT,SOLUSDT", HAS_PRICE),
    "overview": ("/labs/overview", HAS_PRICE),
    "status": ("/labs/status", "tr[data-row=State] td"),
    "console": ("/labs/console", ".console-message"),
    "reference": ("/labs/reference", "main h2"),
    "login": ("/login", "input[type=password]"),
}
"""The address of each page, and what is there once it is complete."""


async def finds_nothing(shown: Tab) -> None:
    assert await findings(shown) == []


async def finds_nothing_in_both_themes_on_both_screens(shown: Tab) -> None:
    schemes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
    for scheme in schemes:
        await shown.page.emulate_media(color_scheme=scheme)
        await shown.page.locator(f"html[data-theme={scheme}]").wait_for()
        for size in (LAPTOP, PHONE):
            await shown.page.set_viewport_size(size)
            await finds_nothing(shown)


@pytest.mark.verify
@pytest.mark.parametrize("name", PAGES)
async def test_nothing_is_found_on_any_page(shared_chrome: Browser, local_address: str, name: str) -> None:
    path, complete = PAGES[name]
    async with tab(shared_chrome, local_address, viewport=LAPTOP) as shown:
        await shown.goto(path)
        await shown.page.locator(complete).first.wait_for(timeout=LONG_SECONDS * 1000)
        if name == "console":
            await shown.page.get_by_role("button", name="Send", exact=True).hover()
        await finds_nothing_in_both_themes_on_both_screens(shown)


@contextlib.asynccontextmanager
async def binance_away(shown: Tab) -> AsyncIterator[None]:
    """Have Binance be away, and back at the end."""
    url = f"{shown.base}/control/status?exchange=binance&state="
    assert (await shown.page.request.post(f"{url}down&reason=name+lookup+failed&retry_ms=8000")).ok
    try:
        yield
    finally:
        assert (await shown.page.request.post(f"{url}live")).ok


@pytest.mark.verify
@pytest.mark.parametrize("path", ["/labs?symbols=BTCUSDT,ETHUSDT", "/labs/overview", "/labs/status", "/"])
async def test_nothing_is_found_while_an_exchange_is_away(
    shared_chrome: Browser, local_address: str, path: str
) -> None:
    async with tab(shared_chrome, local_address, viewport=LAPTOP) as shown, binance_away(shown):
        await shown.goto(path)
        badge = shown.page.locator(".badge-button:not([data-state=live])")
        await badge.wait_for(timeout=LONG_SECONDS * 1000)
        await finds_nothing_in_both_themes_on_both_screens(shown)


@pytest.mark.verify
@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_nothing_is_found_in_what_opens(
    shared_chrome: Browser, local_address: str, scheme: Literal["dark", "light"]
) -> None:
    async with tab(shared_chrome, local_address, viewport=LAPTOP, color_scheme=scheme) as shown:
        page, keyboard = shown.page, shown.page.keyboard
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT,SOLUSDT&selected=SOLUSDT")
        await soon(lambda: shown.text(".tape-line"), LONG_SECONDS)
        await keyboard.press("/")
        await keyboard.type("eth")
        await page.locator("[role=option]").first.wait_for()
        await finds_nothing(shown)
        await keyboard.press("Escape")
        await page.locator("tr[data-symbol=SOLUSDT]").focus()
        await keyboard.press("?")
        await page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
        await finds_nothing(shown)
        await keyboard.press("Escape")
        await page.locator(".badge-button").click()
        await page.get_by_role("dialog", name="Connections").wait_for()
        await finds_nothing(shown)
        await keyboard.press("Escape")
        await page.get_by_role("button", name="Alert").click()
        await keyboard.type("much")
        await keyboard.press("Enter")
        await page.get_by_text("This is not a price").wait_for()
        await finds_nothing(shown)
        await page.locator(".alert-form input").fill("1000")
        await keyboard.press("Enter")
        await page.locator(".alert-set").wait_for()
        url = f"{shown.base}/control/trade?symbol=SOLUSDT&price=1001&size=1"
        assert (await page.request.post(url)).ok
        await page.get_by_role("button", name="Dismiss").wait_for()
        await finds_nothing(shown)
        await page.get_by_role("button", name="Dismiss").click()
        await page.locator("tr[data-symbol=SOLUSDT] .remove").click()
        await page.get_by_role("button", name="Undo").wait_for()
        await finds_nothing(shown)
