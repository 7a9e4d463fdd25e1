"""Cohorts: whoever comes and goes, every reader gets what it subscribed, in order, once."""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from hypothesis import example, given, settings
from hypothesis import strategies as st

from livemarkets.conflation import Skipped
from livemarkets.delivery import Fanout
from livemarkets.mailbox import Mailbox, text_frame
from livemarkets.models import TRADES, StreamKey

KEYS = [StreamKey("simulator", TRADES, symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
READERS = 3


class Peer:
    """A reader's connection, and the kernel behind it, which takes what it likes."""

    def __init__(self, fd: int, moods: Iterator[int]) -> None:
        self.fd = self._fd = fd
        self.on_change: Callable[[], None] | None = None
        self.is_paused = False
        self.taken = b""
        self._buffer = b""
        self._moods = moods

    def take_some(self, frames: bytes) -> int:
        """Be `os.write`: take everything, a part or nothing."""
        assert self.fd >= 0, "written to behind the transport's back"
        mood = next(self._moods)
        if mood == 0:
            raise BlockingIOError
        size = len(frames) if mood < 3 else mood % (len(frames) + 1)
        self.taken += frames[:size]
        return size

    def write(self, frames: bytes) -> None:
        """Take everything, for a transport may; the next has to wait until it was sent."""
        assert not self.is_paused
        self._buffer += frames
        self._set(is_paused=self._fd >= 0)

    def drain(self) -> None:
        """Send what the transport holds."""
        self.taken, self._buffer = self.taken + self._buffer, b""
        self._set(is_paused=False)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("nobody is too slow here")

    def _set(self, is_paused: bool) -> None:
        self.is_paused, self.fd = is_paused, -1 if is_paused else self._fd
        if self.on_change is not None:
            self.on_change()


def step() -> st.SearchStrategy[tuple[str, int, int]]:
    action = st.sampled_from(["join", "join", "leave", *["publish"] * 3, "post", "turn", "turn", "drain"])
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


@example(ENTERED, [])
@given(st.lists(step(), max_size=60), st.lists(st.integers(0, 40)))
@settings(max_examples=300)
def test_every_reader_gets_what_it_subscribed_in_order_whoever_comes_and_goes(
    steps: list[tuple[str, int, int]], moods: list[int]
) -> None:
    turns: list[Callable[[], None]] = []
    # The last one has no descriptor, as under TLS.
    peers = [Peer(fd, chain(moods, repeat(1))) for fd in (*range(READERS - 1), -1)]
    fanout = make_fanout(turns, peers)
    boxes = [Mailbox(peer, limit_bytes=10**6, clock=lambda: 0.0) for peer in peers]
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
        elif action == "drain":
            peers[reader].drain()
            boxes[reader].resume()
        else:
            take(turns)
        assert fanout.readers(key) == sum(key in keys for keys in wanted)
    take(turns)
    for peer, box in zip(peers, boxes, strict=True):
        while peer.is_paused or box.backlog:
            peer.drain()
            box.resume()
        peer.drain()
    assert [peer.taken for peer in peers] == expected


def test_nothing_is_kept_of_readers_that_are_gone() -> None:
    turns: list[Callable[[], None]] = []
    peer = Peer(0, repeat(1))
    fanout = make_fanout(turns, [peer])
    for _ in range(2):
        box = Mailbox(peer, limit_bytes=10**6, clock=lambda: 0.0)
        for key in KEYS:
            fanout.join(key, box)
            fanout.publish(key, b"trade", 1)
        for key in KEYS:
            fanout.leave(key, box)
        take(turns)
        fanout.publish(KEYS[0], b"nobody's", 2)
    assert peer.on_change is None
    books = [book for book in vars(fanout._cohorts).values() if not callable(book)]
    assert books
    assert not any(books)


def test_readers_that_left_are_let_go_of_while_others_stay() -> None:
    turns: list[Callable[[], None]] = []
    peers = [Peer(fd, repeat(1)) for fd in (0, 1, -1)]
    fanout = make_fanout(turns, peers)
    boxes = [Mailbox(peer, limit_bytes=10**6, clock=lambda: 0.0) for peer in peers]
    for box in boxes:
        fanout.join(KEYS[0], box)
    fanout.publish(KEYS[0], b"1", 1)
    take(turns)
    gone = [weakref.ref(peer) for peer in peers[1:]]
    for box in boxes[1:]:
        fanout.leave(KEYS[0], box)
    del peers[1:], boxes[1:], box
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_a_write_that_fails_by_a_defect_does_not_silence_the_others() -> None:
    turns: list[Callable[[], None]] = []
    peers = [Peer(fd, repeat(1)) for fd in range(2)]
    broken = Peer(-1, repeat(1))
    fanout = make_fanout(turns, peers)
    boxes = [Mailbox(peer, limit_bytes=10**6, clock=lambda: 0.0) for peer in (peers[0], broken, peers[1])]
    fanout.join(KEYS[0], boxes[0])
    fanout.join(KEYS[1], boxes[1])
    for key in KEYS:
        fanout.join(key, boxes[2])
    broken.write = fail  # type: ignore[method-assign]
    expected = b""
    for number in range(3):
        for key in reversed(KEYS):
            fanout.publish(key, b"%d" % number, number)
        with contextlib.suppress(ZeroDivisionError):
            take(turns)
        take(turns)
        expected += text_frame(b"%d" % number)
    assert peers[0].taken == expected
    assert len(peers[1].taken) == 2 * len(expected)


def fail(frames: bytes) -> None:
    raise ZeroDivisionError


def test_a_closed_reader_is_not_written_to_any_more() -> None:
    turns: list[Callable[[], None]] = []
    peers = [Peer(fd, repeat(1)) for fd in range(2)]
    fanout = make_fanout(turns, peers)
    boxes = [Mailbox(peer, limit_bytes=10**6, clock=lambda: 0.0) for peer in peers]
    for box in boxes:
        fanout.join(KEYS[0], box)
    fanout.publish(KEYS[0], b"1", 1)
    take(turns)
    assert [peer.taken for peer in peers] == [text_frame(b"1")] * 2
    activity = fanout.activity(boxes[1])
    fanout.publish(KEYS[0], b"2", 2)
    boxes[0].close()
    take(turns)
    assert peers[0].taken == text_frame(b"1")
    assert peers[1].taken == text_frame(b"1") + text_frame(b"2")
    assert fanout.activity(boxes[1]) != activity


def make_fanout(turns: list[Callable[[], None]], peers: list[Peer]) -> Fanout:
    def write(fd: int, frames: bytes) -> int:
        return peers[fd].take_some(frames)

    return Fanout(turns.append, lambda seconds, callback: None, lambda: 0.0, write, no_skips)


def take(turns: list[Callable[[], None]]) -> None:
    due, turns[:] = turns[:], []
    for callback in due:
        callback()


def no_skips(key: StreamKey, skipped: Skipped) -> bytes:
    raise AssertionError("nobody lags here")
