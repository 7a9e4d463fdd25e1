"""docs/data-science.md and its notebook are the same, and run: with pandas and Polars where these are."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from livemarkets.simulator import SimulatedMarket
from tests.clients.test_through_faults import CLIENT
from tests.scenarios.test_tables import python_with_both
from tests.support.app import RunningApp, running_app, running_exchange, running_process, settings_for
from tests.support.copied_clients import blocks
from tests.support.helpers import PROJECT_ROOT, eventually
from tests.support.notebook import code_cells, compiled, run

PAGE, NOTEBOOK = "docs/data-science.md", PROJECT_ROOT / "docs" / "data-science.ipynb"
COUNT = 20_000


def market(trades: int) -> SimulatedMarket:
    """A market whose symbols have had so many trades in the minute before somebody asks."""
    return SimulatedMarket(seed=7, symbols=("BTCUSDT", "ETHUSDT"), trades_per_second=trades / 60)


def test_the_notebook_is_the_page() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    fences = {"code": ("```python\n", "\n```"), "markdown": ("", "")}
    told = [
        fences[cell["cell_type"]][0] + "".join(cell["source"]) + fences[cell["cell_type"]][1]
        for cell in cells
    ]
    assert "\n\n".join(told) == (PROJECT_ROOT / PAGE).read_text(encoding="utf-8").strip()
    assert len(code_cells(NOTEBOOK)) == 7
    for cell in code_cells(NOTEBOOK):
        assert list(compiled(cell, "cell"))


def at(app: RunningApp, text: str) -> str:
    return text.replace("127.0.0.1:8080", f"127.0.0.1:{app.port}").replace('"simulator"', '"binance"')


async def test_the_last_trades_are_as_many_as_were_asked_for() -> None:
    async with (
        running_exchange(market(3600)) as exchange,
        running_app(settings_for(exchange)) as app,
    ):
        first, *_ = code_cells(NOTEBOOK)
        names = await run([at(app, first).replace("20_000", "2_500")])
    trades: list[Any] = names["trades"]
    assert [trade.id for trade in trades] == list(range(trades[-1].id - 2499, trades[-1].id + 1))


@pytest.mark.verify
async def test_the_whole_notebook_runs_with_what_was_recorded_and_converted(tmp_path: Path) -> None:
    """The long form of the test before: the libraries are large, and nobody's dependency."""
    python = python_with_both()
    if python is None:
        pytest.skip("no pandas and Polars here: `make verify` installs them in .venv-tables")
    recording, converting = re.findall(
        r"^livemarkets-client (.+)$", "\n".join(blocks(PAGE, "sh")), re.MULTILINE
    )
    async with (
        running_exchange(market(COUNT * 3 // 2)) as exchange,
        running_app(settings_for(exchange)) as app,
    ):
        for command in (recording, converting):
            words = command.replace("simulator", "binance").split()
            if command == recording:
                words += ["--url", f"ws://127.0.0.1:{app.port}"]
            words = [str(tmp_path / word) if re.search(r"\.(gz|parquet)$", word) else word for word in words]
            async with running_process(
                "-m", "livemarkets_client", *words, program=str(python), environment=CLIENT
            ) as process:
                if command == recording:
                    await eventually(lambda: [*tmp_path.glob("*.gz")], 30)
                    process.signal(signal.SIGINT)
                assert await process.ended(60.0) == 0, process.output
        changes = ("127.0.0.1:8080", f"127.0.0.1:{app.port}", '"simulator"', '"binance"')
        async with running_process(
            "tests/support/notebook.py",
            NOTEBOOK,
            tmp_path,
            *changes,
            program=str(python),
            environment=CLIENT,
        ) as process:
            assert await process.ended(120.0) == 0, process.output
    output = process.output
    told = re.search(r"^\[2\] \((\d+), (\d+)\)$", output, re.MULTILINE)
    assert told is not None
    # The exchange trades on while the oldest are asked for, and then they are out of reach.
    assert COUNT * 0.9 < int(told[1]) <= COUNT
    assert int(told[2]) == 0
    assert f"[1] {told[1]}" in process.lines
    for shown in ("open", "net", "vwap", "max", "BTCUSDT"):
        assert shown in output
    print(output)  # noqa: T201
