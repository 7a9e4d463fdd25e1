"""Sockets of pages that flood, and that read nothing, against the shipped application (REVIEW A3)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.attacks.page import attacking_page
from tests.attacks.target import Target
from tests.support.helpers import measured

one_loop = pytest.mark.asyncio(loop_scope="session")
pytestmark = measured

LABS = "/labs?exchange=binance&symbols=BTCUSDT,ETHUSDT"


@one_loop
async def test_what_a_page_reports_does_not_fill_the_log(lasting_target: Target) -> None:
    """500 frames wrote 1 MB of log."""
    lines, size = len(lasting_target.process.lines), len(lasting_target.process.output)
    async with attacking_page(lasting_target.port, LABS) as page:
        for number in range(50):
            await page.log(f"{number} " + "x" * 2_000)
            await page.emit("no such message", number)
        await page.trigger("pick", "QQQQQQ")
        async with asyncio.timeout(20):
            await page.socket.recv()
    assert len(lasting_target.process.lines) < lines + 20
    assert len(lasting_target.process.output) < size + 20_000


@one_loop
async def test_a_page_that_reads_nothing_is_disconnected_and_queues_little(lasting_target: Target) -> None:
    """160 bytes of an event queued 0.47 MB, without a bound."""
    memory = lasting_target.rss_bytes()
    symbols = ",".join(f"{name}USDT" for name in ("BTC", "ETH", "BNB", "SOL", "XRP", "DOGE"))
    async with attacking_page(lasting_target.port, f"/labs?exchange=binance&symbols={symbols}") as page:
        page.socket.transport.pause_reading()
        with contextlib.suppress(ConnectionClosed):
            for number in range(2_000):
                await page.trigger("search", "usd" if number % 2 else "btc")
                await page.trigger("visibility", bool(number % 2))
        assert lasting_target.rss_bytes() < memory + 20_000_000
        page.socket.transport.resume_reading()


@one_loop
async def test_events_that_take_long_are_paced_by_what_they_take(lasting_target: Target) -> None:
    """By count and size, fewer than may come at once; but each takes several times as long."""
    before = await delayed_events(lasting_target)
    words = ["".join(letters) + "QQ" for letters in itertools.product("QWERTZUI", repeat=3)]
    async with attacking_page(lasting_target.port, LABS) as page:
        for number in range(45):
            await page.trigger("pick", ",".join(words[number : number + 310]))
        async with asyncio.timeout(20):
            while await delayed_events(lasting_target) <= before:
                pass


async def delayed_events(target: Target) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{target.port}/metrics")).text
    line = next(line for line in text.splitlines() if 'reason="delayed"' in line)
    return float(line.split()[-1])
