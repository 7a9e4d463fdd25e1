"""What `/metrics` says of the process, against the process."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from livemarkets import __version__
from livemarkets.simulator import Simulator
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually, measured

PAGE_SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange)) as app:
        yield app


async def scraped(app: RunningApp) -> dict[tuple[str, ...], float]:
    """Every sample that `/metrics` tells: its name, and the values of its labels."""
    answer = await app.get("/metrics")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@measured
async def test_the_figures_of_the_process_have_the_names_that_dashboards_know(app: RunningApp) -> None:
    told = await scraped(app)
    assert told["process_cpu_seconds_total",] == pytest.approx(time.process_time(), abs=5.0)
    assert told["process_start_time_seconds",] == pytest.approx(time.time(), abs=60.0)
    assert 10e6 < told["process_resident_memory_bytes",] < 4e9
    assert told["process_max_fds",] > told["process_open_fds",] > 3
    before = told["process_open_fds",]
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    try:
        assert (await scraped(app))["process_open_fds",] == pytest.approx(before + 50, abs=20)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


async def test_the_start_is_told_the_same_each_time(app: RunningApp) -> None:
    assert len({(await scraped(app))["process_start_time_seconds",] for _ in range(3)}) == 1


async def test_the_version_is_a_label(app: RunningApp) -> None:
    [build] = [name for name in await scraped(app) if name[0] == "livemarkets_build_info"]
    assert __version__ in build


async def test_each_garbage_collection_is_counted_with_its_time_until_the_end(exchange: Simulator) -> None:
    callbacks = len(gc.callbacks)
    async with running_app(settings_for(exchange)) as app:
        before = await scraped(app)
        gc.collect(2)
        after = await scraped(app)
        name = "livemarkets_garbage_collection_seconds"
        assert after[f"{name}_count", "2"] >= before[f"{name}_count", "2"] + 1
        assert after[f"{name}_sum", "2"] > before[f"{name}_sum", "2"]
        assert {key[1] for key in after if key[0] == f"{name}_count"} == {"0", "1", "2"}
    assert len(gc.callbacks) == callbacks


async def test_pages_are_counted_while_their_sockets_are_open(app: RunningApp) -> None:
    before = await scraped(app)
    assert before["livemarkets_pages",] == before["livemarkets_pages_opened_total",] == 0
    counter = app.services.page_sockets
    with counter.use("192.0.2.1"), counter.use("192.0.2.1"), counter.use("192.0.2.2"):
        assert (await scraped(app))["livemarkets_pages",] == 3
    after = await scraped(app)
    assert after["livemarkets_pages",] == 0
    assert after["livemarkets_pages_opened_total",] == 3


async def test_the_middleware_counts_the_sockets_of_pages(app: RunningApp) -> None:
    opened = app.services.page_sockets.uses
    with pytest.raises(Exception, match=r"40[34]"):  # without the pages, nothing answers there
        await app.connect(path=PAGE_SOCKET, greet=False)
    assert await eventually(lambda: app.services.page_sockets.uses == opened + 1)


async def test_no_label_has_a_value_that_a_stranger_chooses(app: RunningApp) -> None:
    names = {name for name, *_ in await scraped(app)}
    client = await app.connect()
    await client.send(type="subscribe", exchange="binance", channel="NOSUCH", symbol="NOSUCH")
    await client.next("error")
    await client.send(type="NOSUCH", exchange="NOSUCH")
    await client.next("error")
    await client.subscribe("NOSUCH")
    await app.get("/NOSUCH", NOSUCH="NOSUCH")
    await app.get("/api/trades", symbol="NOSUCH")
    after = await scraped(app)
    assert {name for name, *_ in after} == names
    assert [key for key in after if any("NOSUCH" in label.upper() for label in key)] == []
