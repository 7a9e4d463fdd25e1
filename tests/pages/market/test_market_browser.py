"""The selected market in a real Chromium, as a person uses it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from tests.pages.browser import PHONE, Tab, has_price, soon, tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

HIDE = """hidden => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
    document.dispatchEvent(new Event('visibilitychange')) }"""


async def trade(shown: Tab, symbol: str, price: str, size: str = "1.00000000") -> None:
    """Have one trade happen."""
    query = f"symbol={symbol}&price={price}&size={size}"
    assert (await shown.page.request.post(f"{shown.base}/control/trade?{query}")).ok


async def head_has_the_price_of(shown: Tab, symbol: str) -> bool:
    return await shown.text(".head-price") == await shown.price(symbol) != ""


async def test_head_tape_and_book_say_what_the_market_does(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address, viewport={"width": 1920, "height": 1080}) as shown:
        page = shown.page
        await shown.goto("/labs?symbols=X07EUR,SHIBUSDT")
        await page.add_style_tag(content=".labs { grid-template-columns: 40% minmax(0, 1fr) !important }")
        await has_price(shown, "X07EUR")

        quality = page.locator(".head-quality")
        await expect(quality).to_contain_text(re.compile(r"live · [\d.]+ trades/s · 0 lost"), timeout=20_000)
        assert "In the last hour" in (await quality.get_attribute("title") or "")
        await soon(lambda: head_has_the_price_of(shown, "X07EUR"), 15)

        # Twenty levels of each side, best on top, and the sum up to a level on hover.
        bid = page.locator(".book-bid")
        assert await bid.count() == await page.locator(".book-ask").count() == 20
        await soon(lambda: bid.nth(19).inner_text(), 15, because="there are twenty levels")
        await page.get_by_text(re.compile(r"^Spread 0\.\d+ · \d\.\d{3} %$")).wait_for()
        await bid.nth(3).hover()
        assert "up to here" in (await bid.nth(3).get_attribute("title") or "")

        # Each trade is a line of its own, with words between spaces.
        line = page.get_by_role("listitem").first
        assert re.fullmatch(
            r"\d\d:\d\d:\d\d\.\d{3} [\d,.]+ [\d,.]+ (buy|sell)", (await line.text_content() or "").strip()
        )

        # The tab is named after the market; a tab that is hidden names no price.
        await soon(lambda: title_has(shown, r"^[\d,.]+ X07/EUR · Live Markets$"), 15)
        await page.evaluate(HIDE, True)
        await soon(lambda: title_has(shown, r"^X07/EUR · Live Markets$"))
        await page.evaluate(HIDE, False)
        await soon(lambda: title_has(shown, r"^[\d,.]+ X07/EUR"), 15)

        # A long size is short, and whole on hover. No other trade is as large.
        await page.keyboard.press("p")
        await page.get_by_text("Paused").wait_for()
        await page.keyboard.press("p")
        await page.locator("tr[data-symbol=SHIBUSDT]").click()
        await trade(shown, "SHIBUSDT", "0.00001402", "987654321.00000000")
        size = page.locator(".tape-size", has_text="987\u2009M").first
        await size.wait_for()
        assert await size.get_attribute("title") == "987,654,321 SHIB"


async def title_has(shown: Tab, pattern: str) -> bool:
    return re.search(pattern, await shown.page.title()) is not None


async def test_an_alert_is_set_seen_and_rings(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address) as shown:
        page = shown.page
        await shown.goto("/labs?symbols=X08EUR")
        await has_price(shown, "X08EUR")
        opener = page.get_by_role("button", name="Alert")
        await opener.click()
        await page.keyboard.type("much")
        await page.keyboard.press("Enter")
        await page.get_by_text("This is not a price").wait_for()
        await page.keyboard.press("Escape")
        await expect(opener).to_be_focused()
        await opener.click()
        await page.locator(".alert-form input").fill("80")
        await page.get_by_role("button", name="Set").click()
        await page.get_by_text("≥ 80").wait_for()

        await page.evaluate(HIDE, True)
        await trade(shown, "X08EUR", "80.01000000")
        await page.get_by_text(re.compile(r"X08EUR ≥ 80\. Traded at 80\.01 at \d\d:\d\d:\d\d\.")).wait_for()
        await soon(lambda: title_has(shown, "^⏰ X08EUR ≥ 80"))
        await page.evaluate(HIDE, False)
        await page.get_by_role("button", name="Dismiss").click()
        await soon(lambda: title_has(shown, r"^[\d,.]+ X08/EUR"))


@pytest.mark.parametrize("width", [pytest.param(PHONE["width"], marks=pytest.mark.verify), 320])
async def test_on_a_phone_nothing_is_cut_off_and_the_book_takes_the_place_of_the_tape(
    shared_chrome: Browser, local_address: str, width: int
) -> None:
    async with tab(shared_chrome, local_address, viewport={"width": width, "height": 844}) as shown:
        page = shown.page
        await shown.goto("/labs?symbols=X09EUR")
        await has_price(shown, "X09EUR")
        assert await shown.run("document.documentElement.scrollWidth") == width
        await page.locator("tr[data-symbol=X09EUR]").click()
        await page.get_by_role("button", name="Book").wait_for()
        assert not await page.locator(".order-book").is_visible()
        await page.get_by_role("button", name="Book").click()
        await page.locator(".order-book").wait_for()
        assert not await page.locator(".trade-tape").is_visible()
        await soon(lambda: shown.text(".book-bid"), 15)
        assert await shown.run("document.documentElement.scrollWidth") == width
        await page.keyboard.press("b")
        await page.locator(".trade-tape").wait_for()
