"""Connections and pages by the thousand, requests that never end, against the shipped application.

Each gets the documented answer, while a client beside it misses nothing and waits for nothing; what was
taken is given back (see the fixture `target`).
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from typing import Any

import httpx
import msgspec
import pytest

from livemarkets.server import http_protocol as strict_http
from livemarkets.server.http_protocol import BoundedHttpProtocol
from livemarkets.simulator import Simulator
from tests.attacks.attacker import UPGRADE, head, peer
from tests.attacks.target import Target, visitor
from tests.support.app import running_app, serving, settings_for
from tests.support.helpers import eventually, measured

PER_ADDRESS = 2000

one_loop = pytest.mark.asyncio(loop_scope="session")
pytestmark = measured


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


@pytest.mark.parametrize(
    ("attempts", "is_first"),
    [
        (2_200, True),
        pytest.param(10_000, True, marks=pytest.mark.verify),
        pytest.param(2_200, False, marks=pytest.mark.verify),
    ],
    ids=["2,200", "10,000", "and again"],
)
@one_loop
async def test_one_address_gets_two_thousand_connections_and_no_more(
    target: Target, attempts: int, is_first: bool
) -> None:
    if is_first:  # what the allocator keeps for the next clients
        target.growth_bytes = 100_000_000
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
    assert at_the_height < 250_000_000


@pytest.mark.parametrize("rounds", [8, pytest.param(40, marks=pytest.mark.verify)])
@one_loop
async def test_pages_that_nobody_opens_are_built_within_bounds(target: Target, rounds: int) -> None:
    memory, began = target.rss_bytes(), time.monotonic()

    async def load(client: httpx.AsyncClient, paths: list[str]) -> list[httpx.Response]:
        return [await client.get(path) for path in paths]

    polling = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    paths = ["/", "/labs", "/labs?symbols=BTCUSDT", "/nowhere", polling]
    async with visitor(target.port, "127.0.0.3") as attacker, visitor(target.port, "127.0.0.2") as neighbour:
        groups = [load(attacker, paths * rounds) for _ in range(10)]
        answers = [answer for group in await asyncio.gather(*groups) for answer in group]
        built = [answer for answer in answers if answer.status_code != 429]
        assert len(answers) == 50 * rounds
        assert 100 <= len(built) <= 101 + (time.monotonic() - began)
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert (refused.headers["Retry-After"], refused.headers["Refresh"]) == ("5", "5")
        assert refused.text == "too many page requests from this address\n"
        assert target.rss_bytes() < memory + 60_000_000
        assert (await neighbour.get("/labs")).status_code == 200, "others get their page"
        for path in ("/healthz", "/metrics", "/api/symbols"):
            assert (await attacker.get(path)).status_code == 200, "what builds no page is not counted"


@pytest.mark.parametrize("count", [250, pytest.param(1_000, marks=pytest.mark.verify)])
@one_loop
async def test_addresses_that_do_not_exist_cost_no_page_and_no_line(target: Target, count: int) -> None:
    memory, lines = target.rss_bytes(), len(target.process.lines)
    async with visitor(target.port, "127.0.0.2") as attacker:
        for number in range(count):
            answer = await attacker.get(f"/api/nowhere{number}")
            assert (answer.status_code, answer.text) == (404, "not found\n")
    assert target.rss_bytes() < memory + 10_000 * count
    assert len(target.process.lines) == lines


PAGE_SOCKET = "GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1"


async def open_sockets_of_pages(target: Target) -> None:
    async with asyncio.timeout(30), contextlib.AsyncExitStack() as stack:
        statuses = []
        for _ in range(600):
            attacker = await stack.enter_async_context(peer(target.port))
            await attacker.send(head(UPGRADE, PAGE_SOCKET))
            statuses.append(await attacker.status())
        assert statuses == [101] * 500 + [429] * 100
        async with peer(target.port) as neighbour:
            await neighbour.send(head(UPGRADE | {"X-Forwarded-For": "203.0.113.9"}, PAGE_SOCKET))
            assert await neighbour.status() == 101, "others are let in"


@one_loop
async def test_one_address_opens_five_hundred_sockets_of_pages_and_no_more(target: Target) -> None:
    files, memory = target.open_files(), target.rss_bytes()

    async def is_let_in_again() -> bool:
        async with peer(target.port) as late:
            await late.send(head(UPGRADE, PAGE_SOCKET))
            return await late.status() == 101

    async def nobody_has_a_place() -> bool:
        return "livemarkets_pages 0.0" in (await target.get("/metrics")).text

    async def all_let_go() -> None:
        await eventually(is_let_in_again)
        await eventually(nobody_has_a_place, because="a place is free a moment after its socket")
        await eventually(lambda: target.open_files() <= files, 20, because="sockets stay open")

    await open_sockets_of_pages(target)
    await all_let_go()
    assert target.rss_bytes() < memory + 28_000_000, "43 kB each, which the allocator keeps for the next ones"
    target.memory_bytes, target.growth_bytes = target.rss_bytes(), 4_000_000
    await open_sockets_of_pages(target)
    await all_let_go()


@pytest.mark.verify
@one_loop
async def test_ten_thousand_connections_that_say_nothing_or_too_little_are_ended(target: Target) -> None:
    """In `make test`, :func:`test_hundreds_of_requests_that_never_end_are_ended`."""
    count = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1_000)
    memory = target.rss_bytes()
    target.growth_bytes = 100_000_000

    async def hold(number: int) -> bytes:
        async with peer(target.port) as attacker:
            if number % 2:
                await attacker.send(b"GET /ws/markets HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            opened.add(number)
            return await attacker.rest(40)

    opened: set[int] = set()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number in range(count):
            tasks.append(group.create_task(hold(number), name="slow"))
            if number % 100 == 99:
                await eventually(lambda: len(opened) == len(tasks), 20)
        began = time.monotonic()
        await eventually(lambda: target.open_files() > count, because="they are there at once")
        assert (await target.get("/healthz")).text == "ok\n", "others are answered"
        assert target.rss_bytes() < memory + 200_000_000
    assert {task.result() for task in tasks} == {b""}
    assert time.monotonic() - began < 12


@one_loop
async def test_the_app_takes_the_files_that_the_system_allows(target: Target) -> None:
    soft, hard = target.most_open_files()
    assert soft >= min(hard, 65_536)


async def test_places_of_an_address_are_free_again_when_its_connections_end(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange)) as app:
        hub = app.services.hub
        hub.limits = msgspec.structs.replace(hub.limits, clients_per_address=2)
        clients = [await app.connect() for _ in range(2)]
        for _ in range(3):
            async with peer(app.port) as third:
                await third.send(head(UPGRADE))
                assert await third.status() == 429
        assert hub.statistics().refused == {"address": 3}
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
    options: dict[str, Any] = {"http": BoundedHttpProtocol, "timeout_keep_alive": 1}
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


async def test_hundreds_of_requests_that_never_end_are_ended(
    exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict_http, "_REQUEST_SECONDS", 0.5)
    async with running_app(settings_for(exchange), http=BoundedHttpProtocol) as app:
        connections = app.server.server_state.connections
        async with contextlib.AsyncExitStack() as stack:
            attackers = [await stack.enter_async_context(peer(app.port)) for _ in range(300)]
            for attacker in attackers[::2]:
                await attacker.send(b"GET /ws/markets HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            assert (await app.get("/healthz")).text == "ok\n", "others are answered"
            assert [await attacker.rest(20) for attacker in attackers] == [b""] * 300
        await eventually(lambda: not connections)


async def test_a_slow_answer_of_ours_is_not_held_against_the_client(
    exchange: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict_http, "_REQUEST_SECONDS", 0.2)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.6)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(answer, lifespan="off", http=BoundedHttpProtocol) as (_, port), peer(port) as client:
        for _ in range(2):
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await client.status() == 200
            await client.reader.readuntil(b"ok")
