"""A second exchange plugs into the ports: every promise holds for one that is nothing like Binance."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nicegui import Client
from nicegui.testing import User

import pages
from livemarkets import app as composition
from livemarkets.app import Tuning
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import LedgerLimits
from livemarkets.feed.silence import SilenceLimits
from livemarkets.feed.staleness import StalenessLimits
from livemarkets.market.clock import system_clock
from livemarkets.market.models import StreamKey
from pages.elements.connection_badge import ConnectionBadge
from pages.elements.market_grid.market_grid import MarketGrid
from pages.elements.status_banner import StatusBanner
from pages.elements.trade_tape import TradeTape
from tests.pages.visiting import only
from tests.support.app import RunningApp, running_app, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient, missing_ids
from tests.support.second_exchange import harbour
from tests.support.second_exchange_server import FIRST_ID, PAGE_ROWS, HarbourServer
from tests.support.simulated_time import Shared, time_is_simulated

pytestmark = pytest.mark.long

BTC = StreamKey.trades("harbour", "BTCUSDT")
QUICK = FeedLimits(
    ledger=LedgerLimits(hold_seconds=0.05, patience_seconds=3.0, proof_seconds=0.5),
    staleness=StalenessLimits(
        silence=SilenceLimits(slot_seconds=0.05, memory_seconds=2, floor_seconds=0.3, unknown_seconds=0.5)
    ),
)


@pytest.fixture
def server() -> Shared[HarbourServer]:
    return Shared(HarbourServer.running())


@contextlib.asynccontextmanager
async def running(server: HarbourServer, limits: FeedLimits = QUICK) -> AsyncIterator[RunningApp]:
    """The app with Harbour beside the exchanges that it always offers."""
    exchanges = {"harbour": harbour(server.url, system_clock())}
    async with running_app(settings_for(None), tuning=Tuning(feed=limits), exchanges=exchanges) as app:
        yield app


@pytest.fixture
def app(server: Shared[HarbourServer]) -> contextlib.AbstractAsyncContextManager[RunningApp]:
    return app_at(server)


@contextlib.asynccontextmanager
async def app_at(server: Shared[HarbourServer]) -> AsyncIterator[RunningApp]:
    async with server as harbour_server, running(harbour_server) as app:
        yield app


async def subscribed(app: RunningApp, server: HarbourServer, **fields: Any) -> MarketsClient:
    """A client that Harbour sends BTCUSDT to."""
    client = await app.connect()
    await client.subscribe("BTCUSDT", exchange="harbour", **fields)
    await eventually(lambda: "BTC-USDT" in server.carried(), because="Harbour carries what is wanted")
    return client


Told = list[dict[str, Any]]


async def up_to(client: MarketsClient, trade_id: int, told: Told | None = None) -> Told:
    """Read on until a trade was told; return trades and gaps in the order in which they were told."""
    told = [] if told is None else told
    while not told or told[-1].get("id") != trade_id:
        note(await client.receive(), told)
    return told


def note(message: dict[str, Any], told: Told) -> None:
    if message["type"] == "snapshot":
        told += message["data"]
    elif message["type"] in ("trade", "gap"):
        told.append(message)


def gaps_in(told: Told) -> list[tuple[int, int, str]]:
    return [(each["from_id"], each["to_id"], each["cause"]) for each in told if "cause" in each]


def ids_or_gaps(told: Told) -> list[int]:
    """The ids that a reader was told of, in that order, whether as a trade or as missing."""
    ranges = [(each["from_id"], each["to_id"]) if "cause" in each else (each["id"],) * 2 for each in told]
    return [trade_id for first, last in ranges for trade_id in range(first, last + 1)]


def ids_of(told: Told) -> list[int]:
    """The ids of the trades."""
    return [each["id"] for each in told if "id" in each]


def last_id(server: HarbourServer) -> int:
    return int(server.rows["BTC-USDT"][-1][0])


@time_is_simulated
async def test_its_trades_reach_a_client_in_our_shape_and_with_its_digits(
    app: RunningApp, server: HarbourServer
) -> None:
    client = await app.connect(greet=False)
    welcome = await client.receive()
    assert welcome["exchanges"] == {"binance": "idle", "harbour": "idle", "simulator": "idle"}
    assert server.attempts == 0, "nothing connects before somebody wants something"
    reply = await client.subscribe("BTCUSDT", "BTC-USDT", exchange="harbour")
    assert [result["ok"] for result in reply["results"]] == [True, False]
    assert reply["results"][1]["did_you_mean"] == ["BTCUSDT"]
    await client.next("status", exchange="harbour", state="live")

    server.trade(count=3, price="61837.6300")
    trades = await client.trades(3)

    assert ids_of(trades) == [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2], "though it sends the newest first"
    first = trades[0]
    assert (first["exchange"], first["symbol"], first["side"]) == ("harbour", "BTCUSDT", "buy")
    assert str(first["price"]) == "61837.6300"
    assert (first["size"], first["ts"]) == (Decimal("0.00000012"), 1_723_161_255_123 + FIRST_ID)
    assert trades[1]["side"] == "sell", "the maker bought"


@time_is_simulated
async def test_what_is_lost_repeated_or_swapped_arrives_once_and_in_order(
    app: RunningApp, server: HarbourServer
) -> None:
    client = await subscribed(app, server)
    server.trade(count=2)
    lost = server.lose(count=3)
    late = server.lose(count=2)
    server.trade(count=2)
    server.send("BTC-USDT", late)
    server.send("BTC-USDT", late)
    server.say('{"pair":"BTC-USDT","trades":[["none","NaN","1","B",0]]}')
    server.say("[")
    server.trade(count=1)

    told = await up_to(client, last_id(server))

    assert ids_of(told) == list(range(FIRST_ID, FIRST_ID + 10))
    assert {each["id"] for each in told if each.get("backfilled")} >= {int(row[0]) for row in lost}
    assert gaps_in(told) == []
    statistics = app.services.feeds["harbour"].statistics()
    assert statistics.client.complaints == {"malformed": 2}
    assert statistics.duplicates >= 2


@time_is_simulated
async def test_ids_that_it_never_used_are_declared(app: RunningApp, server: HarbourServer) -> None:
    client = await subscribed(app, server)
    server.trade()
    server.skip(count=4)
    server.trade()

    told = await up_to(client, FIRST_ID + 5)

    assert ids_of(told) == [FIRST_ID, FIRST_ID + 5]
    assert gaps_in(told) == [(FIRST_ID + 1, FIRST_ID + 4, "venue")]


@time_is_simulated
async def test_a_reader_resumes_after_an_id_across_many_of_its_pages(
    app: RunningApp, server: HarbourServer
) -> None:
    server.lose(count=12 * PAGE_ROWS + 50)
    client = await subscribed(app, server, after={"BTCUSDT": FIRST_ID + 9})
    server.trade(count=5)

    told = await up_to(client, last_id(server))

    assert ids_of(told) == list(range(FIRST_ID + 10, FIRST_ID + 12 * PAGE_ROWS + 55))
    assert gaps_in(told) == []
    assert app.services.feeds["harbour"].statistics().backfilled == 0, "the past is one reader's business"


@time_is_simulated
async def test_a_cut_is_healed(app: RunningApp, server: HarbourServer) -> None:
    client = await subscribed(app, server)
    server.trade(count=2)
    await client.trades(2)
    server.cut()
    lost = await client.next("status", exchange="harbour", state="down")
    assert lost["reason"] == "connection lost"
    server.lose(count=5)
    await client.next("status", exchange="harbour", state="live")
    server.trade()

    told = await up_to(client, FIRST_ID + 7)

    assert ids_of(told) == list(range(FIRST_ID + 2, FIRST_ID + 8))
    assert gaps_in(told) == []
    assert server.attempts == 2


@time_is_simulated
async def test_a_mute_stream_is_found_out_and_asked_for_again(app: RunningApp, server: HarbourServer) -> None:
    client = await subscribed(app, server)
    server.trade()
    await client.trades(1)
    server.mute()
    server.lose(count=3)

    stale, before = await client.until("status", exchange="harbour", state="stale")
    assert "BTCUSDT" in stale["reason"]
    trades = [message for message in before if message["type"] == "trade"]
    trades += await client.trades(3 - len(trades))
    await eventually(lambda: "BTC-USDT" in server.carried() and not server.is_mute)
    server.trade()

    assert ids_of(trades + await client.trades(1)) == list(range(FIRST_ID + 1, FIRST_ID + 5))
    await client.next("status", exchange="harbour", state="live")
    assert server.attempts == 1, "it was joined again on the same connection"


@time_is_simulated
async def test_it_is_asked_for_exactly_what_is_wanted(app: RunningApp, server: HarbourServer) -> None:
    client = await subscribed(app, server)
    await client.subscribe("PEPEBTC", exchange="harbour")
    await eventually(lambda: server.carried() == {"BTC-USDT", "PEPE-BTC"})
    await client.unsubscribe("BTCUSDT", exchange="harbour")
    await eventually(lambda: server.carried() == {"PEPE-BTC"})
    await client.unsubscribe("PEPEBTC", exchange="harbour")
    await eventually(lambda: not server.joined, because="without a wanted stream there is no connection")
    assert app.services.status("harbour").state == "idle"
    await client.subscribe("ETHUSDT", exchange="harbour")
    await eventually(lambda: server.carried() == {"ETH-USDT"})


@time_is_simulated
async def test_a_stream_that_it_turns_out_not_to_have_says_so(app: RunningApp, server: HarbourServer) -> None:
    """As when a symbol was accepted before the list was known."""
    client = await subscribed(app, server)
    app.services.manager.subscribe("somebody", StreamKey.trades("harbour", "NOSUCHPAIR"))

    async def reasons() -> bool:
        ready = (await app.get("/readyz", upstream="1")).json()
        assert ready["reasons"] == []
        return bool(
            ready["not_traded"] == ["harbour: NOSUCHPAIR is unknown (harbour does not list NOSUCHPAIR)"]
        )

    await eventually(reasons)
    server.trade()
    assert len(await client.trades(1)) == 1


@time_is_simulated
async def test_it_has_its_place_in_the_api_and_the_metrics(app: RunningApp, server: HarbourServer) -> None:
    client = await subscribed(app, server)
    server.trade(count=2)
    await client.trades(2)

    latest = (await app.get("/api/latest", exchange="harbour")).json()
    assert [tick["id"] for tick in latest["ticks"]] == [FIRST_ID + 1]
    found = (await app.get("/api/symbols", exchange="harbour", q="harbour:pepe")).json()
    assert [info["symbol"] for info in found["symbols"]] == ["PEPEBTC"]
    assert found["symbols"][0]["tick_size"] == "0.000000000001"
    metrics = (await app.get("/metrics")).text
    assert 'livemarkets_exchange_state{exchange="harbour",state="live"} 1.0' in metrics
    assert 'livemarkets_trades_received_total{exchange="harbour"} 2.0' in metrics


async def misfortunes(client: MarketsClient, server: HarbourServer, seed: int) -> Told:
    """Everything that can go wrong, at random; returns what a reader was told, in that order."""
    chance = random.Random(seed)
    told: Told = []
    for _ in range(60):
        match chance.choice(("trade", "trade", "trade", "lose", "repeat", "swap", "skip", "cut")):
            case "trade":
                server.trade(count=chance.randint(1, 5))
                note(await client.receive(), told)
            case "lose":
                server.lose(count=chance.randint(1, 5))
            case "repeat":
                server.send("BTC-USDT", server.rows["BTC-USDT"][-3:])
            case "swap":
                early = server.lose(count=2)
                server.trade(count=1)
                server.send("BTC-USDT", early)
            case "skip":
                server.skip(count=2)
            case "cut" if chance.random() < 0.5:
                server.cut()
                await eventually(lambda: "BTC-USDT" in server.carried())
    server.trade()
    return await up_to(client, last_id(server), told)


@pytest.mark.parametrize("seed", range(3))
@time_is_simulated
async def test_whatever_happens_ids_rise_by_one_or_by_a_declared_gap(
    app: RunningApp, server: HarbourServer, seed: int
) -> None:
    client = await subscribed(app, server)
    server.trade()
    told = await misfortunes(client, server, seed)

    assert ids_or_gaps(told) == list(range(FIRST_ID, last_id(server) + 1))
    assert ids_of(told) == [int(row[0]) for row in server.rows["BTC-USDT"]], "all that was traded"
    assert server.attempts > 1


@time_is_simulated
async def test_without_the_ledger_the_same_misfortunes_leave_holes(server: HarbourServer) -> None:
    async with running(server, msgspec.structs.replace(QUICK, has_ledger=False)) as app:
        client = await subscribed(app, server)
        server.trade()
        told = await misfortunes(client, server, seed=0)
    assert missing_ids(ids_or_gaps(told))


async def test_a_person_watches_it_on_the_labs_page(user: User) -> None:
    async with HarbourServer.running() as server:
        await a_person_watches_it_on_the_labs_page(user, server)


async def a_person_watches_it_on_the_labs_page(user: User, server: HarbourServer) -> None:
    exchanges = {"harbour": harbour(server.url, system_clock())}
    services = composition.build(settings_for(None), tuning=Tuning(feed=QUICK), exchanges=exchanges)
    pages.register(services)
    await services.start()
    try:
        await user.open("/labs?exchange=harbour&symbols=BTC-USDT,PEPEBTC")
        grid, tape = only(user, MarketGrid), only(user, TradeTape)
        strip, badge = only(user, StatusBanner), only(user, ConnectionBadge)
        await eventually(lambda: server.carried() == {"BTC-USDT", "PEPE-BTC"})
        await eventually(lambda: strip.props["head"] == "harbour is live.")
        await eventually(
            lambda: [(line.base, line.quote) for line in grid.lines] == [("BTC", "USDT"), ("PEPE", "BTC")]
        )
        server.trade(count=2)
        server.trade("PEPE-BTC", price="0.000000000131")
        await eventually(lambda: set(grid.rows) == {"BTCUSDT", "PEPEBTC"})
        assert grid.rows["BTCUSDT"].price == "61837.63"
        assert grid.rows["PEPEBTC"].price == "0.000000000131"
        await eventually(lambda: [tick.id for tick in tape.shown] == [FIRST_ID, FIRST_ID + 1])
        assert (badge.asked, badge.shown, badge.props["tag"]) == ("harbour", "harbour", "")

        user.find(marker="exchange").trigger("change", "binance")
        await eventually(lambda: not server.joined)
        user.find(marker="exchange").trigger("change", "harbour")
        await eventually(lambda: server.carried() == {"BTC-USDT", "PEPE-BTC"})
    finally:
        for client in list(Client.instances.values()):
            client.delete()
        await services.stop()
