"""A recording has what came, whenever the recorder was killed, and the next recorder goes on behind it."""

from __future__ import annotations

import contextlib
import gzip
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from livemarkets.simulator import Replay
from livemarkets_client import Gap, Lagged, Trade
from livemarkets_client.recording import Accounts, Note, Writer, files_of, positions_of, read, read_lines
from livemarkets_client.testing import MockServer
from tests.clients.test_through_faults import CLIENT, WAIT_SECONDS
from tests.support.app import Process, running_process
from tests.support.helpers import eventually

PAIR = ("BTCUSDT", "ETHUSDT")


def frame(trade_id: int) -> bytes:
    return (
        b'{"type":"trade","exchange":"binance","symbol":"BTCUSDT","price":61837.63000000,"size":0.02000000,'
        b'"side":"sell","ts":1723161255342,"id":%d,"recv_ts":1723161255350}' % trade_id
    )


def record(out: Path, ids: range, rotate_bytes: int = 2**30) -> None:
    accounts = Accounts()
    accounts.begin(positions_of(out))
    writer = Writer(out, accounts, rotate_bytes)
    writer.begin(0.0)
    for trade_id in ids:
        accounts.take(frame(trade_id))
        writer.frame(float(trade_id), frame(trade_id))
        writer.flush(float(trade_id))
    writer.close(1e6)


def ids(*paths: Path) -> list[int]:
    return [item.id for item in read(*paths) if isinstance(item, Trade)]


def test_a_frame_is_kept_as_it_came(tmp_path: Path) -> None:
    record(tmp_path / "trades.jsonl.gz", range(1, 3))
    (path,) = files_of(tmp_path / "trades.jsonl.gz")
    assert path.name == "trades-000001.jsonl.gz"
    lines = list(read_lines(path))
    assert [line.note and line.note.event for line in lines] == ["begin", None, None, "end"]
    assert bytes(lines[1].frame) == frame(1)
    assert b'{"recv_ms":1.000,"frame":' + frame(1) in gzip.decompress(path.read_bytes())
    (first, _) = read(path)
    assert isinstance(first, Trade)
    assert str(first.price) == "61837.63000000"


@pytest.mark.parametrize("cut", [1, 40, 110, 200])
def test_a_torn_file_is_read_as_far_as_it_goes_and_the_next_one_goes_on(tmp_path: Path, cut: int) -> None:
    out = tmp_path / "trades.jsonl.gz"
    record(out, range(1, 10))
    (torn,) = files_of(out)
    torn.write_bytes(torn.read_bytes()[:-cut])
    known = {each.symbol: each.after for each in positions_of(out)}
    assert 5 < known["BTCUSDT"] <= 9
    record(out, range(known["BTCUSDT"] + 1, 20))
    assert ids(*files_of(out)) == list(range(1, 20))


def test_garbage_at_the_end_of_a_file_is_left_out(tmp_path: Path) -> None:
    out = tmp_path / "trades.jsonl.gz"
    record(out, range(1, 10))
    (path,) = files_of(out)
    path.write_bytes(path.read_bytes() + bytes(100))
    assert ids(path) == list(range(1, 10))


def test_a_file_of_which_nothing_was_written_hides_no_position(tmp_path: Path) -> None:
    out = tmp_path / "trades.jsonl.gz"
    record(out, range(1, 10))
    (tmp_path / "trades-000002.jsonl.gz").write_bytes(b"\x1f\x8b")
    assert [each.after for each in positions_of(out)] == [9]
    record(out, range(10, 12))
    assert files_of(out)[-1].name == "trades-000003.jsonl.gz"


