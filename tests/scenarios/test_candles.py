"""Candles against genuine trades, and through faults: no closed one is missing, told twice or wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.market.models import StreamKey
from livemarkets.server.websocket_protocol import RawFrameProtocol
from livemarkets.simulator import SimulatedMarket, Simulator
from livemarkets.simulator.market.replay import Replay
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import quick

pytestmark = pytest.mark.long

RECORDING = "spot_btc_eth_20240808_trade.jsonl.gz"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
HOUR_MS = 3_600_000
SPANS_MS = {"1s": 1000} | {f"{n}m": n * 60_000 for n in (1, 3, 5, 15, 30)}
SPANS_MS |= {f"{n}h": n * HOUR_MS for n in (1, 2, 4, 6, 8, 12)} | {"1d": 24 * HOUR_MS, "3d": 72 * HOUR_MS}
"""The intervals with candles that end in the recording: it has the midnight at which 3 days end, but no week
and no month. The candles of 15 minutes and more began before it: here they are of the trades that it has."""
SPEED = 60.0
FIGURES = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume", "trades")


class Bucket:
    """The candle that some trades make, computed from their frames alone.

    Args:
        price: of the trade before, for a candle in which nothing trades.

    """

    def __init__(self, symbol: str, interval: str, open_ms: int, price: str) -> None:
        self.symbol, self.interval, self.open_ms, self.price = symbol, interval, open_ms, price
        self.prices = [Decimal(price)] * 4  # open, high, low, close
        self.sums = [Decimal(0)] * 3
        self.count = 0
        self.ids: list[int] = []  # of the first and the last trade

    @property
    def name(self) -> tuple[str, str, int]:
        return self.symbol, self.interval, self.open_ms

    def add(self, trade: dict[str, Any]) -> None:
        price, size = Decimal(trade["p"]), Decimal(trade["q"])
        opened, high, low, _ = self.prices if self.count else [price] * 4
        self.prices = [opened, max(high, price), min(low, price), price]
        amounts = size, price * size, Decimal(0) if trade["m"] else size
        self.sums = [total + amount for total, amount in zip(self.sums, amounts, strict=True)]
        self.count += 1
        self.price = trade["p"]
        self.ids = [*self.ids[:1], trade["t"]]

    def figures(self) -> dict[str, Any]:
        figures = dict(zip(FIGURES, (*self.prices, *self.sums, self.count), strict=True))
        return figures | {
            "first_id": self.ids[0] if self.ids else None,
            "last_id": self.ids[-1] if self.ids else None,
        }

    def frame(self, now_ms: int, *, closed: bool) -> dict[str, Any]:
        """As Binance tells it at this time."""
        figures = self.figures()
        first_id, last_id = (figures["first_id"], figures["last_id"]) if self.count else (-1, -1)
        letters = dict(zip("ohlcvqV", FIGURES, strict=False))
        k: dict[str, Any] = {letter: f"{figures[name]:f}" for letter, name in letters.items()}
        k |= {"t": self.open_ms, "T": self.open_ms + SPANS_MS[self.interval] - 1, "s": self.symbol}
        k |= {"i": self.interval, "f": first_id, "L": last_id, "n": figures["trades"], "x": closed}
        data = {"e": "kline", "E": now_ms, "s": self.symbol, "k": k | {"Q": "0", "B": "0"}}
        return {"stream": f"{self.symbol.lower()}@kline_{self.interval}", "data": data}


def with_klines(lines: list[dict[str, Any]], ended: list[Bucket]) -> Iterator[dict[str, Any]]:
    """Yield a recording of trades with the candles between them: at least each second, and at their end."""
    running: dict[tuple[str, str], Bucket] = {}
    told_at: dict[tuple[str, str], int] = {}
    for line in lines:
        trade, recv_ms = line["frame"]["data"], line["recv_ms"]
        symbol, now_ms = trade["s"], trade["E"]
        for interval, span_ms in SPANS_MS.items():
            open_ms = trade["T"] // span_ms * span_ms
            bucket = running.setdefault((symbol, interval), Bucket(symbol, interval, open_ms, trade["p"]))
            while bucket.open_ms < open_ms:  # also where nothing traded
                ended.append(bucket)
                yield {"recv_ms": recv_ms, "frame": bucket.frame(now_ms, closed=True)}
                next_ms = bucket.open_ms + span_ms
                bucket = running[symbol, interval] = Bucket(symbol, interval, next_ms, bucket.price)
        yield line
        for interval in SPANS_MS:
            bucket = running[symbol, interval]
            bucket.add(trade)
            if now_ms - told_at.get((symbol, interval), 0) >= 1000 or bucket.count % 200 == 0:
                told_at[symbol, interval] = now_ms
                yield {"recv_ms": recv_ms, "frame": bucket.frame(now_ms, closed=False)}


@pytest.mark.verify
@time_is_simulated
async def test_candles_of_genuine_trades_are_those_of_our_own(shared_data: Path, tmp_path: Path) -> None:
    with gzip.open(shared_data / RECORDING, "rt", encoding="utf-8") as file:
        lines = list(map(json.loads, file))
    ended: list[Bucket] = []
    recording = tmp_path / "with_klines.jsonl"
    with recording.open("w") as out:
        out.writelines(json.dumps(line) + "\n" for line in with_klines(lines, ended))
    replay = Replay(recording, SPEED, lead_in_seconds=1.0)
    async with running_exchange(replay) as exchange, candle_app(exchange) as app:
        client = await app.connect()
        for interval in SPANS_MS:
            await subscribe(client, interval, snapshot=0)
        await client.subscribe(*SYMBOLS)
        told: dict[tuple[str, str, int], dict[str, Any]] = {}
        assert {bucket.interval for bucket in ended} == SPANS_MS.keys()
        begun_ms = lines[0]["recv_ms"]
        whole = {bucket.interval for bucket in ended if bucket.open_ms >= begun_ms}
        assert whole == {"1s", "1m", "3m", "5m"}
        while len(told) < len(ended):
            message = await client.receive(20)
            assert message["type"] not in ("gap", "lagged"), message
            if message["type"] == "candle" and message["closed"]:
                name = message["symbol"], message["interval"], message["open_ts"]
                assert name not in told
                told[name] = message
        traded = sum(bool(bucket.count) for bucket in ended)
        statistics = app.services.feeds["binance"].statistics
        await eventually(lambda: statistics().candles.agreed == traded)
        assert statistics().candles.disagreed == 0
        assert statistics().client.complaints == {}
    assert traded > 500
    for bucket in ended:
        candle = told[bucket.name]
        assert {name: candle[name] for name in (*FIGURES, "first_id", "last_id")} == bucket.figures()


def candle_app(exchange: Simulator) -> Any:
    return running_app(
        settings_for(exchange, feed_length=20_000), tuning=Tuning(client=quick()), ws=RawFrameProtocol
    )


async def subscribe(client: MarketsClient, interval: str, **fields: Any) -> None:
    answer = await client.ask(
        "subscribe",
        **{
            "exchange": "binance",
            "channel": "candles",
            "symbols": list(SYMBOLS),
            "interval": interval,
            **fields,
        },
    )
    assert all(result["ok"] for result in answer["results"])


class Reader:
    """A client of candles of one second, which checks what it gets and keeps the closed ones."""

    def __init__(self, client: MarketsClient) -> None:
        self.client = client
        self.closed: dict[str, dict[int, dict[str, Any]]] = {symbol: {} for symbol in SYMBOLS}
        self.told_to = dict.fromkeys(SYMBOLS, 0)
        self.lagged = 0

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "snapshot":
            for candle in message["data"]:
                self._take(candle)
        elif message["type"] == "candle":
            self._take(message)
        else:
            assert message["type"] != "gap", message

    def _take(self, candle: dict[str, Any]) -> None:
        symbol, open_ts = candle["symbol"], candle["open_ts"]
        if candle.get("revised"):
            assert open_ts in self.closed[symbol]
            self.closed[symbol][open_ts] = candle
            return
        assert open_ts > self.told_to[symbol], "told twice, or too late"
        if candle["closed"]:
            before = max(self.closed[symbol], default=None)
            assert before is None or open_ts == before + 1000, "a closed candle is missing"
            self.closed[symbol][open_ts] = candle
            self.told_to[symbol] = open_ts

    async def read_until(self, open_ts: int) -> None:
        while min(self.told_to.values()) < open_ts:
            self.take(await self.client.receive(20))


@time_is_simulated
async def test_no_closed_candle_is_missing_told_twice_or_wrong_through_faults() -> None:
    market = SimulatedMarket(seed=11, symbols=SYMBOLS, trades_per_second=20.0, history_seconds=5.0)
    async with running_exchange(market) as exchange, candle_app(exchange) as app:
        readers = [Reader(await app.connect()) for _ in range(3)]
        for reader, fields in zip(readers, ({}, {"mode": "latest", "interval_ms": 5000}, {}), strict=True):
            await subscribe(reader.client, "1s", snapshot=3, **fields)
        await readers[0].client.send(
            type="subscribe", exchange="binance", channel="trades", symbols=list(SYMBOLS)
        )
        await eventually(lambda: all(line_is_running(app, symbol) for symbol in SYMBOLS))
        reading = [asyncio.create_task(reader.read_until(10**15)) for reader in readers[:2]]
        for fault in (
            lambda: exchange.faults.drop(),
            lambda: exchange.faults.mute(stream="btcusdt@kline_1s"),
            lambda: (exchange.faults.rest_down(seconds=1.5), exchange.faults.drop()),
            lambda: exchange.faults.lose(stream="ethusdt@kline_1s", count=3),
            lambda: exchange.faults.shutdown(notice_seconds=0.3),
        ):
            fault()
            await eventually(partial(has_two_more, readers[0], dict(readers[0].told_to)), timeout_seconds=20)
            assert not any(task.done() for task in reading), [
                task.exception() for task in reading if task.done()
            ]
        last = min(readers[0].told_to.values())
        await readers[2].read_until(last)  # it read nothing all the time
        await eventually(lambda: min(readers[1].told_to.values()) >= last)
        for task in reading:
            task.cancel()
        statistics = app.services.feeds["binance"].statistics().candles
        assert (statistics.gaps, statistics.disagreed) == (0, 0)
        assert statistics.agreed > 5
        for symbol in SYMBOLS:
            rows = {
                bar.open_ms: bar
                for bar in market.candles(symbol, "1s", None, None, 1000, exchange.now_ms(), offset_ms=0)
            }
            for reader in readers:
                for open_ts, candle in reader.closed[symbol].items():
                    bar = rows[open_ts]
                    assert (int(candle["volume"] * 10**8), candle["trades"]) == (bar.volume, bar.count)
                    assert int(candle["close"] * 10**8) == bar.close


def has_two_more(reader: Reader, before: dict[str, int]) -> bool:
    """Whether two candles of each symbol were closed since then."""
    return all(reader.told_to[symbol] > before[symbol] + 1000 for symbol in SYMBOLS)


def line_is_running(app: RunningApp, symbol: str) -> bool:
    feed = app.services.feeds["binance"]
    line = feed.updates.candles.line(StreamKey("binance", "candles", symbol, "1s"))
    return line is not None and line.running is not None
