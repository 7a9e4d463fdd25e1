"""The books of who wants what, against the plainest model of them that can be written."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from livemarkets.market.models import TRADES, StreamKey
from livemarkets.market.subscriptions import SubscriptionManager
from tests.support.ticks import BTC, ETH, ManualClock

LINGER_SECONDS = 5.0
KEYS = [
    *(StreamKey("binance", TRADES, name) for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT")),
    *(StreamKey("simulator", TRADES, name) for name in ("BTCUSDT", "ETHUSDT")),
]
SUBSCRIBERS = ["page", "socket", "bot"]
subscribers, keys = st.sampled_from(SUBSCRIBERS), st.sampled_from(KEYS)


class Books(RuleBasedStateMachine):
    """Model: a set of (subscriber, key), and when each key lost its last subscriber."""

    linger_seconds = LINGER_SECONDS

    @initialize()
    def open(self) -> None:
        self.clock = ManualClock()
        self.manager = SubscriptionManager(linger_seconds=self.linger_seconds, clock=self.clock)
        self.told: dict[StreamKey, list[bool]] = defaultdict(list)
        self.manager.add_listener(lambda key, is_wanted: self.told[key].append(is_wanted))
        self.pairs: dict[tuple[str, StreamKey], None] = {}
        self.left_at: dict[StreamKey, float] = {}

    def _has(self, key: StreamKey) -> bool:
        return any(wanted == key for _, wanted in self.pairs)

    def _forget(self, subscriber: str, key: StreamKey) -> None:
        del self.pairs[subscriber, key]
        if not self._has(key) and self.linger_seconds > 0:
            self.left_at[key] = self.clock.now

    def _add(self, subscriber: str, key: StreamKey) -> None:
        self.pairs[subscriber, key] = None
        self.left_at.pop(key, None)

    @rule(subscriber=subscribers, key=keys)
    def subscribe(self, subscriber: str, key: StreamKey) -> None:
        assert self.manager.subscribe(subscriber, key) == ((subscriber, key) not in self.pairs)
        self._add(subscriber, key)

    @rule(subscriber=subscribers, key=keys)
    def unsubscribe(self, subscriber: str, key: StreamKey) -> None:
        had = (subscriber, key) in self.pairs
        assert self.manager.unsubscribe(subscriber, key) == had
        if had:
            self._forget(subscriber, key)

    @rule(subscriber=subscribers)
    def release(self, subscriber: str) -> None:
        had = [key for name, key in self.pairs if name == subscriber]
        assert sorted(self.manager.release(subscriber)) == sorted(had)
        assert self.manager.release(subscriber) == []
        for key in had:
            self._forget(subscriber, key)

    @rule(subscriber=subscribers, wanted=st.lists(keys, max_size=5))
    def subscribe_all(self, subscriber: str, wanted: list[StreamKey]) -> None:
        self.manager.subscribe_all(subscriber, wanted)
        for key in wanted:
            self._add(subscriber, key)
        for name, key in list(self.pairs):
            if name == subscriber and key not in wanted:
                self._forget(subscriber, key)

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 4.999, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def expire(self) -> None:
        due = [key for key, at in self.left_at.items() if at + self.linger_seconds <= self.clock.now]
        assert sorted(self.manager.expire()) == sorted(due)
        for key in due:
            del self.left_at[key]

    @invariant()
    def the_wanted_set_is_what_is_subscribed_or_lingers(self) -> None:
        subscribed = {key for _, key in self.pairs}
        wanted = self.manager.wanted("binance") | self.manager.wanted("simulator")
        assert wanted == subscribed | self.left_at.keys()
        assert self.manager.counts() == (
            len({name for name, _ in self.pairs}),
            len(subscribed),
            len(self.left_at),
        )

    @invariant()
    def each_subscriber_has_what_it_asked_for(self) -> None:
        for name in SUBSCRIBERS:
            mine = self.manager.subscriptions(name)
            assert sorted(mine) == sorted(key for other, key in self.pairs if other == name)

    @invariant()
    def listeners_could_keep_the_wanted_set_by_themselves(self) -> None:
        for calls in self.told.values():
            assert calls == [index % 2 == 0 for index in range(len(calls))]
        believed = {key for key, calls in self.told.items() if calls[-1]}
        assert believed == self.manager.wanted("binance") | self.manager.wanted("simulator")

    def teardown(self) -> None:
        for name in SUBSCRIBERS:
            self.manager.release(name)
        self.clock.advance(self.linger_seconds)
        self.manager.expire()
        assert self.manager.counts() == (0, 0, 0)
        assert self.manager.wanted("binance") == self.manager.wanted("simulator") == set()
        assert not any(calls[-1] for calls in self.told.values())


class BooksWithoutLinger(Books):
    linger_seconds = 0.0


Books.TestCase.settings = BooksWithoutLinger.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestBooks: Any = Books.TestCase
TestBooksWithoutLinger: Any = BooksWithoutLinger.TestCase


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_coming_back_within_the_linger_costs_nothing(clock: ManualClock) -> None:
    manager = SubscriptionManager(linger_seconds=5, clock=clock)
    told: list[tuple[StreamKey, bool]] = []
    manager.add_listener(lambda key, is_wanted: told.append((key, is_wanted)))
    manager.subscribe("page", BTC)
    manager.release("page")
    clock.advance(4.9)
    manager.expire()
    manager.subscribe("page again", BTC)
    clock.advance(100)
    assert manager.expire() == []
    assert told == [(BTC, True)]


def test_streams_expire_some_at_a_time_the_oldest_first(clock: ManualClock) -> None:
    """Each drops its trades, and 200 streams take 20 ms."""
    manager = SubscriptionManager(linger_seconds=5, clock=clock)
    keys = [StreamKey.trades("binance", f"A{number}USDT") for number in range(5)]
    manager.subscribe_all("page", keys)
    manager.release("page")
    clock.advance(5)
    assert manager.expire(2) == keys[:2]
    assert manager.wanted("binance") == set(keys[2:])
    assert [manager.expire(2), manager.expire(2), manager.expire(2)] == [keys[2:4], keys[4:], []]


def test_subscriptions_keep_the_order_in_which_they_were_asked_for(clock: ManualClock) -> None:
    manager = SubscriptionManager(linger_seconds=5, clock=clock)
    manager.subscribe("page", ETH)
    manager.subscribe("page", BTC)
    assert manager.subscriptions("page") == [ETH, BTC]


def test_subscribe_all_never_lets_go_of_what_stays(clock: ManualClock) -> None:
    manager = SubscriptionManager(linger_seconds=0, clock=clock)
    manager.subscribe("page", BTC)
    told: list[tuple[StreamKey, bool]] = []
    manager.add_listener(lambda key, is_wanted: told.append((key, is_wanted)))
    manager.subscribe_all("page", [ETH, BTC])
    manager.subscribe_all("page", [ETH])
    assert told == [(ETH, True), (BTC, False)]
