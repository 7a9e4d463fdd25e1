"""Foreign origins and wrong tokens by the hundred, against the shipped application with an access token.

What each single one is answered stands in `tests/security/test_middleware.py`; here they come as a flood,
while a client with the token misses nothing and waits for nothing.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attacks.attacker import UPGRADE, head, peer
from tests.attacks.target import Target, under_attack
from tests.support.helpers import measured

TOKEN = "open-Sesame_42?>+/~"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MARKETS, PAGES = "/ws/markets", "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"

one_loop = pytest.mark.asyncio(loop_scope="session")
pytestmark = measured


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running() -> AsyncIterator[Target]:
    """A target that demands an access token."""
    async with under_attack(TOKEN) as target:
        yield target


def handshake(path: str, headers: dict[str, str]) -> bytes:
    return head(UPGRADE | headers, f"GET {path} HTTP/1.1")


async def statuses(target: Target, requests: list[bytes], address: str = "127.0.0.1") -> list[int]:
    """What each of the requests is answered, each on a connection of its own, ten at a time."""
    places = asyncio.Semaphore(10)

    async def status(request: bytes) -> int:
        async with places, peer(target.port, address=address) as attacker:
            await attacker.send(request)
            return await attacker.status()

    return await asyncio.gather(*map(status, requests))


def subprotocol(token: str) -> str:
    return "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (MARKETS, BEARER | {"Origin": "https://evil.example"}, 403),
        (MARKETS, BEARER | {"Origin": "null"}, 403),
        (PAGES, BEARER | {"Origin": "https://evil.example"}, 403),
        (MARKETS, {}, 401),
        (PAGES, {}, 401),
        (MARKETS, {"Authorization": "Bearer wrong"}, 401),
        (PAGES, {"Authorization": "Bearer wrong"}, 401),
        (MARKETS, {"Sec-WebSocket-Protocol": f"livemarkets.v1, {subprotocol('wrong')}"}, 401),
        (f"{MARKETS}?token={TOKEN}&access_token={TOKEN}", {}, 401),
        (MARKETS, {"Cookie": f"livemarkets_session={TOKEN}; token={TOKEN}"}, 401),
        (MARKETS, {"Sec-WebSocket-Protocol": subprotocol(TOKEN).removeprefix("bearer.")}, 401),
        (MARKETS, {"X-Access-Token": TOKEN, "Proxy-Authorization": f"Bearer {TOKEN}"}, 401),
        (MARKETS, {"Authorization": TOKEN}, 401),
    ],
    ids=[
        "foreign origin",
        "null origin",
        "foreign origin, pages",
        "no token",
        "no token, pages",
        "wrong token",
        "wrong token, pages",
        "wrong subprotocol",
        "token in the address",
        "token in a cookie",
        "token in a bare subprotocol",
        "token in another header",
        "token without its scheme",
    ],
)
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.verify)])
@one_loop
async def test_strangers_are_turned_away_before_the_upgrade(
    target: Target, path: str, headers: dict[str, str], status: int, count: int
) -> None:
    assert await statuses(target, [handshake(path, headers)] * count) == [status] * count
    assert await statuses(target, [handshake(MARKETS, BEARER)]) == [101], "the owner is let in beside them"


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=pytest.mark.verify)])
@one_loop
async def test_who_guesses_is_no_longer_listened_to(target: Target, count: int) -> None:
    address = f"127.0.0.{5 if count == 100 else 7}"  # what one has tried counts for a minute
    lines = len(target.process.lines)
    guesses = [handshake(MARKETS, {"Authorization": f"Bearer guess{number}"}) for number in range(count)]
    answers = await statuses(target, guesses, address)
    assert (answers.count(401), answers.count(429)) == (10, count - 10)
    assert await statuses(target, [handshake(MARKETS, BEARER)], address) == [429], "nor to the right one"
    assert await statuses(target, [handshake(MARKETS, BEARER)], "127.0.0.6") == [101]
    said = target.process.lines[lines:]
    assert len(said) <= 3, "a line a minute"
    assert not [line for line in said if "guess" in line]
