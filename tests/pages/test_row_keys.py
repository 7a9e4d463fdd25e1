"""The rows of the Live page in a real Chromium: keys, order, removal, and a view that stays."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.pages.browser import PHONE, Tab, has_price, local_pages, soon, tab
from tests.pages.local import QUIET
from tests.pages.weak_link import weak_link

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOCUSED = (
    "document.activeElement.closest('tr')?.dataset.symbol ?? document.activeElement.getAttribute('role')"
)
WITHIN_SECONDS = 10.0


async def is_now(found: Callable[[], Awaitable[Any]], expected: object) -> bool:
    """Whether the browser says what is expected."""
    said = await found()
    assert said == expected, said
    return True


async def soon_is(found: Callable[[], Awaitable[Any]], expected: object) -> None:
    await soon(partial(is_now, found, expected), WITHIN_SECONDS)


async def focused(shown: Tab) -> Any:
    return await shown.run(FOCUSED)


async def test_rows_are_walked_moved_and_removed_by_keys_and_a_help_tells_them(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT")
        await has_price(shown, "XRPUSDT")
        keyboard = shown.page.keyboard
        await keyboard.press("?")
        dialog = shown.page.get_by_role("dialog", name="Keyboard shortcuts")
        await dialog.wait_for()
        told = await dialog.inner_text()
        for key in ("/", "↑", "Enter", "Delete", "Alt + ↑", "p", "1", "5", "b", "?"):
            assert key in told.split() or key in told, key
        await keyboard.press("Escape")
        await dialog.wait_for(state="hidden")

        await shown.page.locator("tr[data-symbol=ETHUSDT]").focus()
        await keyboard.press("Delete")
        await soon_is(shown.symbols, ["BTCUSDT", "SOLUSDT", "XRPUSDT"])
        await soon_is(partial(focused, shown), "SOLUSDT")
        await keyboard.press("Alt+ArrowUp")
        await soon_is(shown.symbols, ["SOLUSDT", "BTCUSDT", "XRPUSDT"])
        await soon_is(partial(focused, shown), "SOLUSDT")
        await keyboard.press("ArrowDown")
        await keyboard.press("ArrowDown")
        await keyboard.press("Delete")
        await soon_is(shown.symbols, ["SOLUSDT", "BTCUSDT"])
        await soon_is(partial(focused, shown), "BTCUSDT")
        await shown.page.get_by_role("button", name="Undo").click()
        await soon_is(shown.symbols, ["SOLUSDT", "BTCUSDT", "XRPUSDT"])
        for _ in range(3):
            rows = await shown.symbols()
            await shown.page.locator("tr[data-symbol]").first.focus()
            await keyboard.press("Delete")
            await soon_is(shown.symbols, rows[1:])
        await soon_is(partial(focused, shown), "combobox")


async def test_rows_are_sorted_by_a_column_and_ordered_with_the_mouse(
    shared_chrome: Browser, local_address: str
) -> None:
    own = ["XRPUSDT", "BTCUSDT", "SOLUSDT"]
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto(f"/labs?symbols={','.join(own)}")
        for symbol in own:
            await has_price(shown, symbol)
        head = shown.page.get_by_role("columnheader", name=re.compile("^Last"))
        for order, said in (
            (["BTCUSDT", "SOLUSDT", "XRPUSDT"], "descending"),
            (["XRPUSDT", "SOLUSDT", "BTCUSDT"], "ascending"),
            (own, "none"),
        ):
            await head.get_by_role("button").click()
            await soon_is(shown.symbols, order)
            await soon_is(partial(head.get_attribute, "aria-sort"), said)
        row = shown.page.locator("tr[data-symbol=SOLUSDT] .col-symbol")
        await row.drag_to(shown.page.locator("tr[data-symbol=XRPUSDT]"), target_position={"x": 40, "y": 4})
        await soon_is(shown.symbols, ["SOLUSDT", "XRPUSDT", "BTCUSDT"])
        await shown.page.wait_for_url("**symbols=SOLUSDT,XRPUSDT,BTCUSDT")


async def test_a_symbol_that_does_not_trade_has_a_price_within_a_second_and_a_list_is_added_at_once(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        await shown.page.keyboard.press("/")
        await shown.page.keyboard.type(QUIET)
        await shown.page.locator(f"[role=option][data-symbol={QUIET}]").wait_for()
        await shown.page.keyboard.press("Enter")
        row = f"tr[data-symbol={QUIET}]"
        await shown.page.locator(row).wait_for()
        assert await soon(lambda: shown.price(QUIET), 1.0) == "7.25"
        title = await shown.page.locator(f"{row} .price").get_attribute("title")
        assert "24 h ticker" in str(title)
        assert [await shown.text(f"{row} .col-{name}") for name in ("side", "time")] == ["", ""]
        assert await shown.text(f"{row} .col-change") == "+2.11 %"

        await shown.page.keyboard.type("$sol,BINANCE:XRPUSDT")
        await shown.page.get_by_text("Enter adds all 2 symbols: SOLUSDT, XRPUSDT.").wait_for()
        await shown.page.keyboard.press("Enter")
        await soon_is(shown.symbols, ["BTCUSDT", QUIET, "SOLUSDT", "XRPUSDT"])


SHARED = "exchange=binance&symbols=BTCUSDT,ETHUSDT&selected=ETHUSDT&sort=-last&interval=5m&min=1000"


async def has_its_view(shown: Tab) -> bool:
    """Whether the page shows what its address said, and says the same."""
    assert shown.page.url.endswith(f"{SHARED}&paused=1"), shown.page.url
    assert await shown.page.locator("tr[data-symbol=ETHUSDT][aria-selected=true]").count() == 1
    assert await shown.symbols() == ["BTCUSDT", "ETHUSDT"]
    assert await shown.price("BTCUSDT")
    return True


async def test_what_a_person_set_survives_a_reload_and_is_shared_but_for_the_pause(
    shared_chrome: Browser, local_address: str
) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    async with tab(shared_chrome, local_address, permissions=permissions) as shown:
        await shown.goto("/labs?symbols=ETHUSDT,BTCUSDT&interval=7m&min=-1&selected=NOPE&sort=luck")
        for said in ("no interval “7m”", "“-1” is no value", "“NOPE” is not among", "no column “luck”"):
            await shown.page.get_by_role("alert").get_by_text(said).wait_for()
        await shown.goto(f"/labs?{SHARED}&paused=1")
        await soon(partial(has_its_view, shown), WITHIN_SECONDS)
        await shown.page.reload()
        await soon(partial(has_its_view, shown), WITHIN_SECONDS)
        await shown.page.get_by_role("button", name="Share").click()
        await shown.page.get_by_text("Copied").wait_for()
        assert await shown.run("navigator.clipboard.readText()") == f"{local_address}/labs?{SHARED}"


@pytest.mark.verify
async def test_two_tabs_have_their_own_views_and_back_and_forward_bring_them_again(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        other = Tab(shown.context, await shown.context.new_page(), local_address)
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT&selected=ETHUSDT&interval=5m")
        await other.goto("/labs?symbols=ETHUSDT,SOLUSDT&selected=SOLUSDT")
        await has_price(other, "SOLUSDT")
        await other.page.locator("tr[data-symbol=ETHUSDT]").focus()
        await other.page.keyboard.press("Delete")
        await soon_is(other.symbols, ["SOLUSDT"])
        assert await shown.symbols() == ["BTCUSDT", "ETHUSDT"]
        for symbol in ("BTCUSDT", "ETHUSDT"):  # the other tab wants neither now
            before = await has_price(shown, symbol)
            await soon(partial(has_moved, shown, symbol, before), WITHIN_SECONDS)
        await other.page.close()
        assert other.problems == []

        await shown.page.get_by_role("link", name="Overview").click()
        await shown.page.wait_for_url("**/labs/overview?**")
        await shown.page.locator("tr[data-symbol=BTCUSDT]").wait_for()
        await shown.page.go_back()
        row = shown.page.locator("tr[data-symbol=ETHUSDT][aria-selected=true]")
        await row.wait_for()
        await has_price(shown, "ETHUSDT")
        assert shown.page.url.endswith("symbols=BTCUSDT,ETHUSDT&selected=ETHUSDT&interval=5m")
        await shown.page.go_forward()
        await shown.page.locator("table[aria-rowcount]").wait_for()


async def has_moved(shown: Tab, symbol: str, before: str) -> bool:
    return await shown.price(symbol) != before


@pytest.mark.verify
@pytest.mark.parametrize("outage_seconds", [4, 10])
async def test_what_a_person_set_survives_an_outage(
    shared_chrome: Browser, local_address: str, outage_seconds: float
) -> None:
    async with weak_link(local_address) as link, tab(shared_chrome, link.address) as shown:
        await shown.goto(f"/labs?{SHARED}&paused=1")
        await soon(partial(has_its_view, shown), WITHIN_SECONDS)
        shown.expect_an_outage()
        link.cut()
        await shown.page.locator("html[data-link=lost]").wait_for()
        await shown.page.wait_for_timeout(1000 * outage_seconds)
        link.mend()
        await shown.page.locator("html[data-link=open]").wait_for(timeout=60_000)
        await soon(partial(has_its_view, shown), WITHIN_SECONDS)


@pytest.mark.verify
async def test_what_a_person_set_survives_a_restart_of_the_server(shared_chrome: Browser) -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(contextlib.AsyncExitStack())
        _, address = await server.enter_async_context(local_pages())
        shown = await stack.enter_async_context(tab(shared_chrome, address))
        await shown.goto(f"/labs?{SHARED}&paused=1")
        await soon(partial(has_its_view, shown), WITHIN_SECONDS)
        shown.expect_an_outage()
        await server.aclose()
        await shown.page.locator("html[data-link=lost]").wait_for()
        async with shown.page.expect_event("domcontentloaded", timeout=60_000):
            await server.enter_async_context(local_pages(port=int(address.rpartition(":")[2])))
        await soon(partial(has_its_view, shown), WITHIN_SECONDS)


CENTRE = """(symbol) => {
    const { left, top, width, height } = document.querySelector(`tr[data-symbol=${symbol}] .pair`)
        .closest("tr").getBoundingClientRect();
    return { x: left + width / 3, y: top + height / 2 };
}"""


@pytest.mark.verify
async def test_a_finger_that_rests_on_a_row_carries_it(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address, viewport=PHONE, has_touch=True) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT,SOLUSDT")
        await has_price(shown, "SOLUSDT")
        devices = await shown.context.new_cdp_session(shown.page)

        async def touch(kind: str, symbol: str = "", down: int = 0) -> None:
            points = [await shown.page.evaluate(CENTRE, symbol)] if symbol else []
            for point in points:
                point["y"] += down
            await devices.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        await touch("touchStart", "SOLUSDT")
        await shown.page.locator("tr[data-symbol=SOLUSDT][data-carried]").wait_for()
        await touch("touchMove", "BTCUSDT", -12)
        await shown.page.locator("tr[data-symbol=BTCUSDT][data-drop=above]").wait_for()
        await touch("touchEnd")
        await soon_is(shown.symbols, ["SOLUSDT", "BTCUSDT", "ETHUSDT"])
        await shown.page.wait_for_url("**symbols=SOLUSDT,BTCUSDT,ETHUSDT")
        assert await shown.page.locator("[data-carried], [data-drop]").count() == 0

        assert await shown.page.locator(".labs[data-market=closed]").count() == 1, "to carry is no tap"
        await shown.page.locator("tr[data-symbol=ETHUSDT]").tap()
        await shown.page.locator(".labs[data-market=open]").wait_for()
