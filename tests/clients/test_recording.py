"""A recording has what came, whenever the recorder was killed, and the next recorder goes on behind it."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from livemarkets_client import Gap, Lagged, Trade
from livemarkets_client.recording import Accounts, Note, Writer, files_of, positions_of, read, read_lines
from livemarkets_client.testing import MockServer
from tests.clients.test_through_faults import CLIENT, WAIT_SECONDS
from tests.support.app import Process, running_app, running_exchange, running_process, settings_for
from tests.support.copied_clients import newest_id
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


async def killed_at_random(folder: Path, times: int) -> None:
    """Record the real app with a recorder that is killed again and again; nothing is missing or altered."""
    out = folder / "trades.jsonl.gz"
    async with running_exchange() as exchange, running_app(settings_for(exchange)) as app:
        url = f"ws://127.0.0.1:{app.port}"
        recorded: dict[str, int] = {}

        def has_grown() -> bool:
            now = {each.symbol: each.after for each in positions_of(out)}
            return len(now) == len(PAIR) and all(now[symbol] > recorded.get(symbol, 0) for symbol in PAIR)

        for _ in range(times):
            async with recorder(url, out, "--rotate-mb", "0.02") as process:
                await eventually(has_grown, WAIT_SECONDS, interval_seconds=0.1)
                process.signal(signal.SIGKILL)
                await process.ended()
            recorded = {each.symbol: each.after for each in positions_of(out)}
        async with recorder(url, out) as process:
            await eventually(has_grown, WAIT_SECONDS, interval_seconds=0.1)
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0
        items = list(read(*files_of(out)))
        for symbol in PAIR:
            mine = [item for item in items if item.symbol == symbol]
            got = [item.id for item in mine if isinstance(item, Trade)]
            assert len(got) == len(mine)  # nothing was declared missing
            assert all(b == a + 1 for a, b in itertools.pairwise(got))
            truth = {
                trade.id: trade.time_ms for trade in exchange.source.history(symbol, exchange.now_ms()).trades
            }
            assert newest_id(exchange, symbol) >= got[-1]
            assert all(truth[item.id] == item.ts for item in mine if isinstance(item, Trade))


@pytest.mark.long
async def test_a_recorder_that_is_killed_goes_on_behind_what_it_has_written(tmp_path: Path) -> None:
    await killed_at_random(tmp_path, 2)


@pytest.mark.verify
async def test_a_recorder_that_is_killed_ten_times_has_everything(tmp_path: Path) -> None:
    await killed_at_random(tmp_path, 10)
