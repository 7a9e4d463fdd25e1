"""What makes the pages pleasant for everybody, in a real Chromium: themes, motion, phones, the keyboard."""

from functools import partial

import pytest
from playwright.async_api import Browser

from tests.pages.axe import findings, needs_axe
from tests.pages.browser import PHONE, has_price, soon, tab

# Notes with which inks canvases are drawn, and how often styles are computed for that.
WATCH_DRAWING = """
window.inks = new Set();
window.computations = 0;
const { stroke } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.stroke = function () {
    window.inks.add(this.strokeStyle);
    stroke.call(this);
};
const { getComputedStyle } = window;
window.getComputedStyle = (node, ...rest) => {
    window.computations += node === document.documentElement || node.tagName === 'CANVAS';
    return getComputedStyle(node, ...rest);
};
"""
DARK_INKS, LIGHT_INKS = {"#2ebd85", "#94a0b0"}, {"#0b7f55", "#5a6675"}
"""The candles of the chart and the line of a row."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_theme_begins_with_the_system_and_is_kept_in_the_browser(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address, color_scheme="light") as shown:
        await shown.goto("/")
        assert await shown.run("document.documentElement.dataset.theme") == "light"
        await shown.page.emulate_media(color_scheme="dark")
        await shown.page.locator("html[data-theme=dark]").wait_for()

        toggle = shown.page.locator(".theme-toggle")
        await toggle.click()
        assert "light" in str(await toggle.get_attribute("aria-label"))
        await shown.page.reload()
        assert await shown.run("document.documentElement.dataset.theme") == "light"
        assert await shown.run("getComputedStyle(document.body).backgroundColor") == "rgb(246, 247, 249)"
        await toggle.click()
        await toggle.click()
        assert await shown.run("localStorage.length") == 0, "as the system has it needs nothing kept"


async def test_drawings_follow_the_theme_and_compute_its_colours_once(
    shared_chrome: Browser, local_address: str
) -> None:
    wide = {"width": 2400, "height": 800}
    async with tab(shared_chrome, local_address, viewport=wide, leaves_traces=True) as shown:
        await shown.page.add_init_script(WATCH_DRAWING)
        await shown.goto("/labs?symbols=BTCUSDT")

        async def is_drawn_in(inks: set[str]) -> bool:
            return inks <= set(await shown.run("[...window.inks]"))

        await soon(partial(is_drawn_in, DARK_INKS))
        await shown.run("window.inks.clear(); window.computations = 0")
        await soon(partial(is_drawn_in, DARK_INKS), because="both are drawn again")
        assert await shown.run("window.computations") == 0

        await shown.run("window.inks.clear(); window.liveMarketsTheme.choose('light')")
        await soon(partial(is_drawn_in, LIGHT_INKS))
        assert not DARK_INKS & set(await shown.run("[...window.inks]"))


async def test_reduced_motion_gets_a_still_mark(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address, reduced_motion="reduce") as shown:
        await shown.goto("/labs?symbols=BTCUSDT")

        await shown.page.locator(".veil[data-mark]").first.wait_for()
        assert await shown.run("document.getAnimations().length") == 0


@needs_axe
async def test_axe_finds_nothing(shared_chrome: Browser, local_address: str) -> None:
    """Every page in every form: test_axe, in `make verify`."""
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT")
        await soon(lambda: shown.text(".tape-line"), 15)
        assert await findings(shown) == []
        await shown.page.emulate_media(color_scheme="light")
        await shown.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        assert await findings(shown) == []


async def test_the_first_tab_stop_leads_to_the_content(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/")
        await shown.page.locator("main h1").wait_for()
        await shown.page.keyboard.press("Tab")
        assert await shown.run("document.activeElement.textContent") == "Skip to content"
        await shown.page.keyboard.press("Enter")
        assert await shown.run("document.activeElement.tagName") == "MAIN"


async def test_an_example_can_be_copied_and_a_view_shared(shared_chrome: Browser, local_address: str) -> None:
    async with tab(shared_chrome, local_address, permissions=["clipboard-read", "clipboard-write"]) as shown:
        await shown.goto("/")
        await shown.page.get_by_role("button", name="Copy").first.click()
        await shown.page.get_by_text("Copied").wait_for()
        code = await shown.run("navigator.clipboard.readText()")
        compile(code, "the Python example", "exec")
        assert shown.base.replace("http", "ws") + "/ws/markets" in code

        await shown.goto("/labs?symbols=ETHUSDT")
        await has_price(shown, "ETHUSDT")
        await shown.page.get_by_role("button", name="Share").click()
        await shown.page.get_by_text("Copied").wait_for()
        assert (
            await shown.run("navigator.clipboard.readText()")
            == f"{local_address}/labs?exchange=binance&symbols=ETHUSDT"
        )
