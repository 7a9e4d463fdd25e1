"""Several clients as one: the best state counts, a mute leg is found, one leg alone calls nothing invalid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from livemarkets.exchanges.base import (
    ClientStatistics,
    ClientStatus,
    Evidence,
    ExchangeEvents,
    Guarantee,
    Silence,
    StreamState,
)
from livemarkets.exchanges.leg import MUTE_SECONDS
from livemarkets.exchanges.legs import Legs
from livemarkets.exchanges.statistics import AddressStatistics, ConnectionStatistics
from livemarkets.market.models import ExchangeState, StreamKey, TradeTick
from livemarkets.market.updates import StreamUpdate
from tests.support.simulated_time import run_in_simulated_time
from tests.support.ticks import BTC, ETH, ManualClock, make_tick
from tests.support.updates import BTC_BOOK, make_book

LIVE, DOWN = ClientStatus(ExchangeState.LIVE), ClientStatus(ExchangeState.DOWN, "timeout", 1030.0)
CONNECTING = ClientStatus(ExchangeState.CONNECTING)


class Client:
    """A client that does what a test says (an ExchangeClient)."""

    guarantee = Guarantee(ids="consecutive", history="by_id")

    def __init__(self, events: ExchangeEvents) -> None:
        self.events = events
        self.status = ClientStatus(ExchangeState.IDLE)
        self.states: dict[StreamKey, StreamState] = {}
        self.errors: dict[StreamKey, str] = {}
        self.began: dict[StreamKey, float] = {}
        self.wanted: list[StreamKey] = []
        self.suspected: list[tuple[StreamKey, Evidence]] = []
        self.each: list[ConnectionStatistics] = []
        self.address = AddressStatistics(url="wss://one", failures=0, rest_seconds=0.0, proxy=None)

    def want(self, key: StreamKey) -> None:
        self.wanted.append(key)
        self.states.setdefault(key, StreamState.PENDING)
        self.turn(CONNECTING)

    def unwant(self, key: StreamKey) -> None:
        self.wanted.remove(key)
        if not self.wanted:
            self.turn(ClientStatus(ExchangeState.IDLE))

    def suspect(self, key: StreamKey, evidence: Evidence) -> None:
        self.suspected.append((key, evidence))

    def state_of(self, key: StreamKey) -> StreamState:
        return self.states.get(key, StreamState.PENDING)

    def acknowledged_at(self, key: StreamKey) -> float | None:
        return self.began.get(key) if self.states.get(key) is StreamState.ACKNOWLEDGED else None

    def rejection(self, key: StreamKey) -> str | None:
        return self.errors.get(key)

    def statistics(self) -> ClientStatistics:
        return ClientStatistics(
            connections=1,
            connects=2,
            rotations=3,
            complaints={"not JSON": 1},
            each=self.each,
            addresses=[self.address],
        )

    async def run(self) -> None:
        await asyncio.Event().wait()

    def turn(self, status: ClientStatus) -> None:
        """Change the state, as a client does."""
        if status != self.status:
            self.status = status
            self.events.on_status(status)

    def works(self, *keys: StreamKey) -> None:
        """Everything is acknowledged."""
        self.states |= dict.fromkeys(keys, StreamState.ACKNOWLEDGED)
        self.turn(LIVE)


class World:
    """Legs, their clients, and what the feed was told (an ExchangeEvents)."""

    def __init__(self, count: int = 2) -> None:
        self.now = ManualClock()
        self.statuses: list[ClientStatus] = []
        self.ids: list[int] = []
        self.updates: list[StreamUpdate] = []
        self.invalid: list[int] = []
        self.newest: list[int] = []
        self.silence = Silence.NATURAL
        self.clients: list[Client] = []

        def connect(events: ExchangeEvents) -> Client:
            self.clients.append(Client(events))
            return self.clients[-1]

        connects: Sequence[Callable[[ExchangeEvents], Client]] = [connect] * count
        self.legs = Legs("binance", connects, self, clock=self.now)

    def on_trades(self, key: StreamKey, ticks: Sequence[TradeTick]) -> None:
        self.ids += [tick.id for tick in ticks]

    def on_invalid(self, key: StreamKey, trade_id: int) -> None:
        self.invalid.append(trade_id)

    def on_update(self, key: StreamKey, update: StreamUpdate) -> None:
        self.updates.append(update)

    def on_newest(self, key: StreamKey, trade_id: int) -> None:
        self.newest.append(trade_id)

    def on_status(self, status: ClientStatus) -> None:
        assert status == self.legs.status
        self.statuses.append(status)

    def silence_of(self, key: StreamKey) -> Silence:
        return self.silence

    def bring(self, at: int, trade_id: int, key: StreamKey = BTC) -> None:
        self.clients[at].events.on_trades(key, [make_tick(trade_id, symbol=key.symbol)])

    def states(self) -> list[str]:
        return [leg.state.value for leg in self.legs.statistics().legs]

    def passes(self, seconds: int, *bring: Callable[[], object]) -> None:
        """Let seconds pass, each with these arrivals and a look."""
        for _ in range(seconds):
            for each in bring:
                each()
            self.now.advance(1)
            self.legs.look(self.now())


@pytest.fixture
def world() -> World:
    """Two legs that bring two streams."""
    world = World()
    for key in (BTC, ETH):
        world.legs.want(key)
    for client in world.clients:
        client.works(BTC, ETH)
    return world


def test_every_leg_is_asked_for_every_stream_and_the_status_changes_once() -> None:
    world = World(count=3)
    world.legs.want(BTC)
    assert [client.wanted for client in world.clients] == [[BTC]] * 3
    assert world.statuses == [CONNECTING]
    world.clients[1].works(BTC)
    world.clients[0].works(BTC)
    assert world.statuses == [CONNECTING, LIVE]
    world.legs.unwant(BTC)
    assert world.statuses[2:] == [ClientStatus(ExchangeState.IDLE)]


def test_a_dead_leg_changes_nothing(world: World) -> None:
    before = list(world.statuses)
    world.clients[0].states.clear()
    world.clients[0].turn(CONNECTING)
    world.clients[0].turn(DOWN)
    assert world.statuses == before
    assert world.legs.state_of(BTC) is StreamState.ACKNOWLEDGED
    assert world.states() == ["down", "live"]
    world.clients[0].works(BTC, ETH)
    assert world.statuses == before


def test_without_a_leg_the_exchange_is_what_the_best_leg_is(world: World) -> None:
    world.clients[0].turn(DOWN)
    world.clients[1].turn(CONNECTING)
    assert world.legs.status == ClientStatus(ExchangeState.CONNECTING, None, 1030.0)
    world.clients[1].turn(ClientStatus(ExchangeState.DOWN, "refused", 1010.0))
    assert world.legs.status == ClientStatus(ExchangeState.DOWN, "timeout", 1010.0)


def test_a_stream_is_refused_only_where_no_leg_has_it(world: World) -> None:
    world.clients[0].states[BTC] = StreamState.REJECTED
    world.clients[0].errors[BTC] = "no such stream"
    assert world.legs.state_of(BTC) is StreamState.ACKNOWLEDGED
    assert world.legs.rejection(BTC) is None
    world.clients[1].states[BTC] = StreamState.PENDING
    assert world.legs.state_of(BTC) is StreamState.REJECTED
    assert world.legs.rejection(BTC) == "no such stream"
    world.clients[0].states[BTC] = StreamState.PENDING
    assert world.legs.state_of(BTC) is StreamState.PENDING


def test_a_stream_began_when_the_leg_began_that_has_it_longest(world: World) -> None:
    world.clients[0].began[BTC], world.clients[1].began[BTC] = 7.0, 5.0
    assert world.legs.acknowledged_at(BTC) == 5.0
    world.clients[1].states[BTC] = StreamState.PENDING
    assert world.legs.acknowledged_at(BTC) == 7.0
    world.clients[0].states[BTC] = StreamState.PENDING
    assert world.legs.acknowledged_at(BTC) is None


def test_trades_of_all_legs_are_passed_on_and_counted(world: World) -> None:
    for trade_id in (1, 2):
        world.bring(0, trade_id)
        world.bring(1, trade_id)
    world.bring(1, 3)
    assert world.ids == [1, 1, 2, 2, 3]
    first, second = world.legs.statistics().legs
    assert (first.number, first.brought, first.first) == (1, 2, 2)
    assert (second.number, second.brought, second.first) == (2, 3, 1)


def test_a_late_update_is_not_passed_on() -> None:
    world = World()
    world.legs.want(BTC_BOOK)
    for number in (1, 2):
        world.clients[0].events.on_update(BTC_BOOK, make_book(number))
    world.clients[1].events.on_update(BTC_BOOK, make_book(1))
    assert world.updates == [make_book(1), make_book(2)]


def test_an_invalid_trade_counts_only_if_no_leg_may_bring_a_valid_one(world: World) -> None:
    world.clients[0].events.on_invalid(BTC, 5)
    assert world.invalid == []
    world.clients[1].events.on_invalid(BTC, 5)
    assert world.invalid == [5]
    world.clients[1].states.clear()
    world.clients[0].events.on_invalid(BTC, 6)
    assert world.invalid == [5, 6]


def test_what_one_leg_alone_calls_invalid_takes_no_memory_for_ever(world: World) -> None:
    for trade_id in range(3000):
        world.clients[0].events.on_invalid(BTC, trade_id)
    assert world.invalid == []
    assert len(world.legs._invalid) <= 1000


def test_the_newest_id_is_passed_on(world: World) -> None:
    world.clients[1].events.on_newest(BTC, 9)
    assert world.newest == [9]


def test_a_suspicion_of_the_feed_concerns_every_leg_that_should_bring_the_stream(world: World) -> None:
    world.clients[1].states[BTC] = StreamState.PENDING
    world.legs.suspect(BTC, Evidence.SILENT)
    assert [client.suspected for client in world.clients] == [[(BTC, Evidence.SILENT)], []]


def test_a_stream_that_comes_on_one_leg_alone_is_mute_on_the_other(world: World) -> None:
    world.passes(int(MUTE_SECONDS) - 1, lambda: world.bring(0, 1), lambda: world.bring(0, 1, ETH))
    assert world.clients[1].suspected == []
    assert world.states() == ["live", "live"]
    world.passes(2, lambda: world.bring(0, 1), lambda: world.bring(1, 1, ETH))
    assert world.clients[1].suspected == [(BTC, Evidence.BEHIND)]
    assert world.clients[0].suspected == []
    assert world.states() == ["live", "stale"]
    assert world.legs.statistics().legs[1].reason == "1 stream is mute"
    assert world.statuses[-1] == LIVE
    world.passes(1, lambda: world.bring(1, 1))
    assert world.states() == ["live", "live"]


def test_a_stream_that_stays_mute_is_suspected_ever_more_seldom(world: World) -> None:
    world.passes(1000, lambda: world.bring(0, 1))
    assert 5 <= len(world.clients[1].suspected) <= 8
    world.passes(1, lambda: world.bring(1, 1))
    world.passes(11, lambda: world.bring(0, 1))
    assert world.clients[1].suspected[-1] == (BTC, Evidence.BEHIND)


def test_quiet_streams_and_streams_that_are_not_acknowledged_are_not_mute(world: World) -> None:
    world.passes(100)
    world.bring(0, 1)
    world.bring(1, 1)
    world.passes(100)
    world.clients[1].states.clear()
    world.passes(100, lambda: world.bring(0, 1))
    assert [client.suspected for client in world.clients] == [[], []]


def test_each_leg_is_judged_by_its_own_silence(world: World) -> None:
    first, second = (client.events for client in world.clients)
    world.passes(12, lambda: world.bring(0, 1), lambda: world.bring(1, 1, ETH))
    assert second.silence_of(BTC) is Silence.UNUSUAL
    assert second.silence_of(ETH) is Silence.NONE
    world.silence = Silence.NONE
    assert first.silence_of(ETH) is Silence.UNUSUAL
    assert first.silence_of(BTC) is Silence.NONE
    world.passes(1, lambda: world.bring(0, 1, ETH))
    world.passes(4)
    assert first.silence_of(ETH) is Silence.NATURAL, "that another leg brings it says nothing of this one"
    world.silence = Silence.UNUSUAL
    assert first.silence_of(ETH) is Silence.UNUSUAL
    assert first.silence_of(BTC_BOOK) is Silence.NATURAL


def test_the_counters_of_all_legs_are_one(world: World) -> None:
    world.clients[1].address = AddressStatistics(url="wss://one", failures=3, rest_seconds=9.0, proxy=None)
    statistics = world.legs.statistics()
    assert (statistics.connections, statistics.connects, statistics.rotations) == (2, 4, 6)
    assert statistics.complaints == {"not JSON": 2}
    assert statistics.addresses == [world.clients[1].address], "as the leg sees it at which it fares worst"
    world.clients[0].each = [
        ConnectionStatistics(
            name="one",
            shard="one",
            url="wss://one/stream",
            is_standby=False,
            streams=1,
            acknowledged=1,
            opened_at=5.0,
            expires_at=9.0,
            round_trip_seconds=None,
        )
    ]
    assert world.legs.statistics().addresses == [world.clients[0].address], "a leg is connected to it"
    assert world.legs.statistics().legs[0].urls == ("wss://one/stream",)


def test_it_looks_once_a_second_and_ends_with_its_task() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = World()
        world.legs._clock = loop.time
        world.legs.want(BTC)
        for client in world.clients:
            client.works(BTC)
        task = asyncio.create_task(world.legs.run())
        for _ in range(13):
            world.bring(0, 1)
            await asyncio.sleep(1)
        assert world.clients[1].suspected
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [other.get_name() for other in asyncio.all_tasks() if "leg" in other.get_name()] == []

    run_in_simulated_time(main())


def test_there_is_at_least_one_leg() -> None:
    with pytest.raises(ValueError, match="must be a leg"):
        World(count=0)
