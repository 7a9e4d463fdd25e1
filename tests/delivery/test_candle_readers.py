"""Candles to readers: every closed one, in order and once, in every mode and at every speed of reading."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from tests.support.candles import BTC_1M
from tests.support.delivery import Peer, Turns, read_frames

INTERVAL_SECONDS = 0.5
LIMIT_BYTES = 20_000
KEPT = 5


class Market:
    """One stream of candles; memory holds `KEPT` closed ones, the history all."""

    def __init__(self, fanout: Fanout) -> None:
        self.fanout = fanout
        self.closed: dict[int, int] = {}
        """Open time -> version."""
        self.now = 10
        self.updates = 0
        self.is_running = False

    @property
    def told_to(self) -> int:
        return self.now - 1 if self.is_running or self.closed else -1

    def run(self) -> None:
        self.updates, self.is_running = self.updates + 1, True
        payload = b'{"type":"candle","open":%d,"closed":false,"n":%d}' % (self.now, self.updates)
        self.fanout.candles.publish_running(BTC_1M, payload, self.now)

    def close(self) -> None:
        self.closed[self.now] = 0
        self.is_running = False
        self.fanout.candles.publish_closed(BTC_1M, self.message(self.now), self.now)
        self.now += 1

    def revise(self, back: int) -> None:
        open_ts = self.now - back
        if open_ts in self.memory():
            self.closed[open_ts] += 1
            payload = self.message(open_ts)[:-1] + b',"revised":true}'
            self.fanout.candles.publish_revised(BTC_1M, payload, open_ts)

    def memory(self) -> list[int]:
        return sorted(self.closed)[-KEPT:]

    def message(self, open_ts: int) -> bytes:
        return b'{"type":"candle","open":%d,"closed":true,"n":%d}' % (open_ts, self.closed[open_ts])


class Reader:
    """One reader; it checks what it is sent as a program would."""

    def __init__(self, peer: Peer, market: Market, interval_seconds: float | None) -> None:
        self.peer = peer
        self.market = market
        self.interval_seconds = interval_seconds
        self.mailbox: Mailbox = market.fanout.open(peer, limit_bytes=LIMIT_BYTES)
        self.is_joined = False
        self.resumed = 0

    def join(self, told_to: int | None = None) -> None:
        """As the route does: past candles, then live."""
        past = [] if told_to is None else [each for each in sorted(self.market.closed) if each > told_to]
        if told_to is None:
            self.market.fanout.post(self.mailbox, b'{"type":"joined","at":%d}' % self.market.told_to)
        for open_ts in past:
            self.market.fanout.post(self.mailbox, self.market.message(open_ts))
        self.market.fanout.candles.join(
            BTC_1M, self.mailbox, self, self.market.told_to, self.interval_seconds
        )
        self.is_joined = True

    def leave(self) -> None:
        self.market.fanout.candles.leave(BTC_1M, self.mailbox)
        self.is_joined = False

    def closed_after(self, open_ts: int) -> Sequence[tuple[int, bytes]] | None:
        missed = [each for each in sorted(self.market.closed) if each > open_ts]
        if not set(missed) <= set(self.market.memory()):
            return None
        return [(each, self.market.message(each)) for each in missed]

    def lagged(self, from_ts: int, to_ts: int, count: int) -> bytes:
        return b'{"type":"lagged","from":%d,"to":%d,"count":%d}' % (from_ts, to_ts, count)

    def resume(self, open_ts: int) -> None:
        self.resumed += 1
        self.join(open_ts)

    def check(self) -> tuple[int, dict[int, int], int]:
        """Return the last closed candle it knows, all of them with their versions, and the running one."""
        told_to, closed, running, lagged = -1, dict[int, int](), 0, None
        for message in map(json.loads, read_frames(self.peer.taken)):
            kind = message["type"]
            if kind == "other":
                continue
            if kind == "joined":
                told_to, closed, running = message["at"], {}, 0
            elif kind == "lagged":
                assert message["from"] > told_to
                assert message["count"] == message["to"] - message["from"] + 1
                lagged = message
            elif message.get("revised"):
                assert message["open"] in closed or message["open"] <= told_to
                closed[message["open"]] = message["n"]
            elif message["closed"]:
                assert told_to < 0 or message["open"] == told_to + 1, "one is missing, or told twice"
                told_to = message["open"]
                closed[told_to] = message["n"]
            else:
                assert told_to < 0 or message["open"] == told_to + 1
                assert message["n"] > running
                assert lagged is None or told_to >= lagged["to"], "what lagged names has not come"
                told_to, running = message["open"] - 1, message["n"]
        return told_to, closed, running


class Candles(RuleBasedStateMachine):
    @initialize(moods=st.lists(st.lists(st.integers(-1, 300), max_size=10), min_size=5, max_size=5))
    def begin(self, moods: list[list[int]]) -> None:
        self.turns = Turns()
        self.peers = [Peer(fd, mood) for fd, mood in enumerate(moods)]
        self.fanout = self.turns.fanout(self.peers)
        self.market = Market(self.fanout)
        self.readers = [
            Reader(peer, self.market, INTERVAL_SECONDS if peer.fd % 2 else None) for peer in self.peers
        ]
        for reader in self.readers[:4]:
            reader.join()

    @rule(number=st.integers(0, 4))
    def join(self, number: int) -> None:
        if not self.readers[number].is_joined:
            self.readers[number].join()

    @rule(number=st.integers(0, 4))
    def leave(self, number: int) -> None:
        self.readers[number].leave()

    @rule(count=st.integers(1, 3))
    def run(self, count: int) -> None:
        for _ in range(count):
            self.market.run()

    @rule(count=st.integers(1, 9))
    def close(self, count: int) -> None:
        for _ in range(count):
            self.market.run()
            self.market.close()

    @rule(back=st.integers(1, 6))
    def revise(self, back: int) -> None:
        self.market.revise(back)

    @rule()
    def take_a_turn(self) -> None:
        self.turns.take()

    @rule(seconds=st.sampled_from([0.1, 0.6]))
    def pass_time(self, seconds: float) -> None:
        self.turns.pass_time(seconds)

    @rule(number=st.integers(0, 4))
    def fall_asleep(self, number: int) -> None:
        self.peers[number].is_asleep = True

    @rule(number=st.integers(0, 4), size=st.integers(1, 20_000))
    def fill(self, number: int, size: int) -> None:
        """Something else waits for a reader, so that it may exceed its limit."""
        mailbox = self.readers[number].mailbox
        waits = mailbox.backlog_bytes + sum(map(len, mailbox.pending))
        if self.peers[number].is_asleep and waits + size < 2 * LIMIT_BYTES - 5000:
            self.fanout.post(mailbox, b'{"type":"other","text":"%b"}' % (b"x" * size))

    @rule(number=st.integers(0, 4))
    def wake(self, number: int) -> None:
        peer = self.peers[number]
        peer.wake()
        self.readers[number].mailbox.resume()

    @invariant()
    def what_a_slow_reader_costs_is_bounded(self) -> None:
        for reader in getattr(self, "readers", ()):
            assert reader.mailbox.backlog_bytes < 2 * LIMIT_BYTES

    def teardown(self) -> None:
        if not hasattr(self, "readers"):
            return
        for _ in range(50):
            for peer, reader in zip(self.peers, self.readers, strict=True):
                peer.wake()
                reader.mailbox.resume()
            self.turns.take()
            self.turns.pass_time(1.0)
        self.market.run()
        for _ in range(10):
            for peer, reader in zip(self.peers, self.readers, strict=True):
                peer.wake()
                reader.mailbox.resume()
            self.turns.take()
            self.turns.pass_time(1.0)
        for reader in self.readers:
            told_to, closed, running = reader.check()
            if reader.is_joined:
                assert told_to == self.market.now - 1
                assert running == self.market.updates
                assert all(self.market.closed[open_ts] == version for open_ts, version in closed.items())
                reader.leave()
        assert not self.fanout.candles._streams
        assert not self.fanout.candles._slow


@pytest.mark.long
@pytest.mark.parametrize("examples", [60, pytest.param(2000, marks=pytest.mark.verify)])
def test_whatever_happens_every_reader_has_every_closed_candle(examples: int) -> None:
    run_state_machine_as_test(
        Candles, settings=settings(max_examples=examples, stateful_step_count=50, deadline=None)
    )


def scene(interval_seconds: float | None = None) -> tuple[Turns, Market, Reader]:
    turns, peer = Turns(), Peer(0)
    market = Market(turns.fanout([peer]))
    reader = Reader(peer, market, interval_seconds)
    reader.join()
    turns.take()
    return turns, market, reader


def taken(reader: Reader) -> list[str]:
    """What the reader was sent, in short."""
    return [
        f"lagged {message['from']}-{message['to']}"
        if message["type"] == "lagged"
        else f"{message['open']}{'!' if message['closed'] else ' '}".strip()
        for message in map(json.loads, read_frames(reader.peer.taken))
        if message["type"] in ("candle", "lagged")
    ]


def test_a_reader_beyond_its_limit_is_told_what_it_missed_and_then_gets_it() -> None:
    turns, market, reader = scene()
    reader.peer.is_asleep = True
    market.fanout.post(reader.mailbox, b'{"type":"other","text":"%b"}' % (b"x" * 100))
    turns.take()
    market.fanout.post(reader.mailbox, b'{"type":"other","text":"%b"}' % (b"x" * LIMIT_BYTES))
    turns.take()
    for _ in range(3):
        market.run()
        market.close()
        turns.take()
    market.run()
    assert market.fanout.statistics().lags == 1
    reader.peer.wake()
    reader.mailbox.resume()
    turns.take()
    assert taken(reader) == ["lagged 10-12", "10!", "11!", "12!", "13"]


def test_a_reader_that_takes_nothing_costs_nothing_whatever_is_published() -> None:
    turns, market, reader = scene()
    reader.peer.is_asleep = True
    for _ in range(2000):
        market.run()
        market.close()
        turns.take()
    assert reader.mailbox.backlog_bytes < 500
    reader.peer.wake()
    reader.mailbox.resume()
    for _ in range(10):
        turns.take()
    assert reader.resumed == 1  # memory was too short
    assert reader.check()[0] == market.now - 1


def test_only_running_candles_are_conflated_in_the_mode_latest() -> None:
    turns, market, reader = scene(INTERVAL_SECONDS)
    for _ in range(4):
        market.run()
        turns.take()
    market.close()
    market.run()
    market.close()
    market.run()
    turns.take()
    assert taken(reader) == ["10", "10!", "11!"]
    turns.pass_time(INTERVAL_SECONDS)
    assert taken(reader) == ["10", "10!", "11!", "12"]
    assert market.fanout.statistics().delivered == {"candles": 4}


def test_the_time_of_the_exchange_is_set_back_for_slow_readers_too() -> None:
    turns, market, reader = scene()
    market.run()
    market.close()
    turns.take()
    reader.peer.is_asleep = True
    market.run()
    turns.take()
    market.run()
    turns.take()
    market.fanout.candles.publish_gap(BTC_1M, b'{"type":"gap","to":2}', 2)
    market.now, market.closed = 3, {}
    market.run()
    market.close()
    turns.take()
    reader.peer.wake()
    reader.mailbox.resume()
    turns.take()
    messages = list(map(json.loads, read_frames(reader.peer.taken)))
    assert [message.get("open", message["type"]) for message in messages][-2:] == ["gap", 3]
