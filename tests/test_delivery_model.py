"""Several readers, several symbols, every mode, any order of events: what each reader knows of a symbol."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from livemarkets.conflation import Skipped
from livemarkets.delivery import Fanout
from livemarkets.mailbox import Mailbox
from livemarkets.models import StreamKey
from tests.test_delivery import Turns, describe, read_frames
from tests.ticks import BTC, ETH

KEYS = (BTC, ETH)
READERS = 3
INTERVAL_SECONDS = 0.5
LIMIT_BYTES = 40


class Connection:
    """A connection of a reader who takes everything, or nothing at the moment."""

    def __init__(self, fd: int) -> None:
        self.fd = self._fd = fd
        self.is_paused = False
        self.on_change: Callable[[], None] | None = None
        self.taken = b""
        self.is_closed = False
        self._buffer = b""
        self._is_asleep = False

    def take(self, frames: bytes) -> int:
        assert self.fd >= 0
        if self._is_asleep:
            raise BlockingIOError
        self.taken += frames
        return len(frames)

    def write(self, frames: bytes) -> None:
        assert not self.is_paused
        if self._is_asleep:
            self._buffer += frames
            self._pause(True)
        else:
            self.taken += frames

    def sleep(self) -> None:
        self._is_asleep = True

    def wake(self) -> None:
        self._is_asleep = False
        self.taken, self._buffer = self.taken + self._buffer, b""
        self._pause(False)

    def close(self, code: int, reason: str) -> None:
        assert self._is_asleep
        self.is_closed = True

    def _pause(self, is_paused: bool) -> None:
        self.is_paused, self.fd = is_paused, -1 if is_paused else self._fd
        if self.on_change is not None:
            self.on_change()


class Reader:
    """One reader: what it was sent, and what it subscribes now, with the counts of the moment it began."""

    def __init__(self, number: int, fanout: Fanout, clock: Callable[[], float]) -> None:
        self.connection = Connection(number)
        self.mailbox = Mailbox(self.connection, limit_bytes=LIMIT_BYTES, clock=clock)
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

        def write(fd: int, frames: bytes) -> int:
            return self.readers[fd].connection.take(frames)

        self.fanout = Fanout(self.turns, self.turns.call_later, self.turns.clock, write, describe_with_symbol)
        self.readers = [Reader(number, self.fanout, self.turns.clock) for number in range(READERS)]
        self.next_id = dict.fromkeys(KEYS, 1)
        self.sent: Counter[StreamKey] = Counter()
        self.newest: dict[StreamKey, int] = {}

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 8))
    def trade(self, key: StreamKey, count: int) -> None:
        for _ in range(count):
            payload = b'{"%s":%d}' % (key.symbol.encode(), self.next_id[key])
            self.fanout.publish(key, payload, self.next_id[key])
            self.newest[key] = self.next_id[key]
            self.next_id[key] += 1
            self.sent[key] += 1

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 3))
    def hole(self, key: StreamKey, count: int) -> None:
        first, last = self.next_id[key], self.next_id[key] + count - 1
        self.fanout.publish_gap(key, f"gap {key.symbol} {first} {last}".encode(), first, last)
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
        self.readers[number].connection.sleep()

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


def describe_with_symbol(key: StreamKey, skipped: Skipped) -> bytes:
    return describe(key, skipped).replace(b"lagged", b"lagged " + key.symbol.encode())


def follow(texts: list[str], expected: int) -> tuple[int, int]:
    """Read as a client does that trusts nobody; return the next id, and the trades received or declared."""
    trades = 0
    for text in texts:
        numbers = [int(digits) for digits in re.findall(r"\b\d+\b", text)]
        assert numbers[0] == expected, texts
        if text.startswith("{"):
            expected, trades = expected + 1, trades + 1
        else:
            expected = numbers[1] + 1
            trades += numbers[2] if text.startswith("lagged") else 0
    return expected, trades


def tally(texts: list[str]) -> int:
    """Return the trades received or counted as left out."""
    skipped = [re.search(r'"skipped":(\d+)', text) for text in texts]
    return len(texts) + sum(int(found[1]) for found in skipped if found)


def last_id(texts: list[str]) -> int:
    trades = [text for text in texts if text.startswith("{")]
    return int(re.findall(r":(\d+)", trades[-1])[0]) if trades else 0


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