def test_files_rotate_and_each_knows_where_it_begins(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "trades.jsonl.gz"
    record(out, range(1, 50), rotate_bytes=1000)
    files = files_of(out)
    assert len(files) > 3
    assert ids(*files) == list(range(1, 50))
    later = list(read(*files[2:]))
    assert isinstance(later[0], Trade)
    first = next(read_lines(files[2])).note
    assert first is not None
    assert first.positions[0].after == later[0].id - 1
    assert any(isinstance(item, Gap) for item in read(files[0], *files[2:]))


def recorder(url: str, out: Path, *options: str) -> contextlib.AbstractAsyncContextManager[Process]:
    arguments = ("record", "--url", url, "--symbols", ",".join(PAIR), "--out", str(out), *options)
    return running_process("-m", "livemarkets_client", *arguments, environment=CLIENT)


@pytest.fixture
async def server() -> AsyncIterator[MockServer]:
    async with MockServer() as server:
        yield server


async def test_the_recorder_writes_down_gaps_and_lost_connections(server: MockServer, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl.gz"
    async with recorder(server.url, out, "--channels", "trades,book,candles:1m,depth:5") as process:
        for channel, interval in (("trades", None), ("book", None), ("candles", "1m"), ("depth", None)):
            await server.subscribed(channel, "ETHUSDT", interval=interval)
        server.trade("BTCUSDT")
        server.gap("BTCUSDT", 2, 4)
        server.trade("BTCUSDT", id=7)
        server.lagged("BTCUSDT", 8, 9)
        await eventually(lambda: len(list(read(*files_of(out)))) == 5, WAIT_SECONDS)
        server.cut()
        await eventually(lambda: len(server.requests) == 8, WAIT_SECONDS)
        server.trade("ETHUSDT", price="1.50")
        await server.subscribed("depth", "ETHUSDT")
        process.signal(signal.SIGINT)
        assert await process.ended() == 0
    items = list(read(*files_of(out)))
    assert [type(item) for item in items] == [Trade, Gap, Gap, Trade, Lagged, Trade]
    notes = [line.note for path in files_of(out) for line in read_lines(path) if line.note]
    assert Note("gap", "BTCUSDT 5 to 6") in notes
    assert [note.event for note in notes].count("state") >= 5
    assert notes[-1] == Note("end")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--channels", "trade"), "'trade' is none of trades, tickers"),
        (("--rotate-mb", "0"), "is no number above 0"),
        (("--exchange",), "expected one argument"),
    ],
)
async def test_what_is_misspelt_is_said_in_one_line(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    async with recorder("ws://127.0.0.1:9", tmp_path / "x.jsonl.gz", *options) as process:
        assert await process.ended() == 2
    assert len(process.lines) == 1
    assert said in process.lines[0]


async def test_the_recorder_says_why_the_server_refuses_it(tmp_path: Path) -> None:
    async with (
        MockServer(token="secret") as server,
        recorder(server.url, tmp_path / "x.jsonl.gz") as process,
    ):
        assert await process.ended() == 1
    assert process.lines == ["livemarkets-client: the server answered with HTTP 401 (401)"]


def replayed(out: Path, *streams: str) -> list[dict[str, Any]]:
    """What the simulator plays of a recording."""
    market = Replay(out, speed=1e9)
    market.want(set(streams), 0.0)
    return [json.loads(event.raw(), parse_float=str) for event in market.advance(1e15)]


def test_the_simulator_replays_each_trade_once_and_lacks_what_a_gap_declares(tmp_path: Path) -> None:
    out = tmp_path / "trades.jsonl.gz"
    record(out, range(1, 6))
    (torn,) = files_of(out)
    torn.write_bytes(torn.read_bytes()[:-60])
    accounts = Accounts()
    accounts.begin(positions_of(out))
    writer = Writer(out, accounts, 2**30)
    writer.begin(50.0)
    again = b",".join(frame(trade_id)[:1] + frame(trade_id)[16:] for trade_id in (3, 4, 5, 6))
    head = b'{"type":"snapshot","exchange":"binance","channel":"trades","symbol":"BTCUSDT"'
    writer.frame(60.0, head + b',"data":[' + again + b"]}")
    writer.frame(61.0, head.replace(b"snapshot", b"gap") + b',"from_id":7,"to_id":8,"cause":"upstream"}')
    writer.frame(62.0, frame(9))
    writer.close(70.0)
    frames = replayed(out, "btcusdt@trade")
    assert [each["t"] for each in frames] == [1, 2, 3, 4, 5, 6, 9]
    assert frames[-1] == {
        "e": "trade",
        "E": 1723161255342,
        "s": "BTCUSDT",
        "t": 9,
        "p": "61837.63000000",
        "q": "0.02000000",
        "T": 1723161255342,
        "m": True,
        "M": True,
    }
    assert replayed(torn, "btcusdt@trade")[-1]["t"] >= 4, "one file of several"


async def test_the_simulator_replays_the_other_channels_too(server: MockServer, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl.gz"
    book = {"bid": 1.5, "bid_size": 2, "ask": None, "ask_size": None, "update_id": 7, "recv_ts": 1}
    depth = {"levels": 5, "bids": [[1.5, 2]], "asks": [], "update_id": 8, "recv_ts": 1}
    candle: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.25)
    candle |= {"interval": "1m", "open_ts": 60_000, "close_ts": 119_999, "quote_volume": 2.5}
    candle |= {"taker_buy_volume": 0.5, "trades": 3, "first_id": None, "last_id": None}
    candle |= {"closed": True, "ts": 120_001, "recv_ts": 120_002}
    async with recorder(server.url, out, "--channels", "book,candles:1m,depth:5") as process:
        for kind, channel, data in (
            ("book", "book", book),
            ("depth", "depth", depth),
            ("candle", "candles", candle),
        ):
            interval = "1m" if channel == "candles" else None
            await server.subscribed(channel, "ETHUSDT", interval=interval)
            head = {"type": kind, "exchange": "binance", "symbol": "ETHUSDT"}
            server.send(head | data, ("binance", channel, "ETHUSDT", interval))
        await eventually(lambda: len(list(read(*files_of(out)))) == 3, WAIT_SECONDS)
        process.signal(signal.SIGINT)
        assert await process.ended() == 0
    streams = ("ethusdt@bookTicker", "ethusdt@depth20@100ms", "ethusdt@kline_1m")
    quote, levels, kline = replayed(out, *streams)
    assert quote == {
        "u": 7,
        "s": "ETHUSDT",
        "b": "1.5",
        "B": "2",
        "a": "0.00000000",
        "A": "0.00000000",
    }
    assert levels == {"lastUpdateId": 8, "bids": [["1.5", "2"]], "asks": []}
    bar = kline["k"]
    assert (bar["t"], bar["i"], bar["c"], bar["n"], bar["x"], bar["f"]) == (60_000, "1m", "1.25", 3, True, -1)
