"""The lines of `docs/http.md` that make a table with pandas or Polars: what they ask for is a table."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http_api.test_candles import Present
from tests.support.app import RunningApp, running_process
from tests.support.copied_clients import blocks
from tests.support.helpers import PROJECT_ROOT, eventually
from tests.ws_markets.test_candles import NOW_MINUTE, World, running

(PROGRAM,) = blocks("docs/http.md", "python")
LINES = re.findall(r"^(\w+) = (pandas|polars)\..*?\"(http[^\"]+)\"", PROGRAM, re.MULTILINE)
FIRST_ID = 3_735_683_259
"""The id in the examples."""
ENVIRONMENT = PROJECT_ROOT / ".venv-tables" / "bin" / "python"


@pytest.fixture
async def app() -> AsyncIterator[RunningApp]:
    """An app with candles and trades of which a part is in memory, so that entries differ in their fields."""
    async with running() as plain:
        world = Present(plain)
        world.exchange.answers["trades"] = lambda _: [rest_trade(at) for at in range(300)]
        client = await world.app.connect()
        await world.subscribed(client, snapshot=0)
        await world.running_candle(12)
        await client.next("candle", trades=12)
        await client.subscribe("BTCUSDT")
        await eventually(lambda: "btcusdt@trade" in world.exchange.subscriptions())
        await streamed_trade(world, 300)
        await client.next("trade", id=FIRST_ID + 300)
        yield world.app


def rest_trade(at: int) -> dict[str, object]:
    fields = {"price": "0.00000100", "qty": "2.00", "quoteQty": "0.00000200", "isBuyerMaker": True}
    return {"id": FIRST_ID + at, "time": 60_000 * NOW_MINUTE, **fields}


async def streamed_trade(world: World, at: int) -> None:
    fields = {"e": "trade", "E": 60_000 * NOW_MINUTE, "T": 60_000 * NOW_MINUTE, "s": "BTCUSDT", "m": True}
    await world.exchange.send("btcusdt@trade", fields | {"t": FIRST_ID + at, "p": "0.00000100", "q": "2.00"})


def test_both_libraries_read_both_routes_in_one_line() -> None:
    assert {(table, library) for table, library, _ in LINES} == {
        (table, library) for table in ("candles", "trades") for library in ("pandas", "polars")
    }
    assert all(f"/api/{table}?" in address for table, _, address in LINES)
    assert f"from_id={FIRST_ID}&" in PROGRAM


async def test_what_the_lines_ask_for_is_a_table(app: RunningApp) -> None:
    for table, library, address in LINES:
        response = await app.ask("GET", address.removeprefix("http://127.0.0.1:8080"))
        assert response.headers["livemarkets-source"] == "both"
        lines = response.text.splitlines()
        rows = list(csv.DictReader(lines) if library == "pandas" else map(json.loads, lines))
        assert len(rows) == (1000 if table == "candles" else 301)
        assert len({len(row) for row in rows}) == 1 or library == "polars"


def python_with_both() -> str | Path | None:
    """A Python that has pandas and Polars; `None` if there is none."""
    if importlib.util.find_spec("pandas") and importlib.util.find_spec("polars"):
        return sys.executable
    return ENVIRONMENT if ENVIRONMENT.exists() else None


@pytest.mark.verify
async def test_pandas_and_polars_read_the_lines(app: RunningApp, tmp_path: Path) -> None:
    """The long form of the test before: the libraries are large, and nobody's dependency."""
    python = python_with_both()
    if python is None:
        pytest.skip("no pandas and Polars here: `make verify` installs them in .venv-tables")
    lines: list[str] = []
    for line in PROGRAM.replace("127.0.0.1:8080", f"127.0.0.1:{app.port}").splitlines():
        lines.append(line)
        if table := re.match(r"(candles|trades) = ", line):
            figure = "open" if table[1] == "candles" else "price"
            lines.append(f'print({table[1]}.shape[0], {table[1]}["{figure}"][0], "told")')
    program = tmp_path / "tables.py"
    program.write_text("\n".join(lines), encoding="utf-8")
    async with running_process(program, program=str(python)) as process:
        assert await process.ended(60.0) == 0, process.output
    told = [line.split() for line in process.lines if line.endswith("told")]
    assert [int(count) for count, *_ in told] == [1000, 301] * 2
    assert [float(figure) for _, figure, _ in told] == [0.000001] * 4
