"""Heads of requests that are too big, malformed or without end, against the shipped application."""

from __future__ import annotations

import asyncio

import pytest

from tests.attacks.attacker import KEY, UPGRADE, head, peer
from tests.attacks.target import Target
from tests.support.helpers import measured

one_loop = pytest.mark.asyncio(loop_scope="session")
pytestmark = measured

_TOO_MUCH = "x" * 40_000
HEADS: list[tuple[str, bytes, int]] = [
    ("a huge header", head(UPGRADE | {"X-Huge": _TOO_MUCH}), 400),
    ("a huge header for the API", head({"Host": "a", "X-Huge": _TOO_MUCH}, "GET /metrics HTTP/1.1"), 400),
    ("a huge cookie", head({"Host": "a", "Cookie": _TOO_MUCH}, "GET / HTTP/1.1"), 400),
    ("a huge name", head({"Host": "a", _TOO_MUCH: "x"}, "GET / HTTP/1.1"), 400),
    ("a huge address", head({"Host": "a"}, f"GET /{_TOO_MUCH} HTTP/1.1"), 400),
    ("a long header", head(UPGRADE | {"X-Long": "x" * 9_000}), 431),
    ("a long address", head(UPGRADE, f"GET /ws/markets?{'x' * 9_000} HTTP/1.1"), 414),
    ("1,000 headers", head(UPGRADE | {f"X-{number}": "x" for number in range(1_000)}), 400),
    (
        "1,000 headers for the API",
        head({f"X-{number}": "x" for number in range(1_000)}, "GET / HTTP/1.1"),
        400,
    ),
    ("a bare line feed", b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-A: b\nX-C\x00: d\r\n\r\n", 400),
    ("a null byte", b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-A: \x00\r\n\r\n", 400),
    ("a folded header", b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", 400),
    ("a line break in the address", b"GET /met\r\nrics HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (
        "two lengths",
        b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        400,
    ),
    (
        "a length and chunks",
        b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    ("an encoded line break in `next`", head({"Host": "a"}, "GET /x%0d%0aX-Evil:1 HTTP/1.1"), 404),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("no key", head({name: value for name, value in UPGRADE.items() if name != "Sec-WebSocket-Key"}), 400),
    ("a short key", head(UPGRADE | {"Sec-WebSocket-Key": "YQ=="}), 400),
    (
        "a key that is no base64",
        head(UPGRADE | {"Sec-WebSocket-Key": "€".encode().decode("latin-1") * 8}),
        400,
    ),
    ("no version", head({name: value for name, value in UPGRADE.items() if "Version" not in name}), 400),
    ("an old version", head(UPGRADE | {"Sec-WebSocket-Version": "8"}), 400),
    ("another protocol", head(UPGRADE | {"Upgrade": "h2c"}), 426),
    ("an upgrade by POST", head(UPGRADE, "POST /ws/markets HTTP/1.1"), 405),
    ("an upgrade in HTTP/1.0", head(UPGRADE, "GET /ws/markets HTTP/1.0"), 400),
    ("two keys", head(UPGRADE)[:-2] + f"Sec-WebSocket-Key: {KEY}\r\n\r\n".encode(), 400),
    ("two origins", head(UPGRADE)[:-2] + b"Origin: http://127.0.0.1\r\nOrigin: http://evil\r\n\r\n", 400),
]


@pytest.mark.parametrize(("data", "status"), [case[1:] for case in HEADS], ids=[case[0] for case in HEADS])
@one_loop
async def test_an_abused_head_is_refused(target: Target, data: bytes, status: int) -> None:
    async with peer(target.port) as attacker:
        await attacker.send(data)
        assert await attacker.status() == status


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
@one_loop
async def test_a_head_without_end_is_not_kept(target: Target, beginning: bytes) -> None:
    memory = target.rss_bytes()
    async with peer(target.port) as attacker:
        pieces = (b"x" * 100_000 for _ in range(1_000))
        _, went_through = await asyncio.gather(attacker.rest(), attacker.send(beginning, *pieces))
        assert not went_through
        assert target.rss_bytes() < memory + 20_000_000


@one_loop
async def test_bad_requests_do_not_fill_the_log(target: Target) -> None:
    for _ in range(50):
        async with peer(target.port) as attacker:
            await attacker.send(b"nonsense\r\n\r\n")
            assert await attacker.status() == 400
    assert 1 <= target.process.output.count("Invalid HTTP request") <= 2
