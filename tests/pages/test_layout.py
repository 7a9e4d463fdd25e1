"""Where things stand with many rows, in a real Chromium: what a click shows is in sight."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.pages.browser import Tab, soon, tab
from tests.pages.local import MANY

pytestmark = pytest.mark.asyncio(loop_scope="session")

LAPTOP = {"width": 1366, "height": 768}
ADDRESS = f"/labs?symbols={','.join(MANY)}"

# The part of each element that can be seen: inside the window, and inside whatever scrolls around it.
IN_SIGHT = """(selectors) => Object.fromEntries(selectors.map((selector) => {
    const node = document.querySelector(selector);
    if (!node) return [selector, null];
    let { top, bottom, height } = node.getBoundingClientRect();
    for (let outer = node.parentElement; outer; outer = outer.parentElement) {
        if (getComputedStyle(outer).overflowY === 'visible') continue;
        const box = outer === document.documentElement || outer === document.body
            ? { top: 0, bottom: innerHeight } : outer.getBoundingClientRect();
        [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
    }
    [top, bottom] = [Math.max(top, 0), Math.min(bottom, innerHeight)];
    return [selector, height > 0 ? (bottom - top) / height : 0];
}))"""


async def share_in_sight(shown: Tab, *selectors: str) -> dict[str, float | None]:
    """How much of each element can be seen, 1.0 for all; `None` for one that is not there."""
    found: Any = await shown.page.evaluate(IN_SIGHT, list(selectors))
    return {str(selector): share for selector, share in found.items()}


async def are_in_sight(shown: Tab, *selectors: str) -> bool:
    """Whether all of each element can be seen. A list that is just being filled has no line for a moment."""
    shares = await share_in_sight(shown, *selectors)
    assert all(share is not None and share > 0.99 for share in shares.values()), shares
    return True


async def shows(shown: Tab, symbol: str) -> bool:
    """Whether tape and head are those of `symbol`, and have something to show."""
    name = f"{symbol[:3]}/EUR"
    assert await shown.text(".market-head h2") == name
    assert await shown.text(".tape-line")
    return True


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        (((1366, 768),), (-1, 0)),
        pytest.param(((1366, 768), (1180, 700), (1920, 1080)), (-1, 19, 0), marks=pytest.mark.verify),
    ],
    ids=["laptop", "every size"],
)
async def test_of_forty_rows_each_shows_its_tape_and_chart_in_sight(
    shared_chrome: Browser, local_address: str, sizes: Sequence[tuple[int, int]], rows: Sequence[int]
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto(ADDRESS)
        for width, height in sizes:
            await shown.page.set_viewport_size({"width": width, "height": height})
            for symbol in (MANY[number] for number in rows):
                row = f"tr[data-symbol={symbol}]"
                await shown.page.locator(row).click()
                await soon(partial(shows, shown, symbol))
                parts = (row, ".market-grid th", ".tape-bar", ".tape-line", ".chart-plot", ".head-figures")
                await soon(partial(are_in_sight, shown, *parts), because=f"{symbol} at {width} px")
            overflow = "document.documentElement.scrollHeight <= innerHeight"
            await soon(partial(shown.run, overflow), because="nothing else scrolls")


async def test_the_arrow_keys_keep_a_row_clear_of_the_head(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address, viewport=LAPTOP) as shown:
        await shown.goto(ADDRESS)
        await shown.page.locator(f"tr[data-symbol={MANY[0]}]").click()
        for key, steps in (("ArrowDown", 30), ("ArrowUp", 30)):
            for _ in range(steps):
                await shown.page.keyboard.press(key)
            focused = await shown.run("document.activeElement.dataset.symbol")
            top_row, head = await shown.run(
                "[document.activeElement.getBoundingClientRect().top,"
                " document.querySelector('.market-grid thead th').getBoundingClientRect().bottom]"
            )
            assert top_row >= head - 1, focused
            shares = await share_in_sight(shown, f"tr[data-symbol={focused}]")
            assert list(shares.values()) == [pytest.approx(1.0, abs=0.01)]


@pytest.mark.verify
async def test_on_a_small_tablet_what_a_tap_shows_begins_in_sight(
    shared_chrome: Browser, local_address: str
) -> None:
    """On a phone, in `make test`: test_on_a_phone_the_market_opens_over_the_list_and_back_returns."""
    size = {"width": 820, "height": 1180}
    async with tab(shared_chrome, local_address, viewport=size, has_touch=True) as shown:
        await shown.goto(ADDRESS)
        for symbol in (MANY[0], MANY[-1]):
            row = f"tr[data-symbol={symbol}]"
            await shown.page.locator(row).tap()
            await soon(partial(shows, shown, symbol))
            shares = await share_in_sight(shown, row, ".head-first")
            assert all(share is not None and share > 0.99 for share in shares.values()), shares
