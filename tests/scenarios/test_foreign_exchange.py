"""The app on an exchange that shares nothing with it: other libraries, other habits, other numbers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.foreign import CUTS, FRAMINGS, SYMBOLS, TEXTS, ForeignExchange, foreign_exchange
from tests.support.helpers import WITHOUT_TLS, eventually

ALL = list(SYMBOLS)


@pytest.fixture
async def foreign() -> AsyncIterator[ForeignExchange]:
    async with foreign_exchange() as exchange:
        yield exchange


# the exchange itself, read by a client that is not ours


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("text", TEXTS)
async def test_every_manner_of_writing_says_the_same(
    foreign: ForeignExchange, framing: str, text: str
) -> None:
    foreign.faults.frames(framing)
    foreign.faults.texts(text)
    streams = "/".join(quote(foreign.market.listings[symbol].stream) for symbol in ALL)
    async with connect(f"{foreign.ws_urls[0]}/stream?streams={streams}", proxy=None) as socket:
        happened = foreign.market.trade(*ALL, count=2)
        events = [json.loads(await socket.recv())["data"] for _ in happened]
    assert [(event["t"], event["p"], event["q"]) for event in events] == [
        (trade.id, trade.price, trade.size) for trade in happened
    ]
    assert foreign.rules.violations == []


@pytest.mark.parametrize("manner", [each for each in CUTS if each != "half open"])
async def test_what_was_sent_before_a_cut_arrives_unless_the_cut_is_a_reset(
    foreign: ForeignExchange, manner: str
) -> None:
    async with connect(f"{foreign.ws_urls[0]}/stream?streams=btcusdt@trade", proxy=None) as socket:
        foreign.market.trade("BTCUSDT", count=3)
        foreign.faults.cut(manner)
        received = (
            [json.loads(text)["data"]["t"] async for text in socket] if manner in ("1000", "1001") else []
        )
        await socket.wait_closed()
    assert received in ([], sorted(foreign.market.listings["BTCUSDT"].sent_at))
    assert bool(foreign.market.listings["BTCUSDT"].sent_at) == (manner != "reset")


async def test_rest_answers_from_memory_and_from_a_database_that_lags(foreign: ForeignExchange) -> None:
    newest = foreign.market.trade("BTCUSDT")[0].id
    foreign.faults.lag(30)
    async with httpx.AsyncClient(
        verify=WITHOUT_TLS, base_url=f"{foreign.rest_urls[0]}/api/v3/", trust_env=False
    ) as http:
        memory = (await http.get("trades", params={"symbol": "BTCUSDT"})).json()
        database = (await http.get("historicalTrades", params={"symbol": "BTCUSDT", "fromId": 1})).json()
        ticker = await http.get("ticker/24hr", params={"symbols": '["BTCUSDT","币安人生USDT"]'})
    assert (memory[-1]["id"], database, ticker.json()[0]["lastId"]) == (newest, [], newest)
    assert ticker.headers["X-MBX-USED-WEIGHT-1M"] == "52"


async def test_for_a_campaign_every_symbol_trades_by_itself(foreign: ForeignExchange) -> None:
    before = {symbol: foreign.truth.newest(symbol) for symbol in ALL}
    foreign.trade_by_itself(per_second=1000)
    await eventually(lambda: all(foreign.truth.newest(symbol) > before[symbol] for symbol in ALL))
