"""What the rows cost the browser: its main thread, without a graphics card."""

from __future__ import annotations

import asyncio
import statistics

import pytest
from playwright.async_api import Browser, CDPSession

from tests.pages.browser import has_price, local_pages, soon, tab
from tests.pages.local import CROWD
from tests.pages.test_layout import LAPTOP

WINDOW_SECONDS = 4.0
WINDOWS = 3
TRADES_PER_ROW = 6
"""Per second: nearly every row has news in each of the four flushes."""

COUNT_PAINTED = """() => {
    window.changed = new Set();
    new MutationObserver((records) => records.forEach(({ target }) => {
        const row = (target.closest ?? (() => target.parentElement?.closest('tr'))).call(target, 'tr');
        if (row?.dataset.symbol) window.changed.add(row.dataset.symbol);
    })).observe(document.querySelector('.market-grid tbody'), {
        characterData: true, childList: true, subtree: true });
}"""


async def busy_percent(session: CDPSession) -> float:
    """The share of its CPU time that the main thread was busy, the median of some windows."""

    async def busy_seconds() -> float:
        answer = await session.send("Performance.getMetrics")
        return next(float(one["value"]) for one in answer["metrics"] if one["name"] == "TaskDuration")

    shares = []
    for _ in range(WINDOWS):
        before = await busy_seconds()
        await asyncio.sleep(WINDOW_SECONDS)
        shares.append(100 * (await busy_seconds() - before) / WINDOW_SECONDS)
    return statistics.median(shares)


@pytest.mark.asyncio(loop_scope="session")
async def test_only_rows_in_sight_are_painted_and_others_when_they_come_into_sight(
    shared_chrome: Browser,
) -> None:
    async with (
        local_pages("--crowd", "--trades-per-second", "400") as (_, address),
        tab(shared_chrome, address, viewport=LAPTOP, leaves_traces=True) as shown,
    ):
        await shown.goto(f"/labs?symbols={','.join(CROWD)}")
        await has_price(shown, CROWD[0])
        await shown.page.evaluate(COUNT_PAINTED)

        async def have_changed() -> bool:
            return bool(await shown.run("window.changed.size >= 12"))

        await soon(have_changed, 10)
        changed = set(await shown.run("[...window.changed]"))
        assert changed <= set(CROWD[:30]), "no row out of sight"
        await shown.page.locator(f"tr[data-symbol={CROWD[-1]}]").scroll_into_view_if_needed()
        await has_price(shown, CROWD[-1])


@pytest.mark.verify
@pytest.mark.parametrize(("rows", "most_percent"), [(50, 10.0), (200, 25.0)])
async def test_rows_cost_little_of_the_main_thread(chrome: Browser, rows: int, most_percent: float) -> None:
    async with (
        local_pages("--crowd", "--trades-per-second", str(rows * TRADES_PER_ROW)) as (_, address),
        tab(chrome, address, viewport=LAPTOP) as shown,
    ):
        await shown.goto(f"/labs?symbols={','.join(CROWD[:rows])}")
        await has_price(shown, CROWD[0])
        await shown.run("document.querySelector('.labs-market').style.display = 'none'")
        session = await shown.context.new_cdp_session(shown.page)
        await session.send("Performance.enable", {"timeDomain": "threadTicks"})
        with_rows = await busy_percent(session)
        await shown.run("document.querySelector('.market-grid').style.display = 'none'")
        without = await busy_percent(session)
        print(  # noqa: T201 (shown by `make verify`)
            f"{rows} rows: the main thread is busy {with_rows:.1f} % of its time, without {without:.1f} %"
        )
        assert with_rows - without <= most_percent
