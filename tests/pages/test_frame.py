"""The frame of the Live page in a real Chromium: little above the first number, and the market in sight."""

from __future__ import annotations

from functools import partial

import pytest
from playwright.async_api import Browser, ViewportSize

from tests.pages.browser import PHONE, Tab, has_price, soon, tab
from tests.pages.local import MANY
from tests.pages.test_layout import LAPTOP, are_in_sight

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORTY = f"/labs?symbols={','.join(MANY)}"
ROWS_IN_SIGHT = """() => {
    const box = document.querySelector('.market-grid').getBoundingClientRect();
    const head = document.querySelector('.market-grid thead').getBoundingClientRect();
    return [...document.querySelectorAll('tr[data-symbol]')].filter((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return top >= head.bottom - 1 && bottom <= Math.min(box.bottom, innerHeight) + 1;
    }).length;
}"""
LANDMARKS = """() => ['main', 'header', 'nav'].map((tag) =>
    [...document.querySelectorAll(tag)].filter((node) => !node.parentElement.closest('main')).length)"""
ALWAYS = ("symbol", "last", "side", "time")
SMALL_TARGETS = """() => [...document.querySelectorAll('button, a[href], input, select')]
    .filter((node) => node.offsetParent && !node.classList.contains('nicegui-skip-link'))
    .map((node) => [node.outerHTML.slice(0, 120), node.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0 && (box.height < 43.5 || box.width < 31.5) && box.right > 0)
    .map(([html, box]) => `${Math.round(box.width)}×${Math.round(box.height)} ${html}`)"""


async def columns_in_sight(shown: Tab) -> list[str]:
    script = """() => [...document.querySelector('tr[data-symbol]').children]
        .filter((cell) => cell.getBoundingClientRect().width > 0)
        .map((cell) => cell.className.replace('col-', ''))"""
    return [str(name) for name in await shown.run(script)]


async def test_on_a_laptop_one_bar_stands_above_fifteen_rows_and_the_whole_market(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address, viewport=LAPTOP) as shown:
        await shown.goto(FORTY)
        await has_price(shown, MANY[0])
        assert await shown.run("document.querySelector('.shell-header').offsetHeight") == 48
        first = await shown.run(
            "document.querySelector('tr[data-symbol] .price').getBoundingClientRect().top"
        )
        assert first < 130, "what stands above the first number"
        assert await shown.page.evaluate(ROWS_IN_SIGHT) >= 15
        bar = (f".shell-header {part}" for part in (".symbol-picker input", "select", ".lab-label"))
        await soon(partial(are_in_sight, shown, *bar))
        levels = (f".order-book tbody tr:nth-child({level})" for level in (1, 20))
        await soon(partial(are_in_sight, shown, ".labs-market", ".tape-bar", ".tape-line", *levels))
        assert await shown.page.evaluate(LANDMARKS) == [1, 1, 1]
        assert await shown.texts(".shell-nav a") == ["Live", "Overview", "Status"]
        assert await shown.run("document.querySelector('.market-strip').offsetHeight") <= 1
        assert set(ALWAYS) <= set(await columns_in_sight(shown))


async def test_symbol_last_side_and_time_stand_at_every_width(
    shared_chrome: Browser, local_address: str
) -> None:
    async def stand(width: int) -> bool:
        assert await shown.run("innerWidth") == width
        found = await columns_in_sight(shown)
        assert set(ALWAYS) <= set(found), found
        assert await shown.run("document.documentElement.scrollWidth") <= width
        if width == 2560:
            assert {"change", "bid", "ask", "size", "trace", "age"} <= set(found)
        return True

    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,SHIBUSDT")
        await has_price(shown, "BTCUSDT")
        for width in (2560, 1920, 1366, 1024, 768, 390, 320):
            await shown.page.set_viewport_size({"width": width, "height": 800})
            await soon(partial(stand, width), because=f"{width} px")


async def comes_into_sight(shown: Tab, part: str) -> bool:
    """Scroll to an element, which may be another one each time: the tape moves on."""
    await shown.page.evaluate(
        "(part) => document.querySelector(part)?.scrollIntoView({ block: 'center' })", part
    )
    return await are_in_sight(shown, part)


async def test_at_twice_the_size_everything_can_be_read(shared_chrome: Browser, local_address: str) -> None:
    """A laptop's browser at 200 %: half as many pixels of the style sheets, and each twice as large."""
    size: ViewportSize = {"width": LAPTOP["width"] // 2, "height": LAPTOP["height"] // 2}
    async with tab(shared_chrome, local_address, viewport=size, device_scale_factor=2) as shown:
        await shown.goto(FORTY)
        await has_price(shown, MANY[0])
        assert set(ALWAYS) <= set(await columns_in_sight(shown))
        assert await shown.run("document.documentElement.scrollWidth") <= size["width"]
        assert await shown.page.evaluate(ROWS_IN_SIGHT) >= 3
        for part in (".tape-line", ".chart-plot", ".head-figures", ".order-book tbody tr"):
            await soon(partial(comes_into_sight, shown, part), 15)


async def test_on_a_phone_the_market_opens_over_the_list_and_back_returns(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address, viewport=PHONE, has_touch=True) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT")
        await has_price(shown, "ETHUSDT")
        grid, market = shown.page.locator(".market-grid"), shown.page.locator(".labs-market")
        assert not await market.is_visible()
        assert await shown.page.evaluate(SMALL_TARGETS) == []
        assert await shown.run("document.querySelector('tr[data-symbol]').offsetHeight") >= 44
        await shown.page.locator("tr[data-symbol=ETHUSDT]").tap()
        await market.wait_for()
        await shown.page.wait_for_url("**selected=ETHUSDT**")
        assert not await grid.is_visible()
        await shown.page.get_by_role("heading", name="ETH/USDT").first.wait_for()
        await shown.page.go_back()
        await grid.wait_for()
        assert not await market.is_visible()
        assert "selected" not in shown.page.url
        await shown.page.go_forward()
        await market.wait_for()
        await shown.page.get_by_role("button", name="Back to the list").tap()
        await grid.wait_for()
