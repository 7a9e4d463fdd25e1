"""What changed during a cut, on streams that say nothing afterwards: nobody keeps what is no longer true."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import msgspec
import pytest

from livemarkets import app
from livemarkets.app import Services, Tuning
from livemarkets.exchanges.binance.client import ClientTimings
from livemarkets.market.channels import BOOK
from livemarkets.market.models import StreamKey
from livemarkets.market.updates import BookUpdate
from livemarkets.simulator import SimulatedMarket, Simulator
from tests.support.app import running_exchange, settings_for
from tests.support.helpers import eventually
from tests.support.simulated_time import time_is_simulated
from tests.support.upstream import QUICK, quick

pytestmark = pytest.mark.long

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
KEYS = [StreamKey("binance", BOOK, symbol) for symbol in SYMBOLS]
_UNIT = Decimal(10**8)


@contextlib.asynccontextmanager
async def subscribed(timings: ClientTimings) -> AsyncIterator[tuple[Simulator, Services]]:
    """Run an exchange that trades when told, and a feed with the best bids and asks of all symbols."""
    market = SimulatedMarket(seed=7, symbols=SYMBOLS, trades_per_second=1e-4, history_seconds=0.0)
    async with running_exchange(market) as venue:
        services = app.build(settings_for(venue, simulator_enabled=False), tuning=Tuning(client=timings))
        await services.start()
        try:
            for key in KEYS:
                services.manager.subscribe("test", key)
            await eventually(lambda: venue.subscriptions() == {f"{s.lower()}@bookTicker" for s in SYMBOLS})
            trade(venue)
            await eventually(shows_the_truth(venue, services))
            yield venue, services
        finally:
            await services.stop()


def trade(venue: Simulator) -> None:
    for symbol in SYMBOLS:
        venue.faults.burst(symbol=symbol, trades=3)


def shows_the_truth(venue: Simulator, services: Services) -> Callable[[], bool]:
    def check() -> bool:
        return all(_shown(services, key) == _true(venue, key.symbol) for key in KEYS)

    return check


def _shown(services: Services, key: StreamKey) -> tuple[Decimal | None, ...]:
    update = services.feeds["binance"].updates.latest.newest(key)
    return (update.bid, update.ask, update.bid_size) if isinstance(update, BookUpdate) else ()


def _true(venue: Simulator, symbol: str) -> tuple[Decimal, ...]:
    quote = venue.source.quote(symbol)
    return quote.bid / _UNIT, quote.ask / _UNIT, quote.bid_size / _UNIT


@time_is_simulated
@pytest.mark.parametrize("streams_per_connection", [1, 4])
async def test_every_best_bid_and_ask_is_true_again(streams_per_connection: int) -> None:
    timings = msgspec.structs.replace(quick(), streams_per_connection=streams_per_connection)
    async with subscribed(timings) as (venue, services):
        for _ in range(10):
            venue.faults.drop()
            trade(venue)
            await eventually(shows_the_truth(venue, services), 60)


@time_is_simulated
async def test_what_a_dead_connection_did_not_bring_is_asked_for_when_another_takes_over() -> None:
    """The streams are acknowledged all the time: on the dead connection, then on the one that replaces it."""
    patient = msgspec.structs.replace(QUICK, ping_seconds=600.0)
    timings = quick(connection=patient, lifetime_seconds=4.0)
    async with subscribed(timings) as (venue, services):
        venue.faults.half_open()
        trade(venue)
        await asyncio.sleep(3)
        assert not shows_the_truth(venue, services)(), "nobody can know it yet"
        await eventually(lambda: services.feeds["binance"].client.statistics().rotations == 1, 60)
        await eventually(shows_the_truth(venue, services), 5)
