"""Both orders of a stream side by side: whatever happens upstream, and whoever reads, in whatever way."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from livemarkets.delivery.fanout import Fanout
from livemarkets.feed.downstream import Downstream
from livemarkets.feed.gaps import GapRecord
from livemarkets.feed.ledger import Ledger, LedgerLimits, Outcome
from livemarkets.feed.resume import ResumeLimits, Resumer
from livemarkets.market.models import StreamKey, TradeTick
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from livemarkets.market.subscriptions import SubscriptionManager
from livemarkets.protocol.encoding import encode_gap, encode_lagged
from livemarkets.protocol.requests import SubscribeRequest
from livemarkets.protocol.updates import encode_rows
from livemarkets.server.turns import Turns as LoopTurns
from livemarkets.ws_markets import client_streams
from livemarkets.ws_markets.client_streams import ClientStreams
from livemarkets.ws_markets.publisher import MarketsPublisher
from tests.support.accounts import Account, LatestAccount, OrderedAccount
from tests.support.delivery import Peer, Turns, read_frames
from tests.support.ticks import BTC, make_tick

pytestmark = pytest.mark.long

READERS = 4
LIMIT_BYTES = 1200
INTERVAL_MS = 500
PATIENCE_SECONDS = 5.0


class NoHistory:
    """A history that is never needed, because memory reaches back far enough."""

    async def newest_ids(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        raise AssertionError("memory has it")

    trades_from: Any = newest_ids
    statistics: Any = newest_ids


class Feed:
    """The parts of an exchange's feed that readers depend on, with one stream."""

    def __init__(self, fanout: Fanout, clock: Callable[[], float]) -> None:
        self.latest = LatestPriceStore()
        self.trades = RecentTrades(10**6)
        self.stream = Ledger(
            BTC, LedgerLimits(patience_seconds=PATIENCE_SECONDS), lambda tick: self.trades.contains(BTC, tick)
        )
        self.downstream = Downstream(
            self.latest, self.trades, MarketsPublisher(fanout), GapRecord(10**6, lambda gap: None, clock)
        )
        self.resumer = Resumer(
            NoHistory(), self.trades, {BTC: self.stream}, limits=ResumeLimits(), clock=clock
        )

    def ledger(self, key: StreamKey) -> Ledger:
        return self.stream

    def take(self, outcome: Outcome) -> None:
        self.downstream.apply(self.stream, outcome)


class Reader:
    """A client: what it subscribes, and the account that it keeps of what it got."""

    def __init__(self, fd: int, fanout: Fanout, feed: Feed, manager: SubscriptionManager) -> None:
        self.peer = Peer(fd)
        self._fanout = fanout
        self._feed = feed
        self._manager = manager
        self.terms = ""
        self.account: Account | LatestAccount = Account()
        self.numbering = 0
        """Which numbering of the exchange its account begins in."""
        self.subscribing: deque[tuple[Account | LatestAccount, int]] = deque()
        """What follows when it reads the answers to its subscriptions."""

    def connect(self) -> None:
        """Begin a connection."""
        self.mailbox = self._fanout.open(self.peer, limit_bytes=LIMIT_BYTES)
        self.streams = ClientStreams(
            "", self.mailbox, self._manager, self._feed.trades, self._fanout, LoopTurns()
        )

    def disconnect(self) -> None:
        """End the connection. What waits for it is lost."""
        self.streams.release()
        self.mailbox.close()
        self.peer.wake()
        self.peer.taken = b""

    def subscribe(self, terms: str, snapshot: int, after: int | None, numbering: int) -> None:
        """Subscribe, and begin a new account when the answer is read."""
        interval = INTERVAL_MS if terms == "latest" else None
        order = "arrival" if terms == "arrival" else "id"
        resumption = {} if after is None else {BTC.symbol: after}
        names = (BTC.exchange, BTC.channel, (BTC.symbol,))
        request = SubscribeRequest(None, *names, snapshot, resumption, interval, order)
        self.streams.want([BTC])
        self._fanout.post(self.mailbox, b'{"type":"subscribed"}')
        self.streams.begin(self._feed, [BTC], request)  # type: ignore[arg-type]
        self.terms = terms
        accounts = {"id": OrderedAccount, "arrival": Account}
        account = accounts[terms](after) if terms in accounts else LatestAccount()
        self.subscribing.append((account, numbering))

    def read(self) -> None:
        """Take what came, and account for it."""
        texts, self.peer.taken = read_frames(self.peer.taken), b""
        for message in map(json.loads, texts):
            if message["type"] == "subscribed":
                self.account, self.numbering = self.subscribing.popleft()
            else:
                self.account.take(message)

    @property
    def is_up_to_date(self) -> bool:
        """Whether it has read everything that was published."""
        is_held_up = self.peer.is_asleep or self.peer.is_paused or self.mailbox.backlog
        return self.streams._beginnings.is_empty and not (is_held_up or self.subscribing)


