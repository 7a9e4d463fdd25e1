"""Whatever a client of `/ws/markets` sends: a clear error or the proper close code, and life goes on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from livemarkets.errors import ClientMessageError
from livemarkets.protocol.messages import ERROR_CODES
from livemarkets.protocol.requests import parse_request
from tests.support.app import RunningApp, quiet_market, relaxed, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient


def subscribe(**changes: Any) -> str:
    """A right subscribe with something wrong about it; `...` leaves a field out."""
    message = {"type": "subscribe", "exchange": "binance", "channel": "trades", "symbol": "BTCUSDT"} | changes
    return json.dumps({name: value for name, value in message.items() if value is not ...})


JSON, MESSAGE, TYPE = "invalid_json", "invalid_message", "unknown_type"

# name, text, code
TEXTS: list[tuple[str, str, str]] = [
    ("empty text", "", JSON),
    ("blanks", " \n\t ", JSON),
    ("prose", "hello", JSON),
    ("half an object", '{"type":"ping"', JSON),
    ("two objects", '{"type":"ping"}{"type":"ping"}', JSON),
    ("single quotes", "{'type':'ping'}", JSON),
    ("trailing comma", '{"type":"ping",}', JSON),
    ("a comment", '{"type":"ping"} // hi', JSON),
    ("byte order mark", '\ufeff{"type":"ping"}', JSON),
    ("NaN", '{"type":"ping","x":NaN}', JSON),
    ("Infinity", '{"type":"ping","x":-Infinity}', JSON),
    ("raw null byte", '{"type":"pi\x00ng"}', JSON),
    ("raw control character", '{"type":"pi\x07ng"}', JSON),
    ("bad escape", '{"type":"\\x41"}', JSON),
    ("lone surrogate escaped", '{"type":"\\ud800"}', JSON),
    ("reversed surrogates escaped", '{"type":"ping","id":"\\udc00\\ud800"}', JSON),
    ("arrays 8,000 deep", "[" * 8_000 + "]" * 8_000, JSON),
    ("objects 2,000 deep", '{"a":' * 2_000 + "1" + "}" * 2_000, JSON),
    ("never closed", "[" * 16_000, JSON),
    ("XML", "<subscribe symbol='BTCUSDT'/>", JSON),
    ("an HTTP request", "GET / HTTP/1.1\r\n\r\n", JSON),
    ("a Python dict", "{'type': None}", JSON),
    ("null", "null", MESSAGE),
    ("true", "true", MESSAGE),
    ("a number", "42", MESSAGE),
    ("a huge number", "1e400", MESSAGE),
    ("a number of 4,000 digits", "1" * 4_000, MESSAGE),
    ("a string", '"ping"', MESSAGE),
    ("an array of messages", '[{"type":"ping"}]', MESSAGE),
    ("no type", "{}", MESSAGE),
    ("type null", '{"type":null}', MESSAGE),
    ("type a number", '{"type":1}', MESSAGE),
    ("type a list", '{"type":["ping"]}', MESSAGE),
    ("type an object", '{"type":{"ping":1}}', MESSAGE),
    ("unknown type", '{"type":"dance"}', TYPE),
    ("empty type", '{"type":""}', TYPE),
    ("a type of ours", '{"type":"trade","symbol":"BTCUSDT"}', TYPE),
    ("escaped null byte in type", '{"type":"ping\\u0000"}', TYPE),
    ("type of 10,000 characters", json.dumps({"type": "x" * 10_000}), TYPE),
    ("HTML as type", '{"type":"<script>alert(1)</script>"}', TYPE),
    ("Binance's own dialect", '{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}', MESSAGE),
    ("duplicated key, the last counts", '{"type":"ping","type":"dance"}', TYPE),
    ("id a fraction", '{"type":"ping","id":1.5}', MESSAGE),
    ("id true", '{"type":"ping","id":true}', MESSAGE),
    ("id a list", '{"type":"ping","id":[1]}', MESSAGE),
    ("id an object", '{"type":"ping","id":{"a":1}}', MESSAGE),
    ("id of 65 characters", json.dumps({"type": "ping", "id": "x" * 65}), MESSAGE),
    ("exchange missing", subscribe(exchange=...), MESSAGE),
    ("exchange null", subscribe(exchange=None), MESSAGE),
    ("exchange a number", subscribe(exchange=1), MESSAGE),
    ("unknown exchange", subscribe(exchange="nyse"), "unknown_exchange"),
    ("exchange emoji", subscribe(exchange="🏦"), "unknown_exchange"),
    ("channel missing", subscribe(channel=...), MESSAGE),
    ("channel a list", subscribe(channel=["trades"]), MESSAGE),
    ("unknown channel", subscribe(channel="candle"), "unknown_channel"),
    ("no symbol", subscribe(symbol=...), MESSAGE),
    ("symbol null", subscribe(symbol=None), MESSAGE),
    ("symbols a string", subscribe(symbol=..., symbols="BTCUSDT"), MESSAGE),
    ("symbols empty", subscribe(symbol=..., symbols=[]), MESSAGE),
    ("symbols an object", subscribe(symbol=..., symbols={"BTCUSDT": 1}), MESSAGE),
    ("snapshot negative", subscribe(snapshot=-1), MESSAGE),
    ("snapshot too long", subscribe(snapshot=10**6), MESSAGE),
    ("snapshot beyond 64 bits", subscribe(snapshot=2**64), MESSAGE),
    ("snapshot a fraction", subscribe(snapshot=1.5), MESSAGE),
    ("snapshot a string", subscribe(snapshot="10"), MESSAGE),
    ("snapshot true", subscribe(snapshot=True), MESSAGE),
    ("snapshot null", subscribe(snapshot=None), MESSAGE),
    ("unknown mode", subscribe(mode="fast"), MESSAGE),
    ("mode null", subscribe(mode=None), MESSAGE),
    ("after a number", subscribe(after=5), MESSAGE),
    ("after a list", subscribe(after=[5]), MESSAGE),
    ("after of strings", subscribe(after={"BTCUSDT": "5"}), MESSAGE),
    ("unsubscribe without symbol", subscribe(type="unsubscribe", symbol=...), MESSAGE),
    ("unsubscribe from nowhere", subscribe(type="unsubscribe", exchange="nyse"), "unknown_exchange"),
    ("16,385 bytes", json.dumps({"type": "ping", "x": "x" * 16_362}), "message_too_big"),
    ("16,385 bytes in two-byte characters", '{"type":"ping","x":"' + "é" * 8_182 + '"}', "message_too_big"),
    ("60 kB of text", "x" * 60_000, "message_too_big"),
    ("60 kB of brackets", "[" * 60_000, "message_too_big"),
]


ODD_NAMES: dict[str, object] = {
    "empty": "",
    "blanks": "   ",
    "emoji": "🚀",
    "Cyrillic": "ВТСUSDT",
    "full width": "ＢＴＣＵＳＤＴ",
    "SQL": "'; DROP TABLE trades; --",
    "HTML": "<img src=x onerror=alert(1)>",
    "a path": "../../etc/passwd\x00",
    "a stream name": "btcusdt@trade",
    "with a line break": "BTC\r\nUSDT",
    "right to left": "BTC\u202eUSDT",
    "two in one": "BTCUSDT,ETHUSDT",
    "65 letters": "B" * 65,
    "10,000 letters": "B" * 10_000,
    "a number": 1,
    "null": None,
    "a list": ["BTCUSDT"],
    "deep": json.loads("[" * 200 + "]" * 200),
    "an object": {"symbol": "BTCUSDT"},
}


def frame(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


TEXT, CONT, BINARY, CLOSE = Opcode.TEXT, Opcode.CONT, Opcode.BINARY, Opcode.CLOSE

# name, bytes on the wire, close code
FRAMES: list[tuple[str, bytes, int]] = [
    ("invalid UTF-8", frame(TEXT, b"\xff\xfe"), 1007),
    ("UTF-8 cut short", frame(TEXT, b'{"type":"\xe2\x82'), 1007),
    ("a surrogate in UTF-8", frame(TEXT, b'{"type":"\xed\xa0\x80"}'), 1007),
    ("overlong UTF-8", frame(TEXT, b"\xc0\xaf"), 1007),
    ("invalid UTF-8 in fragments", frame(TEXT, b"\xe2", fin=False) + frame(CONT, b"(\xa1"), 1007),
    ("2 MB of text", frame(TEXT, b"x" * 2_000_000), 1009),
    ("a length of 2^62", b"\x81\xff" + (2**62).to_bytes(8, "big") + b"mask", 1009),
    ("66 kB in fragments", frame(TEXT, b"x" * 33_000, fin=False) + frame(CONT, b"x" * 33_000), 1009),
    ("not masked", frame(TEXT, b'{"type":"ping"}', mask=False), 1002),
    ("a reserved bit", b"\xc1\x81maskx", 1002),
    ("an unknown opcode", b"\x83\x80mask", 1002),
    ("a continuation of nothing", frame(CONT, b"x"), 1002),
    ("text within fragments", frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
    ("a ping in fragments", b"\x09\x81maskx", 1002),
    ("a ping of 126 bytes", b"\x89\xfe\x00\x7emask" + b"x" * 126, 1002),
    ("a close code that nobody may send", frame(CLOSE, (1005).to_bytes(2, "big")), 1002),
    ("a close frame of one byte", frame(CLOSE, b"x"), 1002),
    ("a close reason that is no UTF-8", frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[RunningApp]:
    async with (
        running_exchange(quiet_market()) as exchange,
        running_app(settings_for(exchange), prepare=relaxed) as app,
    ):
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(app: RunningApp) -> MarketsClient:
    """One connection for all of the table: none of it may end it."""
    return await app.connect()


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
@pytest.mark.asyncio(loop_scope="module")
async def test_an_odd_name_gets_a_verdict_and_the_connection_goes_on(
    app: RunningApp, client: MarketsClient, kind: str, name: object
) -> None:
    reply = await client.ask(kind, exchange="binance", channel="trades", symbols=[name])
    assert reply["type"] == f"{kind}d"
    (verdict,) = reply["results"]
    assert len(verdict["symbol"]) <= 65
    if kind == "subscribe" or "code" in verdict:
        assert (verdict["ok"], verdict["code"]) == (False, "unknown_symbol")
        assert 8 < len(verdict["message"]) < 300
        assert verdict["message"].isprintable()
    if kind == "subscribe":
        assert (await client.receive())["type"] == "status"
    assert await client.works()
    assert app.services.manager.counts() == (0, 0, 0)


@pytest.mark.parametrize(("text", "code"), [case[1:] for case in TEXTS], ids=[case[0] for case in TEXTS])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_bad_message_gets_a_clear_error_and_the_connection_goes_on(
    app: RunningApp, client: MarketsClient, text: str, code: str
) -> None:
    await client.socket.send(text)
    error = await client.receive()
    assert (error["type"], error["code"]) == ("error", code)
    assert 8 < len(error["message"]) < 300
    assert error["message"].isprintable()
    assert await client.works()
    assert app.services.manager.counts() == (0, 0, 0), "a bad message subscribes nothing"


@pytest.mark.parametrize(("data", "code"), [case[1:] for case in FRAMES], ids=[case[0] for case in FRAMES])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_broken_frame_closes_with_the_proper_code_and_the_next_client_is_served(
    app: RunningApp, client: MarketsClient, data: bytes, code: int
) -> None:
    broken = await app.connect()
    await broken.subscribe("BTCUSDT")
    broken.socket.transport.write(data)
    assert (await broken.closed())[0] == code
    next_client = await app.connect()
    assert await next_client.works()
    await next_client.socket.close()
    assert await client.works(), "the others notice nothing"
    await eventually(lambda: app.services.manager.counts() == (0, 0, 0))


@pytest.mark.asyncio(loop_scope="module")
async def test_a_message_in_many_fragments_is_one_message(client: MarketsClient) -> None:
    text = b'{"type":"ping","id":"fragments"}'
    pieces = [
        frame(TEXT, text[:1], fin=False),
        *(frame(CONT, text[at : at + 1], fin=False) for at in range(1, 31)),
    ]
    client.socket.transport.write(b"".join([*pieces, frame(CONT, text[31:])]))
    assert (await client.receive())["id"] == "fragments"


@pytest.mark.asyncio(loop_scope="module")
async def test_control_frames_between_fragments_are_answered(client: MarketsClient) -> None:
    client.socket.transport.write(
        frame(TEXT, b'{"type":"ping",', fin=False) + frame(Opcode.PONG, b"") + frame(CONT, b'"id":"apart"}')
    )
    assert (await client.receive())["id"] == "apart"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_torrent_of_bad_messages_is_answered_one_by_one(client: MarketsClient) -> None:
    for _, text, _ in TEXTS:
        if len(text) < 20_000:
            await client.socket.send(text)
    for _, text, code in TEXTS:
        if len(text) < 20_000:
            assert (await client.receive())["code"] == code
    assert await client.works()


def test_every_expected_code_is_one_of_the_protocol_and_the_table_is_long() -> None:
    assert {code for *_, code in TEXTS} <= ERROR_CODES.keys()
    assert len(TEXTS) + len(ODD_NAMES) + len(FRAMES) > 100


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["type", "id", "exchange", "channel", "symbol", "symbols", "snapshot", "mode", "after", "interval_ms"]
)
WORDS = st.sampled_from(
    ["subscribe", "unsubscribe", "list", "ping", "binance", "trades", "all", "latest", "BTCUSDT"]
)


@given(st.dictionaries(FIELDS, WORDS | JSON_VALUES) | JSON_VALUES)
def test_any_json_is_a_request_or_a_documented_error(value: object) -> None:
    with contextlib.suppress(ValueError):  # a NaN or a lone surrogate is no JSON
        _parse(msgspec.json.encode(value))


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_text_is_a_request_or_a_documented_error(text: str | bytes) -> None:
    _parse(text)


def _parse(text: str | bytes) -> None:
    refusals: list[ClientMessageError] = []
    try:
        parse_request(text, ("binance", "simulator"), snapshot_limit=1000)
    except ClientMessageError as error:
        refusals.append(error)
    assert all(error.code in ERROR_CODES and 0 < len(error.message) < 300 for error in refusals)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_connection_of_the_table_was_never_closed(client: MarketsClient) -> None:
    await client.socket.close()
    assert client.socket.close_code == 1000
