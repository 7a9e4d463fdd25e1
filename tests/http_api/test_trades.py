"""`/api/trades` over real HTTP: what comes from memory, what from the exchange, and who may make us ask."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from livemarkets.simulator import Simulator
from tests.support.api import filled, tick_of, with_digits
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import WITHOUT_TLS, eventually
from tests.support.rest_server import Call, Reply, rest_server
from tests.support.rest_server import trades as rest_trades


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange, feed_length=50)) as app:
        yield app


class Answer:
    """An answer in JSON, with what it says of where its trades come from."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.status_code == 200, response.text
        body = with_digits(response.text)
        assert response.headers["livemarkets-source"] == body["source"]
        self.source: str = body["source"]
        self.trades: list[dict[str, str]] = [
            {name: trade[name] for name in trade if name not in ("recv_ts", "backfilled")}
            for trade in body["trades"]
        ]
        self.ids = [int(trade["id"]) for trade in body["trades"]]


async def trades(app: RunningApp, symbol: str = "BTCUSDT", **parameters: Any) -> Answer:
    return Answer(await app.get("/api/trades", symbol=symbol, **parameters))


def newest_id(exchange: Simulator, symbol: str = "BTCUSDT") -> int:
    return int(tick_of(exchange, symbol, -1)["id"])


def asked(exchange: Simulator) -> int:
    """How often the exchange was asked for trades."""
    calls = exchange.stats()["rest_calls"]
    return sum(count for call, count in calls.items() if call.endswith(("/trades", "/historicalTrades")))


async def test_trades_of_a_symbol_that_nobody_reads_come_from_the_exchange(
    app: RunningApp, exchange: Simulator
) -> None:
    exchange.faults.burst(symbol="BTCUSDT", trades=150)
    for symbol in ("btc/usdt", " BTC-USDT "):
        answer = await trades(app, symbol)
        assert answer.source == "exchange"
        assert answer.trades == [tick_of(exchange, "BTCUSDT", at) for at in range(-100, 0)]
    assert (await trades(app, limit=1000)).trades[-150:] == [
        tick_of(exchange, "BTCUSDT", at) for at in range(-150, 0)
    ]
    assert asked(exchange) == 1, "one answer is shared for a second, whatever the limit"
    assert app.services.manager.counts() == (0, 0, 0)
    assert exchange.stats()["connects"] == 0


async def test_memory_is_not_asked_twice(app: RunningApp, exchange: Simulator) -> None:
    await filled(app, exchange, "BTCUSDT", 60)
    newest = newest_id(exchange)
    full = await trades(app, limit=50)
    assert (full.source, full.ids) == ("memory", list(range(newest - 49, newest + 1)))
    some = await trades(app, from_id=newest - 20, limit=5)
    assert (some.source, some.ids) == ("memory", list(range(newest - 20, newest - 15)))
    later = await trades(app, from_id=newest + 1)
    assert (later.source, later.ids) == ("memory", [])
    assert asked(exchange) == 0


async def test_what_memory_lacks_comes_from_the_exchange(app: RunningApp, exchange: Simulator) -> None:
    exchange.faults.burst(symbol="BTCUSDT", trades=200)
    await filled(app, exchange, "BTCUSDT", 10)
    newest = newest_id(exchange)
    both = await trades(app, limit=120)
    assert both.source == "both"
    assert both.trades == [tick_of(exchange, "BTCUSDT", at) for at in range(-120, 0)]
    later = await trades(app, from_id=newest - 40)
    assert (later.source, later.ids) == ("both", list(range(newest - 40, newest + 1)))
    older = await trades(app, from_id=newest - 150, limit=30)
    assert (older.source, older.ids) == ("exchange", list(range(newest - 150, newest - 120)))


async def test_trades_from_an_id_on_of_a_symbol_that_nobody_reads(
    app: RunningApp, exchange: Simulator
) -> None:
    exchange.faults.burst(symbol="BTCUSDT", trades=1500)
    newest = newest_id(exchange)
    first = newest - 1400
    page = await trades(app, from_id=first, limit=1000)
    assert (page.source, page.ids) == ("exchange", list(range(first, first + 1000)))
    rest = await trades(app, from_id=page.ids[-1] + 1, limit=1000)
    assert rest.ids == list(range(first + 1000, newest + 1))
    assert (await trades(app, from_id=newest + 1)).ids == []
    assert asked(exchange) == 3


