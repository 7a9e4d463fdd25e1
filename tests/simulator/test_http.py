"""Addresses, ids and HTTP as real clients use them: each case is what one of them sends."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from livemarkets.simulator import Simulator, SimulatorError
from livemarkets.simulator.protocol.time_unit import in_microseconds, in_milliseconds
from livemarkets.simulator.server.certificate import Certificate
from livemarkets.simulator.server.http_requests import Wanted, wanted_by
from tests.simulator.conftest import Client, Started
from tests.support.helpers import WITHOUT_TLS, eventually

Dial = Callable[..., Awaitable[Client]]
Rest = Callable[..., Awaitable[httpx.Response]]
TIME = b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\n"


class Raw:
    """A plain TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, simulator: Simulator) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", simulator.port, limit=2**20))

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def head(self) -> bytes:
        async with asyncio.timeout(5):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of the next answer."""
        head = await self.head()
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        async with asyncio.timeout(5):
            return int(head.split()[1]), await self._reader.readexactly(size)

    async def ended(self) -> bool:
        async with asyncio.timeout(5):
            return await self._reader.read() == b""

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/ws/0", Wanted([])),
        ("/ws/nope/btcusdt@trade", Wanted(["btcusdt@trade"])),
        ("/ws/btcusdt@kline_1m@+08:00", Wanted(["btcusdt@kline_1m@+08:00"])),
        ("/stream?streams=btcusdt@kline_1m@+08:00", Wanted(["btcusdt@kline_1m@+08:00"], combined=True)),
        ("/stream?streams=btcusdt@kline_1m@%2B08:00", Wanted(["btcusdt@kline_1m@+08:00"], combined=True)),
        ("/ws?timeUnit=microsecond", Wanted([], time_unit="microsecond")),
        ("/ws/%E5%B8%81usdt%40trade", Wanted(["币usdt@trade"])),
        ("/stream/", Wanted([], combined=True)),
        ("/stream/btcusdt@trade", None),
        ("/", None),
    ],
)
def test_addresses(target: str, wanted: Wanted | None) -> None:
    assert wanted_by(target) == wanted


async def test_a_numbered_connection_is_like_any_other(start: Started, dial: Dial) -> None:
    client = await dial(await start(), "/ws/0")
    request_id = "b7915e2e-b9c1-4910-a1fd-ca93d9a230c7"
    reply = await client.ask("SUBSCRIBE", ["btcusdt@trade"], request_id)
    assert reply == {"result": None, "id": request_id}
    assert await client.trades(3)


@pytest.mark.parametrize(
    "stream", ["btcusdt@blockTrade", "btcusdt@referencePrice", "!ticker@arr", "!bookTicker"]
)
async def test_a_stream_that_is_not_served_is_refused_wherever_it_is_named(
    start: Started, dial: Dial, stream: str
) -> None:
    simulator = await start()
    for path in ("/ws/", "/stream?streams="):
        with pytest.raises(InvalidStatus) as caught:
            await dial(simulator, path + stream)
        assert caught.value.response.status_code == 400
        assert stream in caught.value.response.body.decode()
    client = await dial(simulator)
    reply = await client.ask("SUBSCRIBE", ["btcusdt@trade", stream], 7)
    said = f"Invalid request: this exchange does not serve the stream {stream}"
    assert reply == {"code": 2, "msg": said, "id": 7}
    assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == []


async def test_the_websocket_api_is_refused_with_an_error_that_says_so(start: Started, dial: Dial) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await dial(await start(), "/ws-api/v3")
    assert caught.value.response.status_code == 404
    assert msgspec.json.decode(caught.value.response.body) == {
        "code": -1020,
        "msg": "This operation is not supported.",
    }


async def test_a_combined_address_may_name_as_many_streams_as_are_allowed(start: Started, dial: Dial) -> None:
    names = [f"a{number:04}{'x' * 40}@trade" for number in range(1023)]
    client = await dial(await start(), "/stream?streams=" + "/".join([*names, "btcusdt@trade"]))
    assert await client.trades(1)
    assert len((await client.ask("LIST_SUBSCRIPTIONS"))["result"]) == 1024


async def test_times_come_in_the_unit_that_was_asked_for(start: Started, dial: Dial) -> None:
    simulator = await start()
    path = "/stream?streams=btcusdt@trade"
    slow, fast = await dial(simulator, path), await dial(simulator, path + "&timeUnit=MICROSECOND")
    (first,) = await fast.trades(1)
    (other,) = await slow.trades(1)
    assert len(str(first["T"])) == len(str(first["E"])) == 16
    assert len(str(other["T"])) == 13
    assert first["t"] < 10**12, "an id is no time"
    with pytest.raises(InvalidStatus) as caught:
        await dial(simulator, path + "&timeUnit=SECOND")
    assert msgspec.json.decode(caught.value.response.body)["code"] == -1194


def test_the_end_of_a_kline_is_its_last_microsecond() -> None:
    event = b'{"e":"kline","E":1672515782136,"k":{"t":1672515780000,"T":1672515839999,"n":100}}'
    assert in_microseconds(event) == (
        b'{"e":"kline","E":1672515782136000,"k":{"t":1672515780000000,"T":1672515839999999,"n":100}}'
    )
    row = b'[[1499040000000,"0.1","0.8",1499644799999,"2434.1",308]]'
    assert in_microseconds(row) == b'[[1499040000000000,"0.1","0.8",1499644799999999,"2434.1",308]]'
    assert in_milliseconds(1_672_515_782_136) == in_milliseconds(1_672_515_782_136_000)
    assert in_milliseconds(1_672_515_782_136_001, rounds_up=True) == 1_672_515_782_137


async def test_rest_speaks_microseconds_too(start: Started) -> None:
    simulator = await start()
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False, base_url=simulator.rest_url) as client:

        async def get(path: str, unit: str, **parameters: Any) -> Any:
            headers = {"X-MBX-TIME-UNIT": unit}
            return (await client.get(f"/api/v3/{path}", params=parameters, headers=headers)).json()

        assert len(str((await get("time", "MICROSECOND"))["serverTime"])) == 16
        assert len(str((await get("time", "millisecond"))["serverTime"])) == 13
        assert (await get("time", "NANOSECOND"))["code"] == -1194
        (last,) = await get("aggTrades", "MICROSECOND", symbol="BTCUSDT", limit=1)
        assert await get(
            "aggTrades", "MICROSECOND", symbol="BTCUSDT", startTime=last["T"], endTime=last["T"]
        ) == [last]


async def test_symbols_of_every_script_may_be_sent_raw(start: Started) -> None:
    raw = await Raw.open(await start())
    for symbol in ("币安人生USDT", quote("币安人生USDT")):
        raw.send(f"GET /api/v3/trades?symbol={symbol} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert await raw.answer() == (400, b'{"code":-1121,"msg":"Invalid symbol."}')
    await raw.close()


async def test_a_connection_carries_one_call_after_another_and_a_handshake_at_last(start: Started) -> None:
    simulator = await start()
    raw = await Raw.open(simulator)
    raw.send(TIME + b"\r\n" + TIME + b"\r\n")
    for _ in range(2):
        assert (await raw.answer())[0] == 200
    for piece in (TIME[:7], TIME[7:], b"\r", b"\n"):
        raw.send(piece)
        await asyncio.sleep(0)
    assert b"keep-alive" in (await raw.head()).lower()
    raw.send(
        b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 101 " in await raw.head()
    await raw.close()
    assert simulator.stats()["rest_calls"] == {"/api/v3/time": 3}


async def test_answers_keep_their_order_when_they_are_slow(start: Started) -> None:
    simulator = await start()
    simulator.http.rest_seconds = 0.02
    raw = await Raw.open(simulator)
    raw.send(b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\n\r\n" + TIME + b"\r\n")
    assert (await raw.answer())[1] == b"{}"
    assert b"serverTime" in (await raw.answer())[1]
    await raw.close()


@pytest.mark.parametrize("ends", [b"GET /api/v3/ping HTTP/1.0\r\n\r\n", TIME + b"Connection: close\r\n\r\n"])
async def test_a_client_that_wants_one_answer_gets_the_end_after_it(start: Started, ends: bytes) -> None:
    raw = await Raw.open(await start())
    raw.send(ends)
    assert (await raw.answer())[0] == 200
    assert await raw.ended()
    await raw.close()


async def test_head_has_everything_but_the_body(start: Started) -> None:
    raw = await Raw.open(await start())
    raw.send(TIME.replace(b"GET", b"HEAD") + b"\r\n" + TIME + b"\r\n")
    assert b"Content-Length: 28" in await raw.head()
    assert (await raw.answer())[0] == 200
    await raw.close()


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_bodies_are_read_and_calls_without_one_are_answered(start: Started, body: bytes) -> None:
    raw = await Raw.open(await start())
    raw.send(TIME + body + TIME + b"\r\n")
    assert (await raw.answer())[0] == 200
    assert (await raw.answer())[0] == 200
    await raw.close()


async def test_who_waits_to_send_a_body_is_told_to_go_on(start: Started) -> None:
    raw = await Raw.open(await start())
    raw.send(b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert (await raw.head()).startswith(b"HTTP/1.1 100 ")
    raw.send(b"a=1")
    assert await raw.answer() == (400, b'{"code":-1020,"msg":"This operation is not supported."}')
    await raw.close()


async def test_http_2_is_declined_by_an_answer_in_http_1(start: Started) -> None:
    raw = await Raw.open(await start())
    raw.send(
        TIME + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    )
    assert (await raw.answer())[0] == 200
    raw.send(b"PRI * HTTP/2.0\r\n\r\n")
    assert (await raw.answer())[0] == 505
    await raw.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"GET /" + b"x" * 100_000, 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, 431),
    ],
)
async def test_what_is_no_request_is_refused_and_ends_the_connection(
    start: Started, data: bytes, status: int
) -> None:
    raw = await Raw.open(await start())
    raw.send(data)
    assert (await raw.answer())[0] == status
    assert await raw.ended()
    await raw.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "time", 405, -1000),
        ("DELETE", "klines", 405, -1000),
        ("POST", "order", 400, -1020),
        ("GET", "account", 400, -1020),
        ("GET", "executionRules", 400, -1020),
        ("GET", "historicalBlockTrades", 400, -1020),
        ("GET", "referencePrice", 400, -2043),
        ("GET", "referencePrice/calculation", 400, -2043),
        ("PUT", "nothing", 404, -1000),
    ],
)
async def test_what_is_not_served_says_so(
    start: Started, method: str, path: str, status: int, code: int
) -> None:
    simulator = await start()
    async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False) as client:
        answer = await client.request(method, f"{simulator.rest_url}/api/v3/{path}", content=b"a=1")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_end_of_the_exchange_ends_connections_without_a_request(start: Started) -> None:
    simulator = await start()
    raw = await Raw.open(simulator)
    raw.send(TIME + b"\r\n")
    await raw.answer()
    await simulator.aclose()
    with pytest.raises(ConnectionResetError):
        await raw.ended()


async def test_tls_with_a_certificate_of_its_own_making(start: Started, tmp_path: Path) -> None:
    certificate = Certificate(tmp_path / "made", "exchange.test")
    simulator = await start(tls=certificate.context)
    assert simulator.ws_url.startswith("wss://")
    trusting = ssl.create_default_context(cafile=certificate.authority)
    trusting.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    for host in ("127.0.0.1", "localhost"):
        url = f"https://{host}:{simulator.port}/api/v3/ping"
        async with httpx.AsyncClient(trust_env=False, verify=trusting) as client:
            assert (await client.get(url)).json() == {}
    async with connect(f"{simulator.ws_url}/ws/btcusdt@trade", ssl=trusting, proxy=None) as socket:
        assert msgspec.json.decode(await socket.recv())["e"] == "trade"
        simulator.faults.drop()
        await eventually(lambda: socket.close_code is not None)
    before = certificate.authority.read_bytes()
    assert Certificate(tmp_path / "made", "exchange.test").authority.read_bytes() == before
    assert (tmp_path / "made" / "key.pem").stat().st_mode & 0o077 == 0


def test_a_certificate_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SimulatorError, match="cannot make or read a certificate in"):
        Certificate(tmp_path / "file", "127.0.0.1")
    for name in ("authority", "certificate", "key"):
        (tmp_path / f"{name}.pem").write_text("nonsense")
    with pytest.raises(SimulatorError, match="cannot make or read a certificate in"):
        Certificate(tmp_path, "127.0.0.1")
