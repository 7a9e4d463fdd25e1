"""What the chart costs the browser beside fifty rows, without a GPU."""

from __future__ import annotations

import asyncio

import pytest
from loguru import logger
from playwright.async_api import Browser, CDPSession

from tests.pages.browser import local_pages, soon, tab
from tests.pages.local import MANY, PRICES
from tests.pages.market.test_chart_browser import has

CHART_MOST_PERCENT = 10.0
ROWS = ["BTCUSDT", *MANY, *(symbol for symbol in PRICES if symbol.endswith("USDT") and symbol != "BTCUSDT")]


async def used(session: CDPSession) -> tuple[float, float]:
    """Processor time of the main thread, and the time, s."""
    found = {one["name"]: one["value"] for one in (await session.send("Performance.getMetrics"))["metrics"]}
    return found["TaskDuration"], found["Timestamp"]


async def percent(session: CDPSession, seconds: float) -> float:
    """The share of the main thread over some seconds, of processor time: other programs do not count."""
    busy, began = await used(session)
    await asyncio.sleep(seconds)
    busy_then, ended = await used(session)
    return 100 * (busy_then - busy) / (ended - began)


@pytest.mark.verify
async def test_the_chart_takes_a_tenth_of_the_main_thread_at_most(chrome: Browser) -> None:
    async with (
        local_pages("--trades-per-second", "2000") as (_, address),
        tab(chrome, address, viewport={"width": 1366, "height": 768}) as shown,
    ):
        await shown.goto(f"/labs?symbols={','.join(ROWS)}")
        await soon(has(shown, lambda drawn: len(drawn["times"]) > 500), 30)
        session = await shown.context.new_cdp_session(shown.page)
        await session.send("Performance.enable", {"timeDomain": "threadTicks"})
        both, rows = [], []
        for _ in range(3):
            both.append(await percent(session, 8))
            hidden = await shown.page.add_style_tag(content=".candle-chart { display: none !important }")
            rows.append(await percent(session, 8))
            await hidden.evaluate("node => node.remove()")
        chart = sorted(both)[1] - sorted(rows)[1]
        logger.info(
            "main thread: {:.1f} % with the chart, {:.1f} % without it", sorted(both)[1], sorted(rows)[1]
        )
        assert chart <= CHART_MOST_PERCENT
