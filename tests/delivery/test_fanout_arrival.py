"""Readers in order of arrival: what is pending, and what is told to a reader that lags."""

import pytest

from livemarkets.delivery.arrival import ArrivalOrder
from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.mailbox import Mailbox
from livemarkets.market.models import Gap
from tests.support.delivery import Peer, Turns, read_frames
from tests.support.ticks import BTC


class Reader:
    """A reader of BTCUSDT."""

    def __init__(self, fanout: Fanout, peer: Peer, turns: Turns, limit_bytes: int) -> None:
        self.peer = peer
        self.box: Mailbox = fanout.open(peer, limit_bytes=limit_bytes)
        self._turns = turns

    def take(self) -> list[str]:
        """What came since the last call, without the symbol."""
        self._turns.take()
        texts, self.peer.taken = read_frames(self.peer.taken), b""
        return [text.removesuffix(" BTCUSDT") for text in texts]

    def wake(self) -> list[str]:
        self._turns.take()
        self.peer.wake()
        self.box.resume()
        return self.take()


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def peers() -> list[Peer]:
    return [Peer(0), Peer(1)]


@pytest.fixture
def fanout(turns: Turns, peers: list[Peer]) -> Fanout:
    return turns.fanout(peers)


@pytest.fixture
def ordered(fanout: Fanout, peers: list[Peer], turns: Turns) -> Reader:
    reader = Reader(fanout, peers[0], turns, 10_000)
    fanout.join(BTC, reader.box)
    return reader


@pytest.fixture
def arrivals(fanout: Fanout, peers: list[Peer], turns: Turns) -> Reader:
    reader = Reader(fanout, peers[1], turns, 40)
    fanout.join(BTC, reader.box, arrival=ArrivalOrder())
    return reader


def publish(fanout: Fanout, *ids: int) -> None:
    for trade_id in ids:
        fanout.publish(BTC, b"t%d" % trade_id, trade_id)


def arrive(fanout: Fanout, *ids: int, is_newest: bool = True) -> None:
    for trade_id in ids:
        fanout.publish_arrival(BTC, b"t%d" % trade_id, trade_id, is_newest=is_newest)


def fall_asleep(fanout: Fanout, reader: Reader, turns: Turns, *ids: int) -> None:
    """Make the reader lag behind these trades."""
    reader.peer.is_asleep = True
    publish(fanout, *ids)
    turns.take()
    fanout.handle_overflow(reader.box)
    assert fanout.statistics().lagging == 1


def test_without_a_hole_both_orders_are_one(fanout: Fanout, ordered: Reader, arrivals: Reader) -> None:
    publish(fanout, 5, 6)
    fanout.publish_gap(Gap(BTC, 7, 8, "invalid"))
    publish(fanout, 9)
    assert ordered.take() == ["t5", "t6", "invalid 7 8 8", "t9"]
    assert arrivals.take() == ["t5", "t6", "invalid 7 8 8", "t9"]


def test_behind_a_hole_each_has_its_own(fanout: Fanout, ordered: Reader, arrivals: Reader) -> None:
    publish(fanout, 5)
    arrive(fanout, 9, 10)
    arrive(fanout, 7, is_newest=False)
    assert (ordered.take(), arrivals.take()) == (["t5"], ["t5", "pending 6 8 5", "t9", "t10", "t7"])
    arrive(fanout, 9)
    fanout.expect(BTC, 12)
    fanout.publish_gap(Gap(BTC, 6, 6, "upstream"))
    publish(fanout, 7)
    fanout.publish_gap(Gap(BTC, 8, 8, "venue"))
    publish(fanout, 9, 10, 11)
    assert ordered.take() == ["upstream 6 6 6", "t7", "venue 8 8 8", "t9", "t10", "t11"]
    assert arrivals.take() == ["pending 11 12 5", "upstream 6 6 7", "venue 8 8 10", "t11"]
    assert fanout.readers(BTC) == 2


def test_a_gap_over_what_came_names_only_what_did_not(fanout: Fanout, arrivals: Reader) -> None:
    publish(fanout, 5)
    arrive(fanout, 8, 12)
    arrivals.take()
    fanout.publish_gap(Gap(BTC, 6, 14, "upstream"))
    assert arrivals.take() == ["upstream 6 7 8", "upstream 9 11 12", "upstream 13 14 14"]


