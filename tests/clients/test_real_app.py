"""The client library and the real app: candles through cuts, both orders, quality, refusals, the token."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.config.settings import Settings
from livemarkets.market.models import StreamKey
from livemarkets.simulator import Simulator
from livemarkets_client import (
    Candle,
    Code,
    ConnectionEnded,
    Pending,
    SubscribeError,
    Subscription,
    Trade,
    connect,
)
from tests.clients.test_client import QUICK, taken
from tests.support.app import RunningApp, quiet_market, running_app, running_exchange, settings_for
from tests.support.copied_clients import newest_id
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
        cut(app)
        await eventually(lambda: Code.LOST in codes)
        opens += await closed(candles, 11)  # one more than the snapshot had
        position = candles.position()
    async with opened(app) as markets:
        opens += await closed(markets.candles("BTCUSDT", interval="1s", after=position), 1)
    assert all(b == a + 1000 for a, b in itertools.pairwise(opens))


def cut(app: RunningApp) -> None:
    for connection in list(app.server.server_state.connections):
        connection.transport.abort()


async def is_read(app: RunningApp) -> None:
    """Wait until the exchange delivers, and the trades of BTCUSDT have a reader: what comes now is live."""
    key = StreamKey.trades("binance", "BTCUSDT")
    await eventually(lambda: app.services.fanout.readers(key) == 1, 30)
    await eventually(lambda: app.services.status("binance").state == "live", 30)


async def lose_trades(app: RunningApp, exchange: Simulator) -> tuple[int, int]:
    """Have the exchange lose three trades and trade on, while REST does not answer. Return the lost range."""
    exchange.faults.rest_down(status=500)
    before = newest_id(exchange, "BTCUSDT")
    exchange.faults.lose(stream="btcusdt@trade", count=3)
    exchange.faults.burst(symbol="BTCUSDT", trades=3 + 5)
    return before + 1, before + 3


def patient(exchange: Simulator) -> Settings:
    """Settings of an app that keeps a hole open, also while its only reader is away."""
    return settings_for(exchange, gap_patience_seconds=120, linger_seconds=120)


async def test_in_order_of_arrival_nothing_waits_and_each_id_comes_once_through_a_cut() -> None:
    states: list[str] = []
    codes: list[int] = []
    async with (
        running_exchange(quiet_market()) as exchange,
        running_app(patient(exchange), tuning=Tuning(client=quick())) as app,
        opened(
            app,
            on_quality=lambda quality: states.append(quality.state),
            on_state=lambda transition: codes.append(transition.code),
        ) as markets,
    ):
        trades = markets.trades("BTCUSDT", order="arrival", snapshot=0, quality=True)
        await is_read(app)
        exchange.faults.burst(symbol="BTCUSDT", trades=2)
        before = [item.id for item in await taken(trades, 2)][-1]
        first, last = await lose_trades(app, exchange)
        pending, *behind = await taken(trades, 6)
        assert isinstance(pending, Pending)
        assert (first, pending.from_id, pending.to_id) == (before + 1, first, last)
        assert [item.id for item in behind] == list(range(last + 1, last + 6))
        assert trades.position() == {"BTCUSDT": before}
        await eventually(lambda: "recovering" in states, 20)
        assert trades.quality["BTCUSDT"].complete_to == before
        cut(app)
        await eventually(lambda: codes[-3:] == [Code.LOST, Code.RETRY, Code.WELCOMED], 20)
        exchange.faults.burst(symbol="BTCUSDT", trades=2)
        assert [item.id for item in await taken(trades, 2)] == [last + 6, last + 7]
        exchange.faults.clear()
        fetched = await taken(trades, 3)
        assert [(item.id, item.backfilled) for item in fetched] == [(i, True) for i in range(first, last + 1)]
        assert trades.position() == {"BTCUSDT": last + 7}
        await eventually(lambda: states[-1] == "live", 20)


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
