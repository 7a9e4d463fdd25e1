"""The live table: what it shows, in a terminal and where there is none."""

from __future__ import annotations

import os
import signal
import sys
from decimal import Decimal
from typing import Any

import pytest

from livemarkets_client import Book, Ticker, Trade
from livemarkets_client.live_table import Row, fitting, table
from livemarkets_client.testing import MockServer
from tests.clients.test_through_faults import CLIENT, WAIT_SECONDS
from tests.support.app import running_process
from tests.support.helpers import eventually

FIGURES = dict.fromkeys(("open", "high", "low", "change", "volume"), 1)


def ticker(**fields: Any) -> dict[str, Any]:
    times = {"trades": 1, "open_ts": 1, "ts": 2, "recv_ts": 3}
    names = {"exchange": "binance", "symbol": "BTCUSDT", "last": None}
    return names | FIGURES | times | {"change_percent": -1.5, "quote_volume": 1_130_000_000} | fields


def test_the_table_shows_the_newest_of_everything_with_the_exchanges_digits() -> None:
    names: dict[str, Any] = {"exchange": "binance", "symbol": "BTCUSDT"}
    price = Decimal("61837.60")
    trade = Trade(**names, price=price, size=price, side="sell", ts=1000, id=1, recv_ts=1001)
    bid, ask = Decimal("0.00000100"), Decimal("61837.61")
    book = Book(**names, bid=bid, bid_size=bid, ask=ask, ask_size=ask, recv_ts=1)
    figures = ticker(change_percent=Decimal("-1.5"), quote_volume=Decimal(1_130_000_000))
    rows = [Row("BTCUSDT", trade, Ticker(**figures), book), Row("NOPE", note="binance does not list NOPE")]
    assert table(rows, "binance: live", now_ms=3500.0) == [
        "Symbol       Last  Side     24 h         Bid       Ask  Volume    Age",
        "BTCUSDT  61837.60  sell  -1.50 %  0.00000100  61837.61    1.1B  2.5 s",
        "NOPE     binance does not list NOPE",
        "",
        "binance: live",
    ]


def test_a_table_is_cut_to_what_the_terminal_shows() -> None:
    rows = [Row(f"SYMBOL{number}") for number in range(30)]
    lines = fitting(table(rows, "binance: live; connected", 0.0), os.terminal_size((20, 10)))
    assert len(lines) == 9
    assert all(len(line) <= 20 for line in lines)
    assert lines[6].startswith("… 25 more symbols")
    assert lines[-1] == "binance: live; conn…"


async def test_without_a_terminal_each_trade_is_a_line() -> None:
    async with MockServer(listed={"BTCUSDT"}) as server:
        arguments = ("watch", "btcusdt", "NOPE", "--url", server.url)
        async with running_process("-m", "livemarkets_client", *arguments, environment=CLIENT) as process:
            await server.subscribed("trades", "BTCUSDT")
            server.trade("BTCUSDT", price="61837.63000000", size="0.02", ts=17)
            await process.says("BTCUSDT 61837.63000000 0.02 buy 17")
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0


async def test_none_of_the_symbols_is_listed() -> None:
    async with MockServer(listed=set()) as server:
        arguments = ("watch", "NOPE", "--url", server.url)
        async with running_process("-m", "livemarkets_client", *arguments, environment=CLIENT) as process:
            assert await process.ended() == 1
    assert process.lines == ["livemarkets-client: binance does not list NOPE"]


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
async def test_in_a_terminal_the_table_is_painted_over_itself_and_the_cursor_comes_back() -> None:
    async with MockServer() as server:
        command = [sys.executable, "-m", "livemarkets_client", "watch", "BTCUSDT", "--url", server.url]
        script = f"import pty, sys; sys.exit(pty.spawn({command!r}) >> 8)"
        async with running_process("-c", script, environment=CLIENT, reads_input=True) as process:
            for channel in ("trades", "tickers", "book"):
                await server.subscribed(channel, "BTCUSDT")
            server.send({"type": "ticker"} | ticker(), ("binance", "tickers", "BTCUSDT", None))
            server.trade("BTCUSDT", price="61837.63000000")
            row = await process.says("61837.63000000")
            await eventually(lambda: sum("BTCUSDT" in line for line in process.lines) > 3, WAIT_SECONDS)
            assert process.process.stdin is not None
            process.process.stdin.write(b"\x03")  # Ctrl-C
            assert await process.ended() == 0
    assert "buy" in row
    assert "-1.50 %" in process.output
    assert "\x1b[4A" in process.output
    assert process.output.index("\x1b[?25l") < process.output.rindex("\x1b[?25h")
    assert "Traceback" not in process.output
