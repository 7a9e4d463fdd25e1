"""Both orders of `/ws/markets`, from the exchange to the socket: behind a hole, and with slow REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from livemarkets.app import Tuning
from livemarkets.feed.exchange_feed import FeedLimits
from livemarkets.feed.ledger import LedgerLimits
from livemarkets.simulator import Simulator
from tests.support.accounts import Account, OrderedAccount
from tests.support.app import RunningApp, relaxed, running_app, settings_for
from tests.support.helpers import eventually
from tests.support.markets_client import MarketsClient

BTC_STREAM = "btcusdt@trade"
LOST, BEHIND = 3, 10


@pytest.fixture
async def app(exchange: Simulator) -> AsyncIterator[RunningApp]:
    settings = settings_for(exchange, feed_length=100, simulator_enabled=False)
    async with running_app(settings, prepare=relaxed) as app:
        yield app


class Subscriber:
    """A client of BTCUSDT, with an account of what it was told."""

    def __init__(self, client: MarketsClient, account: Account) -> None:
        self.client = client
        self.account = account
        self.messages: list[dict[str, Any]] = []

    @property
    def ids(self) -> list[int]:
        return [message["id"] for message in self.messages if message["type"] == "trade"]

    @property
    def causes(self) -> list[str]:
        return [message["cause"] for message in self.messages if message["type"] == "gap"]

    async def catch_up(self) -> list[dict[str, Any]]:
        """Read what the server has sent so far, and account for it."""
        await self.client.send(type="ping", id="so far")
        _, came = await self.client.until("pong", id="so far")
        for message in came:
            if message["type"] in ("trade", "snapshot", "gap", "lagged"):
                self.account.take(message)
                self.messages.append(message)
        return self.messages

    async def has(self, trade_id: int) -> None:
        """Read until it knows what became of an id."""

        async def knows() -> bool:
            await self.catch_up()
            return trade_id in self.account.told

        await eventually(knows, because=f"told of {trade_id}")


async def subscriber(app: RunningApp, order: str, after: int | None = None, **fields: Any) -> Subscriber:
    client = await app.connect()
    if after is not None:
        fields["after"] = {"BTCUSDT": after}
    await client.subscribe("BTCUSDT", order=order, **fields)
    await client.next("status", state="live")
    return Subscriber(client, OrderedAccount(after) if order == "id" else Account(after))


def newest(exchange: Simulator) -> int:
    return exchange.source.history("BTCUSDT", exchange.now_ms()).recent(1)[0].id


async def open_a_hole(app: RunningApp, exchange: Simulator) -> tuple[int, int]:
    """Have the exchange trade, lose some, and trade on, while REST does not answer. Return the lost range."""
    exchange.faults.rest_down(status=500)
    before = newest(exchange)
    exchange.faults.lose(stream=BTC_STREAM, count=LOST)
    exchange.faults.burst(symbol="BTCUSDT", trades=LOST + BEHIND)
    feed = app.services.feeds["binance"]
    (key,) = feed.keys()

    def is_behind_a_hole() -> bool:
        ledger = feed.ledger(key)
        return ledger is not None and ledger.held == BEHIND

    await eventually(is_behind_a_hole)
    return before + 1, before + LOST


async def test_what_is_behind_a_hole_comes_at_once_in_order_of_arrival_and_waits_in_order_of_ids(
    app: RunningApp, exchange: Simulator
) -> None:
    ordered, arrivals = await subscriber(app, "id"), await subscriber(app, "arrival")
    exchange.faults.burst(symbol="BTCUSDT", trades=2)
    before = newest(exchange)
    for each in (ordered, arrivals):
        await each.has(before)
    first, last = await open_a_hole(app, exchange)
    end = last + BEHIND
    await arrivals.has(end)
    assert arrivals.ids[-BEHIND:] == list(range(last + 1, end + 1))
    (pending,) = [message for message in arrivals.messages if message["type"] == "gap"]
    assert pending == {
        "type": "gap",
        "exchange": "binance",
        "channel": "trades",
        "symbol": "BTCUSDT",
        "from_id": first,
        "to_id": last,
        "cause": "pending",
        "complete_to": before,
    }
    await ordered.catch_up()
    assert ordered.ids[-1] == before, "waits for what is missing"
    exchange.faults.clear()
    for each in (ordered, arrivals):
        await each.has(last)
        await each.has(end)
    fetched = arrivals.messages[-LOST:]
    assert [(each["id"], each["backfilled"]) for each in fetched] == [
        (trade_id, True) for trade_id in range(first, last + 1)
    ]
    assert ordered.ids == list(range(before - 1, end + 1))
    exchange.faults.burst(symbol="BTCUSDT", trades=1)
    for each in (ordered, arrivals):
        await each.has(end + 1)
        assert each.account.told.keys() == set(range(before - 1, end + 2))
        assert each.account.pending == set()


async def test_the_latest_trade_does_not_wait_for_a_hole(app: RunningApp, exchange: Simulator) -> None:
    client = await app.connect()
    await client.subscribe("BTCUSDT", mode="latest", interval_ms=20)
    await client.next("status", state="live")
    exchange.faults.burst(symbol="BTCUSDT", trades=2)
    await client.next("trade", id=newest(exchange))
    _, last = await open_a_hole(app, exchange)
    _, before = await client.until("trade", id=last + BEHIND)
    assert not [message for message in before if message["type"] == "gap"]
    late = await app.connect()
    await late.subscribe("BTCUSDT", mode="latest")
    snapshot = await late.next("snapshot")
    assert [tick["id"] for tick in snapshot["data"]] == [last + BEHIND], "nor does a snapshot"


async def test_who_comes_during_a_hole_is_told_all_that_was_read_and_what_is_pending(
    app: RunningApp, exchange: Simulator
) -> None:
    await subscriber(app, "id")
    exchange.faults.burst(symbol="BTCUSDT", trades=5)
    before = newest(exchange)
    await eventually(lambda: app.services.trades.recent(app.services.feeds["binance"].keys()[0], 1))
    first, last = await open_a_hole(app, exchange)
    behind = list(range(last + 1, last + BEHIND + 1))
    shown = {0: [], 1: [], BEHIND + 2: [before - 1, before]}
    readers = {count: await subscriber(app, "arrival", snapshot=count) for count in shown}
    resumed = await subscriber(app, "arrival", before - 3)
    for count, reader in [*readers.items(), (3, resumed)]:
        await reader.catch_up()
        snapshot, pending = reader.messages
        told = shown.get(count, [before - 2, before - 1, before])
        assert [tick["id"] for tick in snapshot["data"]] == told + behind
        assert (pending["from_id"], pending["to_id"], pending["cause"]) == (first, last, "pending")
        assert pending["complete_to"] == before
    exchange.faults.clear()
    for reader in (*readers.values(), resumed):
        await reader.has(first)
        await reader.has(last)
        assert reader.ids == [first, first + 1, last]


async def test_the_list_tells_the_order_and_how_far_nothing_is_open(
    app: RunningApp, exchange: Simulator
) -> None:
    arrivals = await subscriber(app, "arrival")
    assert (await arrivals.client.ask("list"))["subscriptions"][0] == {
        "exchange": "binance",
        "channel": "trades",
        "symbol": "BTCUSDT",
        "mode": "all",
        "order": "arrival",
        "last_id": None,
        "complete_to": None,
    }
    exchange.faults.burst(symbol="BTCUSDT", trades=2)
    before = newest(exchange)
    await arrivals.has(before)
    _, last = await open_a_hole(app, exchange)
    (listed,) = (await arrivals.client.ask("list"))["subscriptions"]
    assert (listed["last_id"], listed["complete_to"]) == (last + BEHIND, before)
    await arrivals.client.subscribe("BTCUSDT")
    (listed,) = (await arrivals.client.ask("list"))["subscriptions"]
    assert (listed["order"], listed["last_id"], listed["complete_to"]) == ("id", before, before)


async def test_who_reconnects_with_the_id_up_to_which_nothing_is_open_misses_nothing(
    app: RunningApp, exchange: Simulator
) -> None:
    await subscriber(app, "id")
    arrivals = await subscriber(app, "arrival")
    exchange.faults.burst(symbol="BTCUSDT", trades=2)
    before = newest(exchange)
    await arrivals.has(before)
    first, last = await open_a_hole(app, exchange)
    await arrivals.has(last + BEHIND)
    (complete_to,) = [message["complete_to"] for message in arrivals.messages if message["type"] == "gap"]
    await arrivals.client.socket.close()
    exchange.faults.clear()
    again = await subscriber(app, "arrival", complete_to)
    await again.has(first)
    await again.has(last + BEHIND)
    assert again.account.told.keys() == set(range(first, last + BEHIND + 1))


async def test_a_change_of_order_during_a_hole_repeats_nothing_and_leaves_nothing_out(
    app: RunningApp, exchange: Simulator
) -> None:
    reader = await subscriber(app, "arrival")
    exchange.faults.burst(symbol="BTCUSDT", trades=2)
    before = newest(exchange)
    await reader.has(before)
    first, last = await open_a_hole(app, exchange)
    await reader.has(last + BEHIND)
    await reader.client.subscribe("BTCUSDT", snapshot=0)
    reader.account, reader.messages = OrderedAccount(before), []
    exchange.faults.clear()
    await reader.has(last + BEHIND)
    assert reader.ids == list(range(first, last + BEHIND + 1))


async def test_a_gap_that_was_declared_before_is_declared_among_the_trades_of_a_snapshot(
    exchange: Simulator,
) -> None:
    hasty = Tuning(feed=FeedLimits(ledger=LedgerLimits(patience_seconds=0.1)))
    settings = settings_for(exchange, simulator_enabled=False)
    async with running_app(settings, tuning=hasty, prepare=relaxed) as app:
        ordered = await subscriber(app, "id")
        exchange.faults.burst(symbol="BTCUSDT", trades=2)
        await ordered.has(newest(exchange))
        first, last = await open_a_hole(app, exchange)
        await ordered.has(last + BEHIND)
        assert ordered.causes == ["upstream"]
        for order in ("id", "arrival"):
            late = await subscriber(app, order, snapshot=BEHIND + 1)
            await late.catch_up()
            assert [message["type"] for message in late.messages] == ["snapshot", "gap", "snapshot"]
            assert late.account.told.keys() == set(range(first - 1, last + BEHIND + 1))
