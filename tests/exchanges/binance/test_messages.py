import contextlib
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.errors import MalformedMessage
from livemarkets.exchanges.binance.messages import (
    Frame,
    InvalidTrade,
    OtherEvent,
    Reply,
    ServerShutdown,
    encode_request,
    parse_frame,
    plausible,
)
from livemarkets.exchanges.binance.stream_names import stream_name
from livemarkets.market.models import StreamKey, TradeTick

RECV_TS = 1_723_161_255_350
TRADE: dict[str, Any] = {
    "stream": "btcusdt@trade",
    "data": {
        "e": "trade",
        "E": 1_723_161_255_343,
        "s": "BTCUSDT",
        "t": 3_735_683_259,
        "p": "61837.63000000",
        "q": "0.02000000",
        "T": 1_723_161_255_342,
        "m": True,
        "M": True,
    },
}


@pytest.mark.parametrize(
    ("symbol", "stream"),
    [
        ("BTCUSDT", "btcusdt@trade"),
        ("币安人生USDT", "币安人生usdt@trade"),
        ("１２３４５６", "１２３４５６@trade"),
        ("ΣUSDT", "Σusdt@trade"),
        ("İUSDT", "İusdt@trade"),
    ],
)
def test_a_stream_has_the_symbols_name_with_a_to_z_in_lower_case(symbol: str, stream: str) -> None:
    assert stream_name(StreamKey.trades("binance", symbol)) == stream
    assert stream.encode() in encode_request(
        "SUBSCRIBE", [stream_name(StreamKey.trades("binance", symbol))], 1
    )


def test_a_channel_that_the_exchange_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="no stream for binance gossip"):
        stream_name(StreamKey("binance", "gossip", "BTCUSDT"))


def parse(frame: object) -> Frame:
    raw = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
    return parse_frame(raw, "binance", RECV_TS)


def trade(**changes: object) -> dict[str, Any]:
    return {**TRADE, "data": {**TRADE["data"], **changes}}


def parse_trade(frame: object) -> TradeTick:
    tick = parse(frame)
    assert isinstance(tick, TradeTick)
    return tick


def test_a_trade_becomes_a_tick() -> None:
    assert parse(TRADE) == TradeTick(
        exchange="binance",
        symbol="BTCUSDT",
        price=Decimal("61837.63000000"),
        size=Decimal("0.02000000"),
        side="sell",
        ts=1_723_161_255_342,
        id=3_735_683_259,
        recv_ts=RECV_TS,
    )


def test_a_tick_bears_the_name_of_its_exchange() -> None:
    tick = parse_frame(json.dumps(TRADE).encode(), "simulator", RECV_TS)
    assert isinstance(tick, TradeTick)
    assert tick.exchange == "simulator"


@pytest.mark.parametrize(("buyer_is_maker", "side"), [(True, "sell"), (False, "buy")])
def test_the_side_is_the_takers(buyer_is_maker: bool, side: str) -> None:
    assert parse_trade(trade(m=buyer_is_maker)).side == side


@pytest.mark.parametrize("digits", ["0.00000001", "0.00000010", "61837.63000000", "1000000.00000000", "3"])
def test_digits_are_kept(digits: str) -> None:
    tick = parse_trade(trade(p=digits, q=digits))
    assert (f"{tick.price:f}", f"{tick.size:f}") == (digits, digits)


def test_fields_that_come_and_go_do_not_matter() -> None:
    assert parse(trade(b=2_517_144_287, a=2_517_144_235, X="MARKET", new={"deep": [1]})) == parse(TRADE)
    without = trade()
    del without["data"]["M"], without["data"]["E"], without["stream"]
    assert parse(without) == parse(TRADE)


@given(st.permutations(list(TRADE["data"])), st.integers(0, 10))
def test_neither_the_order_of_fields_nor_new_ones_matter(names: list[str], new: int) -> None:
    """FIELD-2, experiment 13: fields came and went in 2024 and 2026."""
    data = {f"new{number}": {"deep": [number]} for number in range(new)}
    data |= {name: TRADE["data"][name] for name in names}
    assert parse({"data": data, "stream": TRADE["stream"]}) == parse(TRADE)


