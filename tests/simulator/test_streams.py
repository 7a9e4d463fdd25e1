"""Stream names, and payloads that are field by field those of the genuine recordings."""

import gzip
from typing import Any

import msgspec
import pytest

from livemarkets.simulator.market.history import Aggregate, Trade
from livemarkets.simulator.market.statistics import bars_of, summary_of
from livemarkets.simulator.market.streams import (
    Quote,
    StreamEvent,
    aggregate_payload,
    book_payload,
    is_well_formed,
    kline_payload,
    mini_ticker_payload,
    prefix_of,
    split_stream,
    ticker_payload,
    trade_payload,
)
from livemarkets.simulator.market.symbols import from_units, to_units
from tests.support.recordings import recording

TRADE = Trade(3735683259, 6183763000000, 2000000, 1723161255342, True)


def fixture(event: str) -> dict[str, Any]:
    """The data of a genuine combined frame of that event."""
    for line in recording("binance_fixtures.jsonl").read_bytes().splitlines():
        frame = msgspec.json.decode(line)["frame"]
        if (
            isinstance(frame, dict)
            and isinstance(frame.get("data"), dict)
            and frame["data"].get("e") == event
        ):
            return dict(frame["data"])
    raise AssertionError(event)


@pytest.mark.parametrize(
    "stream",
    [
        "btcusdt@trade",
        "btcusdt@aggTrade",
        "BTCUSDT@trade",
        "nosuchcoin@trade",
        "btcusdt@bookTicker",
        "!bookTicker",
        "btcusdt@kline_1m",
        "btcusdt@kline_1M@+08:00",
        "btcusdt@depth",
        "btcusdt@depth20@100ms",
        "btcusdt@ticker_4h",
        "!miniTicker@arr",
        "!ticker_1h@arr",
        "btcusdt@avgPrice",
        "1000satsusdt@trade",
        "币安人生usdt@trade",
    ],
)
def test_stream_names(stream: str) -> None:
    assert is_well_formed(stream)


@pytest.mark.parametrize(
    "stream",
    [
        "",
        "btcusdt",
        "@trade",
        "btcusdt@",
        "btcusdt@Trade",
        "btc usdt@trade",
        "btcusdt@trade@trade",
        "btcusdt@kline_7m",
        "a/b@trade",
        '"@trade',
        "<b>@trade",
        "x" * 51 + "@trade",
        "btcusdt@trade\n",
        "!trade",
        "btcusdt@depth7",
    ],
)
def test_names_that_are_no_streams(stream: str) -> None:
    assert not is_well_formed(stream)


def test_only_lower_case_names_a_symbol() -> None:
    assert split_stream("btcusdt@kline_1M@+08:00") == ("BTCUSDT", "kline_1M@+08:00")
    assert split_stream("BTCUSDT@trade")[0] == ""
    assert split_stream("!ticker@arr")[0] != "BTCUSDT"


def test_case_is_that_of_a_to_z_alone() -> None:
    assert split_stream("币安人生usdt@trade") == ("币安人生USDT", "trade")
    assert split_stream("Σßusdt@trade") == ("ΣßUSDT", "trade")
    assert split_stream("ΣUSDT@trade")[0] == ""


def test_a_trade_is_encoded_byte_for_byte_as_the_exchange_does() -> None:
    with gzip.open(recording("spot_btc_eth_20240808_trade.jsonl.gz")) as lines:
        for _, line in zip(range(2000), lines, strict=False):
            text = line.split(b'"frame":', 1)[1].rstrip()[:-1]
            frame = msgspec.json.decode(text)
            data = frame["data"]
            trade = Trade(data["t"], to_units(data["p"]), to_units(data["q"]), data["T"], data["m"])
            payload = trade_payload(data["s"].encode(), trade, data["E"])
            assert prefix_of(frame["stream"]) + payload + b"}" == text


def test_an_aggregate_is_encoded_as_the_exchange_does() -> None:
    genuine = fixture("aggTrade")
    price, size = to_units(genuine["p"]), to_units(genuine["q"])
    aggregate = Aggregate(genuine["a"], price, size, genuine["f"], genuine["l"], genuine["T"], genuine["m"])
    assert aggregate_payload(b"BTCUSDT", aggregate, genuine["E"]) == msgspec.json.encode(genuine)


def test_tickers_and_klines_have_the_fields_of_the_genuine_ones() -> None:
    day, bar = summary_of([TRADE, TRADE]), bars_of([TRADE], "1m")[0]
    assert day is not None
    quote = Quote(1, 2, 3, 4, 5)
    for payload, event in (
        (mini_ticker_payload("BTCUSDT", day, 1), "24hrMiniTicker"),
        (ticker_payload("BTCUSDT", day, quote, 0, 1), "24hrTicker"),
        (kline_payload("BTCUSDT", "1m", bar, 1), "kline"),
    ):
        ours, genuine = msgspec.json.decode(payload), fixture(event)
        assert list(ours) == list(genuine)
        assert [type(value) for value in ours.values()] == [type(value) for value in genuine.values()]
        if event == "kline":
            assert list(ours["k"]) == list(genuine["k"])


def test_a_book_ticker_has_the_documented_fields() -> None:
    payload = book_payload(b"BNBUSDT", Quote(400900217, 2535190000, 3121000000, 2536520000, 4066000000))
    assert payload == (
        b'{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}'
    )


def test_the_raw_shape_is_the_payload_alone() -> None:
    prefix = prefix_of("a@trade")
    assert StreamEvent("a@trade", prefix + b'{"e":1}}', len(prefix)).raw() == b'{"e":1}'


@pytest.mark.parametrize(
    "text", ["0.00000001", "61837.63000000", "0.00000000", "-1.50000000", "92141578.12345678"]
)
def test_units_keep_every_digit(text: str) -> None:
    assert from_units(to_units(text)) == text
