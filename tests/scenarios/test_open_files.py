"""An app whose open files are nearly used up (REVIEW D6)."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from livemarkets.simulator import Simulator
from tests.support.app import main_environment, running_process
from tests.support.helpers import WITHOUT_TLS, eventually
from tests.support.markets_client import open_client

FILES = 160
PROGRAM = f"""
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
runpy.run_path("main.py", run_name="__main__")
"""


@pytest.mark.long
async def test_health_and_the_exchange_go_on_when_clients_have_used_up_the_open_files(
    exchange: Simulator,
) -> None:
    port, environment = main_environment(f"127.0.0.1:{exchange.port}")
    url, http = f"ws://127.0.0.1:{port}/ws/markets", f"http://127.0.0.1:{port}"

    async def status(path: str) -> int:
        async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=5) as client:
            try:
                return (await client.get(http + path)).status_code
            except httpx.TransportError:
                return 0

    async def is_ok(path: str) -> bool:
        return await status(path) == 200

    async with (
        running_process("-c", PROGRAM, environment=environment) as process,
        contextlib.AsyncExitStack() as open_,
    ):
        await process.says("Live Markets is listening on")
        reader = await open_.enter_async_context(open_client(url))
        await reader.subscribe("BTCUSDT")
        await reader.next("status", state="live")
        refused = []
        for _ in range(2 * FILES):
            try:
                await open_.enter_async_context(connect(url, proxy=None, open_timeout=5))
            except InvalidStatus as error:
                refused.append(error.response)
        assert len(refused) > FILES
        assert {response.status_code for response in refused} == {503}
        assert {response.headers["Retry-After"] for response in refused} == {"5"}
        for _ in range(FILES):  # peers that connect and send nothing
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            open_.callback(writer.close)
        assert await eventually(lambda: is_ok("/healthz"), timeout_seconds=5)
        assert await eventually(lambda: is_ok("/readyz?upstream=1"), timeout_seconds=5)
        assert await status("/readyz") == 503
        exchange.faults.drop()
        await reader.next("status", state="live", timeout_seconds=10)
        exchange.faults.burst(symbol="BTCUSDT", trades=10)
        assert len(await reader.trades(10)) == 10
        async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, timeout=5) as client:
            page = await client.get(f"{http}/")
            metrics = (await client.get(f"{http}/metrics")).text
        left = next(line for line in metrics.splitlines() if 'limit_left{limit="open_files"}' in line)
        assert 0 <= float(left.split()[-1]) <= 48
        assert page.status_code == 503
        assert f'livemarkets_clients_refused_total{{reason="files"}} {len(refused)}.0' in metrics
        assert process.output.count("open files are nearly used up") == 1
