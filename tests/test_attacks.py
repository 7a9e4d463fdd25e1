"""A table of attacks on the shipped application. Each is turned away; a client beside it notices nothing.

The application is `main.py` in a process of its own, so that its memory and its files can be measured. What
needs a lowered limit is asked of an application inside this process, at the end.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import struct
import sys
import time
import zlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import pytest_asyncio
from websockets.frames import Close, Frame, Opcode

from livemarkets import preframed, strict_http
from livemarkets.simulator import Simulator
from livemarkets.strict_http import StrictHttpProtocol
from tests.helpers import eventually
from tests.markets_client import MarketsClient, missing_ids, open_client
from tests.running import Process, running_app, running_exchange, running_main, serving, settings_for

GROWTH_BYTES = 100_000_000
"""What the allocator may keep for the next clients after an attack: two thousand of them take 35 kB each."""
PAUSE_SECONDS = 2.0
"""The longest that the client beside an attack may wait for a trade; there are 50 a second."""
PER_ADDRESS = 2000

module_loop = pytest.mark.asyncio(loop_scope="module")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measured through /proc")


class Witness:
    """A client that reads trades all the time, and notes when one was missing or late."""

    def __init__(self, client: MarketsClient) -> None:
        self.client = client
        self.ids: list[int] = []
        self.longest_pause = 0.0
        self._at = time.monotonic()
        self._task = asyncio.create_task(self._read(), name="witness")

    async def _read(self) -> None:
        while True:
            trade = await self.client.next("trade")
            now = time.monotonic()
            self.longest_pause, self._at = max(self.longest_pause, now - self._at), now
            self.ids.append(trade["id"])

    async def goes_on(self) -> None:
        """It still receives, nothing was missing, and nothing came late since the last time."""
        seen = len(self.ids)
        await eventually(lambda: len(self.ids) > seen + 5 or self._task.done())
        assert not self._task.done()
        assert missing_ids(self.ids) == []
        assert self.longest_pause < PAUSE_SECONDS
        self.longest_pause = 0.0

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Target(NamedTuple):
    """The application under attack."""

    process: Process
    port: int
    witness: Witness

    def rss_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def most_open_files(self) -> tuple[int, int]:
        """What it may open now, and what it could allow itself."""
        limits = Path(f"/proc/{self.process.pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        soft, hard = line.split()[3:5]
        return int(soft), int(hard)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            return await client.get(f"http://127.0.0.1:{self.port}{path}", headers={"Connection": "close"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Target]:
    async with running_exchange() as exchange:
        address = exchange.ws_url.removeprefix("ws://")
        async with (
            running_main(address) as (process, port),
            open_client(f"ws://127.0.0.1:{port}/ws/markets") as client,
        ):
            await client.subscribe("BTCUSDT")
            witness = Witness(client)
            try:
                yield Target(process, port, witness)
            finally:
                await witness.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def target(running: Target) -> AsyncIterator[Target]:
    """The target; after the attack the witness goes on, and everything that the attack took is given back."""
    await running.witness.goes_on()
    files, memory = running.open_files(), running.rss_bytes()
    yield running
    await running.witness.goes_on()
    await eventually(lambda: running.open_files() <= files, because="connections stay open")
    assert running.rss_bytes() < memory + GROWTH_BYTES
    assert "Traceback" not in running.process.output


# what an attacker speaks


class Peer:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> bool:
        """Send until the other side is gone; False when it is."""
        try:
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()
        except ConnectionError:
            return False
        return True

    async def rest(self, timeout_seconds: float = 8.0) -> bytes:
        """Everything until the other side ends the connection."""
        received = b""
        async with asyncio.timeout(timeout_seconds):
            with contextlib.suppress(ConnectionError):
                while chunk := await self.reader.read(65_536):
                    received += chunk
        return received

    async def status(self) -> int:
        """The status of an HTTP answer; 0 when the connection was ended without one."""
        async with asyncio.timeout(8):
            try:
                line = await self.reader.readline()
            except ConnectionError:
                return 0
        return int(line.split()[1]) if line else 0

    async def close_code(self) -> int:
        """The code with which the server says goodbye, or 1006 when it ends without."""
        return close_code(await self.rest())


def close_code(data: bytes) -> int:
    """The code of the close frame in server frames; 1006 when there is none."""
    at = 0
    while at + 2 <= len(data):
        opcode, length, at = data[at] & 15, data[at + 1], at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if opcode == Opcode.CLOSE:
            return Close.parse(data[at : at + length]).code
        at += length
    return 1006


KEY = base64.b64encode(b"0123456789abcdef").decode()
UPGRADE = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def head(headers: dict[str, str], line: str = "GET /ws/markets HTTP/1.1") -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{line}\r\n{fields}\r\n".encode("latin-1")


@contextlib.asynccontextmanager
async def peer(
    port: int, *, opened: bool = False, receive_bytes: int = 0, extra: dict[str, str] | None = None
) -> AsyncIterator[Peer]:
    """A raw connection; `opened`: behind a WebSocket handshake, with `extra` headers."""
    raw = socket.socket()
    if receive_bytes:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=raw)
    attacker = Peer(reader, writer)
    try:
        if opened:
            await attacker.send(head(UPGRADE | (extra or {})))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 101")
            assert b"permessage-deflate" not in answer
        yield attacker
    finally:
        writer.transport.abort()


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


TEXT, CONT, PING = Opcode.TEXT, Opcode.CONT, Opcode.PING
SUBSCRIBE = b'{"type":"subscribe","exchange":"binance","channel":"trades","symbols":["ETHUSDT","NOPE%d"]}'


# messages


@pytest.mark.parametrize(
    "flood",
    [
        frame(TEXT, b'{"type":"ping"}'),
        frame(PING, b""),
        frame(PING, b"x" * 125),
        frame(Opcode.PONG, b""),
        frame(TEXT, b""),
        frame(Opcode.BINARY, b"\x00"),
        frame(TEXT, b"", fin=False) + frame(CONT, b""),
    ],
    ids=["messages", "pings", "long pings", "pongs", "empty messages", "binary", "fragments"],
)
@module_loop
async def test_flooding_is_ended_with_1008(target: Target, flood: bytes) -> None:
    began = time.monotonic()
    async with peer(target.port, opened=True) as attacker:
        pieces = (flood * 500 for _ in range(200))
        code, _ = await asyncio.gather(attacker.close_code(), attacker.send(*pieces))
        assert code == 1008
    assert time.monotonic() - began < 5


@module_loop
async def test_a_storm_of_subscribes_ends_with_1008_and_leaves_nothing_subscribed(target: Target) -> None:
    async with peer(target.port, opened=True) as attacker:
        pieces = (frame(TEXT, SUBSCRIBE % number) for number in range(5_000))
        code, _ = await asyncio.gather(attacker.close_code(), attacker.send(*pieces))
        assert code == 1008

    async def is_alone() -> bool:
        return 'livemarkets_streams_wanted{exchange="binance"} 1.0' in (await target.get("/metrics")).text

    await eventually(is_alone, 10)


@pytest.mark.parametrize(
    ("first", "piece", "count"),
    [
        (b"\x81\xff" + struct.pack("!Q", 100_000_000) + b"mask", b"x" * 1_000_000, 100),
        (b"\x81\xff" + struct.pack("!Q", 2**62) + b"mask", b"x" * 1_000_000, 100),
        (frame(TEXT, b"x", fin=False), frame(CONT, b"x" * 1_000, fin=False), 100_000),
        (frame(TEXT, b"x", fin=False), frame(CONT, b"x" * 60_000, fin=False), 2_000),
    ],
    ids=["100 MB", "4 EB", "fragments without end", "large fragments without end"],
)
@module_loop
async def test_a_message_without_reason_ends_with_1009_and_is_not_kept(
    target: Target, first: bytes, piece: bytes, count: int
) -> None:
    memory = target.rss_bytes()
    async with peer(target.port, opened=True) as attacker:
        pieces = (piece for _ in range(count))
        code, _ = await asyncio.gather(attacker.close_code(), attacker.send(first, *pieces))
        assert code == 1009
        assert target.rss_bytes() < memory + 10_000_000


@module_loop
async def test_a_compressed_bomb_is_not_unpacked(target: Target) -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(b"x" * 50_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    memory = target.rss_bytes()
    async with peer(
        target.port,
        opened=True,
        extra={"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
    ) as attacker:
        await attacker.send(b"\xc1" + frame(TEXT, bomb[:-4])[1:])  # RSV1: compressed
        assert await attacker.close_code() == 1002
    assert target.rss_bytes() < memory + 10_000_000


# connections


async def answers(port: int, count: int, stack: contextlib.AsyncExitStack) -> list[int]:
    """The status that each of so many handshakes gets; the connections that are let in stay."""
    statuses = []
    for _ in range(count):
        async with contextlib.AsyncExitStack() as attempt:
            attacker = await attempt.enter_async_context(peer(port))
            await attacker.send(head(UPGRADE))
            statuses.append(await attacker.status())
            if statuses[-1] == 101:
                stack.push_async_exit(attempt.pop_all())
    return statuses


@pytest.mark.parametrize("attempts", [10_000, 2_500], ids=["10,000", "and again"])
@module_loop
async def test_one_address_gets_two_thousand_connections_and_no_more(target: Target, attempts: int) -> None:
    async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
        groups = [answers(target.port, attempts // 10, stack) for _ in range(10)]
        statuses = [status for group in await asyncio.gather(*groups) for status in group]
        assert statuses.count(101) == PER_ADDRESS - 1, "the witness comes from here too"
        assert statuses.count(429) == attempts - PER_ADDRESS + 1
        async with peer(target.port) as neighbour:
            await neighbour.send(head(UPGRADE | {"X-Forwarded-For": "203.0.113.9"}))
            assert await neighbour.status() == 101, "others are let in"
        await target.witness.goes_on()
        at_the_height = target.rss_bytes()

    async def are_gone() -> bool:
        return "livemarkets_clients 1.0" in (await target.get("/metrics")).text

    await eventually(are_gone, 20)
    assert at_the_height < 300_000_000


def visitor(target: Target, address: str) -> httpx.AsyncClient:
    """A client that comes from another of the machine's own addresses."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    return httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{target.port}", timeout=10)


