"""What a user runs starts, works and ends where Python lacks what it lacks on Windows."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from livemarkets_client import Trade
from livemarkets_client.recording import files_of, read
from tests.support.app import running_main, running_process
from tests.support.helpers import PROJECT_ROOT, eventually
from tests.support.markets_client import open_client

pytestmark = pytest.mark.verify

WITHOUT = {
    "PYTHONPATH": os.pathsep.join(
        str(PROJECT_ROOT / folder) for folder in ("tests/support/without_posix", "clients/python")
    )
}
LOOK = "import asyncio; asyncio.new_event_loop().add_reader(0, print)"


async def test_there_is_something_missing() -> None:
    async with running_process("-c", LOOK, environment=WITHOUT) as process:
        assert await process.ended() == 1
    assert process.lines[-1] == "NotImplementedError"


async def test_the_app_serves_the_embedded_exchange_and_its_trades_are_recorded(tmp_path: Path) -> None:
    out = tmp_path / "trades.jsonl.gz"
    async with running_main(**WITHOUT) as (app, port):
        url = f"ws://127.0.0.1:{port}/ws/markets"
        async with open_client(url) as client:
            await client.subscribe("BTCUSDT", exchange="simulator")
            assert await client.trades(1)
        what = ("--symbols", "BTCUSDT", "--exchange", "simulator", "--url", url, "--out", out)
        async with running_process(
            "-m", "livemarkets_client", "record", *what, environment=WITHOUT
        ) as recorder:
            await eventually(lambda: any(path.stat().st_size for path in files_of(out)), 60)
            recorder.signal(signal.SIGINT)
            assert await recorder.ended() == 0, recorder.output
        app.signal(signal.SIGINT)
        assert await app.ended() == 0
    assert "Traceback" not in app.output
    assert " ERROR " not in app.output
    assert any(isinstance(item, Trade) for item in read(*files_of(out)))


async def test_the_simulator_starts_and_ends_alone() -> None:
    arguments = ("-m", "livemarkets.simulator", "--port", "0")
    async with running_process(*arguments, environment=WITHOUT) as process:
        await process.says("SIMULATOR_CONTROL_SECRET=")
        process.signal(signal.SIGINT)
        await process.ended()
    assert "simulator: stopped" in process.output
    assert "Traceback" not in process.output
