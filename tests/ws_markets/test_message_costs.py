"""No message and no request of a client holds the event loop for long, whatever it names."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from string import ascii_uppercase, digits
from typing import Any, cast

import httpx
import msgspec
import pytest
from fastapi import WebSocket

from livemarkets.app import Services, build
from livemarkets.config.settings import Settings
from livemarkets.delivery.mailbox import SinkListener
from livemarkets.exchanges.binance.connection import Connection
from livemarkets.exchanges.binance.routes import Routes
from livemarkets.feed.exchange_feed import ExchangeFeed
from livemarkets.http_api.web_app import create_app
from livemarkets.market.channels import ALL_SYMBOLS, TICKERS
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import StreamUpdate
from livemarkets.ws_markets.admission import admit
from livemarkets.ws_markets.connection import MarketsConnection
from pages.labs.url import read_typed
from tests.exchanges.binance.test_updates import ROW_DATA
from tests.market.test_symbols import least_ms, long_list
from tests.support.upstream import Listener, connect_to

HOLD_MS = 20.0
"""CPU time of the best of several runs: what else the machine does at the moment does not count."""
FRAME_BYTES = 16_384

INFOS = long_list()
LISTED = [info.symbol for info in INFOS]


def unlisted(count: int, length: int = 8) -> list[str]:
    """Different names that no exchange lists, alike in nothing."""
    letters = itertools.product(ascii_uppercase, repeat=4)
    return ["".join(head).ljust(length, "Q") for head in itertools.islice(letters, 0, 300_000, 211)][:count]


SHORT = ["".join(name) for name in itertools.product(ascii_uppercase + digits, repeat=2)]


class NoSink:
    """A connection that takes everything and keeps nothing."""

    is_paused = False
    fd = -1
    listener: SinkListener | None = None

    def write(self, frames: bytes) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Passing(Listener):
    """Passes what a connection reads to a feed, as the client does."""

    def __init__(self, feed: ExchangeFeed) -> None:
        super().__init__()
        self._feed = feed

    def handle_update(self, connection: Connection, key: StreamKey, update: StreamUpdate) -> None:
        self._feed.on_update(key, update)


class Script:
    """A socket on which a client says these things and leaves; it notes how long each held the loop."""

    def __init__(self, messages: Sequence[Any]) -> None:
        self._texts = [msgspec.json.encode(message).decode() for message in messages]
        assert all(len(text.encode()) <= FRAME_BYTES for text in self._texts)
        self._at = 0.0
        self.held_ms: list[float] = []

    async def receive(self) -> dict[str, Any]:
        now = time.thread_time()
        self.held_ms.append((now - self._at) * 1000)
        if not self._texts:
            return {"type": "websocket.disconnect"}
        self._at = time.thread_time()
        return {"type": "websocket.receive", "text": self._texts.pop(0)}


@pytest.fixture
async def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    """An application that knows a long list, and no network: nobody waits for a newer list."""
    monkeypatch.setattr("livemarkets.ws_markets.connection._SYMBOLS_WAIT_SECONDS", 0.0)
    monkeypatch.setattr("livemarkets.http_api.routes._FIND_SECONDS", 0.0)
    services = build(Settings(stream_enabled=True))
    feed = services.feeds["binance"]
    feed.directory.replace(INFOS)
    for symbol in LISTED[1000:2000]:
        services.manager.subscribe("somebody else", StreamKey.trades("binance", symbol))
    return services


async def hold_ms(services: Services, *messages: dict[str, Any]) -> float:
    """How long the last message holds the loop, at its best."""
    held: list[float] = []
    for _ in range(5):
        mailbox = services.fanout.open(NoSink(), limit_bytes=2**22)
        connection = MarketsConnection(services.hub, mailbox, "127.0.0.1")
        script = Script(messages)
        await connection.serve(cast(WebSocket, script))
        connection.release()
        held.append(script.held_ms[-1])
    return min(held)


def message(kind: str, symbols: list[Any], **fields: Any) -> dict[str, Any]:
    return {"type": kind, "exchange": "binance", "channel": "trades", "symbols": symbols, **fields}


MESSAGES: dict[str, list[dict[str, Any]]] = {
    "unlisted": [message("subscribe", unlisted(1400))],
    "unlisted, as many as one may name": [message("subscribe", unlisted(200))],
    "unlisted and long": [message("subscribe", unlisted(200, 64))],
    "unlisted, of the usual length": [message("subscribe", unlisted(200, 12))],
    "short": [message("subscribe", SHORT)],
    "the same again and again": [message("subscribe", ["BTCUSDT"] * 1400)],
    "empty": [message("subscribe", [""] * 5000)],
    "numbers": [message("subscribe", list(range(2500)))],
    "one long name of another script": [message("subscribe", ["币" * 5300])],
    "new": [message("subscribe", LISTED[:200])],
    "wanted by others": [message("subscribe", LISTED[1000:1200])],
    "once more": [message("subscribe", LISTED[:200])] * 2,
    "the latest only": [message("subscribe", LISTED[:200], mode="latest")],
    "in order of arrival": [message("subscribe", LISTED[:200], order="arrival")],
    "after, of strangers": [message("subscribe", ["BTCUSDT"], after=dict.fromkeys(unlisted(1200), 1))],
    "after, of named ones": [message("subscribe", unlisted(600), after=dict.fromkeys(unlisted(600), 1))],
    "unsubscribe strangers": [message("unsubscribe", unlisted(1400))],
    "unsubscribe short ones": [message("unsubscribe", SHORT)],
    "unsubscribe all": [message("subscribe", LISTED[:200]), message("unsubscribe", LISTED[:200])],
    "the best bid and ask": [message("subscribe", LISTED[:200], channel="book")],
    "order books": [message("subscribe", LISTED[:200], channel="depth", levels=5)],
    "order books once more": [message("subscribe", LISTED[:200], channel="depth")] * 2,
    "tickers, latest only": [message("subscribe", ["*", *LISTED[:199]], channel="tickers", mode="latest")],
    "list": [message("subscribe", LISTED[:200]), {"type": "list"}],
}


async def test_many_names_are_looked_up_in_parts(services: Services) -> None:
    """At once, those of one message take 5 ms, and several clients may send one in the same moment."""
    parts = 1

    async def pause() -> None:
        nonlocal parts
        parts += 1

    names = [*unlisted(1200), *LISTED[:200]]
    keys, results = await admit(services.feeds["binance"], "trades", None, names, {}, pause)
    assert [result.ok for result in results] == [False] * 1200 + [True] * 200
    assert [key.symbol for key in keys] == LISTED[:200]
    assert parts >= 1400 / 250


@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES.keys())
async def test_no_message_holds_the_event_loop(services: Services, messages: list[dict[str, Any]]) -> None:
    assert await hold_ms(services, *messages) < HOLD_MS


@pytest.mark.serial  # milliseconds of CPU time, which others beside it lengthen
async def test_no_frame_with_all_tickers_holds_the_event_loop(services: Services) -> None:
    """From the exchange's bytes to the queues of the readers, with 2,000 symbols that all changed."""
    key, feed = StreamKey("binance", TICKERS, ALL_SYMBOLS), services.feeds["binance"]
    services.manager.subscribe("somebody", key)
    services.fanout.newest.join(key, services.fanout.open(NoSink(), limit_bytes=2**22))
    routes, listener = Routes(), Passing(feed)
    routes.add(key)
    connection = connect_to("ws://127.0.0.1:9", listener=listener, routes=routes)
    held: list[float] = []
    for number in range(5):
        row = ROW_DATA | {"E": ROW_DATA["E"] + number}
        rows = [row | {"s": symbol} for symbol in LISTED[:2000]]
        raw = msgspec.json.encode({"stream": "!ticker_1d@arr", "data": rows})
        before = time.thread_time()
        connection._take([raw])
        held.append((time.thread_time() - before) * 1000)
    assert len(feed.updates.latest.store.rows(key)) == 2000
    assert min(held) < HOLD_MS