@module_loop
async def test_pages_that_nobody_opens_are_built_within_bounds(target: Target) -> None:
    memory, began = target.rss_bytes(), time.monotonic()

    async def load(client: httpx.AsyncClient, paths: list[str]) -> list[httpx.Response]:
        return [await client.get(path) for path in paths]

    polling = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    paths = ["/", "/labs", "/labs?symbols=BTCUSDT", "/nowhere", polling]
    async with visitor(target, "127.0.0.3") as attacker, visitor(target, "127.0.0.2") as neighbour:
        groups = [load(attacker, paths * 40) for _ in range(10)]
        answers = [answer for group in await asyncio.gather(*groups) for answer in group]
        built = [answer for answer in answers if answer.status_code != 429]
        assert len(answers) == 2_000
        assert 100 <= len(built) <= 101 + (time.monotonic() - began)
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert (refused.headers["Retry-After"], refused.headers["Refresh"]) == ("5", "5")
        assert refused.text == "too many pages were asked for from this address\n"
        assert target.rss_bytes() < memory + 60_000_000
        assert (await neighbour.get("/labs")).status_code == 200, "others get their page"
        for path in ("/healthz", "/metrics", "/api/symbols"):
            assert (await attacker.get(path)).status_code == 200, "what builds no page is not counted"


