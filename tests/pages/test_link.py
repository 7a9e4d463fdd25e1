"""A page that has lost its server says so itself, in a real Chromium: the server can tell it nothing."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import Callable
from functools import partial

import pytest
from playwright.async_api import Browser, Route

from tests.pages.browser import Tab, has_price, local_pages, soon, tab
from tests.pages.local import QUIET
from tests.pages.weak_link import WeakLink, weak_link

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTICED_WITHIN_SECONDS = 3.0
RETURN_SECONDS = 20.0
AGE = re.compile(r"(\d+(?:\.\d)?) (s|min)")
UNIT_SECONDS = {"s": 1, "min": 60}


def seconds(text: str) -> float:
    """The age in what a person reads."""
    found = AGE.search(text)
    assert found, text
    return float(found[1]) * UNIT_SECONDS[found[2]]


async def is_not_connected(shown: Tab) -> bool:
    """Whether every part that shows data says that it is not connected, and how old the data is."""
    rows = await shown.texts(".market-grid tbody tr .col-symbol")
    ages = await shown.texts(".market-grid tbody tr .col-age")
    badge, tape = await shown.text(".badge-button"), await shown.text(".tape-note")
    strip = await shown.text(".market-strip")
    assert all("not connected" in row for row in rows), rows
    assert all(AGE.search(age) for age in ages), ages
    assert "not connected" in badge, badge
    assert " live" not in f"{badge} {strip}", strip
    for words in (tape, strip):
        assert "Not connected" in words, words
    for words in (badge, tape, strip):
        assert AGE.search(words), words
    return True


async def is_connected(shown: Tab) -> bool:
    badge, page = await shown.text(".badge-button"), await shown.text("main")
    assert "live" in badge, badge
    assert "not connected" not in (badge + page).lower()
    assert seconds(badge) < 2
    return True


async def lasts_and_heals(
    shown: Tab, break_it: Callable[[], None], mend_it: Callable[[], None], outage_seconds: float = 10
) -> None:
    """Break the link: it is told within three seconds, the age grows, and all is well afterwards."""
    await has_price(shown, "BTCUSDT")
    await has_price(shown, "ETHUSDT")
    await soon(lambda: is_connected(shown))
    shown.expect_an_outage()
    clock = asyncio.get_running_loop().time
    broken_at = clock()
    break_it()
    await soon(lambda: is_not_connected(shown), NOTICED_WITHIN_SECONDS)
    while clock() < broken_at + outage_seconds:
        await is_not_connected(shown)
        for part in (".badge-button", ".tape-note", ".market-strip", "tr[data-symbol=BTCUSDT] .col-age"):
            age, true_age = seconds(await shown.text(part)), clock() - broken_at
            assert abs(age - true_age) < (1.5 if true_age < 59 else 31), part
    mend_it()
    await soon(lambda: is_connected(shown), RETURN_SECONDS)


# Three attempts to connect get no answer in time. Whoever loads the page again then, does so at once.
LEAVES_AFTER_TIMEOUTS = """() => new Promise((done) => {
    window.addEventListener('beforeunload', () => done(true));
    for (let attempt = 0; attempt < 3; attempt++) {
        const error = new Error('timeout');
        window.socket.listeners('connect_error').forEach((listener) => listener(error));
    }
    setTimeout(() => done(false), 300);
})"""
LONG_OUTAGES = [
    pytest.param(how, seconds, marks=pytest.mark.verify)
    for how, seconds in ((WeakLink.hold, 10), (WeakLink.cut, 10), (WeakLink.cut, 90), (WeakLink.hold, 90))
]


@pytest.mark.parametrize(
    ("how", "outage_seconds"),
    [(WeakLink.hold, 4), (WeakLink.cut, 4), *LONG_OUTAGES],
    ids=["black hole", "cut", "black hole for 10 s", "cut for 10 s", "cut for 90 s", "black hole for 90 s"],
)
async def test_a_page_without_its_server_says_so_until_it_is_back(
    shared_chrome: Browser, local_address: str, how: Callable[[WeakLink], None], outage_seconds: float
) -> None:
    async with weak_link(local_address) as link, tab(shared_chrome, link.address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT")
        await lasts_and_heals(shown, lambda: how(link), link.mend, outage_seconds)


async def test_a_chart_whose_script_was_lost_on_its_way_is_drawn_when_the_network_is_back(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address, leaves_traces=True) as shown:
        lost: list[str] = []

        async def lose(route: Route) -> None:
            lost.append(route.request.url)
            await route.abort()

        shown.expect_an_outage()
        await shown.page.route("**/esm/*/index-*.js", lose)
        await shown.goto("/labs?symbols=BTCUSDT")
        await soon(lambda: asyncio.sleep(0, len(lost) > 1), because="it is asked for again")
        assert await shown.page.locator(".chart-plot canvas").count() == 0
        await shown.page.unroute("**/esm/*/index-*.js")
        await shown.page.locator(".chart-plot canvas").first.wait_for(timeout=RETURN_SECONDS * 1000)


@pytest.mark.verify
async def test_a_server_that_stands_still_is_told_of(shared_chrome: Browser) -> None:
    async with local_pages() as (process, address), tab(shared_chrome, address) as shown:
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT")
        with contextlib.ExitStack() as stack:
            stack.callback(process.signal, signal.SIGCONT)
            stop, go_on = (partial(process.signal, number) for number in (signal.SIGSTOP, signal.SIGCONT))
            await lasts_and_heals(shown, stop, go_on, outage_seconds=4)


@pytest.mark.parametrize("frozen_seconds", [0, pytest.param(60, marks=pytest.mark.verify)])
async def test_a_frozen_page_has_the_true_values_once_it_is_thawed(
    shared_chrome: Browser, local_address: str, frozen_seconds: int
) -> None:
    """A browser freezes a page that nobody has looked at for long: none of its scripts runs."""
    async with tab(shared_chrome, local_address, leaves_traces=True) as shown:
        await shown.goto(f"/labs?symbols=BTCUSDT,{QUIET}&min=1000&sort=-last&selected=BTCUSDT")
        await has_price(shown, "BTCUSDT")
        price = f"{float(await has_price(shown, QUIET)) + 0.01:.2f}"  # it never trades, but for this time
        await soon(lambda: is_connected(shown), RETURN_SECONDS)
        address = shown.page.url
        shown.expect_an_outage()
        devices = await shown.context.new_cdp_session(shown.page)
        await devices.send("Page.setWebLifecycleState", {"state": "frozen"})
        trade = f"{shown.base}/control/trade?symbol={QUIET}&price={price}&size=1"
        assert (await shown.context.request.post(trade)).ok
        await asyncio.sleep(frozen_seconds)
        await devices.send("Page.setWebLifecycleState", {"state": "active"})
        await soon(lambda: shows_price(shown, QUIET, price), RETURN_SECONDS)
        await soon(lambda: is_connected(shown), RETURN_SECONDS)
        assert shown.page.url == address


async def shows_price(shown: Tab, symbol: str, price: str) -> bool:
    found = await shown.price(symbol)
    assert found == price
    return True


async def test_home_says_so_too(shared_chrome: Browser, local_address: str) -> None:
    async with weak_link(local_address) as link, tab(shared_chrome, link.address) as shown:
        await shown.goto("/")
        badge = shown.page.locator(".badge-button")
        await badge.get_by_text("live").wait_for()
        link.hold()
        card = shown.page.locator("section[aria-label=Exchanges] .card").first
        await card.get_by_text("Binance live").wait_for()
        await badge.get_by_text("not connected").wait_for(timeout=NOTICED_WITHIN_SECONDS * 1000)
        assert await card.inner_text() == "Binance: unknown, this page is not connected to its server"
        link.mend()
        await badge.get_by_text("live").wait_for()
        await card.get_by_text("Binance live").wait_for()


async def test_a_page_that_gets_no_answer_stays_and_tries_again(
    shared_chrome: Browser, local_address: str
) -> None:
    """The long form is a black hole for 90 s, in `make verify`: an attempt to connect takes 20 s."""
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/")
        await shown.page.locator(".badge-button").get_by_text("live").wait_for()
        left = await shown.page.evaluate(LEAVES_AFTER_TIMEOUTS)
        assert left is False


async def test_a_market_without_trades_is_no_lost_link(shared_chrome: Browser, local_address: str) -> None:
    """The server speaks also when it has no trade to tell of."""
    async with tab(shared_chrome, local_address) as shown:
        await shown.goto("/labs?symbols=LUNAUSDT")
        await shown.page.get_by_text("not trading").wait_for()
        await soon(lambda: is_lost(shown, "open"))
        await shown.run(
            "window.losses = 0; new MutationObserver(() => window.losses +="
            " document.documentElement.dataset.link === 'lost')"
            ".observe(document.documentElement, {attributeFilter: ['data-link']})"
        )
        await asyncio.sleep(4)  # longer than a silence may last
        assert await shown.run("window.losses") == 0


async def is_lost(shown: Tab, state: str) -> bool:
    return bool(await shown.run("document.documentElement.dataset.link") == state)