class Orders(RuleBasedStateMachine):
    """One stream, an exchange that loses, repeats and renumbers, and readers who come and go."""

    at_once = (client_streams._TRADES_AT_ONCE, client_streams._WAITING_AT_ONCE)
    turns_at_once = 8

    @initialize()
    def begin(self) -> None:
        client_streams._TRADES_AT_ONCE, client_streams._WAITING_AT_ONCE = self.at_once
        self.turns = Turns()
        self.loop = asyncio.new_event_loop()
        peers: list[Peer] = []

        def write(fd: int, frames: bytes) -> int:
            return peers[fd].take_some(frames)

        self.fanout = Fanout(
            self.turns, self.turns.call_later, self.turns.clock, write, encode_lagged, encode_gap, encode_rows
        )
        self.feed = Feed(self.fanout, self.turns.clock)
        manager = SubscriptionManager(linger_seconds=0.0, clock=self.turns.clock)
        self.readers = [Reader(fd, self.fanout, self.feed, manager) for fd in range(READERS)]
        peers += [reader.peer for reader in self.readers]
        for reader in self.readers:
            reader.connect()
        self.next_id = 100
        self.time_ms = 1_723_161_255_000
        self.genuine: dict[int, TradeTick] = {}
        self.invalid: set[int] = set()
        self.lost: list[int] = []
        self.stream_ids: list[int] = []
        self.numbering = 0
        for number, terms in enumerate(("id", "arrival", "arrival", "latest")):
            self.subscribe(number, terms, 1)

    def run(self, call: Callable[[], None]) -> None:
        """Call in a running loop, and let its tasks go as far as they can."""

        async def go() -> None:
            call()
            for _ in range(self.turns_at_once):
                await asyncio.sleep(0)
                self.turns.take()

        self.loop.run_until_complete(go())
        for reader in self.readers:
            reader.read()
            if reader.is_up_to_date:
                self.check(reader)

    def check(self, reader: Reader) -> None:
        """A reader that is up to date was told all that arrived, in whatever order it reads."""
        account, ledger = reader.account, self.feed.stream
        if isinstance(account, LatestAccount) or account.base is None or ledger.complete_to is None:
            return
        assert account.complete_to >= ledger.complete_to
        if reader.terms == "arrival":
            newest = ledger.newest_known()
            assert newest is None or account.newest >= newest, "a hole is announced at once"
        if reader.terms == "arrival" and not account.renumberings:
            assert {tick.id for tick in ledger.waiting()} <= account.told.keys()

    # upstream

    def make(self) -> TradeTick:
        self.time_ms += 5
        tick = make_tick(self.next_id, ts=self.time_ms, price=f"{self.time_ms % 10**8}.00")
        self.genuine[self.next_id] = tick
        self.next_id += 1
        return tick

    def accept(self, tick: TradeTick) -> None:
        ledger = self.feed.stream
        if ledger.take_if_next(tick):
            self.feed.latest.put(BTC, tick)
            self.feed.trades.append(BTC, tick)
            self.feed.downstream._publisher.publish_trade(BTC, tick)
        else:
            self.feed.take(ledger.accept(tick, self.turns.clock.now))
        self.stream_ids.append(tick.id)

    @rule(count=st.integers(1, 6), ends_turn=st.booleans())
    def trade(self, count: int, ends_turn: bool = True) -> None:
        for _ in range(count):
            self.accept(self.make())
        if ends_turn:
            self.run(lambda: None)

    @rule(count=st.integers(1, 4))
    def lose(self, count: int) -> None:
        self.lost += [self.make().id for _ in range(count)]

    @rule()
    def send_an_impossible_trade(self) -> None:
        trade_id = self.make().id
        del self.genuine[trade_id]
        self.invalid.add(trade_id)
        self.feed.take(self.feed.stream.reject(trade_id, self.turns.clock.now))

    @rule(data=st.data())
    @precondition(lambda self: self.lost)
    def deliver_late(self, data: st.DataObject) -> None:
        trade_id = data.draw(st.sampled_from(self.lost))
        self.lost.remove(trade_id)
        self.accept(self.genuine[trade_id])

    @rule(data=st.data())
    @precondition(lambda self: self.stream_ids)
    def repeat(self, data: st.DataObject) -> None:
        self.accept(self.genuine[data.draw(st.sampled_from(self.stream_ids[-20:]))])

    @rule()
    def be_told_of_the_newest_id(self) -> None:
        self.feed.take(self.feed.stream.expect(self.next_id - 1, self.turns.clock.now))

    @rule()
    def forget_what_was_told(self) -> None:
        self.feed.stream.forget_expected()

    @rule()
    def fetch_the_first_hole(self) -> None:
        hole = self.feed.stream.missing()
        if hole is not None:
            self.fetch(hole[1] - hole[0] + 1, 0)

    @rule(length=st.integers(1, 8), skip=st.integers(0, 6))
    def fetch(self, length: int, skip: int) -> None:
        hole = self.feed.stream.missing()
        if hole is None:
            return
        ids = range(hole[0] + skip, hole[0] + skip + length)
        ticks = [
            msgspec.structs.replace(self.genuine[trade_id], backfilled=True)
            for trade_id in ids
            if trade_id in self.genuine
        ]
        invalid = [trade_id for trade_id in ids if trade_id in self.invalid]
        self.feed.take(self.feed.stream.fill(ticks, invalid, self.turns.clock.now))

    @rule()
    def give_up(self) -> None:
        self.turns.clock.now += PATIENCE_SECONDS
        if self.feed.stream.holes.is_overdue(self.turns.clock.now):
            self.feed.take(self.feed.stream.give_up(self.turns.clock.now))

    @rule(to_id=st.integers(0, 50))
    def renumber(self, to_id: int) -> None:
        ledger = self.feed.stream
        if ledger.next_id is None or ledger.next_id <= to_id + 3:
            return
        if not all(reader.streams._beginnings.is_empty for reader in self.readers):
            return  # a resumption cannot tell ids near the present ones from those of an older numbering
        self.numbering += 1
        self.next_id, self.genuine, self.invalid, self.lost, self.stream_ids = to_id + 1, {}, set(), [], []
        self.trade(3)

    # readers

    @rule(
        number=st.integers(0, READERS - 1),
        terms=st.sampled_from(["id", "arrival", "arrival", "latest"]),
        snapshot=st.integers(0, 5),
    )
    def subscribe(self, number: int, terms: str, snapshot: int) -> None:
        self.run(lambda: self.readers[number].subscribe(terms, snapshot, None, self.numbering))

    @rule(number=st.integers(0, READERS - 1), changes_order=st.booleans())
    def reconnect(self, number: int, changes_order: bool) -> None:
        reader, account = self.readers[number], self.readers[number].account
        if isinstance(account, LatestAccount) or account.base is None or reader.subscribing:
            return
        if reader.numbering + account.renumberings != self.numbering:
            return  # a numbering ago the same ids may have been there
        reader.disconnect()
        reader.connect()
        terms = {"id": "arrival", "arrival": "id"}[reader.terms] if changes_order else reader.terms
        self.run(lambda: reader.subscribe(terms, 0, account.complete_to, self.numbering))

    @rule(number=st.integers(0, READERS - 1))
    def sleep(self, number: int) -> None:
        self.readers[number].peer.is_asleep = True

    @rule(number=st.integers(0, READERS - 1))
    def wake(self, number: int) -> None:
        def call() -> None:
            reader = self.readers[number]
            reader.peer.wake()
            reader.mailbox.resume()

        self.run(call)

    @rule()
    def turn(self) -> None:
        self.run(lambda: None)

    @rule(seconds=st.floats(0.05, 1.0))
    def wait(self, seconds: float) -> None:
        self.run(lambda: None)
        self.turns.pass_time(seconds)

    def teardown(self) -> None:
        """Let everybody catch up and every hole be settled, and look at what each reader was told."""
        if not hasattr(self, "readers"):
            return
        try:
            self.settle()
        finally:
            client_streams._TRADES_AT_ONCE, client_streams._WAITING_AT_ONCE = Orders.at_once
            self.loop.close()

    def settle(self) -> None:
        self.catch_up()
        for _ in range(2):
            self.trade(2)
            self.give_up()
            self.catch_up()
        assert self.feed.stream.complete_to == self.next_id - 1
        for reader in self.readers:
            account = reader.account
            if reader.mailbox.is_closed:
                continue
            assert reader.is_up_to_date
            if isinstance(account, LatestAccount):
                assert account.last["id"] == self.next_id - 1
                continue
            account.end_beginning()
            assert account.pending == set()
            assert account.base is not None
            assert account.told.keys() == set(range(account.base + 1, self.next_id))

    def catch_up(self) -> None:
        for _ in range(10):
            for number in range(READERS):
                self.wake(number)
            self.wait(2 * INTERVAL_MS / 1000)
            self.turn()


class OrdersInParts(Orders):
    """So many trades wait behind a hole that a reader is sent them in parts."""

    at_once = (2, 0)
    turns_at_once = 2


@pytest.mark.parametrize("examples", [40, pytest.param(4000, marks=pytest.mark.verify)])
@pytest.mark.parametrize("kind", [Orders, OrdersInParts])
def test_every_id_comes_once_or_is_declared_in_both_orders(kind: type[Orders], examples: int) -> None:
    run_state_machine_as_test(
        kind, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