@module_loop
async def test_addresses_that_do_not_exist_cost_no_page_and_no_line(target: Target) -> None:
    memory, lines = target.rss_bytes(), len(target.process.lines)
    async with visitor(target, "127.0.0.2") as attacker:
        for number in range(1_000):
            answer = await attacker.get(f"/api/nowhere{number}")
            assert (answer.status_code, answer.text) == (404, "not found\n")
    assert target.rss_bytes() < memory + 10_000_000
    assert len(target.process.lines) == lines


@module_loop
async def test_one_address_opens_five_hundred_sockets_of_pages_and_no_more(target: Target) -> None:
    line = "GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1"
    async with asyncio.timeout(30), contextlib.AsyncExitStack() as stack:
        statuses = []
        for _ in range(600):
            attacker = await stack.enter_async_context(peer(target.port))
            await attacker.send(head(UPGRADE, line))
            statuses.append(await attacker.status())
        assert statuses == [101] * 500 + [429] * 100
        async with peer(target.port) as neighbour:
            await neighbour.send(head(UPGRADE | {"X-Forwarded-For": "203.0.113.9"}, line))
            assert await neighbour.status() == 101, "others are let in"

    async def is_let_in_again() -> bool:
        async with peer(target.port) as late:
            await late.send(head(UPGRADE, line))
            return await late.status() == 101

    await eventually(is_let_in_again)