def test_a_field_of_two_megabytes_does_not_matter() -> None:
    assert parse(trade(note="x" * 2_000_000)) == parse(TRADE)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"result": None, "id": 1}, Reply(1, None)),
        ({"result": ["btcusdt@trade"], "id": 3}, Reply(3, None, ["btcusdt@trade"])),
        ({"result": True, "id": 2}, Reply(2, None, True)),
        ({"result": None, "id": "5"}, Reply(5, None)),
        ({"result": None, "id": "٥"}, Reply(None, None)),
        (
            {"code": 2, "msg": "Invalid request: invalid stream", "id": 7},
            Reply(7, "Invalid request: invalid stream (code 2)"),
        ),
        ({"code": 3, "msg": "Invalid JSON"}, Reply(None, "Invalid JSON (code 3)")),
        (
            {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 7},
            Reply(7, "Invalid request: invalid stream (code 2)"),
        ),
        ({"error": {"code": 2, "msg": "no id"}, "id": None}, Reply(None, "no id (code 2)")),
        ({"error": "just words", "id": 4}, Reply(4, "just words (code None)")),
        ({"result": None, "id": "seven"}, Reply(None, None)),
        ({"result": None, "id": True}, Reply(None, None)),
        ({"e": "serverShutdown", "E": 1_770_123_456_789}, ServerShutdown()),
        (
            {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1_770_123_456_789}},
            ServerShutdown(),
        ),
        (
            {"stream": "btcusdt@aggTrade", "data": {"e": "aggTrade", "a": 1}},
            OtherEvent("aggTrade", "btcusdt@aggTrade"),
        ),
        ({"e": "kline", "k": {}}, OtherEvent("kline")),
    ],
)
def test_what_is_no_trade(frame: object, expected: Frame) -> None:
    assert parse(frame) == expected


def test_long_words_of_the_exchange_are_cut() -> None:
    reply = parse({"error": {"code": 1, "msg": "x" * 100_000}, "id": 1})
    assert isinstance(reply, Reply)
    assert len(reply.error or "") < 1000
    event = parse({"e": "y" * 100_000})
    assert isinstance(event, OtherEvent)
    assert len(event.name) < 1000


MALFORMED: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "empty": (b"", "not JSON"),
    "text": (b"hello", "not JSON"),
    "cut": (json.dumps(TRADE).encode()[:70], "not JSON"),
    "trailing": (json.dumps(TRADE).encode() + b"x", "not JSON"),
    "not UTF-8": (b'{"e":"\xff\xfe"}', "not JSON"),
    "binary": (b"\x00\xff\x00\xff", "not JSON"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
    "huge number": (b'{"id":' + b"9" * 5000 + b"}", "not JSON"),
    "null": (b"null", "not an object"),
    "array": (b"[1,2]", "not an object"),
    "number": (b"42", "not an object"),
    "string": (b'"trade"', "not an object"),
    "empty object": (b"{}", "unknown message"),
    "odd object": ({"id": 1}, "unknown message"),
    "no data": ({"stream": "btcusdt@trade"}, "event without a name"),
    "data null": ({"stream": "btcusdt@trade", "data": None}, "event without a name"),
    "data array": ({"stream": "!miniTicker@arr", "data": [{"e": "24hrMiniTicker"}]}, "event without a name"),
    "name number": ({"e": 5}, "event without a name"),
    "no fields": ({"stream": "x", "data": {"e": "trade"}}, "malformed trade"),
    "price null": (trade(p=None), "malformed trade"),
    "price words": (trade(p="1,5"), "malformed trade"),
    "price empty": (trade(p=""), "malformed trade"),
    "id text": (trade(t="12"), "malformed trade"),
    "id fraction": (trade(t=1.5), "malformed trade"),
    "side number": (trade(m=1), "malformed trade"),
    "symbol null": (trade(s=None), "malformed trade"),
    "time text": (trade(T="now"), "malformed trade"),
    "id negative": (trade(t=-1), "implausible trade"),
    "id beyond reason": (trade(t=2**62), "implausible trade"),
}


INVALID = {
    "price NaN": trade(p="NaN"),
    "price sNaN": trade(p="sNaN"),
    "price infinite": trade(p="Infinity"),
    "price negative": trade(p="-1.00000000"),
    "price zero": trade(p="0.00000000"),
    "price beyond reason": trade(p="1e999999"),
    "price beneath reason": trade(p="1e-999999"),
    "size zero": trade(q="0"),
    "size NaN": trade(q="NaN"),
}


@pytest.mark.parametrize("name", INVALID)
def test_a_trade_with_impossible_values_keeps_its_id(name: str) -> None:
    invalid = parse(INVALID[name])
    assert isinstance(invalid, InvalidTrade)
    assert (invalid.symbol, invalid.trade_id) == ("BTCUSDT", 3_735_683_259)
    assert invalid.problem == "implausible trade"
    assert invalid.detail.isprintable()


@pytest.mark.parametrize(
    ("time", "hint"),
    [(1_723_161_255_342_000, True), (1_723_161_255, False), (-1, False), (0, False), (2**62, False)],
)
def test_a_time_in_another_unit_is_no_tick_of_the_year_57000(time: int, hint: bool) -> None:
    invalid = parse(trade(T=time))
    assert isinstance(invalid, InvalidTrade)
    assert invalid.problem == "implausible time"
    assert str(time) in invalid.detail
    assert ("timeUnit" in invalid.detail) == hint


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    frame, kind = MALFORMED[name]
    with pytest.raises(MalformedMessage) as caught:
        parse(frame)
    assert caught.value.kind == kind
    assert len(caught.value.detail) < 1000
    assert caught.value.detail.isprintable()


