"""The pages in a real Chromium, on a small application whose states are set over HTTP."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser

from pages.labs.fallback import FALLBACK_AFTER_MS
from tests.pages.browser import Tab, has_price, soon, tab
from tests.support.helpers import eventually

# The lines of the tape move down: that is what a tape does. Nothing else may move by itself. The lines are
# made invisible, for Chromium names the five largest things that moved and no more.
WATCH_SHIFTS = """
document.querySelector('.tape-lines').style.visibility = 'hidden';
window.shifts = [];
const noteShifts = (list) => list.getEntries().forEach((entry) => entry.sources
    .forEach((source) => window.shifts.push(source.node?.className || source.node?.textContent)));
new PerformanceObserver(noteShifts).observe({type: 'layout-shift'});
"""

# What the figures of a busy coin grow to while one looks at them.
LENGTHEN_FIGURES = """new Promise((painted) => {
    const longer =
        ['123,456.78', '123,456.78', '123.4 B USDT', '1,234.56'];
    document.querySelectorAll('.head-figures dd').forEach((figure, at) => figure.textContent = longer[at]);
    requestAnimationFrame(() => requestAnimationFrame(painted));
})"""

SABOTAGE = """() => {
    getElement(Number(document.querySelector('.market-grid').id.slice(1))).apply = () => {
        throw new Error('sabotage');
    };
}"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def set_quality(shown: Tab, symbol: str, state: str, reason: str = "") -> None:
    query = urlencode({"symbol": symbol, "state": state, "reason": reason})
    assert (await shown.page.request.post(f"{shown.base}/control/quality?{query}")).ok


async def set_status(shown: Tab, state: str, **parameters: Any) -> None:
    query = "&".join(
        f"{name}={value}" for name, value in {"exchange": "binance", "state": state, **parameters}.items()
    )
    assert (await shown.page.request.post(f"{shown.base}/control/status?{query}")).ok


async def wanted(shown: Tab) -> list[str]:
    """What this page, and no other that may linger, wants."""
    client_id = await shown.run("window.clientId")
    return list(
        await (await shown.page.request.get(f"{shown.base}/control/wanted?client_id={client_id}")).json()
    )


async def wants(shown: Tab, *streams: str) -> None:
    """Wait until the page wants these: it shows its first prices before its socket is open."""

    async def are_wanted() -> bool:
        return await wanted(shown) == list(streams)

    await soon(are_wanted, because=f"the page wants {streams}")