@module_loop
async def test_a_hundred_connections_that_say_nothing_are_ended(target: Target) -> None:
    async with contextlib.AsyncExitStack() as stack:
        attackers = [await stack.enter_async_context(peer(target.port)) for _ in range(100)]
        for attacker in attackers[50:]:
            await attacker.send(b"GET /ws/markets HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        began = time.monotonic()
        assert await asyncio.gather(*(attacker.rest(15) for attacker in attackers)) == [b""] * 100
        assert time.monotonic() - began < 12


# heads

_TOO_MUCH = "x" * 40_000
HEADS: list[tuple[str, bytes, Iterable[int]]] = [
    ("a huge header", head(UPGRADE | {"X-Huge": _TOO_MUCH}), {400}),
    ("a huge header for the API", head({"Host": "a", "X-Huge": _TOO_MUCH}, "GET /metrics HTTP/1.1"), {400}),
    ("a huge cookie", head({"Host": "a", "Cookie": _TOO_MUCH}, "GET / HTTP/1.1"), {400}),
    ("a huge name", head({"Host": "a", _TOO_MUCH: "x"}, "GET / HTTP/1.1"), {400}),
    ("a huge address", head({"Host": "a"}, f"GET /{_TOO_MUCH} HTTP/1.1"), {400}),
    ("a long header", head(UPGRADE | {"X-Long": "x" * 9_000}), {431}),
    ("a long address", head(UPGRADE, f"GET /ws/markets?{'x' * 9_000} HTTP/1.1"), {414}),
    ("1,000 headers", head(UPGRADE | {f"X-{number}": "x" for number in range(1_000)}), {400}),
    (
        "1,000 headers for the API",
        head({f"X-{number}": "x" for number in range(1_000)}, "GET / HTTP/1.1"),
        {400},
    ),
    ("a bare line feed", b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-A: b\nX-C\x00: d\r\n\r\n", {400}),
    ("a null byte", b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-A: \x00\r\n\r\n", {400}),
    ("a folded header", b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", {200, 400}),
    ("a line break in the address", b"GET /met\r\nrics HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    (
        "two lengths",
        b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        {400},
    ),
    (
        "a length and chunks",
        b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        {400},
    ),
    ("an encoded line break in `next`", head({"Host": "a"}, "GET /x%0d%0aX-Evil:1 HTTP/1.1"), {404}),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
    ("no key", head({name: value for name, value in UPGRADE.items() if name != "Sec-WebSocket-Key"}), {400}),
    ("a short key", head(UPGRADE | {"Sec-WebSocket-Key": "YQ=="}), {400}),
    (
        "a key that is no base64",
        head(UPGRADE | {"Sec-WebSocket-Key": "€".encode().decode("latin-1") * 8}),
        {400},
    ),
    ("no version", head({name: value for name, value in UPGRADE.items() if "Version" not in name}), {400}),
    ("an old version", head(UPGRADE | {"Sec-WebSocket-Version": "8"}), {400, 426}),
    ("another protocol", head(UPGRADE | {"Upgrade": "h2c"}), {400, 403, 404, 426}),
    ("an upgrade by POST", head(UPGRADE, "POST /ws/markets HTTP/1.1"), {400, 405}),
    ("an upgrade in HTTP/1.0", head(UPGRADE, "GET /ws/markets HTTP/1.0"), {101, 400, 403, 404, 426}),
    ("two keys", head(UPGRADE)[:-2] + f"Sec-WebSocket-Key: {KEY}\r\n\r\n".encode(), {400}),
    ("two origins", head(UPGRADE)[:-2] + b"Origin: http://127.0.0.1\r\nOrigin: http://evil\r\n\r\n", {400}),
]


@pytest.mark.parametrize(("data", "statuses"), [case[1:] for case in HEADS], ids=[case[0] for case in HEADS])
@module_loop
async def test_an_abused_head_is_refused(target: Target, data: bytes, statuses: Iterable[int]) -> None:
    async with peer(target.port) as attacker:
        await attacker.send(data)
        assert await attacker.status() in statuses


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nX-Endless: ",
        b"GET / HTTP/1.1\r\nX-Endless",
        b"GET /",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Trailer: ",
    ],
    ids=["value", "name", "address", "trailer"],
)
@module_loop
async def test_a_head_without_end_is_not_kept(target: Target, beginning: bytes) -> None:
    memory = target.rss_bytes()
    async with peer(target.port) as attacker:
        pieces = (b"x" * 100_000 for _ in range(1_000))
        _, went_through = await asyncio.gather(attacker.rest(), attacker.send(beginning, *pieces))
        assert not went_through
        assert target.rss_bytes() < memory + 20_000_000


@module_loop
async def test_bad_requests_do_not_fill_the_log(target: Target) -> None:
    for _ in range(50):
        async with peer(target.port) as attacker:
            await attacker.send(b"nonsense\r\n\r\n")
            assert await attacker.status() == 400
    assert 1 <= target.process.output.count("Invalid HTTP request") <= 2


@module_loop
async def test_the_app_takes_the_files_that_the_system_allows(target: Target) -> None:
    soft, hard = target.most_open_files()
    assert soft >= min(hard, 65_536)


# with lowered limits


@pytest.fixture
async def exchange() -> AsyncIterator[Simulator]:
    async with running_exchange() as exchange:
        yield exchange


async def test_places_of_an_address_are_free_again_when_its_connections_end(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as app:
        hub = app.services.hub
        hub.limits = msgspec.structs.replace(hub.limits, clients_per_address=2)
        clients = [await app.connect() for _ in range(2)]
        for _ in range(3):
            async with peer(app.port) as third:
                await third.send(head(UPGRADE))
                assert await third.status() == 429
        assert hub.refused == 3
        await clients[0].socket.close()
        await eventually(lambda: len(hub.connections) == 1)
        assert await (await app.connect()).works()


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /healthz HTT",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A",
        b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx",
    ],
    ids=["nothing", "line", "header", "body"],
)
@pytest.mark.parametrize("is_second", [False, True], ids=["first", "second"])
async def test_a_request_that_never_ends_is_ended(
    exchange: Simulator, monkeypatch: pytest.MonkeyPatch, beginning: bytes, is_second: bool
) -> None:
    monkeypatch.setattr(strict_http, "_REQUEST_SECONDS", 0.5)
    options: dict[str, Any] = {"http": StrictHttpProtocol, "timeout_keep_alive": 1}
    async with running_app(settings_for(exchange), **options) as app, peer(app.port) as attacker:
        if is_second:
            await attacker.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"ok\n" in await attacker.reader.readuntil(b"ok\n")
        began = time.monotonic()

        async def dribble() -> None:
            await attacker.send(beginning)
            for _ in range(40 if beginning else 0):
                if not await attacker.send(b"x"):
                    return
                await asyncio.sleep(0.05)

        await asyncio.gather(attacker.rest(4), dribble())
        assert time.monotonic() - began < 3
        await eventually(lambda: not app.server.server_state.connections)
        assert (await app.get("/healthz")).status_code == 200


async def test_a_slow_answer_of_ours_is_not_held_against_the_client(
    exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict_http, "_REQUEST_SECONDS", 0.2)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.6)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(answer, lifespan="off", http=StrictHttpProtocol) as (_, port), peer(port) as client:
        for _ in range(2):
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await client.status() == 200
            await client.reader.readuntil(b"ok")


