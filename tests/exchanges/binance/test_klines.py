"""Candles of streams and of REST: what is read of them, and what is refused."""

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livemarkets.errors import MalformedMessage
from livemarkets.exchanges.binance.klines import RestKline, fetched_candles, parse_kline
from livemarkets.exchanges.binance.stream_names import stream_name
from livemarkets.market.channels import CANDLE_INTERVALS, CANDLES
from livemarkets.market.models import StreamKey

RECV_TS = 1_723_161_255_350
KEY = StreamKey("binance", CANDLES, "BNBBTC", "1m")

# As in web-socket-streams.md.
KLINE: dict[str, Any] = {
    "t": 1_672_515_780_000,
    "T": 1_672_515_839_999,
    "s": "BNBBTC",
    "i": "1m",
    "f": 100,
    "L": 200,
    "o": "0.0010",
    "c": "0.0020",
    "h": "0.0025",
    "l": "0.0009",
    "v": "1000",
    "n": 100,
    "x": False,
    "q": "1.0000",
    "V": "500",
    "Q": "0.500",
    "B": "123456",
}
ROW: list[Any] = [
    1_499_040_000_000,
    "0.01634790",
    "0.80000000",
    "0.01575800",
    "0.01577100",
    "148976.11427815",
    1_499_644_799_999,
    "2434.19055334",
    308,
    "1756.87402397",
    "28.46694368",
    "0",
]


def frame(**changes: Any) -> bytes:
    event = {"e": "kline", "E": 1_672_515_782_136, "s": "BNBBTC", "k": KLINE | changes}
    return json.dumps({"stream": "bnbbtc@kline_1m", "data": event}).encode()


def test_a_candle_of_the_stream() -> None:
    candle = parse_kline(frame(), KEY, RECV_TS)
    assert (candle.exchange, candle.symbol, candle.interval) == ("binance", "BNBBTC", "1m")
    assert (candle.open_ts, candle.close_ts) == (KLINE["t"], KLINE["T"])
    prices = candle.open, candle.high, candle.low, candle.close
    assert list(map(str, prices)) == ["0.0010", "0.0025", "0.0009", "0.0020"]
    volumes = candle.volume, candle.quote_volume, candle.taker_buy_volume
    assert list(map(str, volumes)) == ["1000", "1.0000", "500"]
    assert (candle.trades, candle.first_id, candle.last_id) == (100, 100, 200)
    assert (candle.closed, candle.ts, candle.recv_ts) == (False, 1_672_515_782_136, RECV_TS)
    assert parse_kline(frame(x=True), KEY, RECV_TS).closed


@pytest.mark.parametrize("ids", [{"f": -1, "L": -1}, {"f": None, "L": None}])
def test_a_candle_without_a_trade_has_no_ids(ids: dict[str, Any]) -> None:
    empty = {"n": 0, "v": "0", "q": "0", "V": "0", "o": "0.001", "h": "0.001", "l": "0.001", "c": "0.001"}
    candle = parse_kline(frame(**empty, **ids), KEY, RECV_TS)
    assert (candle.trades, candle.first_id, candle.last_id) == (0, None, None)


def test_odd_open_times_are_kept() -> None:
    candle = parse_kline(frame(t=1_518_143_295_123), KEY, RECV_TS)
    assert candle.open_ts == 1_518_143_295_123


@pytest.mark.parametrize(
    "changes",
    [
        {"s": "BNBUSDT"},
        {"i": "3m"},
        {"t": 1_672_515_780_000_000},
        {"t": 1_672_515_840_000},
        {"t": RECV_TS + 90_000_000, "T": RECV_TS + 90_060_000},
        {"o": "0"},
        {"l": "0.00000000"},
        {"h": "NaN"},
        {"l": "0.0011"},
        {"c": "0.0026"},
        {"v": "-1"},
        {"v": "Infinity"},
        {"V": "1001"},
        {"q": "1e99"},
        {"n": -1},
        {"x": None},
    ],
)
def test_an_impossible_candle_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage, match="malformed candle"):
        parse_kline(frame(**changes), KEY, RECV_TS)


