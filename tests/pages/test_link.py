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
OUTAGE_SECONDS = 4.0
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


# Counts how long the page heard nothing before it says so, in ticks like its own, of a quarter of a second: a
# machine that stands still for a moment holds up both.
WATCH_LINK = """
window.silent = 0;
window.noticedAfter = window.losses = 0;
window.socket.onAny(() => window.silent = 0);
setInterval(() => window.silent += 1, 250);
new MutationObserver(() => {
    if (document.documentElement.dataset.link !== 'lost' || window.losses++) return;
    window.noticedAfter = window.silent;  // it is said again with each tick
}).observe(document.documentElement, { attributeFilter: ['data-link'] });
"""
COME_BACK_SOON = "window.socket.io.reconnectionDelayMax(1000)"
"""For outages that are not about how long a page waits before it tries again."""
# The text and the time, read at one moment.
AGE_AND_TIME = "(part) => [document.querySelector(part).innerText, Date.now()]"
PARTS_WITH_AGE = (".badge-button", ".tape-note", ".market-strip", "tr[data-symbol=BTCUSDT] .col-age")


async def told_in_time(shown: Tab) -> None:
    assert await shown.run("window.losses")
    assert await shown.run("window.noticedAfter") <= NOTICED_WITHIN_SECONDS / 0.25


async def lasts_and_heals(
    shown: Tab, break_it: Callable[[], None], mend_it: Callable[[], None], outage_seconds: float = 10
) -> None:
    """Break the link: it is told within three seconds, the age grows, and all is well afterwards."""
    await has_price(shown, "BTCUSDT")
    await has_price(shown, "ETHUSDT")
    await soon(lambda: is_connected(shown))
    shown.expect_an_outage()
    await shown.run(WATCH_LINK)
    if outage_seconds <= OUTAGE_SECONDS:
        await shown.run(COME_BACK_SOON)
    broken_ms = await shown.run("Date.now()")
    break_it()
    await soon(lambda: is_not_connected(shown))
    await told_in_time(shown)
    lasted_seconds = 0.0
    while lasted_seconds < outage_seconds:
        await is_not_connected(shown)
        for part in PARTS_WITH_AGE:
            lasted_seconds = await soon(partial(fitting_age, shown, part, broken_ms))
    mend_it()
    await soon(lambda: is_connected(shown), RETURN_SECONDS)


async def fitting_age(shown: Tab, part: str, broken_ms: float) -> float:
    """How long the link has been broken, if the age that a part tells fits."""
    text, now_ms = await shown.page.evaluate(AGE_AND_TIME, part)
    true_age = (float(now_ms) - broken_ms) / 1000
    assert abs(seconds(text) - true_age) < (1.5 if true_age < 59 else 31), (part, text, true_age)
    return true_age


# Three attempts to connect get no answer in time. Whoever loads the page again then, does so at once.
LEAVES_AFTER_TIMEOUTS = """() => new Promise((done) => {
    window.addEventListener('beforeunload', () => done(true));
    for (let attempt = 0; attempt < 3; attempt++) {
        const error = new Error('timeout');
        window.socket.listeners('connect_error').forEach((listener) => listener(error));
    }
    setTimeout(() => done(false), 300);
})"""


async def test_a_page_without_its_server_says_so_until_it_is_back(
    shared_chrome: Browser, local_address: str
) -> None:
    """A black hole. Meanwhile a market without trades is no lost link: the server speaks all the same."""
    async with (
        weak_link(local_address) as link,
        tab(shared_chrome, link.address) as shown,
        tab(shared_chrome, local_address) as quiet,
    ):
        await quiet.goto("/labs?symbols=LUNAUSDT")
        await quiet.page.get_by_text("not trading").wait_for()
        await quiet.page.wait_for_function("window.socket?.connected")
        await soon(lambda: is_open(quiet))
        await quiet.run(WATCH_LINK)
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT")
        await lasts_and_heals(shown, link.hold, link.mend, OUTAGE_SECONDS)
        assert await quiet.run("window.losses") == 0
        assert await is_open(quiet)


@pytest.mark.verify
async def test_each_page_whose_link_is_cut_says_so_until_it_is_back(
    shared_chrome: Browser, local_address: str
) -> None:
    """Meanwhile home does so in a black hole."""
    async with (
        weak_link(local_address) as link,
        tab(shared_chrome, link.address) as shown,
        weak_link(local_address) as held,
        tab(shared_chrome, held.address) as home,
    ):
        await shown.goto("/labs?symbols=BTCUSDT,ETHUSDT")
        async with asyncio.TaskGroup() as both:
            both.create_task(home_says_so_too(home, held), name="home")
            lasts = lasts_and_heals(shown, link.cut, link.mend, OUTAGE_SECONDS)
            both.create_task(lasts, name="the Live page")


@pytest.mark.verify
@pytest.mark.parametrize("outage_seconds", [10, 90])
@pytest.mark.parametrize("how", [WeakLink.hold, WeakLink.cut], ids=["black hole", "cut"])
async def test_a_page_is_without_its_server_for_long(
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


async def home_says_so_too(shown: Tab, link: WeakLink) -> None:
    await shown.goto("/")
    badge = shown.page.locator(".badge-button")
    await shown.page.wait_for_function("window.nextMessageId > 0")  # the HTML says live before that
    await badge.get_by_text("live").wait_for()
    await shown.run(WATCH_LINK)
    await shown.run(COME_BACK_SOON)
    link.hold()
    card = shown.page.locator("section[aria-label=Exchanges] .card").first
    await card.get_by_text("Binance live").wait_for()
    await badge.get_by_text("not connected").wait_for()
    await told_in_time(shown)
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
        await shown.page.wait_for_function("window.socket?.connected")  # the HTML says live before that
        left = await shown.page.evaluate(LEAVES_AFTER_TIMEOUTS)
        assert left is False


async def is_open(shown: Tab) -> bool:
    return bool(await shown.run("document.documentElement.dataset.link") == "open")