@pytest.mark.parametrize("depth", [10, 100, 300, 500, 800, 900, 950, 990, 1000, 2000, 50_000])
@pytest.mark.parametrize(
    "shape", ['{"error":{"msg":%s},"id":1}', '{"code":%s}', '{"e":"trade","p":%s}', "%s"]
)
def test_no_depth_breaks_it(depth: int, shape: str) -> None:
    with contextlib.suppress(MalformedMessage):
        parse((shape % ("[" * depth + "]" * depth)).encode())


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        parse(raw)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["trade", "1e400"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    ["e", "s", "t", "p", "q", "T", "m", "stream", "data", "id", "error", "code", "msg", "result"]
)


@pytest.mark.long
@given(st.dictionaries(names, json_values, max_size=8), st.booleans())
def test_no_json_raises_anything_else(fields: dict[str, Any], is_wrapped: bool) -> None:
    with contextlib.suppress(MalformedMessage):
        parse({"stream": "btcusdt@trade", "data": fields} if is_wrapped else fields)


@given(st.dictionaries(st.sampled_from("estpqTm"), json_values, min_size=1))
def test_a_trade_with_wrong_fields_is_refused_or_sane(changes: dict[str, Any]) -> None:
    try:
        tick = parse(trade(**changes))
    except MalformedMessage:
        return
    if isinstance(tick, TradeTick):
        assert plausible(tick.price, tick.size)
        assert tick.id >= 0
        assert tick.ts >= 0


@given(st.data())
def test_a_valid_frame_with_flipped_bytes_raises_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(json.dumps(TRADE).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedMessage):
        parse(bytes(raw))


@given(
    price=st.decimals("0.00000001", "9999999", places=8),
    size=st.decimals("0.00000001", "9999999", places=8),
    trade_id=st.integers(0, 2**61),
    is_maker=st.booleans(),
)
def test_every_plausible_trade_passes_with_its_digits(
    price: Decimal, size: Decimal, trade_id: int, is_maker: bool
) -> None:
    tick = parse_trade(trade(p=f"{price:f}", q=f"{size:f}", t=trade_id, m=is_maker))
    assert (f"{tick.price:f}", f"{tick.size:f}") == (f"{price:f}", f"{size:f}")
    assert (tick.id, tick.side) == (trade_id, "sell" if is_maker else "buy")


def test_requests_are_the_documented_ones() -> None:
    assert encode_request("SUBSCRIBE", ["btcusdt@trade", "ethusdt@trade"], 7) == (
        b'{"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@trade"],"id":7}'
    )
    assert stream_name(StreamKey.trades("binance", "BTCUSDT")) == "btcusdt@trade"


def test_genuine_messages(shared_data: Path) -> None:
    seen: dict[str, int] = {}
    for line in (shared_data / "binance_fixtures.jsonl").read_bytes().splitlines():
        fixture = msgspec.json.decode(line)
        raw = msgspec.json.encode(fixture["frame"])
        try:
            kind = type(parse(raw)).__name__
        except MalformedMessage as error:
            kind = error.kind
            assert fixture["envelope"] != "control", "every documented control message is understood"
        seen[kind] = seen.get(kind, 0) + 1
    assert seen["TradeTick"] == 1
    assert seen["ServerShutdown"] == 2
    assert seen["Reply"] == 13
    assert seen["OtherEvent"] >= 7
    assert seen.keys() <= {
        "TradeTick",
        "ServerShutdown",
        "Reply",
        "OtherEvent",
        "event without a name",
        "not an object",
    }


def test_the_genuine_recording_arrives_digit_for_digit(shared_data: Path) -> None:
    counts = {"BTCUSDT": 0, "ETHUSDT": 0}
    decode = msgspec.json.Decoder().decode
    with gzip.open(shared_data / "spot_btc_eth_20240808_trade.jsonl.gz") as lines:
        for line in lines:
            frame = decode(line)["frame"]
            data, tick = frame["data"], parse_trade(msgspec.json.encode(frame))
            assert (tick.symbol, tick.id, tick.ts) == (data["s"], data["t"], data["T"])
            assert (f"{tick.price:f}", f"{tick.size:f}") == (data["p"], data["q"])
            assert tick.side == ("sell" if data["m"] else "buy")
            counts[tick.symbol] += 1
    assert counts == {"BTCUSDT": 9757, "ETHUSDT": 6106}
