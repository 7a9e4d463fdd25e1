"""Labs › Overview in a real Chromium: on a small application, and on the shipped one."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser

from tests.pages.browser import PHONE, Tab, soon, tab
from tests.pages.local import MANY, NOT_TRADING, PRICES
from tests.support.app import running_exchange, running_main
from tests.support.helpers import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LAPTOP = {"width": 1366, "height": 768}
TABLE = "table[role=grid]"
ACTIVE = f"""() => {{
    const id = document.querySelector('{TABLE}').getAttribute('aria-activedescendant');
    return id && document.getElementById(id).dataset.symbol;
}}"""


async def opened(shown: Tab, path: str = "/labs/overview") -> None:
    """Open the page, and wait for rows with prices."""
    await shown.goto(path)
    await soon(lambda: shown.text("tr[data-symbol] .price"), because="there are prices")


async def rows_are(shown: Tab, *expected: str) -> None:
    """Wait until these are the first rows."""

    async def are_shown() -> bool:
        return (await shown.symbols())[: len(expected)] == list(expected)

    await soon(are_shown, because=f"the first rows are {expected}")


async def test_a_person_watches_sorts_searches_and_chooses(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address, viewport=LAPTOP) as shown:
        await opened(shown, "/labs/overview?sort=symbol")
        await rows_are(shown, "BNBUSDT", "BTCUSDT", "DOGEUSDT")
        first = await shown.price("BTCUSDT")
        assert re.fullmatch(r"6\d,\d{3}\.\d{2}", first)

        async def has_moved() -> bool:
            return await shown.price("BTCUSDT") != first

        await soon(has_moved, because="the price moves")

        await shown.page.get_by_role("button", name="Last", exact=True).click()
        await rows_are(shown, "BTCUSDT", "ETHUSDT", "BNBUSDT")
        head = shown.page.locator("th[data-column=last]")
        assert await head.get_attribute("aria-sort") == "descending"
        await shown.page.get_by_role("button", name="Last", exact=True).click()
        await rows_are(shown, "SHIBUSDT")
        assert await head.get_attribute("aria-sort") == "ascending"

        await shown.page.keyboard.press("/")
        await shown.page.keyboard.type("eth b")
        await rows_are(shown, "ETHBTC")
        await shown.page.get_by_text(f"1 of {len(PRICES)} symbols.").wait_for()
        await shown.page.wait_for_url(lambda url: url.endswith("?exchange=binance&q=eth+b&sort=last"))
        await shown.page.reload()
        await rows_are(shown, "ETHBTC")
        assert await shown.page.get_by_label("Search symbols").input_value() == "eth b"

        await shown.page.locator("tr[data-symbol=ETHBTC] .col-high").click()
        await shown.page.wait_for_url(lambda url: "/labs?" in url and "symbols=ETHBTC" in url)


async def test_the_keyboard_alone_does_it_all(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address, viewport=LAPTOP) as shown:
        await opened(shown, "/labs/overview?sort=symbol")
        keyboard = shown.page.keyboard
        table = shown.page.locator(TABLE)
        assert await table.get_attribute("aria-rowcount") == str(len(PRICES) + 1)
        await shown.page.locator("th[data-column=symbol] button").focus()
        await keyboard.press("Shift+Tab")
        await soon(lambda: shown.run(ACTIVE))
        await shown.page.get_by_text("The order is held").wait_for()

        await keyboard.press("End")
        last = sorted(PRICES)[-1]

        async def is_last() -> bool:
            return bool(await shown.run(ACTIVE) == last)

        await soon(is_last, because="the last row is active, and painted")
        assert await shown.page.locator(f"tr[data-symbol={last}]").get_attribute("aria-selected") == "true"
        assert len(await shown.symbols()) < len(PRICES), "only rows in sight are painted"
        await keyboard.press("ArrowUp")
        await keyboard.press("Enter")
        await shown.page.wait_for_url(lambda url: f"selected={sorted(PRICES)[-2]}" in url)


async def test_on_a_phone_every_row_can_be_read(shared_chrome: Browser, local_address: str) -> None:
    clipped = """() => [...document.querySelectorAll(
        '.overview-table, tbody .col-last, tbody .col-change, tbody .col-volume, tbody .pair > span, html')]
        .filter((node) => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
        .map((node) => node.className + ' ' + node.textContent)"""
    for viewport in (PHONE, {"width": 320, "height": 640}, {"width": 700, "height": 800}):
        async with tab(shared_chrome, local_address, viewport=viewport) as shown:
            await opened(shown)
            assert await shown.run(clipped) == []


async def test_what_is_lost_is_said(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address, viewport=LAPTOP) as shown:
        await opened(shown)
        assert await shown.run("document.querySelector('.market-strip').offsetHeight") <= 1, (
            "nothing is wrong"
        )
        post = shown.page.request.post
        down = "exchange=simulator&state=down&reason=name+lookup+failed"
        try:
            assert (await post(f"{shown.base}/control/status?{down}")).ok
            await shown.page.get_by_label("Exchange", exact=True).select_option("simulator")
            await shown.page.get_by_text("SIMULATED PRICES.").wait_for()
            await shown.page.get_by_text("name lookup failed").first.wait_for()
        finally:
            assert (await post(f"{shown.base}/control/status?exchange=simulator&state=live")).ok
        await soon(lambda: shown.text("tr[data-symbol] .price"), because="there are prices again")
        assert await shown.page.locator(".overview-caption .tag").is_visible()


@pytest.mark.verify
async def test_a_thousand_rows_scroll_without_a_gap(shared_chrome: Browser, local_address: str) -> None:
    """Wherever a person scrolls to, the rows in sight have their values soon, and few nodes are painted."""
    in_sight = """() => [...document.querySelectorAll('tbody tr[role=row]')]
        .filter((row) => row.getBoundingClientRect().top < innerHeight && !row.dataset.symbol).length"""
    async with tab(shared_chrome, local_address, viewport={"width": 1366, "height": 420}) as shown:
        await opened(shown, "/labs/overview?sort=symbol")
        box = shown.page.locator(".overview-table")
        for symbol, top in ((MANY[-1], 10**6), ("BNBUSDT", 0), (MANY[9], 500)):
            await box.evaluate("(node, top) => { node.scrollTop = top; }", top)
            await shown.page.locator(f"tr[data-symbol={symbol}] .price").wait_for()

            async def has_no_gap() -> bool:
                return bool(await shown.run(in_sight) == 0)

            await soon(has_no_gap)
            assert len(await shown.symbols()) < 30
        assert NOT_TRADING not in await shown.symbols(), "it has no figures"


@pytest.mark.verify
async def test_one_stream_feeds_the_page_and_is_released_after_it(shared_chrome: Browser) -> None:
    async with (
        running_exchange() as exchange,
        running_main(exchange.ws_url.removeprefix("ws://"), LIVE_LINGER_SECONDS="0.5") as (_, port),
    ):
        async with tab(shared_chrome, f"http://127.0.0.1:{port}") as shown:
            await opened(shown)
            first = await shown.price("BTCUSDT")

            async def has_moved() -> bool:
                return await shown.price("BTCUSDT") != first

            await soon(has_moved, 10, because="the price moves")
            await shown.page.get_by_text("Live.", exact=True).wait_for()
            assert len(exchange.subscriptions()) == 1
        # The tab is closed: after its time to come back and the linger, nothing is left upstream.
        await eventually(lambda: exchange.subscriptions() == set(), 20)
