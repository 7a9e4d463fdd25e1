"""The chart of candles in a real Chromium: what ECharts draws is what the exchange told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.pages.browser import Tab, soon, tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHART = "getElement(Number(document.querySelector('.candle-chart').id.slice(1)))"
OPTION = f"""(() => {{
    const option = {CHART}.chart?.getOption();
    const series = option?.series ?? [];
    return {{
        times: option?.xAxis?.[0].data ?? [],
        candles: series[0]?.data ?? [],
        volumes: series[1]?.data ?? [],
        window: [option?.dataZoom?.[0].startValue, option?.dataZoom?.[0].endValue],
        colour: series[0]?.itemStyle.color,
        shaded: (series[2]?.data ?? []).filter((one) => one === 1).length,
    }};
}})()"""


async def option(shown: Tab) -> dict[str, Any]:
    """What is drawn."""
    found: dict[str, Any] = await shown.run(OPTION)
    return found


def has(shown: Tab, predicate: Callable[[dict[str, Any]], object]) -> Callable[[], Awaitable[bool]]:
    """Whether what is drawn fits."""

    async def fits() -> bool:
        return bool(predicate(await option(shown)))

    return fits


async def opened(shown: Tab, symbols: str) -> dict[str, Any]:
    """Open the page, wait for the past of its chart, and return what is drawn."""
    await shown.goto(f"/labs?symbols={symbols}")
    await soon(has(shown, lambda drawn: len(drawn["times"]) > 500), 15)
    return await option(shown)


async def test_a_chart_shows_its_past_and_follows_the_market(
    shared_chrome: Browser, local_address: str
) -> None:
    async with tab(shared_chrome, local_address) as shown:
        first = await opened(shown, "BTCUSDT,ETHUSDT")
        assert len(first["candles"]) == len(first["volumes"]) == len(first["times"])
        assert first["times"] == sorted(first["times"])
        assert {later - early for early, later in pairwise(first["times"])} == {60_000}
        assert first["window"][1] == len(first["times"]) - 1, "the newest candle is in sight"
        running = first["candles"][-1]
        assert running["itemStyle"]["color"] != first["colour"], "the running candle is hollow"

        def has_moved(drawn: dict[str, Any]) -> bool:
            return bool(drawn["candles"][-1]["value"] != running["value"])

        await soon(has(shown, has_moved), 15)
        values = await shown.text(".chart-values")
        assert all(name in values for name in ("O ", "H ", "L ", "C ", "V ", "running")), values

        # The keyboard goes back in time, and shows the values there.
        await shown.page.locator(".chart-plot").focus()
        await shown.page.keyboard.press("ArrowLeft")
        await soon(lambda: shown.text(".chart-time"))
        assert "running" not in await shown.text(".chart-values")
        await shown.page.keyboard.press("-")
        before = first["window"]
        await soon(has(shown, lambda drawn: drawn["window"][0] < before[0]), because="it zooms out")


@pytest.mark.verify
async def test_a_chart_keeps_its_zoom_and_begins_anew_with_another_length_or_symbol(
    shared_chrome: Browser, local_address: str
) -> None:
    """What is sent then: test_chart_candles, in `make test`."""
    async with tab(shared_chrome, local_address) as shown:
        first = await opened(shown, "BTCUSDT,ETHUSDT")
        before = first["window"]
        await shown.page.locator(".chart-plot").focus()
        await shown.page.keyboard.press("-")
        await soon(has(shown, lambda drawn: drawn["window"][0] < before[0]), because="it zooms out")

        # A row that is added sends everything again, and leaves what is in sight.
        moved = (await option(shown))["candles"][-1]["value"]
        await soon(has(shown, lambda drawn: drawn["candles"][-1]["value"] != moved), 15)
        wide = (await option(shown))["window"]
        assert wide[1] - wide[0] > before[1] - before[0], "it stays zoomed out while the market moves"
        await shown.page.locator(".chip").first.click()
        await soon(lambda: shown.page.locator("tr[data-symbol]").nth(2).is_visible(), 15)
        after = await option(shown)
        assert len(after["times"]) >= len(first["times"])
        assert after["window"][1] - after["window"][0] == wide[1] - wide[0]

        # The theme repaints; another length and another symbol begin anew.
        colour = (await option(shown))["colour"]
        await shown.page.get_by_role("button", name="theme").click()
        await soon(has(shown, lambda drawn: drawn["colour"] != colour), because="the colours are the theme's")
        await shown.page.locator(".chart-intervals button", has_text="1h").click()
        await soon(
            has(shown, lambda drawn: drawn["times"] and drawn["times"][1] - drawn["times"][0] == 3_600_000),
            15,
        )
        await shown.page.locator("tr[data-symbol=ETHUSDT]").click()
        await soon(has(shown, lambda drawn: drawn["candles"] and drawn["candles"][0][0] < 10_000), 15)
        assert "ETH/USDT" in await shown.run("document.title")


async def change(shown: Tab, what: str) -> None:
    """Have something happen to the candles."""
    query = f"symbol=XRPUSDT&interval=1m&what={what}"
    assert (await shown.page.request.post(f"{shown.base}/control/candles?{query}")).ok


@pytest.mark.verify
async def test_a_cut_a_late_candle_and_lost_trades_leave_the_right_candles(
    shared_chrome: Browser, local_address: str
) -> None:
    """The tab must also stay free of errors, as every tab."""
    async with tab(shared_chrome, local_address) as shown:
        before = (await opened(shown, "XRPUSDT"))["times"]

        # Two candles end while the stream is away, and the one after them comes. They are fetched later.
        await change(shown, "cut")
        await change(shown, "backfill")
        # A minute of the real time may end meanwhile.
        after = [before[-1] + number * 60_000 for number in range(5)]
        await soon(has(shown, lambda drawn: drawn["times"][-4:] in (after[:4], after[1:])), 15)
        drawn = await option(shown)
        assert {later - early for early, later in pairwise(drawn["times"])} == {60_000}
        assert [isinstance(candle, dict) for candle in drawn["candles"][-4:]] == [False, False, False, True]

        # A candle of the past is corrected: it alone changes.
        await change(shown, "0.7")
        await soon(has(shown, lambda drawn: drawn["candles"][-4][1] == 0.7), 15)
        repaired = await option(shown)
        assert repaired["times"] == drawn["times"]
        assert [
            one
            for one, other in zip(drawn["candles"][:-1], repaired["candles"][:-1], strict=True)
            if one != other
        ] == [drawn["candles"][-4]]

        # Trades are lost: the stretch is shaded, and said in words where the pointer is.
        assert repaired["shaded"] == 0
        assert (await shown.page.request.post(f"{shown.base}/control/lose?symbol=XRPUSDT&count=7")).ok
        # The tape soon moves on.
        await shown.page.get_by_text("… 7 lost on the way from the exchange").wait_for()
        await soon(has(shown, lambda drawn: drawn["shaded"] > 0), 15)

        # Candles are lost for good: their room stays empty and is shaded, and words say how many.
        times = (await option(shown))["times"]
        await change(shown, "lost")
        await soon(has(shown, lambda drawn: drawn["candles"][-3:-1] == ["-", "-"]), 15)
        holed = await option(shown)
        assert {later - early for early, later in pairwise(holed["times"])} == {60_000}
        assert holed["times"][-4] in (times[-1], times[-1] + 60_000)
        assert holed["shaded"] >= repaired["shaded"] + 2
        await shown.page.locator(".chart-plot").focus()
        await shown.page.keyboard.press("ArrowLeft")
        await shown.page.locator(".chart-values").get_by_text("2 candles are missing").wait_for()
