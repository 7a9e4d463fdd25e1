"""A page that is open for long: neither it nor the server grows, and it shows what the stores have."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from decimal import Decimal
from itertools import pairwise

import httpx
import pytest
from nicegui import ui
from nicegui.testing import User
from playwright.async_api import Browser, CDPSession, ViewportSize

from benchmarks.browser import SYMBOLS
from tests.pages.browser import Tab, soon, tab
from tests.pages.local import MANY, LocalServices
from tests.pages.test_layout import LAPTOP
from tests.pages.visiting import only, opened
from tests.support.app import running_main, running_warm
from tests.support.helpers import measured

TRADES_PER_SECOND = 2_000
TALL: ViewportSize = {"width": 1366, "height": 4000}
WARM_SECONDS = 90
SECONDS = 510
READINGS = 5
READING_SECONDS = 3
SERVER_BYTES = 6_000_000
TAB_BYTES = 2_000_000
NODES = 500

ROUNDS = 5
FLUSHES = 15


async def memory(session: CDPSession) -> tuple[float, float]:
    """Bytes of a tab's scripts and its nodes: the least of some times, for garbage is not freed at once."""
    found: list[dict[str, float]] = []
    for _ in range(READINGS):
        await asyncio.sleep(READING_SECONDS)
        await session.send("HeapProfiler.collectGarbage")
        answer = await session.send("Performance.getMetrics")
        found.append({one["name"]: float(one["value"]) for one in answer["metrics"]})
    return min(one["JSHeapUsedSize"] for one in found), min(one["Nodes"] for one in found)


async def shows_the_last(shown: Tab, port: int) -> bool:
    """Whether each row has the price of the last trade that the server knows."""
    async with httpx.AsyncClient() as client:
        query = f"exchange=binance&symbols={','.join(SYMBOLS)}"
        answer = await client.get(f"http://127.0.0.1:{port}/api/latest?{query}")
    prices = {one["symbol"]: Decimal(str(one["price"])) for one in answer.json()["ticks"]}
    assert len(prices) == len(SYMBOLS)
    script = "rows => rows.map(row => [row.dataset.symbol, row.querySelector('.price').textContent])"
    rows = await shown.page.locator("tr[data-symbol]").evaluate_all(script)
    return {symbol: Decimal(text.replace(",", "") or "0") for symbol, text in rows} == prices


@measured
@pytest.mark.verify
async def test_a_page_open_for_ten_minutes_grows_nothing_and_ends_on_the_last_trades(chrome: Browser) -> None:
    arguments = ("-m", "livemarkets.simulator", "--port", "0", "--symbols", ",".join(SYMBOLS))
    async with contextlib.AsyncExitStack() as stack:
        market = await stack.enter_async_context(contextlib.AsyncExitStack())
        each = str(TRADES_PER_SECOND // len(SYMBOLS))
        exchange = await market.enter_async_context(running_warm(*arguments, "--trades-per-second", each))
        address = (await exchange.says("ws://")).split("ws://")[1].split()[0]
        app, port = await stack.enter_async_context(running_main(address))
        shown = await stack.enter_async_context(tab(chrome, f"http://127.0.0.1:{port}", viewport=LAPTOP))
        await shown.goto(f"/labs?exchange=binance&symbols={','.join(SYMBOLS)}")
        await soon(lambda: shown.price(SYMBOLS[0]), 30)
        session = await shown.context.new_cdp_session(shown.page)
        await session.send("Performance.enable")
        await asyncio.sleep(WARM_SECONDS)
        server_before, (tab_before, nodes_before) = app.rss_bytes(), await memory(session)
        await asyncio.sleep(SECONDS)
        server, (heap, nodes) = app.rss_bytes(), await memory(session)
        print(  # noqa: T201 (shown by `make verify`)
            f"the server has {server / 1e6:.1f} MB where it had {server_before / 1e6:.1f}, "
            f"the tab {heap / 1e6:.1f} where it had {tab_before / 1e6:.1f}, and "
            f"{nodes - nodes_before:+.0f} nodes"
        )
        await market.aclose()
        await shown.page.set_viewport_size(TALL)  # rows out of sight are not painted
        await soon(lambda: shows_the_last(shown, port), 20)
    assert server < server_before + SERVER_BYTES
    assert heap < tab_before + TAB_BYTES
    assert nodes < nodes_before + NODES


async def test_many_flushes_leave_nothing(visitor: User, services: LocalServices) -> None:
    """The short form: the page's own state, what the framework keeps, and what the rows say."""
    symbols = MANY[:8]
    grid = await opened(visitor, services, f"/labs?symbols={','.join(symbols)}")
    timer = only(visitor, ui.timer)
    assert visitor.client is not None
    outbox = visitor.client.outbox

    async def flush(times: int) -> int:
        for number in range(times):
            for symbol in symbols:
                services.put(symbol, f"{100 + number % 7}.50")
            assert timer.callback is not None
            await timer.callback()
            for _ in range(10):  # what was queued is sent
                await asyncio.sleep(0)
        for sent in (outbox.messages, outbox.message_history):
            sent.clear()  # a message more or less is many objects
        gc.collect()
        objects = gc.get_objects()
        # The loop keeps a timer that was cancelled, with its context, until its time has come.
        cancelled = sum(isinstance(one, asyncio.TimerHandle) and one.cancelled() for one in objects)
        return len(objects) - 2 * cancelled

    objects = [await flush(FLUSHES) for _ in range(ROUNDS)]
    grown = [after - before for before, after in pairwise(objects)]
    assert min(grown) < FLUSHES / 2, "what stays behind does so in each round, once for each flush"
    assert {row.price for row in grid.rows.values()} == {f"{100 + (FLUSHES - 1) % 7}.50"}
