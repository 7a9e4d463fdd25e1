"""The genuine recording goes in at Binance's side and comes out of `/ws/markets`, digit for digit."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.app import running_main, running_warm
from tests.support.markets_client import MarketsClient, missing_ids, open_client
from tests.support.recordings import BITCOIN_AND_ETHER, recording

COUNTS = {"BTCUSDT": 9_757, "ETHUSDT": 6_106}
SPEED = 90


class Recorded(NamedTuple):
    """What has to arrive of one trade; numbers as text, with their digits."""

    id: int
    price: str
    size: str
    side: str
    ts: int


@pytest.fixture(scope="module")
def genuine() -> Path:
    return recording(BITCOIN_AND_ETHER)


@pytest.fixture(scope="module")
def recorded(genuine: Path) -> dict[str, list[Recorded]]:
    """What the exchange sent, by symbol."""
    trades: dict[str, list[Recorded]] = {symbol: [] for symbol in COUNTS}
    with gzip.open(genuine, "rt", encoding="utf-8") as lines:
        for line in lines:
            data = json.loads(line)["frame"]["data"]
            side = "sell" if data["m"] else "buy"
            trades[data["s"]].append(Recorded(data["t"], data["p"], data["q"], side, data["T"]))
    return trades


@pytest.fixture
async def client(genuine: Path) -> AsyncIterator[MarketsClient]:
    """A client of a `main.py` whose Binance is the simulator program with the recording in it."""
    arguments = ("-m", "livemarkets.simulator", "--port", "0", "--replay", genuine, "--speed", str(SPEED))
    async with running_warm(*arguments) as simulator:
        found = re.search(r"(127\.0\.0\.1:\d+)", await simulator.says("127.0.0.1:"))
        assert found is not None
        async with (
            running_main(found[1]) as (_, port),
            open_client(f"ws://127.0.0.1:{port}/ws/markets") as client,
        ):
            assert (await client.receive())["type"] == "welcome"
            yield client


async def test_the_recording_arrives_complete_and_to_the_digit(
    client: MarketsClient, recorded: dict[str, list[Recorded]]
) -> None:
    assert {symbol: len(trades) for symbol, trades in recorded.items()} == COUNTS
    await client.subscribe(*COUNTS, snapshot=1000)
    received: dict[str, list[Recorded]] = {symbol: [] for symbol in COUNTS}
    async with asyncio.timeout(400 / SPEED + 20):
        while sum(map(len, received.values())) < sum(COUNTS.values()):
            message = json.loads(await client.socket.recv(), parse_float=str)
            assert message["type"] in ("snapshot", "trade", "status", "heartbeat"), message
            for tick in message["data"] if message["type"] == "snapshot" else _live(message):
                assert tick["exchange"] == "binance"
                received[tick["symbol"]].append(
                    Recorded(tick["id"], tick["price"], tick["size"], tick["side"], tick["ts"])
                )
    for symbol, trades in received.items():
        assert missing_ids([trade.id for trade in trades]) == []
        assert trades == recorded[symbol]
    assert await client.works()


def _live(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [message] if message["type"] == "trade" else []