async def test_prices_move_without_moving_anything_else(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT,SHIBUSDT")
        first = await has_price(shown, "BTCUSDT")
        for symbol in ("ETHUSDT", "SHIBUSDT"):
            await has_price(shown, symbol)
        await soon(lambda: shown.text(".tape-line"), because="the tape runs")
        await shown.page.get_by_role("heading", name="BTC/USDT").first.wait_for()
        await shown.run(WATCH_SHIFTS)

        async def has_moved() -> bool:
            return await shown.price("BTCUSDT") != first

        await soon(has_moved, because="the price moves")
        await shown.run(LENGTHEN_FIGURES)
        assert re.fullmatch(r"6\d,\d{3}\.\d{2}", await shown.price("BTCUSDT"))
        assert re.fullmatch(r"0\.0000\d{4}", await shown.price("SHIBUSDT"))
        assert await shown.symbols() == ["BTCUSDT", "ETHUSDT", "SHIBUSDT"]
        assert re.fullmatch(r"\d\.\d s", await shown.text("tr[data-symbol=BTCUSDT] .col-age"))
        assert await shown.run("window.shifts") == []
        assert await shown.run("document.documentElement.lang") == "en-US"
        assert await shown.run(
            "[...document.querySelectorAll('thead th')].every(cell => cell.scope === 'col')"
        )


async def test_numbers_stand_at_the_right_with_their_arrow_beside(
    shared_chrome: Browser, local_address: str
) -> None:
    """Where prices end, and how far their arrows are, in px; and a long size is told whole on hover."""
    ends = """() => [...document.querySelectorAll('.market-grid tbody tr')].map(row => {
        const [price, arrow] = ['.price', '.arrow']
            .map(part => row.querySelector(part).getBoundingClientRect());
        return [Math.round(price.right), Math.round(arrow.left - price.right)];
    })"""
    wide = {"width": 2400, "height": 800}
    async with tab(shared_chrome, local_address, viewport=wide) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,XRPUSDT,SHIBUSDT")
        for symbol in ("BTCUSDT", "XRPUSDT", "SHIBUSDT"):
            await has_price(shown, symbol)
        found = await shown.run(ends)
        assert len({end for end, _ in found}) == 1
        assert all(0 <= gap <= 6 for _, gap in found)
        size = shown.page.locator("tr[data-symbol=SHIBUSDT] .col-size")

        async def is_short() -> bool:
            whole, text = await size.get_attribute("title"), await size.inner_text()
            assert whole is not None
            assert re.fullmatch(r"\d\d?,\d{3},\d{3}", whole), whole
            assert re.fullmatch(r"\d+(\.\d+)?\u2009M", text), text
            return text.replace(".", "")[:2] == whole.replace(",", "")[:2]

        await soon(is_short)


async def test_home_fits_the_narrowest_phone(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address, viewport={"width": 320, "height": 640}) as shown:
        await shown.goto("/")
        await shown.page.get_by_role("button", name="Binance live").wait_for()
        assert await shown.run("document.documentElement.scrollWidth") == 320


async def test_every_row_can_be_read_at_every_width(shared_chrome: Browser, local_address: str) -> None:
    """Nothing of a symbol, a price or an age is cut off, and nobody has to scroll sideways for them."""
    clipped = """() => [...document.querySelectorAll(
        '.market-grid, .market-grid .col-symbol, .market-grid .col-last, .market-grid .col-age, html')]
        .filter(node => node.scrollWidth > node.clientWidth).map(node => node.outerHTML)"""
    too_low = """() => [...document.querySelectorAll('.market-grid tbody tr > *')]
        .filter(node => node.scrollHeight > node.clientHeight + 1)  // a line of text may round up to a pixel
        .map(node => node.outerHTML)"""

    async def can_be_read(width: int) -> bool:
        assert await shown.run("innerWidth") == width
        assert await shown.run(clipped) == []
        assert await shown.run(too_low) == []
        return True

    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?exchange=simulator&symbols=BTCUSDT,DOGEUSDT,SHIBUSDT")
        await shown.page.get_by_role("rowheader", name=re.compile(r"DOGE\s?.USDT simulated")).wait_for()
        for symbol in ("BTCUSDT", "DOGEUSDT", "SHIBUSDT"):
            await has_price(shown, symbol)
        for width in (1440, 1280, 1180, 1179, 1000, 860, 760, 720, 700, 640, 320):
            await shown.page.set_viewport_size({"width": width, "height": 800})
            await soon(partial(can_be_read, width), because=f"{width} px")


async def test_symbols_are_added_and_removed_with_the_keyboard(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        keyboard, box = shown.page.keyboard, shown.page.locator("[role=combobox]")

        await keyboard.press("/")
        await keyboard.type("eth")

        async def are_found() -> bool:
            return sorted(await shown.texts("[role=option] .picker-symbol")) == ["ETHBTC", "ETHUSDT"]

        await soon(are_found)
        chosen = (await shown.texts("[role=option] .picker-symbol"))[1]
        await keyboard.press("ArrowDown")
        assert await box.get_attribute("aria-activedescendant") == await shown.page.locator(
            "[role=option][aria-selected=true]"
        ).get_attribute("id")
        await keyboard.press("Enter")

        assert await has_price(shown, chosen)
        assert await shown.symbols() == ["BTCUSDT", chosen]
        await shown.page.wait_for_url(f"**/labs?exchange=binance&symbols=BTCUSDT,{chosen}")
        await wants(shown, "binance:BTCUSDT", f"binance:{chosen}")
        assert await box.input_value() == ""

        await keyboard.press("Escape")
        await shown.page.locator("tr[data-symbol=BTCUSDT]").focus()
        await keyboard.press("ArrowDown")
        await keyboard.press("Enter")
        await shown.page.locator(f"tr[data-symbol={chosen}][aria-selected=true]").wait_for()
        await keyboard.press("Delete")
        await shown.page.locator(f"tr[data-symbol={chosen}]").wait_for(state="detached")
        await wants(shown, "binance:BTCUSDT")


async def test_what_is_typed_fast_is_what_is_added(shared_chrome: Browser, local_address: str) -> None:
    """Enter before the answer of the search takes the text, not an earlier hit."""
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")

        await shown.page.keyboard.press("/")
        await shown.page.keyboard.type("SOLUSDT")
        await shown.page.keyboard.press("Enter")
        assert await has_price(shown, "SOLUSDT")

        await shown.page.keyboard.type("BTCUSD,<b>x</b>")
        await shown.page.keyboard.press("Enter")
        await shown.page.get_by_text("does not list “BTCUSD”").wait_for()
        await shown.page.get_by_text("“<b>x</b>” cannot be a symbol").wait_for()
        assert await shown.symbols() == ["BTCUSDT", "SOLUSDT"]


async def test_the_tape_is_bounded_can_be_held_and_filtered(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        lines = shown.page.locator(".tape-lines > *")

        async def is_full() -> bool:
            return await lines.count() >= 200

        await soon(is_full, 15)
        assert await lines.count() == 200

        await shown.page.get_by_role("button", name="pause").click()
        await shown.page.get_by_text(re.compile(r"Paused · \+\d+ new")).wait_for()
        held = await shown.texts(".tape-line")
        await shown.page.get_by_text(re.compile(r"\+[1-9]\d+ new")).wait_for()
        assert await shown.texts(".tape-line") == held
        await shown.page.get_by_role("button", name="resume").click()

        async def goes_on() -> bool:
            return await shown.text(".tape-line") != held[0]

        await soon(goes_on)
        await shown.page.get_by_label("value from").fill("1,855")

        async def is_filtered() -> bool:
            sizes = await shown.texts(".tape-size")
            return bool(sizes) and all(float(size) >= 0.0299 for size in sizes)

        await soon(is_filtered)
        note = re.compile(r"Value from 1,855 USDT \(0\.03 BTC\): hides [\d,]+ of the last [\d,]+ trades\.")
        await shown.page.get_by_text(note).wait_for()
        assert "Every trade" not in await shown.text(".trade-tape")
        await shown.page.get_by_label("value from").fill("1e9")
        await shown.page.get_by_text(re.compile(r"The filter hides all of the last [\d,]+ trades")).wait_for()
        assert await lines.count() == 0
        assert "No trade yet" not in await shown.text(".trade-tape")
        await shown.page.get_by_label("value from").fill("much")
        await shown.page.get_by_text("This is not a value").wait_for()


async def test_every_state_says_what_is_why_and_what_comes(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        strip = shown.page.locator(".market-strip")
        await strip.get_by_text("Binance is live.").wait_for()

        await set_quality(shown, "BTCUSDT", "stale")
        await set_status(shown, "stale", reason="no trade for 30 s")
        await strip.get_by_text("Binance is silent.").wait_for()
        grid = shown.page.locator(".market-grid[data-tone=stale]")
        await grid.wait_for()
        await set_quality(shown, "BTCUSDT", "live")  # the app is that of the other tests too

        await set_status(shown, "down", reason="name lookup failed", retry_ms=60_000)
        await strip.get_by_text("cannot be reached (name lookup failed)").wait_for()
        await strip.get_by_text(re.compile(r"Trying again in \d+ s\.")).wait_for()
        await shown.page.locator(".badge-button").click()
        panel = shown.page.get_by_role("dialog", name="Connections")
        assert "name lookup failed" in await panel.inner_text()
        await shown.page.keyboard.press("Escape")
        await panel.wait_for(state="detached")
        last = await shown.price("BTCUSDT")

        offer = strip.get_by_role("button", name="Show simulated prices")
        assert not await offer.is_visible(), "Binance may be back soon"
        assert (await shown.page.request.post(f"{shown.base}/control/wait?ms={FALLBACK_AFTER_MS}")).ok
        await offer.wait_for()
        assert await shown.price("BTCUSDT") == last, "real prices are not replaced by themselves"
        assert await shown.text("tr[data-symbol=BTCUSDT] .col-age")
        await wants(shown, "binance:BTCUSDT")
        await offer.click()
        await strip.get_by_text("SIMULATED PRICES.").wait_for()
        await shown.page.locator("tr[data-symbol=BTCUSDT] .tag", has_text="simulated").wait_for()
        assert "simulated" in await shown.text(".connection-badge")
        assert "simulated" in await shown.text(".trade-tape")
        assert "simulated" in await shown.text(".market-head")

        async def wants_both() -> bool:
            return await wanted(shown) == ["binance:BTCUSDT", "simulator:BTCUSDT"]

        await soon(wants_both)

        await set_status(shown, "live")
        await strip.get_by_text("Binance is live.").wait_for()
        await shown.page.locator("tr[data-symbol=BTCUSDT] .tag").wait_for(state="detached")
        await wants(shown, "binance:BTCUSDT")


async def test_a_page_that_lost_its_connection_goes_on(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        await shown.run("window.kept = true; window.socket.io.engine.close()")

        before = await shown.price("BTCUSDT")

        async def has_moved() -> bool:
            return await shown.price("BTCUSDT") != before

        await soon(has_moved, 10, because="prices move again")
        assert await shown.run("window.kept"), "without a reload"
        await wants(shown, "binance:BTCUSDT")


async def test_a_hidden_tab_is_sent_nothing_and_catches_up(
    shared_chrome: Browser, local_address: str
) -> None:
    hide = (
        "hidden => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});"
        " document.dispatchEvent(new Event('visibilitychange')) }"
    )
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        await shown.page.evaluate(hide, True)
        await shown.run("window.socket.on('run_javascript', () => window.messages += 1)")

        async def is_sent_nothing() -> bool:
            await shown.run("window.messages = 0")
            await shown.page.wait_for_timeout(750)  # three flushes
            return bool(await shown.run("window.messages") == 0)

        await soon(is_sent_nothing, because="what was on its way has arrived")

        before = await shown.price("BTCUSDT")
        await shown.page.evaluate(hide, False)

        async def has_moved() -> bool:
            return await shown.price("BTCUSDT") != before

        await soon(has_moved)


async def colour(shown: Tab, symbol: str) -> str:
    """The colour of a row's price."""
    return str(
        await shown.page.locator(f"tr[data-symbol={symbol}] .col-last").evaluate(
            "cell => getComputedStyle(cell).color"
        )
    )


async def test_a_word_below_the_symbol_says_that_trading_is_halted_or_its_price_old(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,X07EUR")
        await has_price(shown, "X07EUR")
        word = shown.page.locator("tr[data-symbol=X07EUR] .col-symbol .state")
        assert not await word.is_visible()
        await set_quality(shown, "X07EUR", "halted", "status BREAK")
        await word.wait_for()
        assert (await word.text_content(), await word.get_attribute("title")) == ("halted", "status BREAK")
        assert await shown.price("X07EUR")
        assert not await shown.page.locator("tr[data-symbol=BTCUSDT] .state").is_visible()

        await set_quality(shown, "X07EUR", "stale")
        await set_status(shown, "stale", reason="no trades arrive for X07EUR")
        await shown.page.locator(".market-strip").get_by_text("Some prices are old.").wait_for()
        await shown.page.locator("tr[data-symbol=X07EUR][data-state=stale]").wait_for()

        async def is_greyed_alone() -> bool:
            return await colour(shown, "X07EUR") != await colour(shown, "BTCUSDT")

        await soon(is_greyed_alone)

        await set_status(shown, "live")
        await set_quality(shown, "X07EUR", "live")
        await word.wait_for(state="hidden")


async def test_an_error_in_one_element_does_not_stop_the_others(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        await soon(lambda: shown.text(".tape-line"), because="the tape runs")
        await shown.page.evaluate(SABOTAGE)
        await eventually(lambda: shown.problems, because="the grid fails")
        before = await shown.text(".tape-lines")

        async def has_moved() -> bool:
            return await shown.text(".tape-lines") != before

        await soon(has_moved, because="the tape goes on")
        assert all("sabotage" in problem for problem in shown.problems)
        await shown.page.goto("about:blank")
        shown.problems.clear()


@pytest.mark.verify
async def test_prices_are_painted_before_the_page_has_a_socket(
    shared_chrome: Browser, local_address: str
) -> None:
    async with (
        tab(shared_chrome, local_address) as other,
        tab(shared_chrome, local_address, leaves_traces=True) as shown,
    ):
        await shown.page.route_web_socket(re.compile("socket[.]io"), lambda _: None)  # nobody answers
        for path in ("/labs?symbols=BTCUSDT", "/labs/overview"):
            for each in (other, shown):  # by the second visit, the server has prices
                await each.goto(path)
                await soon(partial(each.text, "tr[data-symbol] .price"), because=f"{path} has prices")
            assert await shown.run("window.nextMessageId") == 0