def test_an_impossible_time_of_the_event_is_refused() -> None:
    raw = json.dumps({"stream": "bnbbtc@kline_1m", "data": {"E": 5, "s": "BNBBTC", "k": KLINE}}).encode()
    with pytest.raises(MalformedMessage, match="a time is impossible"):
        parse_kline(raw, KEY, RECV_TS)
    with pytest.raises(MalformedMessage):
        parse_kline(b"\xff", KEY, RECV_TS)


def rows(*raw: list[Any]) -> list[RestKline]:
    return msgspec.json.decode(json.dumps(raw), type=list[RestKline])


def test_candles_of_rest() -> None:
    (candle,) = fetched_candles("binance", "BNBBTC", "1w", rows(ROW), RECV_TS)
    assert (candle.open_ts, candle.close_ts, candle.trades) == (ROW[0], ROW[6], 308)
    figures = candle.open, candle.high, candle.low, candle.close, candle.volume
    assert list(map(str, figures)) == ROW[1:6]
    assert (str(candle.quote_volume), str(candle.taker_buy_volume)) == (ROW[7], ROW[9])
    assert (candle.first_id, candle.last_id, candle.closed) == (None, None, False)
    assert (candle.ts, candle.recv_ts) == (ROW[6], RECV_TS)
    assert fetched_candles("binance", "BNBBTC", "1w", rows(ROW[:10]), RECV_TS) == [candle]  # fewer fields
    (running,) = fetched_candles("binance", "BNBBTC", "1w", rows([*ROW[:6], RECV_TS + 5, *ROW[7:]]), RECV_TS)
    assert running.ts == RECV_TS


def test_impossible_candles_of_rest_are_refused() -> None:
    for wrong in (rows(ROW, ROW), rows([*ROW[:3], "0", *ROW[4:]])):
        with pytest.raises(MalformedMessage, match="malformed candles"):
            fetched_candles("binance", "BNBBTC", "1w", wrong, RECV_TS)


def test_every_interval_has_a_stream() -> None:
    names = {stream_name(KEY._replace(parameter=interval)) for interval in CANDLE_INTERVALS}
    assert len(names) == 16
    assert {"bnbbtc@kline_1m", "bnbbtc@kline_1M", "bnbbtc@kline_1s"} <= names
    for wrong in (None, "2m", "1H"):
        with pytest.raises(ValueError, match="no stream"):
            stream_name(KEY._replace(parameter=wrong))


def test_the_candles_of_the_recordings_arrive_digit_for_digit(shared_data: Path) -> None:
    count = closed = 0
    for name in ("spot_alts_20211012", "binanceus_alts_20211012"):
        text = gzip.decompress((shared_data / f"{name}_agg_book_kline_depth.jsonl.gz").read_bytes())
        for line in text.splitlines():
            recorded = json.loads(line)
            stream, data = recorded["frame"]["stream"], recorded["frame"]["data"]
            if "@kline_" not in stream:
                continue
            k = data["k"]
            key = StreamKey("binance", CANDLES, k["s"], k["i"])
            candle = parse_kline(json.dumps(recorded["frame"]).encode(), key, recorded["recv_ms"])
            assert stream_name(key) == stream
            shown = [candle.open, candle.high, candle.low, candle.close, candle.volume]
            shown += [candle.quote_volume, candle.taker_buy_volume]
            assert [f"{each:f}" for each in shown] == [k[field] for field in "ohlcvqV"]
            assert (candle.open_ts, candle.close_ts, candle.trades, candle.closed) == (
                k["t"],
                k["T"],
                k["n"],
                k["x"],
            )
            ids = (k["f"], k["L"]) if k["n"] else (None, None)
            assert (candle.first_id, candle.last_id) == ids
            count, closed = count + 1, closed + candle.closed
    assert count >= 7
    assert closed > 0
