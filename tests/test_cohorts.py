"""Cohorts: whoever comes and goes, every reader gets what it subscribed, in order, once."""

from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from livemarkets.conflation import Skipped
from livemarkets.delivery import Fanout
from livemarkets.mailbox import Mailbox, text_frame
from livemarkets.models import TRADES, StreamKey

KEYS = [StreamKey("simulator", TRADES, symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
READERS = 3


class Listing:
    """A sink that takes everything, by the short cut or by the usual way."""

    is_paused = False

    def __init__(self, is_direct: bool) -> None:
        self.taken = b""
        self.try_write: Callable[[bytes], int] | None = self._take_some if is_direct else None

    def _take_some(self, frames: bytes) -> int:
        if len(self.taken) % 7 == 3:
            raise BlockingIOError
        size = len(frames) - len(self.taken) % 3
        self.taken += frames[:size]
        return size

    def write(self, frames: bytes) -> None:
        self.taken += frames

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("nobody is too slow here")


def step() -> st.SearchStrategy[tuple[str, int, int]]:
    action = st.sampled_from(["join", "join", "leave", "publish", "publish", "publish", "post", "turn"])
    return st.tuples(action, st.integers(0, READERS - 1), st.integers(0, len(KEYS) - 1))


# A reader with an answer in line, whose cohort somebody else enters before the next trade.
ENTERED = [
    ("join", 0, 0),
    ("publish", 0, 0),
    ("turn", 0, 0),
    ("post", 0, 0),
    ("join", 1, 0),
    ("publish", 0, 0),
]


@example(ENTERED)
@given(st.lists(step(), max_size=60))
@settings(max_examples=300)
def test_every_reader_gets_what_it_subscribed_in_order_whoever_comes_and_goes(
    steps: list[tuple[str, int, int]],
) -> None:
    turns: list[Callable[[], None]] = []
    fanout = Fanout(turns.append, lambda seconds, callback: None, lambda: 0.0, no_skips)
    sinks = [Listing(is_direct=number % 2 == 0) for number in range(READERS)]
    boxes = [Mailbox(sink, limit_bytes=10**6, clock=lambda: 0.0) for sink in sinks]
    expected = [b""] * READERS
    wanted: list[set[StreamKey]] = [set() for _ in range(READERS)]
    for number, (action, reader, at) in enumerate(steps):
        key, payload = KEYS[at], b"%d" % number
        if action == "join":
            fanout.join(key, boxes[reader])
            wanted[reader].add(key)
        elif action == "leave":
            fanout.leave(key, boxes[reader])
            wanted[reader].discard(key)
        elif action == "publish":
            fanout.publish(key, payload, number)
            for other in range(READERS):
                if key in wanted[other]:
                    expected[other] += text_frame(payload)
        elif action == "post":
            fanout.post(boxes[reader], payload)
            expected[reader] += text_frame(payload)
        else:
            take(turns)
        assert fanout.readers(key) == sum(key in keys for keys in wanted)
    take(turns)
    assert [sink.taken for sink in sinks] == expected


def test_nothing_is_kept_of_readers_that_are_gone() -> None:
    turns: list[Callable[[], None]] = []
    fanout = Fanout(turns.append, lambda seconds, callback: None, lambda: 0.0, no_skips)
    for _ in range(2):
        box = Mailbox(Listing(is_direct=True), limit_bytes=10**6, clock=lambda: 0.0)
        for key in KEYS:
            fanout.join(key, box)
            fanout.publish(key, b"trade", 1)
        for key in KEYS:
            fanout.leave(key, box)
        take(turns)
        fanout.publish(KEYS[0], b"nobody's", 2)
    assert not any(vars(fanout._cohorts).values())


def take(turns: list[Callable[[], None]]) -> None:
    due, turns[:] = turns[:], []
    for callback in due:
        callback()


def no_skips(key: StreamKey, skipped: Skipped) -> bytes:
    raise AssertionError("nobody lags here")
