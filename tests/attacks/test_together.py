"""All attacks of one request together, beside readers and pages: the event loop belongs to everybody.

What each one may cost alone stands in `tests/ws_markets/test_message_costs.py` and elsewhere. The limits of
the long form are those that count, on a machine with nothing else to do: who gets less of a processor finds
more waiting in each turn of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.apps import PATH, TRADE, subscription
from benchmarks.clients.page_client import open_page
from benchmarks.load import Readers, start_venue
from benchmarks.natives import compiler
from tests.attacks.floods import FLOODS, flooding
from tests.support.helpers import measured
from tests.support.measuring import MeasuredApp, measured_main

pytestmark = [measured, pytest.mark.serial, pytest.mark.long]

SYMBOLS = [
    f"{base}{quote}" for quote in ("USDT", "BTC", "EUR") for base in (f"A{n:03}" for n in range(1_100))
]
READ = SYMBOLS[:200]
SHARES = 2
"""The exchange divides its trades among all symbols, and the attack `changes` wants 200 that nobody reads."""
PAGES = 3
SETTLE_SECONDS = 3.0
"""Until the attackers' pages are built. Each takes the page framework 10 ms, and their number is limited."""


def listing(folder: Path) -> Path:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
    ]
    symbols = [
        {
            "symbol": name,
            "status": "TRADING",
            "baseAsset": name[:4],
            "quoteAsset": name[4:],
            "filters": filters,
        }
        for name in SYMBOLS
    ]
    path = folder / "exchangeInfo.json"
    path.write_text(json.dumps({"timezone": "UTC", "symbols": symbols}))
    return path


@contextlib.asynccontextmanager
async def running(folder: Path, trades_per_second: int) -> AsyncIterator[MeasuredApp]:
    """The app and an exchange with a long list; skipped where there is no C compiler."""
    if compiler() is None:
        pytest.skip("the exchange of this test is written in C, and there is no C compiler here")
    venue, port = await asyncio.to_thread(
        start_venue, "--rate", str(trades_per_second), "--info", str(listing(folder))
    )
    with venue:
        async with measured_main(f"127.0.0.1:{port}") as app:
            yield app


@contextlib.asynccontextmanager
async def honest_pages(port: int) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        path = f"/labs?symbols={','.join(READ[:50])}"
        pages = [await stack.enter_async_context(open_page(port, path)) for _ in range(PAGES)]
        reading = [asyncio.create_task(page.read()) for page in pages]
        yield
        assert not any(task.done() for task in reading), "a page was cut"
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


@pytest.mark.parametrize(
    ("readers", "trades_per_second", "seconds", "p999_ms", "longest_ms"),
    [(10, 500, 3.0, 40.0, 75.0), pytest.param(50, 5_000, 60.0, 10.0, 50.0, marks=pytest.mark.verify)],
    ids=["few", "fifty readers at 5,000 trades a second"],
)
async def test_no_attacker_holds_the_loop_and_no_reader_misses_an_id(
    tmp_path: Path, readers: int, trades_per_second: int, seconds: float, p999_ms: float, longest_ms: float
) -> None:
    options = [
        "--hello",
        subscription(*READ),
        "--match",
        TRADE,
        "--ids",
        "--seconds",
        str(seconds + SETTLE_SECONDS),
    ]
    async with running(tmp_path, SHARES * trades_per_second) as app:
        others = await asyncio.to_thread(Readers, app.port, PATH, readers, [*options, "--warmup", "2"])
        with others:
            async with honest_pages(app.port), flooding(app.port, SYMBOLS):
                await asyncio.sleep(SETTLE_SECONDS)
                await app.held()
                load = await asyncio.to_thread(others.result, seconds + 60)
                held = await app.held()
    print(  # noqa: T201 (shown by `make verify`)
        f"{readers} readers at {load.messages / readers / load.wall_seconds:.0f} trades/s, {PAGES} pages, "
        f"{sum(count for _, count in FLOODS.values())} attackers: "
        f"the loop was held for {held.longest_ms:.1f} ms at most, p99.9 {held.p999_ms:.1f} ms; "
        f"collections {held.collections_ms} ms"
    )
    assert (load.breaks, load.closed) == (0, 0)
    assert load.messages / readers / load.wall_seconds > 0.9 * trades_per_second, "somebody lacks CPU time"
    assert held.p999_ms < p999_ms
    assert held.longest_ms < longest_ms
