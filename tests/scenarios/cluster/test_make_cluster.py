"""`make cluster`: a cluster on this machine with a simulator, until Ctrl-C."""

from __future__ import annotations

import os
import re
import signal

import httpx
import pytest

from livemarkets_client import Trade, connect
from tests.support.app import Process, running_process
from tests.support.bus import NOT_INSTALLED, nats_program
from tests.support.cluster.balancer import NOT_INSTALLED as NO_HAPROXY
from tests.support.cluster.balancer import haproxy_program
from tests.support.processes import children_of, is_running

START_SECONDS = 120.0


def place_of(process: Process, name: str) -> tuple[str, int]:
    """The address of a node and its process, as they were told last."""
    told = re.findall(rf"^{name} +\w+://([\d.:]+)\S*, process (\d+)$", process.output, re.MULTILINE)
    return told[-1][0], int(told[-1][1])


@pytest.mark.verify
async def test_a_whole_cluster_runs_until_it_is_ended_and_whatever_dies_comes_back() -> None:
    if nats_program() is None or haproxy_program() is None:
        pytest.skip(NOT_INSTALLED if nats_program() is None else NO_HAPROXY)
    async with running_process("-m", "tests.cluster") as cluster:
        await cluster.says("Ctrl-C ends all of it", START_SECONDS)
        site, _ = place_of(cluster, "balancer")
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://{site}", timeout=30) as browser:
            assert (await browser.get("/labs")).status_code == 200
        ids: list[int] = []
        async with connect(f"ws://{site}", proxy=None, exchange="simulator") as markets:
            trades = markets.trades("BTCUSDT", "ETHUSDT")
            assert isinstance(await anext(trades), Trade)
            _, pid = place_of(cluster, "edge-a")
            os.kill(pid, signal.SIGKILL)
            await cluster.says("edge-a runs again", START_SECONDS)
            while len(ids) < 50:
                item = await anext(trades)
                assert isinstance(item, Trade), item
                ids.append(item.id)
        started = children_of(cluster.pid)
        assert len(started) == 7
        cluster.signal(signal.SIGINT)
        assert await cluster.ended(60) == 0
        assert not [pid for pid in started if is_running(pid)]
