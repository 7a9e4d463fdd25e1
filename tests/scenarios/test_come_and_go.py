"""Clients and pages that come and go leave nothing behind, and no garbage collection is long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from benchmarks.clients.page_client import open_page
from tests.attacks.attacker import TEXT, Peer, frame, peer
from tests.support.app import running_warm
from tests.support.helpers import WITHOUT_TLS, eventually, measured
from tests.support.measuring import MeasuredApp, measured_main

pytestmark = [measured, pytest.mark.long]

LONGEST_COLLECTION_MS = 10.0
OBJECTS = 12_000
"""A client has 80, and so many are looked at in some milliseconds."""
CLIENT_BYTES = 16_000
PAGES = 5
PAGE_OBJECTS = 500
SUBSCRIBE = b'{"type":"subscribe","exchange":"binance","channel":"trades","symbols":["BTCUSDT"],"snapshot":0}'


@pytest.fixture
async def app() -> AsyncIterator[MeasuredApp]:
    arguments = ("-m", "livemarkets.simulator", "--port", "0", "--trades-per-second", "0.001")
    async with running_warm(*arguments) as exchange:
        address = (await exchange.says("ws://")).split("ws://")[1].split()[0]
        async with measured_main(address, LIVE_LINGER_SECONDS="60") as app:
            yield app


async def subscribed(app: MeasuredApp, stack: contextlib.AsyncExitStack, places: asyncio.Semaphore) -> Peer:
    async with places:
        client = await stack.enter_async_context(peer(app.port, opened=True))
        await client.send(frame(TEXT, SUBSCRIBE))
        await client.reader.readuntil(b'"subscribed"')
        return client


async def come(app: MeasuredApp, stack: contextlib.AsyncExitStack, count: int) -> None:
    """Let so many clients come at once, each with a subscription."""
    places = asyncio.Semaphore(50)
    async with asyncio.timeout(60):
        await asyncio.gather(*(subscribed(app, stack, places) for _ in range(count)))


async def metric(app: MeasuredApp, line: str) -> bool:
    async with httpx.AsyncClient(verify=WITHOUT_TLS) as client:
        return line in (await client.get(f"http://127.0.0.1:{app.port}/metrics")).text.splitlines()


@pytest.mark.parametrize(
    ("clients", "rounds"),
    [(500, 2), pytest.param(1_000, 10, marks=pytest.mark.verify)],
    ids=["twice", "ten times"],
)
async def test_clients_that_come_and_vanish_cost_no_collection(
    app: MeasuredApp, clients: int, rounds: int
) -> None:
    memory: list[int] = []
    longest_ms: list[float] = []
    async with contextlib.AsyncExitStack() as others:
        await come(app, others, 100)  # the first ones cost what is loaded once
        before = app.rss_bytes()
        await app.held()
        for number in range(rounds):
            async with contextlib.AsyncExitStack() as stack:
                await come(app, stack, clients)
                each = (app.rss_bytes() - before) / clients
                assert each < CLIENT_BYTES
                if not number:
                    print(f"{each:.0f} bytes for each idle client")  # noqa: T201 (shown by `make verify`)
                held = await app.held()
            longest_ms += held.collections_ms
            assert held.collections[2], "so many objects came that all were looked at"
            assert held.looked_at < OBJECTS, "but not again and again"
            await eventually(lambda: metric(app, "livemarkets_clients 100.0"), 20)
            assert (await app.held()).unfreed < clients, "each client is freed when it leaves"
            memory.append(app.rss_bytes())
        assert (await app.held("collect")).unfreed < 1_000
    assert sorted(longest_ms)[-3] < LONGEST_COLLECTION_MS
    assert max(memory) < memory[0] + 3_000_000, "the next clients get the memory of those that left"
    print(f"{rounds} × {clients} clients: longest collections {sorted(longest_ms)[-5:]} ms")  # noqa: T201


@pytest.mark.verify
async def test_pages_that_are_closed_leave_little_for_a_collection(app: MeasuredApp) -> None:
    """A page has some 5,000 objects, 2,300 of them in cycles of the framework.

    Its rows and its market are a subscriber each.
    """
    left: list[int] = []
    for _ in range(2):  # the first ones cost what is loaded once
        async with contextlib.AsyncExitStack() as stack:
            pages = [await stack.enter_async_context(open_page(app.port)) for _ in range(PAGES)]
            reading = [asyncio.create_task(page.read()) for page in pages]
            await eventually(lambda: metric(app, f"livemarkets_subscribers {2 * PAGES}.0"))
            await app.held("collect")
        await asyncio.gather(*reading)
        await eventually(lambda: metric(app, "livemarkets_subscribers 0.0"), 20)
        left.append((await app.held("collect")).unfreed // PAGES)
    assert left[-1] < PAGE_OBJECTS
