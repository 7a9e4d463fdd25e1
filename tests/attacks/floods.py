"""Attackers that do for a while what a client, a page or a visitor may do, as often as they can."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import httpx
import msgspec
from websockets.exceptions import ConnectionClosed

from benchmarks.clients.page_client import open_page
from tests.attacks.attacker import PING, TEXT, frame, peer
from tests.attacks.target import visitor

__all__ = ["FLOODS", "Flood", "flooding"]

Flood = Callable[[int, Sequence[str]], Coroutine[Any, Any, None]]
"""An attack on the app at a port, with so many symbols that it lists; it goes on until it is cancelled."""

PACE_SECONDS = 0.04
"""Between two messages of an attacker: a little more often than is allowed."""
SYMBOLS_EACH = 200
MUTE_BYTES = 65_536


def subscribe(symbols: Sequence[str], **fields: Any) -> bytes:
    message = {"type": "subscribe", "exchange": "binance", "channel": "trades", "symbols": symbols, **fields}
    return frame(TEXT, msgspec.json.encode(message))


async def _say(port: int, address: str, *messages: bytes, is_mute: bool = False) -> None:
    """Send these messages in turn, for ever, and come again when the server ends the connection."""
    while True:
        async with peer(port, opened=True, address=address, receive_bytes=MUTE_BYTES) as attacker:
            reading = asyncio.create_task(attacker.rest(10**6)) if not is_mute else None
            for message in itertools.cycle(messages):
                if not await attacker.send(message) or (reading is not None and reading.done()):
                    break
                await asyncio.sleep(PACE_SECONDS)
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        await asyncio.sleep(PACE_SECONDS)


async def unlisted_names(port: int, symbols: Sequence[str]) -> None:
    names = ["".join(letters) + "QQQQ" for letters in itertools.product("QWERTZUIOP", repeat=4)]
    await _say(port, "127.0.0.21", *(subscribe(names[at : at + 1400]) for at in (0, 1400, 2800)))


async def changes(port: int, symbols: Sequence[str]) -> None:
    drop = {"type": "unsubscribe", "exchange": "binance", "channel": "trades", "symbols": symbols[-200:]}
    await _say(
        port, "127.0.0.22", subscribe(symbols[-200:], snapshot=0), frame(TEXT, msgspec.json.encode(drop))
    )


async def lists(port: int, symbols: Sequence[str]) -> None:
    wish = [subscribe(symbols[:200], mode="latest"), *[frame(TEXT, b'{"type":"list"}')] * 1000]
    await _say(port, "127.0.0.23", *wish)


async def large_snapshots(port: int, symbols: Sequence[str]) -> None:
    await _say(port, "127.0.0.24", subscribe(symbols[:200], snapshot=1000))


async def snapshots_for_the_deaf(port: int, symbols: Sequence[str]) -> None:
    await _say(port, "127.0.0.25", subscribe(symbols[:200], snapshot=1000), is_mute=True)


async def resumptions(port: int, symbols: Sequence[str]) -> None:
    await _say(port, "127.0.0.26", subscribe(symbols[:200], after=dict.fromkeys(symbols[:200], 0)))


async def pings(port: int, symbols: Sequence[str]) -> None:
    await _say(port, "127.0.0.27", frame(PING, b"x" * 125) * 200)


async def requests(port: int, symbols: Sequence[str]) -> None:
    paths = itertools.cycle(
        (
            "/api/symbols?limit=5000",
            "/api/symbols?limit=5000&q=u",
            "/api/symbols?q=" + "+".join("ustd" * 8),
            f"/api/latest?symbols={','.join(symbols[:200])}",
            f"/api/trades?symbol={symbols[0]}&limit=1000",
            "/metrics",
            "/nowhere",
        )
    )
    async with visitor(port, "127.0.0.28") as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await client.get(next(paths))


async def clients_that_vanish(port: int, symbols: Sequence[str]) -> None:
    while True:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                attacker = await stack.enter_async_context(peer(port, opened=True, address="127.0.0.30"))
                await attacker.send(subscribe(symbols[:50], snapshot=100))


async def _event(port: int, symbols: Sequence[str], kind: str, argument: Any) -> None:
    """Let a page without reader send the same event again and again."""
    path = f"/labs?symbols={','.join(symbols[:200])}"
    while True:
        with contextlib.suppress(ConnectionClosed, httpx.HTTPError, OSError, TimeoutError):
            async with open_page(port, path, "127.0.0.31") as page:
                page.socket.transport.pause_reading()
                while True:
                    await page.event(kind, argument)
                    await asyncio.sleep(PACE_SECONDS)
        await asyncio.sleep(1)


async def picks(port: int, symbols: Sequence[str]) -> None:
    words = ",".join("".join(letters) + "QQ" for letters in itertools.product("QWERTZ", repeat=3))
    await _event(port, symbols, "pick", words[:350])


async def searches(port: int, symbols: Sequence[str]) -> None:
    await _event(port, symbols, "search", "u s d t")


async def visibility(port: int, symbols: Sequence[str]) -> None:
    await _event(port, symbols, "visibility", True)


async def logs(port: int, symbols: Sequence[str]) -> None:
    while True:
        with contextlib.suppress(ConnectionClosed, httpx.HTTPError, OSError, TimeoutError):
            async with open_page(port, "/", "127.0.0.32") as page:
                while True:
                    text = {"client_id": page.client_id, "level": "error", "message": "x" * 2000}
                    await page.emit("log", text)
                    await page.emit("event", {"nothing": 1})
                    await asyncio.sleep(PACE_SECONDS)
        await asyncio.sleep(1)


FLOODS: dict[str, tuple[Flood, int]] = {
    "unlisted names": (unlisted_names, 2),
    "changes": (changes, 2),
    "lists": (lists, 2),
    "large snapshots": (large_snapshots, 1),
    "snapshots for the deaf": (snapshots_for_the_deaf, 10),
    "resumptions": (resumptions, 1),
    "pings": (pings, 2),
    "requests": (requests, 1),
    "clients that vanish": (clients_that_vanish, 1),
    "picks": (picks, 2),
    "searches": (searches, 2),
    "visibility": (visibility, 2),
    "logs": (logs, 2),
}
"""Each attack, and how many attackers there are of it."""


@contextlib.asynccontextmanager
async def flooding(
    port: int, symbols: Sequence[str], names: Sequence[str] = tuple(FLOODS)
) -> AsyncIterator[None]:
    """Let the attackers go on while the context lasts. One that fails by itself is an error of the test."""
    attacks = [
        asyncio.create_task(flood(port, symbols), name=name)
        for name, (flood, count) in FLOODS.items()
        if name in names
        for _ in range(count)
    ]
    try:
        yield
        for attack in attacks:
            if attack.done():
                attack.result()
    finally:
        for attack in attacks:
            attack.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)