async def test_fragments_of_nothing_have_an_end_too(
    exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preframed, "_FRAMES_PER_SECOND", 10**9)
    async with running_app(settings_for(exchange)) as app, peer(app.port, opened=True) as attacker:
        await attacker.send(frame(TEXT, b"", fin=False), frame(CONT, b"", fin=False) * 2_000)
        assert await attacker.close_code() == 1009


async def test_unread_answers_to_pings_do_not_pile_up(
    exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preframed, "_FRAMES_PER_SECOND", 10**9)
    async with (
        running_app(settings_for(exchange)) as app,
        peer(app.port, opened=True, receive_bytes=4096) as attacker,
    ):
        attacker.writer.transport.pause_reading()  # type: ignore[attr-defined]
        last = frame(PING, b"the last")
        await attacker.send(*(frame(PING, b"x" * 125) * 1_000 for _ in range(200)), last)
        (connection,) = app.server.server_state.connections
        await eventually(lambda: connection._pong)  # type: ignore[union-attr]
        assert connection.transport.get_write_buffer_size() < 500_000
        attacker.writer.transport.resume_reading()  # type: ignore[attr-defined]
        received, answer = b"", Frame(Opcode.PONG, b"the last").serialize(mask=False)
        async with asyncio.timeout(5):
            while answer not in received:
                received = received[-100:] + await attacker.reader.read(65_536)