REQUESTS = {
    "all symbols": ("/api/symbols", {"limit": "5000"}),
    "all that have a letter": ("/api/symbols", {"limit": "5000", "q": "u"}),
    "many words": ("/api/symbols", {"q": "u " * 15_000}),
    "many names": ("/api/latest", {"symbols": ",".join(unlisted(1400))}),
    "one name many times": ("/api/latest", {"symbols": "BTCUSDT," * 3500}),
    "one long name": ("/api/trades", {"symbol": "币" * 5000}),
    "one that is not listed": ("/api/latest", {"symbols": "Q" * 60}),
}


@pytest.mark.parametrize(("path", "parameters"), REQUESTS.values(), ids=REQUESTS.keys())
async def test_no_request_about_symbols_holds_the_event_loop(
    services: Services, path: str, parameters: dict[str, str]
) -> None:
    web = create_app(services)
    held: list[float] = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://127.0.0.1") as client:
        request = client.build_request("GET", path, params=parameters)
        for _ in range(5):
            before = time.thread_time()
            response = await client.send(request)
            held.append((time.thread_time() - before) * 1000)
            assert response.status_code in (200, 400, 404)
    assert min(held) < HOLD_MS, "the client of this test included"


@pytest.mark.parametrize(
    "text", [",".join(unlisted(1400)), "币安," * 5400, "币" * 16_384, "AB," * 5400, "/" * 16_384]
)
def test_no_address_of_a_page_holds_the_event_loop(text: str) -> None:
    assert least_ms(lambda: read_typed(text)) < HOLD_MS
