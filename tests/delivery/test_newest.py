"""Updates of which the newest wins: who gets what, however slowly it reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.market.models import StreamKey
from tests.support.delivery import Peer, Turns, read_frames
from tests.support.ticks import BTC
from tests.support.updates import ALL_TICKERS, BTC_BOOK, BTC_TICKER

KEYS = (BTC_BOOK, BTC_TICKER, ALL_TICKERS)
SYMBOLS = [f"S{number}" for number in range(450)]
INTERVAL_SECONDS = 0.5
LIMIT_BYTES = 100_000


class Market:
    """What was published, under every name."""

    def __init__(self, fanout: Fanout) -> None:
        self.fanout = fanout
        self.counts = dict.fromkeys(KEYS, 0)
        self.rows: dict[str, int] = {}

    def publish(self, key: StreamKey, symbols: list[str]) -> None:
        self.counts[key] += 1
        number = self.counts[key]
        if key != ALL_TICKERS:
            self.fanout.newest.publish(key, b'{"name":"%b","n":%d}' % (key.channel.encode(), number))
            return
        self.rows |= dict.fromkeys(symbols, number)
        rows = {symbol: b'{"symbol":"%b","n":%d}' % (symbol.encode(), number) for symbol in symbols}
        self.fanout.newest.publish_rows(key, rows)


class Reader:
    """One reader, which keeps what it was sent as a program would."""

    def __init__(self, peer: Peer, market: Market) -> None:
        self.peer = peer
        self.market = market
        self.mailbox: Mailbox = market.fanout.open(peer, limit_bytes=LIMIT_BYTES)
        self.began: dict[StreamKey, int] = {}
        self.latest: set[StreamKey] = set()

    def join(self, key: StreamKey, interval_seconds: float | None) -> None:
        """As the route does: what is known first, then live."""
        self.leave(key)
        known = self.market.rows if key == ALL_TICKERS else self.market.counts[key]
        text = json.dumps({"join": str(key), "known": known})
        self.market.fanout.post(self.mailbox, text.encode())
        self.market.fanout.newest.join(key, self.mailbox, interval_seconds)
        self.began[key] = self.market.counts[key]
        if interval_seconds is not None:
            self.latest.add(key)

    def leave(self, key: StreamKey) -> None:
        self.market.fanout.newest.leave(key, self.mailbox)
        self.began.pop(key, None)
        self.latest.discard(key)

    def messages(self, key: StreamKey) -> tuple[Any, list[dict[str, Any]]]:
        """Return what was known when it joined, and what came since, in order."""
        known: Any = None
        came: list[dict[str, Any]] = []
        for message in map(json.loads, read_frames(self.peer.taken)):
            if message.get("join") == str(key):
                known, came = message["known"], []
            elif "rows" in message if key == ALL_TICKERS else message.get("name") == key.channel:
                came.append(message)
        return known, came


def test_readers_of_a_name_get_every_update_once(turns: Turns) -> None:
    peers = [Peer(0), Peer(1)]
    market = Market(turns.fanout(peers))
    readers = [Reader(peer, market) for peer in peers]
    assert not market.fanout.newest.has_readers(BTC_BOOK)
    for reader in readers:
        reader.join(BTC_BOOK, None)
    assert market.fanout.newest.has_readers(BTC_BOOK)
    for _ in range(3):
        market.publish(BTC_BOOK, [])
    turns.take()
    market.publish(BTC_BOOK, [])
    turns.take()
    for reader in readers:
        assert [message["n"] for message in reader.messages(BTC_BOOK)[1]] == [1, 2, 3, 4]
    assert market.fanout.statistics().delivered == {"book": 8}
    for reader in readers:
        reader.leave(BTC_BOOK)
        reader.leave(BTC_BOOK)
    assert not market.fanout.newest.has_readers(BTC_BOOK)


def test_a_reader_that_takes_nothing_costs_one_turn_whatever_is_published(turns: Turns) -> None:
    peer = Peer(0)
    market = Market(turns.fanout([peer]))
    reader = Reader(peer, market)
    for key in KEYS:
        reader.join(key, None)
    turns.take()
    peer.is_asleep = True
    for number in range(2000):
        for key in KEYS:
            market.publish(key, SYMBOLS[number % 400 : number % 400 + 10])
        turns.take()
    assert len(reader.mailbox.backlog) <= 1
    assert reader.mailbox.backlog_bytes < 1000
    assert not peer.is_closed
    peer.wake()
    reader.mailbox.resume()
    for _ in range(10):
        turns.take()
    _, books = reader.messages(BTC_BOOK)
    assert books[-1] == {"name": "book", "n": 2000, "skipped": 2000 - 1 - (len(books) - 1)}
    known, deltas = reader.messages(ALL_TICKERS)
    rows = dict(known) | {row["symbol"]: row["n"] for delta in deltas for row in delta["rows"]}
    assert rows == market.rows
    assert max(len(delta["rows"]) for delta in deltas) == 200
    market.publish(BTC_BOOK, [])
    turns.take()
    assert reader.messages(BTC_BOOK)[1][-1] == {"name": "book", "n": 2001}


def test_a_reader_that_caught_up_is_sent_some_names_at_a_time(turns: Turns) -> None:
    peer = Peer(0)
    fanout = turns.fanout([peer])
    mailbox = fanout.open(peer, limit_bytes=10**6)
    names = [BTC_BOOK._replace(symbol=f"S{number}") for number in range(100)]
    for name in names:
        fanout.newest.join(name, mailbox)
    peer.is_asleep = True
    payload = b'{"x":"' + b"x" * 10_000 + b'"}'
    for name in names:
        fanout.newest.publish(name, payload)
        turns.take()
    taken = len(peer.taken)
    peer.wake()
    mailbox.resume()
    turns.take()
    assert len(peer.taken) - taken < 150_000
    for _ in range(30):
        turns.take()
    assert len(read_frames(peer.taken)) == 100


def test_updates_of_many_symbols_come_in_messages_of_two_hundred(turns: Turns) -> None:
    peer = Peer(0)
    market = Market(turns.fanout([peer]))
    reader = Reader(peer, market)
    reader.join(ALL_TICKERS, None)
    market.publish(ALL_TICKERS, SYMBOLS)
    turns.take()
    assert len(reader.messages(ALL_TICKERS)[1]) == 1, "each has a turn of its own"
    for _ in range(2):
        turns.take()
    assert [len(message["rows"]) for message in reader.messages(ALL_TICKERS)[1]] == [200, 200, 50]


def test_a_slow_reader_gets_no_trade_less(turns: Turns) -> None:
    """Names that leave the cohort leave the trades of the reader where they are."""
    peer = Peer(0)
    fanout = turns.fanout([peer])
    mailbox = fanout.open(peer, limit_bytes=10**6)
    fanout.join(BTC, mailbox)
    fanout.newest.join(BTC_BOOK, mailbox)
    peer.is_asleep = True
    for number in range(1, 11):
        fanout.publish(BTC, b'{"trade":%d}' % number, number)
        fanout.newest.publish(BTC_BOOK, b'{"book":%d}' % number)
        turns.take()
    peer.wake()
    mailbox.resume()
    turns.take()
    messages = list(map(json.loads, read_frames(peer.taken)))
    assert [message["trade"] for message in messages if "trade" in message] == list(range(1, 11))
    books = [message for message in messages if "book" in message]
    assert books[-1]["book"] == 10
    assert len(books) + sum(message.get("skipped", 0) for message in books) == 10


class Delivery(RuleBasedStateMachine):
    """The fan-out, with readers who come, go, change their mode, sleep and wake."""

    @initialize()
    def begin(self) -> None:
        self.turns = Turns()
        peers = [Peer(fd) for fd in range(3)]
        self.market = Market(self.turns.fanout(peers))
        self.readers = [Reader(peer, self.market) for peer in peers]

    @rule(
        key=st.sampled_from(KEYS),
        count=st.integers(1, 4),
        first=st.integers(0, 440),
        size=st.sampled_from([1, 3, 450]),
    )
    def publish(self, key: StreamKey, count: int, first: int, size: int) -> None:
        for number in range(count):
            self.market.publish(key, SYMBOLS[first + number :][:size])

    @rule(number=st.integers(0, 2), key=st.sampled_from(KEYS), wants_all=st.booleans())
    def join(self, number: int, key: StreamKey, wants_all: bool) -> None:
        self.readers[number].join(key, None if wants_all else INTERVAL_SECONDS)

    @rule(number=st.integers(0, 2), key=st.sampled_from(KEYS))
    def leave(self, number: int, key: StreamKey) -> None:
        self.readers[number].leave(key)

    @rule(number=st.integers(0, 2))
    def sleep(self, number: int) -> None:
        self.readers[number].peer.is_asleep = True

    @rule(number=st.integers(0, 2), key=st.sampled_from(KEYS), size=st.sampled_from([1, 450]))
    def sleep_through(self, number: int, key: StreamKey, size: int) -> None:
        self.sleep(number)
        for _ in range(3):
            self.publish(key, 1, 0, size)
            self.turns.take()

    @rule(number=st.integers(0, 2))
    def wake(self, number: int) -> None:
        reader = self.readers[number]
        reader.peer.wake()
        reader.mailbox.resume()

    @rule()
    def turn(self) -> None:
        self.turns.take()

    @rule(seconds=st.sampled_from([0.1, 0.6]))
    def wait(self, seconds: float) -> None:
        self.turns.pass_time(seconds)

    @invariant()
    def nothing_is_told_twice_or_backwards(self) -> None:
        for reader in self.readers:
            for key in reader.began.keys() - {ALL_TICKERS}:
                known, came = reader.messages(key)
                numbers = [message["n"] for message in came]
                assert numbers == sorted(set(numbers))
                if known is not None:
                    for before, message in zip([known, *numbers], came, strict=False):
                        assert message["n"] - before - 1 == message.get("skipped", 0)

    def teardown(self) -> None:
        """In the end everybody reads, and knows the newest of every name."""
        for number in range(3):
            self.wake(number)
        taken_bytes, quiet_turns = -1, 0
        while quiet_turns < 3:
            self.turns.pass_time(INTERVAL_SECONDS)
            self.turns.take()
            before, taken_bytes = taken_bytes, sum(len(reader.peer.taken) for reader in self.readers)
            quiet_turns = quiet_turns + 1 if taken_bytes == before else 0
        self.nothing_is_told_twice_or_backwards()
        for reader in self.readers:
            if reader.peer.is_closed:
                continue
            for key in reader.began:
                known, came = reader.messages(key)
                if key != ALL_TICKERS:
                    assert (came[-1]["n"] if came else known) == self.market.counts[key]
                    continue
                rows = dict(known)
                for message in came:
                    rows |= {row["symbol"]: row["n"] for row in message["rows"]}
                assert rows == self.market.rows
        for reader in self.readers:
            for key in KEYS:
                reader.leave(key)
            self.market.fanout.forget(reader.mailbox)
        newest = self.market.fanout.newest
        assert not any(newest.has_readers(key) for key in KEYS)
        assert not newest._slow


@pytest.fixture
def turns() -> Turns:
    return Turns()


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestDelivery = pytest.mark.long(TestDelivery)
