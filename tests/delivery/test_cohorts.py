"""Cohorts: whoever comes and goes, every reader gets what it subscribed, in order, once."""

import contextlib
import gc
import weakref
from collections.abc import Sized

from hypothesis import example, given, settings
from hypothesis import strategies as st

from livemarkets.delivery.cohorts import WRITES_AT_ONCE
from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.framing import text_frame
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.market.models import TRADES, StreamKey
from tests.support.delivery import Peer, Turns

KEYS = [StreamKey("simulator", TRADES, symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
READERS = 3


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


@example(ENTERED, [], 1_000)
@given(st.lists(step(), max_size=60), st.lists(st.integers(-1, 40)), st.sampled_from([1, 2, 1_000]))
@settings(max_examples=400)
def test_every_reader_gets_what_it_subscribed_in_order_whoever_comes_and_goes(
    steps: list[tuple[str, int, int]], moods: list[int], writes_at_once: int
) -> None:
    # The last one has no descriptor, as under TLS.
    left = iter(moods)
    turns, fanout, peers, boxes = set_up(
        *(Peer(fd, left) for fd in (*range(READERS - 1), -1)), writes_at_once=writes_at_once
    )
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
            peers[reader].wake()
            boxes[reader].resume()
        else:
            turns.take()
        assert fanout.readers(key) == sum(key in keys for keys in wanted)
    turns.take_all()
    for peer, box in zip(peers, boxes, strict=True):
        while peer.is_paused or box.backlog:
            peer.wake()
            box.resume()
    assert [peer.taken for peer in peers] == expected


def test_nothing_is_kept_of_readers_that_are_gone() -> None:
    turns, fanout, _, (box,) = set_up(Peer(0))
    for _ in range(2):
        for key in KEYS:
            fanout.join(key, box)
            fanout.publish(key, b"trade", 1)
        for key in KEYS:
            fanout.leave(key, box)
        turns.take()
        fanout.publish(KEYS[0], b"nobody's", 2)
    assert box.place is None
    books = [book for book in vars(fanout._cohorts).values() if isinstance(book, Sized)]
    assert books
    assert not any(books)


def test_readers_that_left_are_let_go_of_while_others_stay() -> None:
    turns, fanout, peers, boxes = set_up(Peer(0), Peer(1), Peer(-1))
    for box in boxes:
        fanout.join(KEYS[0], box)
    fanout.publish(KEYS[0], b"1", 1)
    turns.take()
    gone = [weakref.ref(peer) for peer in peers[1:]]
    for box in boxes[1:]:
        fanout.leave(KEYS[0], box)
    del peers[1:], boxes[1:], box
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_a_write_that_fails_by_a_defect_does_not_silence_the_others() -> None:
    turns, fanout, (one, both, broken), boxes = set_up(Peer(0), Peer(1), Peer(-1))
    fanout.join(KEYS[0], boxes[0])
    fanout.join(KEYS[1], boxes[2])
    for key in KEYS:
        fanout.join(key, boxes[1])
    broken.write = fail  # type: ignore[method-assign]
    expected = b""
    for number in range(3):
        for key in KEYS if number % 2 else reversed(KEYS):
            fanout.publish(key, b"%d" % number, number)
        with contextlib.suppress(ZeroDivisionError):
            turns.take()
        turns.take()
        expected += text_frame(b"%d" % number)
    assert one.taken == expected
    assert len(both.taken) == 2 * len(expected)


def fail(frames: bytes) -> None:
    raise ZeroDivisionError


def test_a_closed_reader_is_not_written_to_any_more() -> None:
    turns, fanout, peers, boxes = set_up(Peer(0), Peer(1))
    for box in boxes:
        fanout.join(KEYS[0], box)
    fanout.publish(KEYS[0], b"1", 1)
    turns.take()
    assert [peer.taken for peer in peers] == [text_frame(b"1")] * 2
    turns.clock.advance(1)
    fanout.publish(KEYS[0], b"2", 2)
    boxes[0].close()
    turns.take()
    assert peers[0].taken == text_frame(b"1")
    assert peers[1].taken == text_frame(b"1") + text_frame(b"2")
    assert fanout.sent_at(boxes[1]) == turns.clock.now


def set_up(
    *peers: Peer, writes_at_once: int = WRITES_AT_ONCE
) -> tuple[Turns, Fanout, list[Peer], list[Mailbox]]:
    """A fan-out, with a mailbox for each peer."""
    turns, found = Turns(), list(peers)
    fanout = turns.fanout(found, writes_at_once=writes_at_once)
    return turns, fanout, found, [fanout.open(peer, limit_bytes=10**6) for peer in peers]


def test_thousands_of_readers_are_written_to_in_several_turns_in_order_and_none_for_ever_last() -> None:
    """Each turn brings new trades, as it does while everything takes longer than planned."""
    turns, fanout, peers, boxes = set_up(*map(Peer, range(5_000)))
    for box in boxes:
        fanout.join(KEYS[0], box)
    expected, most = b"", 0
    for number in range(6):
        fanout.publish(KEYS[0], b"%d" % number, number)
        expected += text_frame(b"%d" % number)
        for box in boxes[::5] if number == 2 else ():
            fanout.post(box, b"answer")
        before = sum(map(Peer.count_writes, peers))
        turns.take()
        most = max(most, sum(map(Peer.count_writes, peers)) - before)
    assert most == 1_000
    assert min(map(Peer.count_writes, peers)) >= 1, "somebody is always last"
    while turns.scheduled:
        before = sum(map(Peer.count_writes, peers))
        turns.take()
        assert sum(map(Peer.count_writes, peers)) - before <= 1_000
    place = 3 * len(text_frame(b"0"))
    answered = expected[:place] + text_frame(b"answer") + expected[place:]
    assert [peer.taken for peer in peers] == [answered, *[expected] * 4] * 1_000


def test_thousands_of_answers_are_written_in_several_turns_beside_the_trades() -> None:
    turns, fanout, peers, boxes = set_up(*map(Peer, range(2_500)))
    fanout.join(KEYS[0], boxes[0])
    for box in boxes[1:]:
        fanout.post(box, b"answer")
    written = []
    for number in range(3):
        fanout.publish(KEYS[0], b"trade", number)
        before = sum(map(Peer.count_writes, peers))
        turns.take()
        written.append(sum(map(Peer.count_writes, peers)) - before)
    assert written == [1_000, 1_000, 500]
    assert [peer.taken for peer in peers] == [3 * text_frame(b"trade"), *[text_frame(b"answer")] * 2_499]


def test_readers_that_come_and_go_fill_the_cohorts_that_there_are() -> None:
    _, fanout, _, boxes = set_up(*map(Peer, range(1_500)))
    for box in boxes:
        fanout.join(KEYS[0], box)
    fanout.publish(KEYS[0], b"1", 1)
    for round_ in range(20):
        for box in boxes[round_ * 50 : round_ * 50 + 500]:
            fanout.leave(KEYS[0], box)
        fanout.publish(KEYS[0], b"2", 2)
        for box in boxes:
            fanout.join(KEYS[0], box)
        fanout.publish(KEYS[0], b"3", 3)
    assert len({box.place for box in boxes}) == 2
