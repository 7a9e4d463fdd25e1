"""The client library and the real app: candles through cuts, refusals, the access token."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.simulator import Simulator
from livemarkets_client import (
    Candle,
    Code,
    ConnectionEnded,
    SubscribeError,
    Subscription,
    Trade,
    connect,
)
from tests.clients.test_client import QUICK, taken
from tests.support.app import RunningApp, running_app, running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.upstream import quick


@pytest.fixture
async def exchange() -> AsyncIterator[Simulator]:
    async with running_exchange() as exchange:
        yield exchange


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    async with running_app(settings_for(exchange), tuning=Tuning(client=quick())) as app:
        yield app


def opened(app: RunningApp, **options: Any) -> Any:
    return connect(app.http_url, **({"proxy": None, "timings": QUICK} | options))


async def closed(subscription: Subscription[Any], count: int) -> list[int]:
    """The open times of the next closed candles."""
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            item = await anext(subscription)
            assert isinstance(item, Candle)
            found += [item.open_ts] if item.closed and not item.revised else []
    return found


@pytest.mark.long
async def test_closed_candles_come_once_through_cuts_and_another_program(app: RunningApp) -> None:
    codes: list[int] = []
    async with opened(app, on_state=lambda transition: codes.append(transition.code)) as markets:
        candles = markets.candles("BTCUSDT", interval="1s", snapshot=20)
        opens = await closed(candles, 10)
        for connection in list(app.server.server_state.connections):
            connection.transport.abort()
        await eventually(lambda: Code.LOST in codes)
        opens += await closed(candles, 11)  # one more than the snapshot had
        position = candles.position()
    async with opened(app) as markets:
        opens += await closed(markets.candles("BTCUSDT", interval="1s", after=position), 1)
    assert all(b == a + 1000 for a, b in itertools.pairwise(opens))


async def test_the_server_refuses_what_it_does_not_have(app: RunningApp) -> None:
    async with opened(app) as markets:
        requests = [
            (markets.trades("BTC/USDT"), "does not list BTC/USDT"),
            (markets.trades("ETHUSDT", exchange="nowhere"), "exchange must be one of"),
            (markets.candles("ETHUSDT", interval="7m"), "interval must be one of"),
            (markets.trades("SOLUSDT", snapshot=10**9), "snapshot must be"),
        ]
        for subscription, said in requests:
            with pytest.raises(SubscribeError, match=said):
                await taken(subscription, 1)
        assert [type(item) for item in await taken(markets.trades("ETHUSDT"), 3)] == [Trade] * 3


async def test_the_access_token_is_brought(exchange: Simulator) -> None:
    async with running_app(settings_for(exchange, access_token="secret")) as app:
        async with opened(app, token="secret") as markets:
            assert len(await taken(markets.trades("BTCUSDT"), 2)) == 2
        async with opened(app, token="wrong") as markets:
            with pytest.raises(ConnectionEnded) as raised:
                await markets.connected()
            assert raised.value.code == 401
