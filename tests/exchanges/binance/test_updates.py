"""Tickers, best bids and asks, and order books: what is read of them, and what is refused."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livemarkets.errors import MalformedMessage
from livemarkets.exchanges.binance.routes import Routes
from livemarkets.exchanges.binance.stream_names import stream_name
from livemarkets.exchanges.binance.updates import parser_of
from livemarkets.market.channels import ALL_SYMBOLS, BOOK, DEPTH, TICKERS
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import BookUpdate, DepthUpdate, StreamUpdate, TickersDelta, TickerUpdate

RECV_TS = 1_723_161_255_350
BOOK_KEY = StreamKey("binance", BOOK, "BNBUSDT")
DEPTH_KEY = StreamKey("binance", DEPTH, "BNBBTC")
TICKER_KEY = StreamKey("binance", TICKERS, "BNBBTC")
ALL_KEY = StreamKey("binance", TICKERS, ALL_SYMBOLS)

# As in web-socket-streams.md.
BOOK_DATA: dict[str, Any] = {
    "u": 400_900_217,
    "s": "BNBUSDT",
    "b": "25.35190000",
    "B": "31.21000000",
    "a": "25.36520000",
    "A": "40.66000000",
}
DEPTH_DATA: dict[str, Any] = {
    "lastUpdateId": 160,
    "bids": [["0.0024", "10"], ["0.0023", "1.50"]],
    "asks": [["0.0026", "100"]],
}
TICKER_DATA: dict[str, Any] = {
    "e": "24hrTicker",
    "E": 1_672_515_782_136,
    "s": "BNBBTC",
    "p": "0.0015",
    "P": "250.00",
    "w": "0.0018",
    "x": "0.0009",
    "c": "0.0025",
    "Q": "10",
    "b": "0.0024",
    "B": "10",
    "a": "0.0026",
    "A": "100",
    "o": "0.0010",
    "h": "0.0025",
    "l": "0.0010",
    "v": "10000",
    "q": "18",
    "O": 1_672_429_382_136,
    "C": 1_672_515_782_136,
    "F": 0,
    "L": 18150,
    "n": 18151,
}
ROW_DATA = {name: value for name, value in TICKER_DATA.items() if name not in "xQbBaA"} | {"e": "1dTicker"}


def parse(key: StreamKey, data: object, complaints: list[tuple[str, str]] | None = None) -> StreamUpdate:
    raw = json.dumps({"stream": stream_name(key), "data": data}, ensure_ascii=False).encode()
    told = [] if complaints is None else complaints
    return parser_of(key)(raw, key, RECV_TS, lambda kind, detail: told.append((kind, detail)))


@pytest.mark.parametrize(
    ("key", "stream"),
    [
        (StreamKey("binance", TICKERS, "BTCUSDT"), "btcusdt@ticker"),
        (StreamKey("binance", BOOK, "币安人生USDT"), "币安人生usdt@bookTicker"),
        (StreamKey("binance", DEPTH, "BTCUSDT"), "btcusdt@depth20@100ms"),
        (ALL_KEY, "!ticker_1d@arr"),
    ],
)
def test_each_channel_has_its_stream(key: StreamKey, stream: str) -> None:
    assert stream_name(key) == stream


def test_a_channel_without_a_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="no stream"):
        stream_name(StreamKey("binance", "candles", "BTCUSDT"))


def test_the_best_bid_and_ask() -> None:
    assert parse(BOOK_KEY, BOOK_DATA) == BookUpdate(
        "binance",
        "BNBUSDT",
        Decimal("25.35190000"),
        Decimal("31.21000000"),
        Decimal("25.36520000"),
        Decimal("40.66000000"),
        400_900_217,
        RECV_TS,
    )


@pytest.mark.parametrize("nobody", [{"b": "0.00000000", "B": "0.00000000"}, {"b": None, "B": None}])
def test_a_side_on_which_nobody_waits_has_no_price(nobody: dict[str, Any]) -> None:
    update = parse(BOOK_KEY, BOOK_DATA | nobody)
    assert isinstance(update, BookUpdate)
    assert (update.bid, update.bid_size, update.ask) == (None, None, Decimal("25.36520000"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"b": "25.36520000"},
        {"b": "26"},
        {"b": "0.00000000"},
        {"B": "0.00000000"},
        {"b": "-1"},
        {"a": "NaN"},
        {"a": "Infinity"},
        {"b": None},
        {"s": "BTCUSDT"},
        {"u": "x"},
        {"a": []},
    ],
)
def test_an_impossible_best_bid_and_ask_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage) as error:
        parse(BOOK_KEY, BOOK_DATA | wrong)
    assert error.value.kind == "malformed book"


def test_the_best_levels() -> None:
    update = parse(DEPTH_KEY, DEPTH_DATA)
    assert update == DepthUpdate(
        "binance",
        "BNBBTC",
        ((Decimal("0.0024"), Decimal("10")), (Decimal("0.0023"), Decimal("1.50"))),
        ((Decimal("0.0026"), Decimal("100")),),
        160,
        RECV_TS,
    )
    older = {"bids": [["0.0024", "10", []], ["0.0023", "1.50", []]], "asks": [["0.0026", "100", []]]}
    assert parse(DEPTH_KEY, DEPTH_DATA | older) == update
    empty = parse(DEPTH_KEY, DEPTH_DATA | {"bids": [], "asks": []})
    assert isinstance(empty, DepthUpdate)
    assert (empty.bids, empty.asks) == ((), ())


@pytest.mark.parametrize(
    "wrong",
    [
        {"bids": [["0.0023", "1"], ["0.0024", "1"]]},
        {"bids": [["0.0024", "1"], ["0.0024", "1"]]},
        {"asks": [["0.0026", "1"], ["0.0025", "1"]]},
        {"bids": [["0.0026", "1"]]},
        {"bids": [["0.0024", "0"]]},
        {"asks": [["0.0026", "1"], ["NaN", "1"]]},
        {"asks": [["0.0026", "NaN"]]},
        {"asks": [["0.0026"]]},
        {"asks": None},
    ],
)
def test_impossible_levels_are_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage) as error:
        parse(DEPTH_KEY, DEPTH_DATA | wrong)
    assert error.value.kind == "malformed depth"


def test_a_ticker() -> None:
    update = parse(TICKER_KEY, TICKER_DATA)
    assert isinstance(update, TickerUpdate)
    digits = (update.last, update.open, update.high, update.low, update.change, update.change_percent)
    assert [str(each) for each in digits] == ["0.0025", "0.0010", "0.0025", "0.0010", "0.0015", "250.00"]
    assert (update.volume, update.quote_volume, update.trades) == (Decimal(10000), Decimal(18), 18151)
    assert (update.bid, update.bid_size, update.ask, update.ask_size) == (
        Decimal("0.0024"),
        Decimal(10),
        Decimal("0.0026"),
        Decimal(100),
    )
    times = (update.open_ts, update.last_id, update.ts, update.recv_ts)
    assert times == (1_672_429_382_136, 18150, 1_672_515_782_136, RECV_TS)


NOTHING = {"c": "0.00000000", "o": "0.00000000", "h": "0.00000000", "l": "0.00000000", "n": 0, "L": -1}


def test_a_ticker_without_a_trade_has_no_prices() -> None:
    update = parse(TICKER_KEY, TICKER_DATA | NOTHING)
    assert isinstance(update, TickerUpdate)
    prices = update.last, update.open, update.high, update.low
    assert (*prices, update.last_id) == (None, None, None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"l": "0"},
        {"c": "NaN"},
        {"E": 1_672_515_782_136_000},
        {"v": "-1"},
        {"P": "NaN"},
        {"n": -1},
        {"s": "X"},
    ],
)
def test_an_impossible_ticker_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage) as error:
        parse(TICKER_KEY, TICKER_DATA | wrong)
    assert error.value.kind == "malformed ticker"


@pytest.mark.parametrize("odd", [{"l": "0"}, {"c": 5}, {"s": None}, {"c": []}])
def test_an_odd_row_costs_the_other_symbols_nothing(odd: dict[str, Any]) -> None:
    complaints: list[tuple[str, str]] = []
    rows = [ROW_DATA, ROW_DATA | {"s": "ETHBTC"} | odd, ROW_DATA | {"s": "币安人生USDT"}]
    update = parse(ALL_KEY, rows, complaints)
    assert isinstance(update, TickersDelta)
    assert [row.symbol for row in update.rows] in (
        ["BNBBTC", "币安人生USDT"],
        ["BNBBTC", "ETHBTC", "币安人生USDT"],
    )
    assert len(update.rows) + len(complaints) == 3
    assert {kind for kind, _ in complaints} <= {"malformed ticker"}


@pytest.mark.parametrize("data", [None, {}, "x", 5])
def test_tickers_that_are_no_list_are_an_error(data: object) -> None:
    with pytest.raises(MalformedMessage) as error:
        parse(ALL_KEY, data)
    assert error.value.kind == "malformed tickers"


def test_frames_are_told_apart_by_the_name_at_their_beginning() -> None:
    routes = Routes()
    key = StreamKey("binance", BOOK, "币安人生USDT")
    routes.add(key)
    routes.add(StreamKey.trades("binance", "BTCUSDT"))
    book = '{"stream":"币安人生usdt@bookTicker","data":{}}'.encode()
    rest = [b'{"stream":"btcusdt@trade","data":{}}', b'{"result":null,"id":1}', b'{"stream":"', b""]
    others, updates = routes.split([book, *rest])
    assert others == rest
    assert [(raw, route.key) for raw, route in updates] == [(book, key)]
    routes.discard(key)
    assert routes.updates == {}


RECORDED = (
    "spot_btc_eth_20240808_trade_book.jsonl.gz",
    "spot_alts_20211012_agg_book_kline_depth.jsonl.gz",
    "binanceus_alts_20211012_agg_book_kline_depth.jsonl.gz",
)


def test_the_genuine_best_bids_and_asks_arrive_digit_for_digit(shared_data: Path) -> None:
    count = 0
    for name in RECORDED:
        with gzip.open(shared_data / name) as lines:
            for line in lines:
                frame = msgspec.json.decode(line)["frame"]
                if not frame["stream"].endswith("@bookTicker"):
                    continue
                data = frame["data"]
                update = parse(StreamKey("binance", BOOK, data["s"]), data)
                assert isinstance(update, BookUpdate)
                figures = update.bid, update.bid_size, update.ask, update.ask_size
                assert [f"{each:f}" for each in figures if each is not None] == [
                    data[name] for name in "bBaA"
                ]
                assert update.update_id == data["u"]
                count += 1
    assert count > 52_000


def test_genuine_tickers_and_levels(shared_data: Path) -> None:
    seen = []
    for line in (shared_data / "binance_fixtures.jsonl").read_bytes().splitlines():
        frame = msgspec.json.decode(line)["frame"]
        if not isinstance(frame, dict) or "stream" not in frame:
            continue
        stream, data = frame["stream"], frame["data"]
        if stream.endswith("@ticker"):
            update = parse(StreamKey("binance", TICKERS, data["s"]), data)
            assert isinstance(update, TickerUpdate)
            assert (f"{update.last:f}", update.last_id, update.trades) == (data["c"], data["L"], data["n"])
        elif stream.endswith("@depth20"):
            update = parse(StreamKey("binance", DEPTH, "ETHUSDT"), data)
            assert isinstance(update, DepthUpdate)
            assert [[f"{price:f}", f"{size:f}"] for price, size in update.bids] == data["bids"]
        elif stream == "!ticker@arr":
            update = parse(ALL_KEY, data)
            assert isinstance(update, TickersDelta)
            assert len(update.rows) == len(data)
        else:
            continue
        seen.append(type(update).__name__)
    assert seen.count("TickerUpdate") == 2
    assert {"DepthUpdate", "TickersDelta"} <= set(seen)
