"""Tables of recordings: every row once, with the exchange's digits, and what is missing is said."""

from __future__ import annotations

import contextlib
import csv
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from livemarkets_client.command import main
from livemarkets_client.recording import Accounts, Writer
from tests.clients.test_recording import frame
from tests.clients.test_through_faults import CLIENT
from tests.scenarios.test_tables import python_with_both
from tests.support.app import Process, running_process

HEAD = b'"exchange":"binance","symbol":"BTCUSDT"'
GAP = b'{"type":"gap","channel":"trades",%b,"from_id":4,"to_id":6,"cause":"upstream"}' % HEAD
LAGGED = b'{"type":"lagged","channel":"trades",%b,"from_id":7,"to_id":7,"skipped":1,"mode":"latest"}' % HEAD
CANDLE = (
    b'{"type":"candle",%b,"interval":"1m","open_ts":60000,"close_ts":119999,"open":1.10,"high":1.20,"low":1.00,'
    b'"close":1.15,"volume":12.30000,"quote_volume":14.10,"taker_buy_volume":6.1,"trades":3,"first_id":null,'
    b'"last_id":null,"closed":true,"ts":120000,"recv_ts":120001}' % HEAD
)
DEPTH = (
    b'{"type":"depth",%b,"levels":5,"bids":[[1.10,2.000]],"asks":[],"update_id":9,"recv_ts":1723161255350}'
    % HEAD
)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """What `record --out` was given. A frame is recorded twice, as after a reconnect."""
    out = tmp_path / "trades.jsonl.gz"
    writer = Writer(out, Accounts(), 2**30)
    writer.begin(0.0)
    for text in (frame(1), frame(2), frame(2), CANDLE, frame(3), GAP, LAGGED, frame(8), DEPTH):
        writer.frame(1.0, text)
    writer.close(2.0)
    return out


def rows_in(path: Path) -> list[dict[str, str]]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["trades.csv", "deep/trades.csv.gz"])
def test_trades_are_a_table_and_what_is_missing_is_another(
    recording: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table, gaps = tmp_path / name, tmp_path / "gaps.csv"
    assert main(["convert", str(recording), str(table), "--gaps", str(gaps)]) == 0
    rows = rows_in(table)
    assert [row["id"] for row in rows] == ["1", "2", "3", "8"]
    assert list(rows[0])[:8] == ["exchange", "symbol", "price", "size", "side", "ts", "id", "recv_ts"]
    assert (rows[0]["price"], rows[0]["size"], rows[0]["backfilled"]) == (
        "61837.63000000",
        "0.02000000",
        "false",
    )
    missing = [(row["from_id"], row["to_id"], row["cause"]) for row in rows_in(gaps)]
    assert missing == [("4", "6", "upstream"), ("7", "7", "lagged")]
    assert f"{table.name}: 4 rows, 2 gaps" in capsys.readouterr().err
    assert sorted(path.name for path in table.parent.iterdir() if "part" in path.name) == []


def test_the_other_channels_are_tables_too(recording: Path, tmp_path: Path) -> None:
    candles, depth = tmp_path / "candles.csv", tmp_path / "depth.csv"
    assert main(["convert", str(recording), str(candles), "--channel", "candles:1m"]) == 0
    (candle,) = rows_in(candles)
    assert (candle["interval"], candle["volume"], candle["first_id"]) == ("1m", "12.30000", "")
    assert main(["convert", str(recording), str(candles), "--channel", "candles:1h"]) == 0
    assert rows_in(candles) == []
    assert main(["convert", str(recording), str(depth), "--channel", "depth"]) == 0
    (row,) = rows_in(depth)
    assert json.loads(row["bids"], parse_float=str) == [["1.10", "2.000"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl.gz", "trades.csv"], "there is neither this file nor numbered ones"),
        (["trades.jsonl.gz", "trades.xlsx"], "name a file that ends with .csv, .csv.gz or .parquet"),
        (["trades.jsonl.gz", "book.csv", "--channel", "book", "--gaps", "g.csv"], "book have no gaps"),
    ],
)
def test_what_makes_no_table_is_said_in_one_line_and_leaves_no_file(
    recording: Path,
    tmp_path: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["trades-000001.jsonl.gz"]


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is installed here")
def test_without_pyarrow_parquet_is_refused_with_what_to_do(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(recording), str(tmp_path / "trades.parquet")]) == 1
    assert "pip install pyarrow" in capsys.readouterr().err


READ = """
import pandas, polars, sys
trades, gaps, depth, floats = sys.argv[1:]
table = polars.read_parquet(trades)
print(table["price"].dtype, table["ts"].dtype, table["id"].to_list(), table["price"][0])
print(polars.read_parquet(gaps).rows(), polars.read_parquet(depth)["bids"].to_list())
print(pandas.read_parquet(floats)["price"].dtype, pandas.read_parquet(trades)["ts"].dtype)
"""


@pytest.mark.verify
async def test_pandas_and_polars_read_parquet(recording: Path, tmp_path: Path) -> None:
    python = python_with_both()
    if python is None:
        pytest.skip("no pandas and Polars here: `make verify` installs them in .venv-tables")

    def run(*arguments: str | Path) -> contextlib.AbstractAsyncContextManager[Process]:
        return running_process(*arguments, program=str(python), environment=CLIENT)

    names = ("trades.parquet", "gaps.parquet", "depth.parquet", "floats.parquet")
    trades, gaps, depth, floats = paths = [tmp_path / name for name in names]
    for arguments in (
        (trades, "--gaps", gaps),
        (depth, "--channel", "depth"),
        (floats, "--floats"),
    ):
        async with run("-m", "livemarkets_client", "convert", recording, *arguments) as process:
            assert await process.ended(60.0) == 0, process.output
    async with run("-c", READ, *paths) as process:
        assert await process.ended(60.0) == 0, process.output
    first, second, third = process.lines
    kinds = "Decimal(precision=38, scale=8) Datetime(time_unit='ms', time_zone='UTC')"
    assert first == f"{kinds} [1, 2, 3, 8] 61837.63000000"
    assert "('binance', 'BTCUSDT', 4, 6, 'upstream')" in second
    assert "Decimal('1.10000000')" in second
    assert third == "float64 datetime64[ms, UTC]"
