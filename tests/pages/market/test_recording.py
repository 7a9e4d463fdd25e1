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
from tests.support.app import running_main, running_warm
from tests.support.helpers import free_port
from tests.support.recordings import BITCOIN_AND_ETHER, recording

pytestmark = pytest.mark.asyncio(loop_scope="session")

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
def genuine() -> Path:
    return recording(BITCOIN_AND_ETHER)


def trades_of(genuine: Path, symbol: str) -> Iterable[tuple[int, Decimal, Decimal]]:
    """Time, price and size of each trade, in the order of ids."""
    found: dict[int, tuple[int, Decimal, Decimal]] = {}
    with gzip.open(genuine, "rt", encoding="utf-8") as lines:
        for line in lines:
            data = json.loads(line)["frame"]["data"]
            if data["s"] == symbol:
                found[data["t"]] = (data["T"], Decimal(data["p"]), Decimal(data["q"]))
    return [found[trade_id] for trade_id in sorted(found)]


def candles_of(genuine: Path, symbol: str, span_ms: int) -> list[dict[str, Any]]:
    """One candle for each such span, as the chart draws it: open, close, lowest, highest."""
    spans: dict[int, list[tuple[Decimal, Decimal]]] = {}
    for ts, price, size in trades_of(genuine, symbol):
        spans.setdefault(ts // span_ms * span_ms, []).append((price, size))
    return [
        {
            "open_ts": open_ts,
            "values": [float(x) for x in (prices[0], prices[-1], min(prices), max(prices))],
            "volume": float(sum(size for _, size in trades)),
        }
        for open_ts, trades in spans.items()
        if (prices := [price for price, _ in trades])
    ]


async def drawn(shown: Tab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await shown.run(DRAWN)
    return found


@pytest.mark.verify
async def test_the_candles_on_the_screen_are_those_of_the_trades(
    shared_chrome: Browser, genuine: Path
) -> None:
    trades = list(trades_of(genuine, "BTCUSDT"))
    port = free_port()
    arguments = ("--port", str(port), "--replay", str(genuine), "--speed", "90", "--lead-in", "2")
    async with (
        running_warm("-m", "livemarkets.simulator", *arguments),
        running_main(f"127.0.0.1:{port}") as (_, app_port),
        tab(shared_chrome, f"http://127.0.0.1:{app_port}") as shown,
    ):
        await shown.goto("/labs?symbols=BTCUSDT")
        # The recording has no candles of its own: the exchange makes them of its trades when it is asked.
        await shown.page.keyboard.press("5")

        async def is_at_the_end() -> bool:
            return await shown.text(".head-price") == f"{trades[-1][1]:,.2f}"

        await soon(is_at_the_end, 40, because="the recording ends")
        for key, span_ms in (("2", MINUTE_MS), ("3", 5 * MINUTE_MS)):
            expected = candles_of(genuine, "BTCUSDT", span_ms)
            assert len(expected) > 1
            await shown.page.keyboard.press(key)

            async def are_the_same(expected: list[dict[str, Any]] = expected) -> bool:
                assert await drawn(shown) == expected
                return True

            await soon(are_the_same, 20)
