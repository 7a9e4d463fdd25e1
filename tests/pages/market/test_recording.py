"""The candles on the screen are those of the trades of a genuine recording, computed here by themselves."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.pages.browser import Tab, soon, tab
from tests.support.app import running_main, running_process
from tests.support.helpers import free_port

MINUTE_MS = 60_000

DRAWN = """(() => {
    const chart = getElement(Number(document.querySelector('.candle-chart').id.slice(1)));
    const option = chart.chart?.getOption();
    const values = (one) => Array.isArray(one) ? one : one.value;
    return (option?.xAxis?.[0].data ?? []).map((time, at) => ({
        open_ts: Number(time),
        values: values(option.series[0].data[at]),
        volume: option.series[1].data[at].value,
    }));
})()"""


@pytest.fixture(scope="module")
def recording(shared_data: Path) -> Path:
    path = shared_data / "spot_btc_eth_20240808_trade.jsonl.gz"
    if not path.exists():
        pytest.skip(f"the genuine recording {path.name} is not in ../shared/data")
    return path


def trades_of(recording: Path, symbol: str) -> Iterable[tuple[int, Decimal, Decimal]]:
    """Time, price and size of each trade, in the order of ids."""
    found: dict[int, tuple[int, Decimal, Decimal]] = {}
    with gzip.open(recording, "rt", encoding="utf-8") as lines:
        for line in lines:
            data = json.loads(line)["frame"]["data"]
            if data["s"] == symbol:
                found[data["t"]] = (data["T"], Decimal(data["p"]), Decimal(data["q"]))
    return [found[trade_id] for trade_id in sorted(found)]


def candles_of(recording: Path, symbol: str) -> list[dict[str, Any]]:
    """One candle a minute, as the chart draws it: open, close, lowest, highest."""
    minutes: dict[int, list[tuple[Decimal, Decimal]]] = {}
    for ts, price, size in trades_of(recording, symbol):
        minutes.setdefault(ts // MINUTE_MS * MINUTE_MS, []).append((price, size))
    return [
        {
            "open_ts": open_ts,
            "values": [float(x) for x in (prices[0], prices[-1], min(prices), max(prices))],
            "volume": float(sum(size for _, size in trades)),
        }
        for open_ts, trades in minutes.items()
        if (prices := [price for price, _ in trades])
    ]


async def drawn(shown: Tab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await shown.run(DRAWN)
    return found


async def test_the_candles_on_the_screen_are_those_of_the_trades(chrome: Browser, recording: Path) -> None:
    expected = candles_of(recording, "BTCUSDT")
    assert len(expected) > 5
    port = free_port()
    arguments = ("--port", str(port), "--replay", str(recording), "--speed", "60", "--lead-in", "2")
    async with (
        running_process("-m", "livemarkets.simulator", *arguments),
        running_main(f"127.0.0.1:{port}") as (_, app_port),
        tab(chrome, f"http://127.0.0.1:{app_port}") as shown,
    ):
        await shown.goto("/labs?symbols=BTCUSDT")

        async def are_the_same() -> bool:
            assert await drawn(shown) == expected
            return True

        await soon(are_the_same, 60)
