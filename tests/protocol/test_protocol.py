"""What clients may say on /ws/markets, what they may not, and what the server says."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.errors import ClientMessageError
from livemarkets.market.models import ExchangeState, ExchangeStatus, Gap, Skipped, StreamKey, TradeTick
from livemarkets.protocol.encoding import (
    encode_error,
    encode_gap,
    encode_heartbeat,
    encode_lagged,
    encode_list,
    encode_pong,
    encode_released,
    encode_results,
    encode_snapshots,
    encode_status,
    encode_tick,
    encode_trade,
    encode_welcome,
)
from livemarkets.protocol.messages import (
    ERROR_CODES,
    SERVER_MESSAGE_TYPES,
    ServerMessage,
    Snapshot,
    Subscribed,
    Subscription,
    SymbolResult,
    Tick,
    Trade,
    Unsubscribed,
)
from livemarkets.protocol.requests import (
    ListRequest,
    PingRequest,
    RefusedName,
    Request,
    SubscribeRequest,
    UnsubscribeRequest,
    parse_request,
)
from tests.support.ticks import BTC, ETH, make_tick

EXCHANGES = ("binance", "simulator")


def parse(message: object) -> Request:
    raw = message if isinstance(message, (str, bytes)) else json.dumps(message)
    return parse_request(raw, EXCHANGES, snapshot_limit=1000)


def subscribe(**fields: object) -> dict[str, Any]:
    """A good subscribe, changed; a field that is `...` is left out."""
    message = {"type": "subscribe", "exchange": "binance", "channel": "trades", "symbol": "BTCUSDT", **fields}
    return {name: value for name, value in message.items() if value is not ...}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in subscribe().items() if name not in names}


# what a client may say


def subscription(*symbols: str | RefusedName, **fields: Any) -> SubscribeRequest:
    defaults: dict[str, Any] = {
        "id": None,
        "exchange": "binance",
        "channel": "trades",
        "snapshot": 1,
        "after": {},
        "interval_ms": None,
        "order": "id",
    }
    return SubscribeRequest(symbols=symbols, **{**defaults, **fields})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (subscribe(), subscription("BTCUSDT")),
        (subscribe(exchange="simulator"), subscription("BTCUSDT", exchange="simulator")),
        (subscribe(symbol=" btcUSDT\n"), subscription("BTCUSDT")),
        (subscribe(symbol=..., symbols=["BTCUSDT", "ethusdt"]), subscription("BTCUSDT", "ETHUSDT")),
        (subscribe(symbols=["ETHUSDT", "btcusdt"]), subscription("BTCUSDT", "ETHUSDT")),
        (subscribe(symbol=None, symbols=["ETHUSDT"]), subscription("ETHUSDT")),
        (subscribe(symbol="BTC/USDT"), subscription("BTC/USDT")),
        (subscribe(symbol="../../etc"), subscription("../../ETC")),  # gets its verdict with the result
        (subscribe(snapshot=0), subscription("BTCUSDT", snapshot=0)),
        (subscribe(snapshot=1000), subscription("BTCUSDT", snapshot=1000)),
        (subscribe(mode="all"), subscription("BTCUSDT")),
        (subscribe(mode="all", interval_ms=1000), subscription("BTCUSDT")),
        (subscribe(mode="latest"), subscription("BTCUSDT", interval_ms=250)),
        (subscribe(order="id"), subscription("BTCUSDT")),
        (subscribe(order="arrival"), subscription("BTCUSDT", order="arrival")),
        (subscribe(mode="latest", interval_ms=20), subscription("BTCUSDT", interval_ms=20)),
        (subscribe(mode="latest", interval_ms=60_000), subscription("BTCUSDT", interval_ms=60_000)),
        (subscribe(id=7), subscription("BTCUSDT", id=7)),
        (subscribe(id=-1), subscription("BTCUSDT", id=-1)),
        (subscribe(id="x" * 64), subscription("BTCUSDT", id="x" * 64)),
        (subscribe(id=None), subscription("BTCUSDT")),
        (subscribe(colour="green", nested={"a": [1]}), subscription("BTCUSDT")),
        (
            subscribe(after={"btcusdt": 3_735_683_259}),
            subscription("BTCUSDT", after={"BTCUSDT": 3_735_683_259}),
        ),
        (subscribe(after={}), subscription("BTCUSDT")),
        (subscribe(channel="Book"), subscription("BTCUSDT", channel="book")),
        (subscribe(channel="depth"), subscription("BTCUSDT", channel="depth", levels=20)),
        (subscribe(channel="depth", levels=5), subscription("BTCUSDT", channel="depth", levels=5)),
        (subscribe(channel="tickers", symbol=..., symbols="*"), subscription("*", channel="tickers")),
        (subscribe(channel="tickers", symbols=["*"]), subscription("BTCUSDT", "*", channel="tickers")),
        (subscribe(channel="book", levels=None, after=None), subscription("BTCUSDT", channel="book")),
        (
            subscribe(channel="book", symbol="*"),
            subscription(
                RefusedName("*", "only the channel tickers has all symbols under one name"), channel="book"
            ),
        ),
        (subscribe(type="unsubscribe"), UnsubscribeRequest(None, "binance", "trades", ("BTCUSDT",))),
        (subscribe(type="unsubscribe", id="a"), UnsubscribeRequest("a", "binance", "trades", ("BTCUSDT",))),
        (subscribe(type="Subscribe", exchange="BINANCE", channel="Trades"), subscription("BTCUSDT")),
        (
            subscribe(mode="LATEST", order="Arrival"),
            subscription("BTCUSDT", interval_ms=250, order="arrival"),
        ),
        (
            subscribe(type="UNSUBSCRIBE", exchange="Binance"),
            UnsubscribeRequest(None, "binance", "trades", ("BTCUSDT",)),
        ),
        ({"type": "PING", "id": 9}, PingRequest(9)),
        ({"type": "List"}, ListRequest(None)),
        ({"type": "list"}, ListRequest(None)),
        ({"type": "list", "id": 8, "exchange": 5}, ListRequest(8)),
        ({"type": "ping", "id": 9}, PingRequest(9)),
        (b' \n{"type":"ping"}\n', PingRequest(None)),
    ],
)
def test_what_a_client_may_say(message: object, expected: Request) -> None:
    assert parse(message) == expected


EMPTY = RefusedName("", "a symbol must not be empty")
TOO_LONG = RefusedName("A" * 64 + "…", "a symbol must have at most 64 characters")


def no_text(shown: str) -> RefusedName:
    return RefusedName(shown, "a symbol must be a string")


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("", EMPTY),
        ("  \n", EMPTY),
        ("A" * 65, TOO_LONG),
        ("a" * 10_000, TOO_LONG),
        (5, no_text("5")),
        (None, no_text("null")),
        (True, no_text("true")),
        (1.5, no_text("1.5")),
        ([["BTCUSDT"]], no_text("[…]")),
        ({"symbol": "BTCUSDT"}, no_text("{…}")),
        (123456, no_text("123456")),
        ("A" * 64, "A" * 64),
        # Whether the exchange lists these is not for the protocol to say.
        ("/-/", "/-/"),
        ("🚀🚀", "🚀🚀"),
        ("BTC, ETH", "BTC, ETH"),
        ("btcusdt@trade", "BTCUSDT@TRADE"),
        ("BTC\u202eUSDT", "BTC\u202eUSDT"),
        ("BTC\x00USDT", "BTC\x00USDT"),
        ("'; DROP TABLE trades; --", "'; DROP TABLE TRADES; --"),
        # Any script, case mapped for a to z alone.
        ("币安人生usdt", "币安人生USDT"),
        ("１２３４５６", "１２３４５６"),
        ("ßusdt", "ßUSDT"),
    ],
)
@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_an_odd_name_costs_the_others_of_its_message_nothing(
    kind: str, entry: object, name: str | RefusedName
) -> None:
    request = parse(subscribe(type=kind, symbol=..., symbols=["ETHUSDT", entry, "BTCUSDT"]))
    assert isinstance(request, (SubscribeRequest, UnsubscribeRequest))
    assert request.symbols == ("ETHUSDT", name, "BTCUSDT")


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (5, no_text("5")),
        (False, no_text("false")),
        ({"symbol": "BTCUSDT"}, no_text("{…}")),
        (["ETHUSDT"], no_text("[…]")),
    ],
)
def test_an_odd_single_name_costs_the_list_beside_it_nothing(
    kind: str, entry: object, name: RefusedName
) -> None:
    request = parse(subscribe(type=kind, symbol=entry, symbols=["BTCUSDT"]))
    assert isinstance(request, (SubscribeRequest, UnsubscribeRequest))
    assert request.symbols == (name, "BTCUSDT")
    alone = parse(subscribe(type=kind, symbol=entry))
    assert isinstance(alone, (SubscribeRequest, UnsubscribeRequest))
    assert alone.symbols == (name,)


def test_a_number_is_not_mistaken_for_the_name_that_looks_like_it() -> None:
    request = parse(subscribe(symbol=..., symbols=["123456", 123456, "１２３４５６"]))
    assert isinstance(request, SubscribeRequest)
    assert request.symbols == ("123456", no_text("123456"), "１２３４５６")


def test_what_after_says_of_a_refused_name_costs_the_others_nothing() -> None:
    request = parse(subscribe(symbols=["A" * 65], after={"a" * 65: 7, "btcusdt": 5}))
    assert isinstance(request, SubscribeRequest)
    assert request.symbols == ("BTCUSDT", TOO_LONG)
    assert request.after["BTCUSDT"] == 5


# what it may not

REFUSED: list[tuple[str, object, str]] = [
    # not JSON
    ("empty", "", "invalid_json"),
    ("blank", "   ", "invalid_json"),
    ("words", "hello", "invalid_json"),
    ("cut", '{"type":"ping"', "invalid_json"),
    ("two messages", '{"type":"ping"}{"type":"ping"}', "invalid_json"),
    ("trailing words", '{"type":"ping"} please', "invalid_json"),
    ("single quotes", "{'type':'ping'}", "invalid_json"),
    ("trailing comma", '{"type":"ping",}', "invalid_json"),
    ("comment", '{"type":"ping"} // hello', "invalid_json"),
    ("NaN", '{"type":"ping","id":NaN}', "invalid_json"),
    ("Infinity", '{"type":"ping","id":Infinity}', "invalid_json"),
    ("minus Infinity", '{"type":"ping","id":-Infinity}', "invalid_json"),
    ("leading zero", '{"type":"ping","id":007}', "invalid_json"),
    ("hexadecimal", '{"type":"ping","id":0x7}', "invalid_json"),
    ("raw newline in a string", '{"type":"pi\nng"}', "invalid_json"),
    ("not UTF-8", b'{"type":"\xff\xfe"}', "invalid_json"),
    ("lone surrogate in UTF-8", b'{"type":"\xed\xa0\x80"}', "invalid_json"),
    ("binary", bytes(range(256)), "invalid_json"),
    ("zero bytes", b"\x00" * 100, "invalid_json"),
    ("UTF-16", '{"type":"ping"}'.encode("utf-16"), "invalid_json"),
    ("byte order mark", b'\xef\xbb\xbf{"type":"ping"}', "invalid_json"),
    ("XML", "<subscribe/>", "invalid_json"),
    ("deep arrays", "[" * 100_000, "invalid_json"),
    ("deep closed arrays", "[" * 100_000 + "]" * 100_000, "invalid_json"),
    ("deep objects", '{"a":' * 50_000, "invalid_json"),
    ("1 MB of text", "x" * 2**20, "invalid_json"),
    # JSON, but no message
    ("null", "null", "invalid_message"),
    ("true", "true", "invalid_message"),
    ("number", "42", "invalid_message"),
    ("string", '"subscribe"', "invalid_message"),
    ("array", [], "invalid_message"),
    ("array of messages", [{"type": "ping"}], "invalid_message"),
    ("empty object", {}, "invalid_message"),
    ("type null", {"type": None}, "invalid_message"),
    ("type number", {"type": 1}, "invalid_message"),
    ("type array", {"type": ["ping"]}, "invalid_message"),
    ("type object", {"type": {"ping": 1}}, "invalid_message"),
    ("id fraction", {"type": "ping", "id": 1.5}, "invalid_message"),
    ("id true", {"type": "ping", "id": True}, "invalid_message"),
    ("id array", {"type": "ping", "id": [1]}, "invalid_message"),
    ("id object", {"type": "ping", "id": {}}, "invalid_message"),
    ("id too long", {"type": "ping", "id": "x" * 65}, "invalid_message"),
    ("id huge", '{"type":"ping","id":' + "9" * 5000 + "}", "invalid_message"),
    ("id 1e400", '{"type":"ping","id":1e400}', "invalid_message"),
    # types
    ("type unknown", {"type": "subscribe!"}, "unknown_type"),
    ("type of the server", {"type": "trade"}, "unknown_type"),
    ("type empty", {"type": ""}, "unknown_type"),
    ("type very long", {"type": "x" * 10_000}, "unknown_type"),
    ("type emoji", {"type": "🚀"}, "unknown_type"),
    # fields of subscribe
    ("no exchange", without("exchange"), "invalid_message"),
    ("exchange null", subscribe(exchange=None), "invalid_message"),
    ("exchange number", subscribe(exchange=1), "invalid_message"),
    ("exchange unknown", subscribe(exchange="kraken"), "unknown_exchange"),
    ("exchange empty", subscribe(exchange=""), "unknown_exchange"),
    ("no channel", without("channel"), "invalid_message"),
    ("levels elsewhere", subscribe(levels=5), "invalid_message"),
    ("levels odd", subscribe(channel="depth", levels=6), "invalid_message"),
    ("after elsewhere", subscribe(channel="book", after={"BTCUSDT": 1}), "invalid_message"),
    ("order elsewhere", subscribe(channel="depth", order="id"), "invalid_message"),
    ("channel unknown", subscribe(channel="candle"), "unknown_channel"),
    ("channel null", subscribe(channel=None), "invalid_message"),
    ("channel empty", subscribe(channel=""), "unknown_channel"),
    ("no symbol", without("symbol"), "invalid_message"),
    ("symbols text", subscribe(symbols="BTCUSDT"), "invalid_message"),
    ("symbols empty", subscribe(symbol=..., symbols=[]), "invalid_message"),
    ("snapshot negative", subscribe(snapshot=-1), "invalid_message"),
    ("snapshot too much", subscribe(snapshot=1001), "invalid_message"),
    ("snapshot huge", subscribe(snapshot=2**63), "invalid_message"),
    (
        "snapshot beyond reason",
        json.dumps(subscribe())[:-1] + ',"snapshot":' + "9" * 4000 + "}",
        "invalid_message",
    ),
    ("after beyond reason", subscribe(after={"BTCUSDT": -(10**4000)}), "invalid_message"),
    ("snapshot text", subscribe(snapshot="1"), "invalid_message"),
    ("snapshot fraction", subscribe(snapshot=1.5), "invalid_message"),
    ("snapshot true", subscribe(snapshot=True), "invalid_message"),
    ("snapshot null", subscribe(snapshot=None), "invalid_message"),
    ("mode unknown", subscribe(mode="sometimes"), "invalid_message"),
    ("mode number", subscribe(mode=1), "invalid_message"),
    ("mode null", subscribe(mode=None), "invalid_message"),
    ("order unknown", subscribe(order="time"), "invalid_message"),
    ("order null", subscribe(order=None), "invalid_message"),
    ("order a number", subscribe(order=1), "invalid_message"),
    ("interval too short", subscribe(mode="latest", interval_ms=19), "invalid_message"),
    ("interval too long", subscribe(mode="latest", interval_ms=60_001), "invalid_message"),
    ("interval negative", subscribe(mode="latest", interval_ms=-250), "invalid_message"),
    ("interval beyond reason", subscribe(mode="latest", interval_ms=10**4000), "invalid_message"),
    ("interval text", subscribe(mode="latest", interval_ms="250"), "invalid_message"),
    ("interval null", subscribe(mode="latest", interval_ms=None), "invalid_message"),
    ("after number", subscribe(after=5), "invalid_message"),
    ("after array", subscribe(after=[5]), "invalid_message"),
    ("after text id", subscribe(after={"BTCUSDT": "5"}), "invalid_message"),
    ("after fraction", subscribe(after={"BTCUSDT": 5.5}), "invalid_message"),
    ("after negative", subscribe(after={"BTCUSDT": -1}), "invalid_message"),
    ("after another symbol", subscribe(after={"ETHUSDT": 5}), "invalid_message"),
]


@pytest.mark.parametrize(
    ("message", "code"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_a_client_may_not_say(message: object, code: str) -> None:
    with pytest.raises(ClientMessageError) as caught:
        parse(message)
    assert caught.value.code == code
    assert caught.value.message
    assert len(caught.value.message) < 500
    assert caught.value.message.isascii()
    assert not LIBRARY_WORDS.search(caught.value.message)
    answer = json.loads(encode_error(caught.value))
    assert answer == {"type": "error", "code": code, "message": caught.value.message}


LIBRARY_WORDS = re.compile(
    r"`|\$|\bExpected\b|\bgot\b|\| null|\bint\b|\bstr\b|\bbool\b|\barray\b|object keys|truncated"
    r"|codec|can't decode|recursion|deserializ|trailing|Traceback|msgspec|Struct|NoneType|Errno",
    re.IGNORECASE,
)
"""What libraries and Python write about a wrong value."""


def test_the_table_names_each_case_once() -> None:
    assert len({name for name, _, _ in REFUSED}) == len(REFUSED) >= 60
    assert {code for _, _, code in REFUSED} <= ERROR_CODES.keys()


@pytest.mark.parametrize("request_id", [7, "seven", "x" * 64, 0, ""])
@pytest.mark.parametrize("message", [{"type": "nonsense"}, without("symbol"), subscribe(snapshot=-1)])
def test_an_error_echoes_the_id(message: dict[str, Any], request_id: int | str) -> None:
    with pytest.raises(ClientMessageError) as caught:
        parse({**message, "id": request_id})
    assert json.loads(encode_error(caught.value))["id"] == request_id


def refusal(message: object) -> str | None:
    """The text of the error that a message gets; `None` if it is right."""
    try:
        parse(message)
    except ClientMessageError as error:
        return error.message
    return None


def only_client_errors(raw: str | bytes) -> None:
    """Whatever else is raised fails the test; what is raised can be answered."""
    failure: ClientMessageError | None = None
    try:
        parse(raw)
    except ClientMessageError as error:
        failure = error
    if failure is not None:
        assert failure.code in ERROR_CODES
        assert json.loads(encode_error(failure))["message"] == failure.message


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    only_client_errors(text)


@given(st.text(st.characters(), max_size=40))
def test_no_surrogate_raises_anything_else(text: str) -> None:
    only_client_errors('{"type":"' + text + '"}')
    only_client_errors('{"type":"\ud800' + text + '"}')


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    only_client_errors(raw)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


fields = [
    "type",
    "exchange",
    "channel",
    "symbol",
    "symbols",
    "snapshot",
    "mode",
    "interval_ms",
    "order",
    "after",
]
fields += ["quality", "id"]


@given(
    st.sampled_from(fields),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.booleans())
    | st.just({"a": []}),
)
def test_a_value_of_a_wrong_type_is_told_so(field: str, value: object) -> None:
    told = refusal(subscribe(**{field: value}))
    assert told is None or told.startswith((f"{field} must ", "symbol or symbols is missing"))
    assert told is None or not LIBRARY_WORDS.search(told)


@given(json_values)
def test_no_json_raises_anything_else(value: object) -> None:
    only_client_errors(json.dumps(value))


@given(
    st.dictionaries(
        st.sampled_from(fields),
        json_values,
    )
)
def test_no_field_raises_anything_else(fields: dict[str, Any]) -> None:
    only_client_errors(json.dumps(subscribe(**fields)))


# what the server says

prices = st.decimals("0.00000001", "99999999", places=8)


@given(price=prices, size=prices, trade_id=st.integers(0, 2**53), backfilled=st.booleans())
def test_a_trade_keeps_every_digit(price: Decimal, size: Decimal, trade_id: int, backfilled: bool) -> None:
    tick = TradeTick(
        "binance", "BTCUSDT", price, size, "buy", 1_723_161_255_342, trade_id, 1_723_161_255_350, backfilled
    )
    encoded = encode_trade(tick)
    assert f'"price":{price:f},"size":{size:f},'.encode() in encoded
    decoded = json.loads(encoded, parse_float=Decimal)
    expected = {
        "type": "trade",
        "exchange": "binance",
        "symbol": "BTCUSDT",
        "price": price,
        "size": size,
        "side": "buy",
        "ts": 1_723_161_255_342,
        "id": trade_id,
        "recv_ts": 1_723_161_255_350,
    }
    assert decoded == ({**expected, "backfilled": True} if backfilled else expected)
    assert list(decoded)[:8] == list(expected)[:8]


@pytest.mark.parametrize(
    "digits",
    [
        "0.00000001",
        "0.00000010",
        "0.00000100",
        "0.00100000",
        "61837.63000000",
        "100000000.00000000",
        "1000",
        "1E+5",
    ],
)
@pytest.mark.parametrize("exchange", ["e", "binance", "simulator", "an-exchange-of-a-long-name"])
def test_a_price_is_a_plain_json_number(digits: str, exchange: str) -> None:
    tick = make_tick(1, exchange=exchange, symbol="ETHBTC", price=digits, size=digits)
    plain = f"{Decimal(digits):f}"
    assert f'"price":{plain},"size":{plain},"side"'.encode() in encode_tick(tick)


def test_the_documented_trade() -> None:
    tick = TradeTick(
        "binance",
        "BTCUSDT",
        Decimal("61837.63000000"),
        Decimal("0.02000000"),
        "sell",
        1_723_161_255_342,
        3_735_683_259,
        1_723_161_255_350,
    )
    assert encode_trade(tick) == (
        b'{"type":"trade","exchange":"binance","symbol":"BTCUSDT","price":61837.63000000,"size":0.02000000,'
        b'"side":"sell","ts":1723161255342,"id":3735683259,"recv_ts":1723161255350}'
    )


@pytest.mark.parametrize(
    ("count", "lengths"), [(0, [0]), (1, [1]), (500, [500]), (501, [500, 1]), (1200, [500, 500, 200])]
)
def test_a_long_snapshot_comes_in_parts(count: int, lengths: list[int]) -> None:
    ticks = [make_tick(number) for number in range(count)]
    messages = [json.loads(part, parse_float=Decimal) for part in encode_snapshots(BTC, ticks)]
    assert [len(message["data"]) for message in messages] == lengths
    assert [tick["id"] for message in messages for tick in message["data"]] == list(range(count))
    for message in messages:
        del message["data"]
        assert message == {
            "type": "snapshot",
            "exchange": "binance",
            "channel": "trades",
            "symbol": "BTCUSDT",
        }


def test_a_tick_in_a_snapshot_is_that_of_the_trade() -> None:
    tick = make_tick(1, price="0.00000010")
    (part,) = encode_snapshots(BTC, [tick])
    assert part.endswith(b'"data":[' + encode_tick(tick) + b"]}")


def test_what_is_resumed_comes_as_snapshots_with_gaps_between_them() -> None:
    parts: list[TradeTick | Gap] = [make_tick(1), make_tick(2), Gap(BTC, 3, 5, "venue"), make_tick(6)]
    messages = [json.loads(part) for part in encode_released(BTC, parts)]
    assert [message["type"] for message in messages] == ["snapshot", "gap", "snapshot"]
    assert [tick["id"] for tick in messages[0]["data"]] == [1, 2]
    assert (messages[1]["from_id"], messages[1]["to_id"]) == (3, 5)


STATUS = ExchangeStatus(exchange="binance", state=ExchangeState.DOWN, reason="timeout", ts=5, retry_ts=9)
SUBSCRIBE = subscription("BTCUSDT", "NOPE", id=7)
VERDICTS = [
    SymbolResult("BTCUSDT", ok=True),
    SymbolResult("NOPE", ok=False, code="unknown_symbol", message="…", did_you_mean=("NEO",)),
]
RESULTS = [
    {"symbol": "BTCUSDT", "ok": True},
    {"symbol": "NOPE", "ok": False, "code": "unknown_symbol", "message": "…", "did_you_mean": ["NEO"]},
]


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (
            encode_welcome("c1", "livemarkets/0.1.0", 5, {"binance": "live"}, ["trades"], {"symbols": 200}),
            {
                "type": "welcome",
                "protocol": 1,
                "client_id": "c1",
                "server": "livemarkets/0.1.0",
                "heartbeat_seconds": 5,
                "exchanges": {"binance": "live"},
                "channels": ["trades"],
                "limits": {"symbols": 200},
            },
        ),
        (
            encode_results(
                Subscribed, SUBSCRIBE, VERDICTS, [BTC, StreamKey("simulator", "trades", "ETHUSDT")]
            ),
            {
                "type": "subscribed",
                "id": 7,
                "exchange": "binance",
                "channel": "trades",
                "results": RESULTS,
                "subscriptions": ["BTCUSDT"],
            },
        ),
        (
            encode_results(
                Unsubscribed, UnsubscribeRequest(None, "binance", "trades", ("BTCUSDT",)), VERDICTS[:1], []
            ),
            {
                "type": "unsubscribed",
                "exchange": "binance",
                "channel": "trades",
                "results": RESULTS[:1],
                "subscriptions": [],
            },
        ),
        (
            encode_gap(Gap(BTC, 11, 42, "upstream")),
            {
                "type": "gap",
                "exchange": "binance",
                "channel": "trades",
                "symbol": "BTCUSDT",
                "from_id": 11,
                "to_id": 42,
                "cause": "upstream",
                "complete_to": 42,
            },
        ),
        (
            encode_gap(Gap(BTC, 11, 42, "pending"), 10),
            {
                "type": "gap",
                "exchange": "binance",
                "channel": "trades",
                "symbol": "BTCUSDT",
                "from_id": 11,
                "to_id": 42,
                "cause": "pending",
                "complete_to": 10,
            },
        ),
        (
            encode_lagged(BTC, Skipped(11, 47, 37)),
            {
                "type": "lagged",
                "exchange": "binance",
                "channel": "trades",
                "symbol": "BTCUSDT",
                "skipped": 37,
                "from_id": 11,
                "to_id": 47,
                "mode": "latest",
            },
        ),
        (
            encode_status(STATUS),
            {"type": "status", "exchange": "binance", "state": "down", "reason": "timeout", "ts": 5},
        ),
        (
            encode_list(
                8,
                [
                    Subscription(*BTC[:3], "all", "id", 42, 42),
                    Subscription(*ETH[:3], "latest", "arrival", None, None),
                ],
            ),
            {
                "type": "subscriptions",
                "id": 8,
                "subscriptions": [
                    {
                        "exchange": "binance",
                        "channel": "trades",
                        "symbol": "BTCUSDT",
                        "mode": "all",
                        "order": "id",
                        "last_id": 42,
                        "complete_to": 42,
                    },
                    {
                        "exchange": "binance",
                        "channel": "trades",
                        "symbol": "ETHUSDT",
                        "mode": "latest",
                        "order": "arrival",
                        "last_id": None,
                        "complete_to": None,
                    },
                ],
            },
        ),
        (encode_pong(9, 5), {"type": "pong", "id": 9, "ts": 5}),
        (encode_pong("", 5), {"type": "pong", "id": "", "ts": 5}),
        (encode_pong(None, 5), {"type": "pong", "ts": 5}),
        (encode_heartbeat(5), {"type": "heartbeat", "ts": 5}),
        (
            encode_error(ClientMessageError("invalid_json", "no", 7)),
            {"type": "error", "id": 7, "code": "invalid_json", "message": "no"},
        ),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)
def test_what_the_server_says(encoded: bytes, expected: dict[str, Any]) -> None:
    assert json.loads(encoded) == expected
    assert list(json.loads(encoded)) == list(expected), "the order of the manual"
    assert expected["type"] in SERVER_MESSAGE_TYPES


DECODER = msgspec.json.Decoder(ServerMessage)


@pytest.mark.parametrize("backfilled", [False, True])
@pytest.mark.parametrize("price", ["61837.63000000", "0.00000001", "1E+3"])
def test_what_is_put_together_by_hand_equals_its_type(price: str, backfilled: bool) -> None:
    """The hot path encodes trades and snapshots without their types."""
    tick = make_tick(5, price=price, backfilled=backfilled)
    fields = {name: getattr(tick, name) for name in TradeTick.__struct_fields__}
    if not backfilled:
        del fields["backfilled"]
    assert DECODER.decode(encode_trade(tick)) == Trade(**fields)
    (snapshot,) = encode_snapshots(BTC, [tick, tick])
    assert DECODER.decode(snapshot) == Snapshot("binance", "trades", "BTCUSDT", [Tick(**fields)] * 2)
    typed = msgspec.json.Encoder(decimal_format="number").encode(Trade(**fields))
    assert list(json.loads(encode_trade(tick))) == list(json.loads(typed))


@given(st.integers(-(2**63), 2**63 - 1) | st.text(max_size=64))
def test_every_id_is_echoed_as_it_came(request_id: int | str) -> None:
    request = parse(msgspec.json.encode({"type": "ping", "id": request_id}))
    assert json.loads(encode_pong(request.id, 1))["id"] == request_id


def test_nothing_a_client_says_breaks_out_of_a_message() -> None:
    encoders: list[Callable[[str], bytes]] = [
        lambda text: encode_error(ClientMessageError("invalid_message", text, text)),
        lambda text: encode_pong(text, 1),
        lambda text: encode_results(Subscribed, SUBSCRIBE, [SymbolResult(text, ok=False)], []),
    ]
    for encode in encoders:
        assert b'\\"}' in encode('"}')
        json.loads(encode('"},{"type":"trade"\n\x00'))
