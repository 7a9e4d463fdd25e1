"""Labs › Status in a real Chromium: the shipped app breaks and heals; every screen can be read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.pages.browser import PHONE, Tab, soon, tab
from tests.support.app import running_main

pytestmark = pytest.mark.asyncio(loop_scope="session")

LAPTOP = {"width": 1366, "height": 768}
SIMULATOR = "section[aria-labelledby=simulator-title]"
STATE = f"{SIMULATOR} tr[data-row=State] td"
STATES = f"{SIMULATOR} [aria-label='Simulator: What happened'] td[data-column=state]"
BTC = f"{SIMULATOR} tr[data-row^='BTCUSDT trades']"
HEAL_SECONDS = 45


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shipped() -> AsyncIterator[str]:
    """The address of the shipped app, with the simulator as a process of its own."""
    async with running_main(LIVE_LINGER_SECONDS="0.5") as (_, port):
        yield f"http://127.0.0.1:{port}"


async def watching(shown: Tab) -> None:
    """Open the page, watch the simulator, and wait until it has trades."""
    await shown.goto("/labs/status")
    await shown.page.get_by_role("button", name="Watch the simulator").click()
    await state_is(shown, "live")

    async def has_trades() -> bool:
        return (await shown.text(f"{BTC} td[data-column=last_id]")).isdigit()

    await soon(has_trades, HEAL_SECONDS, because="trades come")


async def state_is(shown: Tab, *words: str) -> None:
    """Wait until the simulator is in one of these states."""

    async def is_so() -> bool:
        return (await shown.text(STATE)).startswith(words)

    await soon(is_so, HEAL_SECONDS, because=f"the simulator is {' or '.join(words)}")


async def press(shown: Tab, name: str) -> None:
    """Press a button, once it may be pressed."""

    async def is_done() -> bool:
        await shown.page.get_by_role("button", name=name, exact=True).click()
        return (await shown.text(".breaks-outcome")).startswith(f"Done: {name}")

    await soon(is_done, HEAL_SECONDS, because=f"{name} is done")


@pytest.mark.verify
async def test_what_is_broken_heals_before_ones_eyes(shared_chrome: Browser, shipped: str) -> None:
    async with tab(shared_chrome, shipped, viewport=LAPTOP) as shown:
        await watching(shown)
        assert await shown.page.locator("table:visible").count() >= 5
        assert "MB" in await shown.text("tr[data-row=Memory] td")
        await press(shown, "Cut for 3 s")
        await state_is(shown, "down", "connecting")
        await shown.page.locator(".needs li[data-kind=down]").wait_for()
        await state_is(shown, "live")
        await shown.page.locator(".needs li[data-kind=down]").wait_for(state="detached")

        async def has_fetched() -> bool:
            return await shown.text(f"{BTC} td[data-column=backfilled]") != "0"

        await soon(has_fetched, HEAL_SECONDS, because="what was missed is fetched")

        async with shown.page.expect_download() as download:
            await shown.page.get_by_role("link", name="Download diagnostics").click()
        path = await (await download.value).path()
        body = json.loads(path.read_text())
        assert body["settings"]["LIVE_LINGER_SECONDS"] == "0.5"
        assert body["report"]["exchanges"][1]["streams"]["worst"]


@pytest.mark.verify
@pytest.mark.parametrize("fault", ["Half-open connection", "Mute one stream"])
async def test_a_silent_stream_is_found_and_heals(shared_chrome: Browser, shipped: str, fault: str) -> None:
    async with tab(shared_chrome, shipped) as shown:
        await watching(shown)
        before = await shown.texts(STATES)
        await press(shown, fault)

        async def was_in_trouble() -> bool:
            now = await shown.texts(STATES)
            return now[0] == "live" and now != before and now[1] in ("stale", "down", "connecting")

        await soon(was_in_trouble, HEAL_SECONDS, because="it was in trouble, and is live again")
        await press(shown, "Repair")


@pytest.mark.verify
async def test_a_wrong_clock_is_told_until_it_is_right(shared_chrome: Browser, shipped: str) -> None:
    async with tab(shared_chrome, shipped) as shown:
        await watching(shown)
        await press(shown, "Set its clock 5 s ahead")
        clock = shown.page.locator(".needs li[data-kind=clock]")
        await clock.get_by_text("5.0 s behind").wait_for(timeout=HEAL_SECONDS * 1000)
        await press(shown, "Repair")
        await clock.wait_for(state="detached", timeout=2 * HEAL_SECONDS * 1000)


async def test_every_screen_can_be_read(shared_chrome: Browser, local_address: str) -> None:
    too_wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    unnamed = """() => [...document.querySelectorAll('main :is(button, a, table, [role=region])')]
        .filter((node) => node.checkVisibility())
        .filter((node) => !node.getAttribute('aria-label') && !node.textContent.trim())
        .map((node) => node.outerHTML)"""
    for viewport, scheme in ((LAPTOP, "dark"), (PHONE, "light"), ({"width": 320, "height": 640}, "dark")):
        async with tab(shared_chrome, local_address, viewport=viewport, color_scheme=scheme) as shown:
            await shown.goto("/labs/status")
            await shown.page.get_by_text("Nothing needs you.").wait_for()
            await soon(lambda: shown.text("tr[data-row=State] td"), 10)
            assert await shown.run(too_wide) <= 0
            assert await shown.run(unnamed) == []
            assert await shown.page.locator("nav [aria-current=page]").inner_text() == "Status"
