"""Several readers, several symbols, every mode, any order of events: what each reader knows of a symbol."""

from __future__ import annotations

import re
from collections import Counter

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
from livemarkets.market.models import Gap, StreamKey
from tests.support.delivery import Peer, Turns, follow, read_frames
from tests.support.ticks import BTC, ETH

pytestmark = pytest.mark.long

KEYS = (BTC, ETH)
READERS = 3
INTERVAL_SECONDS = 0.5
LIMIT_BYTES = 40


class Reader:
    """One reader: what it was sent, and what it subscribes now, with the counts of the moment it began."""

    def __init__(self, connection: Peer, fanout: Fanout) -> None:
        self.connection = connection
        self.mailbox = fanout.open(connection, limit_bytes=LIMIT_BYTES)
        self.wishes: dict[StreamKey, tuple[bool, int, int]] = {}
        self._fanout = fanout

    def mark(self, text: str) -> None:
        """Have a message of its own stand where its subscription changed."""
        self._fanout.post(self.mailbox, text.encode())

    def since(self, key: StreamKey) -> list[str]:
        """Return what came for a symbol since it was last subscribed."""
        texts = [text for text in read_frames(self.connection.taken) if key.symbol in text]
        begins = [at for at, text in enumerate(texts) if text.startswith("join")]
        return texts[begins[-1] + 1 :]


class Delivery(RuleBasedStateMachine):
    """The fan-out, with readers who come, go, change their mode, sleep and wake."""

    @initialize()
    def begin(self) -> None:
        self.turns = Turns()

        peers = [Peer(fd) for fd in range(READERS)]
        self.fanout = self.turns.fanout(peers)
        self.readers = [Reader(peer, self.fanout) for peer in peers]
        self.next_id = dict.fromkeys(KEYS, 1)
        self.sent: Counter[StreamKey] = Counter()
        self.newest: dict[StreamKey, int] = {}

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 8))
    def trade(self, key: StreamKey, count: int) -> None:
        for _ in range(count):
            payload = f"trade {self.next_id[key]} {key.symbol} }}".encode()
            self.fanout.publish(key, payload, self.next_id[key])
            self.newest[key] = self.next_id[key]
            self.next_id[key] += 1
            self.sent[key] += 1

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 3))
    def hole(self, key: StreamKey, count: int) -> None:
        first, last = self.next_id[key], self.next_id[key] + count - 1
        self.fanout.publish_gap(Gap(key, first, last, "upstream"))
        self.next_id[key] = last + 1

    @rule(number=st.integers(0, READERS - 1), key=st.sampled_from(KEYS), wants_all=st.booleans())
    def subscribe(self, number: int, key: StreamKey, wants_all: bool) -> None:
        reader = self.readers[number]
        self.fanout.leave(key, reader.mailbox)
        reader.mark(f"join {key.symbol}")
        self.fanout.join(key, reader.mailbox, None if wants_all else INTERVAL_SECONDS)
        reader.wishes[key] = (wants_all, self.next_id[key], self.sent[key])

    @rule(number=st.integers(0, READERS - 1), key=st.sampled_from(KEYS))
    def unsubscribe(self, number: int, key: StreamKey) -> None:
        self.fanout.leave(key, self.readers[number].mailbox)
        self.readers[number].wishes.pop(key, None)

    @rule(number=st.integers(0, READERS - 1))
    def sleep(self, number: int) -> None:
        self.readers[number].connection.is_asleep = True

    @rule(number=st.integers(0, READERS - 1))
    def wake(self, number: int) -> None:
        self.readers[number].connection.wake()
        self.readers[number].mailbox.resume()

    @rule()
    def turn(self) -> None:
        self.turns.take()

    @rule(seconds=st.floats(0.05, 1.0))
    def wait(self, seconds: float) -> None:
        self.turns.take()
        self.turns.pass_time(seconds)

    @invariant()
    def nobody_costs_more_than_the_limit_and_a_turn(self) -> None:
        for reader in getattr(self, "readers", ()):
            assert reader.mailbox.backlog_bytes <= 2 * LIMIT_BYTES + 1000

    def teardown(self) -> None:
        """Let everybody catch up, and look at what each of them knows."""
        if not hasattr(self, "readers"):
            return
        self.catch_up()
        self.check()
        for key in KEYS:  # and everything is as it was before somebody slept
            self.trade(key, 2)
        self.catch_up()
        self.check()

    def catch_up(self) -> None:
        for _ in range(3):
            for number in range(READERS):
                self.wake(number)
            self.wait(2 * INTERVAL_SECONDS)

    def check(self) -> None:
        for reader in self.readers:
            for key, (wants_all, first_id, sent_before) in reader.wishes.items():
                if reader.connection.is_closed:
                    continue
                texts, count = reader.since(key), self.sent[key] - sent_before
                if wants_all:
                    assert follow(texts, first_id) == (self.next_id[key], count)
                else:
                    assert tally(texts) == count
                if count:
                    assert last_id(texts) == self.newest[key]


def tally(texts: list[str]) -> int:
    """Return the trades received or counted as left out."""
    skipped = [re.search(r'"skipped":(\d+)', text) for text in texts]
    return len(texts) + sum(int(found[1]) for found in skipped if found)


def last_id(texts: list[str]) -> int:
    return int([text for text in texts if text.startswith("trade")][-1].split()[1])


@pytest.mark.parametrize("examples", [100, pytest.param(3000, marks=pytest.mark.verify)])
def test_whatever_happens_every_client_gets_what_it_is_promised(examples: int) -> None:
    run_state_machine_as_test(
        Delivery, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