def test_who_lags_behind_holes_is_told_each_range_and_again_what_is_pending(
    fanout: Fanout, arrivals: Reader, turns: Turns
) -> None:
    publish(fanout, 1)
    arrive(fanout, 4)
    assert arrivals.take() == ["t1", "pending 2 3 1", "t4"]
    fall_asleep(fanout, arrivals, turns, 5)
    assert fanout.complete_to(BTC, arrivals.box) == 1
    arrive(fanout, 6)
    arrive(fanout, 2, is_newest=False)
    arrive(fanout, 10, 11)
    fanout.publish_gap(Gap(BTC, 8, 8, "invalid"))
    assert arrivals.wake() == [
        "t5",
        "lagged 2 2 1",
        "pending 3 3 2",
        "lagged 6 6 1",
        "pending 7 7 2",
        "lagged 8 8 0",
        "pending 9 9 2",
        "lagged 10 10 1",
        "t11",
    ]
    assert fanout.complete_to(BTC, arrivals.box) is None
    arrive(fanout, 3, 7, 9, is_newest=False)
    publish(fanout, 12)
    assert arrivals.take() == ["t3", "t7", "t9", "t12"]


def test_what_is_settled_while_a_reader_lags_is_covered(
    fanout: Fanout, arrivals: Reader, turns: Turns
) -> None:
    publish(fanout, 1)
    arrive(fanout, 5)
    arrivals.take()
    fall_asleep(fanout, arrivals, turns, 6)
    arrive(fanout, 2, 4, is_newest=False)
    fanout.publish_gap(Gap(BTC, 3, 3, "upstream"))
    assert arrivals.wake() == ["t6", "lagged 2 4 2"], "the newest trade was sent before"


def test_a_new_numbering_ends_what_is_pending(fanout: Fanout, arrivals: Reader, turns: Turns) -> None:
    publish(fanout, 101)
    fanout.expect(BTC, 103)
    fanout.publish_gap(Gap(BTC, 102, 0, "venue"))
    publish(fanout, 1)
    assert arrivals.take() == [
        "t101",
        "pending 102 103 101",
        "upstream 102 103 103",
        "venue 104 0 0",
        "t1",
    ]
    fall_asleep(fanout, arrivals, turns, 2)
    publish(fanout, 3)
    fanout.publish_gap(Gap(BTC, 4, 0, "venue"))
    publish(fanout, 1, 2)
    assert arrivals.wake() == ["t2", "lagged 3 3 1", "venue 4 0 0", "lagged 1 1 1", "t2"]


def test_the_latest_trade_is_not_an_older_one_that_was_fetched(
    fanout: Fanout, arrivals: Reader, turns: Turns
) -> None:
    fanout.join(BTC, arrivals.box, 0.25)
    fanout.publish(BTC, b'{"id":1}', 1)
    assert arrivals.take() == ['{"id":1}']
    turns.pass_time(1)
    fanout.publish_arrival(BTC, b'{"id":4}', 4, is_newest=True)
    fanout.publish_arrival(BTC, b'{"id":2}', 2, is_newest=False)
    turns.pass_time(1)
    assert arrivals.take() == ['{"id":4}']
    fanout.publish(BTC, b'{"id":3}', 3)
    fanout.publish(BTC, b'{"id":4}', 4)
    turns.pass_time(1)
    assert arrivals.take() == []
    fanout.publish(BTC, b'{"id":5}', 5)
    assert arrivals.take() == ['{"id":5,"skipped":2}']


def test_nothing_is_kept_of_an_order_that_nobody_reads(
    fanout: Fanout, arrivals: Reader, ordered: Reader
) -> None:
    publish(fanout, 1)
    assert fanout.is_new_arrival(BTC, 2)
    fanout.leave(BTC, arrivals.box)
    assert fanout.arrival_order(BTC) is None
    assert not fanout.is_new_arrival(BTC, 2)
    assert fanout.has_readers(BTC)
    arrive(fanout, 5)
    fanout.expect(BTC, 9)
    fanout.leave(BTC, ordered.box)
    assert not fanout.has_readers(BTC)
    assert (fanout._orders.by_key, fanout._orders.arrivals) == ({}, {})