async def test_every_format_has_the_same_fields_in_the_same_order(
    app: RunningApp, exchange: Simulator
) -> None:
    await filled(app, exchange, "SHIBUSDT", 20)
    as_json = await app.get("/api/trades", symbol="SHIBUSDT", limit=20)
    expected = with_digits(as_json.text)["trades"]
    as_csv = await app.get("/api/trades", symbol="SHIBUSDT", limit=20, format="csv")
    lines = as_csv.text.splitlines()
    assert lines[0] == "exchange,symbol,price,size,side,ts,id,recv_ts" == ",".join(expected[0])
    assert list(csv.DictReader(lines)) == expected
    ndjson = await app.get("/api/trades", symbol="SHIBUSDT", limit=20, format="ndjson")
    assert [with_digits(line) for line in ndjson.text.splitlines()] == expected
    assert as_csv.headers["livemarkets-source"] == ndjson.headers["livemarkets-source"] == "memory"
    empty = await app.get("/api/trades", symbol="SHIBUSDT", from_id=2**40, format="csv")
    assert empty.text == lines[0] + "\n"


async def test_many_who_ask_at_once_cause_one_call(app: RunningApp, exchange: Simulator) -> None:
    exchange.faults.burst(symbol="ETHUSDT", trades=30)
    answers = await asyncio.gather(*(trades(app, "ETHUSDT", limit=30) for _ in range(30)))
    assert {tuple(answer.ids) for answer in answers} == {tuple(answers[0].ids)}
    assert len(answers[0].ids) == 30
    assert asked(exchange) == 1


async def test_an_address_that_asks_too_much_is_told_when_to_come_back(
    app: RunningApp, exchange: Simulator
) -> None:
    await filled(app, exchange, "SHIBUSDT", 50)
    newest = newest_id(exchange, "SHIBUSDT")

    async def status(symbol: str, address: str, **headers: str) -> tuple[int, str | None]:
        headers["X-Forwarded-For"] = address
        async with httpx.AsyncClient(verify=WITHOUT_TLS, trust_env=False) as client:
            found = await client.get(
                f"{app.http_url}/api/trades", params={"symbol": symbol, "limit": 50}, headers=headers
            )
        assert found.status_code == 200 or list(found.json()) == ["error"]
        return found.status_code, found.headers.get("retry-after")

    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "ETHBTC"):
        assert await status(symbol, "192.0.2.1") == (200, None)
    pages = asked(exchange)
    await eventually(lambda: not app.services.fetching.is_busy)
    refused, retry_after = await status("BTCUSDT", "192.0.2.1")
    assert refused == 429
    assert 50 <= int(retry_after or 0) <= 60
    assert await status("SHIBUSDT", "192.0.2.1") == (200, None), "what is in memory costs nothing"
    assert await status("BTCUSDT", "192.0.2.2") == (200, None)
    assert await status("ETHUSDT", "192.0.2.3", **{"Sec-Fetch-Site": "cross-site"}) == (403, None)
    assert await status("SHIBUSDT", "192.0.2.3", **{"Sec-Fetch-Site": "cross-site"}) == (200, None)
    assert await status("ETHUSDT", "192.0.2.3", Origin="https://evil.example") == (403, None)
    assert await status("ETHUSDT", "192.0.2.3", **{"Sec-Fetch-Site": "same-origin"}) == (200, None)
    assert asked(exchange) == pages + 2
    assert newest_id(exchange, "SHIBUSDT") == newest


async def test_an_exchange_that_cannot_be_reached_is_told_with_a_time_to_retry() -> None:
    async with running_app(settings_for(None)) as app:
        response = await app.get("/api/trades", symbol="BTCUSDT")
        assert (response.status_code, list(response.json())) == (503, ["error"])
        assert "refused" in response.json()["error"]
        assert int(response.headers["retry-after"]) >= 1
        assert (await app.get("/api/latest", symbols="BTCUSDT")).json()["ticks"] == []


async def test_what_memory_has_is_told_while_the_exchange_does_not_answer(
    app: RunningApp, exchange: Simulator
) -> None:
    await filled(app, exchange, "BTCUSDT", 7)
    newest = newest_id(exchange)
    exchange.faults.rest_down()
    short = await trades(app)
    assert (short.source, short.ids) == ("memory", list(range(newest - 6, newest + 1)))
    older = await app.get("/api/trades", symbol="BTCUSDT", from_id=newest - 2000)
    assert older.status_code == 503


async def test_while_the_list_is_not_known_the_exchange_says_which_symbols_it_has() -> None:
    def answer(call: Call) -> Reply:
        if call.name == "exchangeInfo":
            return Reply(503)
        if call.symbol == "BTCUSDT":
            return Reply(200, rest_trades(1, 9))
        return Reply(400, {"code": -1121, "msg": "Invalid symbol."})

    async with rest_server(answer) as server:
        settings = settings_for(None, binance_rest_url=server.url)
        async with running_app(settings) as app:
            assert (await trades(app)).ids == list(range(1, 10))
            response = await app.get("/api/trades", symbol="NOPEUSDT")
            assert (response.status_code, response.json()["did_you_mean"]) == (404, [])
            assert {call.name for call in server.calls} == {"exchangeInfo", "trades"}
