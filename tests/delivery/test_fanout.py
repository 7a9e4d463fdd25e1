"""Mailboxes and the fan-out, with a sink that writes down what it is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.delivery.fanout import Fanout
from livemarkets.delivery.framing import text_frame
from livemarkets.delivery.mailbox import CLOSE_TOO_SLOW, Mailbox, SinkListener
from livemarkets.market.models import Gap
from tests.support.delivery import Turns, follow, read_frames
from tests.support.ticks import BTC, ETH


class RecordingSink:
    def __init__(self) -> None:
        self.is_paused = False
        self.fd = -1
        self.listener: SinkListener | None = None
        self.writes: list[bytes] = []
        self.closes: list[int] = []

    @property
    def payloads(self) -> list[str]:
        """What a WebSocket client reads out of the bytes."""
        return read_frames(b"".join(self.writes))

    def write(self, frames: bytes) -> None:
        assert not self.is_paused, "written to a connection that takes nothing"
        self.writes.append(frames)

    def close(self, code: int, reason: str) -> None:
        self.closes.append(code)


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def fanout(turns: Turns) -> Fanout:
    return turns.fanout()


def open_box(fanout: Fanout, limit_bytes: int = 10_000) -> tuple[Mailbox, RecordingSink]:
    sink = RecordingSink()
    return fanout.open(sink, limit_bytes=limit_bytes), sink


def trade_by_turns(fanout: Fanout, turns: Turns, numbers: range) -> None:
    """Publish trades of these numbers, each in a turn of its own."""
    for number in numbers:
        fanout.publish(BTC, b"trade %d" % number, number)
        turns.take()


def take_again(box: Mailbox, sink: RecordingSink, turns: Turns) -> None:
    """Have the connection take everything from now on, and let the turn pass in which it does."""
    sink.is_paused = False
    box.resume()
    turns.take()


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_a_frame_is_one_that_a_client_reads(length: int) -> None:
    payload = "x" * length
    assert read_frames(text_frame(payload.encode())) == [payload]
    assert read_frames(text_frame(payload.encode()) * 2 + text_frame(b"end")) == [payload, payload, "end"]


def test_everything_of_one_turn_goes_out_in_one_write(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout)
    fanout.join(BTC, box)
    fanout.join(ETH, box)
    fanout.publish(BTC, b"1", 1)
    fanout.post(box, b"2")
    fanout.publish(ETH, b"3", 1)
    assert sink.writes == []
    assert len(turns.scheduled) == 1
    turns.take()
    assert len(sink.writes) == 1
    assert sink.payloads == ["1", "2", "3"]
    assert fanout.sent_at(box) == turns.clock.now
    turns.take()
    assert len(sink.writes) == 1


def test_everybody_gets_the_same_bytes(fanout: Fanout, turns: Turns) -> None:
    readers = [open_box(fanout) for _ in range(3)]
    for box, _ in readers:
        fanout.join(BTC, box)
    fanout.publish(BTC, b"trade", 1)
    turns.take()
    assert readers[0][1].writes == [text_frame(b"trade")]
    assert all(sink.writes[0] is readers[0][1].writes[0] for _, sink in readers)
    assert fanout.statistics().delivered == {"trades": 3}


def test_only_readers_of_the_stream_get_it(fanout: Fanout, turns: Turns) -> None:
    (one, one_sink), (_, other_sink) = open_box(fanout), open_box(fanout)
    assert not fanout.has_readers(BTC)
    fanout.join(BTC, one)
    fanout.join(BTC, one)
    assert (fanout.has_readers(BTC), fanout.readers(BTC), fanout.readers(ETH)) == (True, 1, 0)
    fanout.publish(BTC, b"x", 1)
    fanout.publish(ETH, b"y", 1)
    turns.take()
    assert one_sink.payloads == ["x"]
    assert other_sink.payloads == []


def test_who_joins_in_the_middle_of_a_turn_gets_what_follows(fanout: Fanout, turns: Turns) -> None:
    (early, early_sink), (late, late_sink) = open_box(fanout), open_box(fanout)
    fanout.join(BTC, early)
    fanout.publish(BTC, b"1", 1)
    fanout.post(late, b"snapshot up to 1")
    fanout.join(BTC, late)
    fanout.publish(BTC, b"2", 1)
    turns.take()
    assert early_sink.payloads == ["1", "2"]
    assert late_sink.payloads == ["snapshot up to 1", "2"]


def test_leaving_is_idempotent_and_takes_nothing_back(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout)
    fanout.leave(BTC, box)
    fanout.join(BTC, box)
    fanout.publish(BTC, b"before", 1)
    fanout.leave(BTC, box)
    fanout.leave(BTC, box)
    fanout.publish(BTC, b"after", 1)
    turns.take()
    assert sink.payloads == ["before"]
    assert not fanout.has_readers(BTC)


def test_what_a_paused_connection_cannot_take_waits_in_order(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout)
    fanout.join(BTC, box)
    sink.is_paused = True
    for number in range(5):
        fanout.publish(BTC, b"%d" % number, 1)
        turns.take()
    assert sink.writes == []
    assert box.backlog_bytes == 5 * len(text_frame(b"0"))
    box.resume()
    assert sink.writes == [], "still paused"
    fanout.publish(BTC, b"5", 1)
    sink.is_paused = False
    fanout.publish(BTC, b"6", 1)
    box.resume()
    fanout.publish(BTC, b"7", 1)
    turns.take()
    assert sink.payloads == [str(number) for number in range(8)]
    assert (list(box.backlog), box.backlog_bytes) == ([], 0)


def test_nothing_overtakes_a_backlog(fanout: Fanout, turns: Turns) -> None:
    """The connection takes more again, but whoever says so has not come round to it."""
    box, sink = open_box(fanout)
    fanout.join(BTC, box)
    sink.is_paused = True
    fanout.publish(BTC, b"1", 1)
    turns.take()
    sink.is_paused = False
    fanout.publish(BTC, b"2", 1)
    turns.take()
    box.resume()
    assert sink.payloads == ["1", "2"]


def test_a_reader_over_its_limit_lags_and_is_told_what_it_missed(fanout: Fanout, turns: Turns) -> None:
    (slow, slow_sink), (quick, quick_sink) = (
        open_box(fanout, limit_bytes=100),
        open_box(fanout, limit_bytes=100),
    )
    fanout.join(BTC, slow)
    fanout.join(BTC, quick)
    slow_sink.is_paused = True
    for number in range(50):
        fanout.publish(BTC, b"trade %04d" % number, number)
        turns.take()
        assert slow.backlog_bytes <= 100 + len(text_frame(b"trade 0000"))
    assert (fanout.statistics().lagging, fanout.statistics().lags) == (1, 1)
    take_again(slow, slow_sink, turns)
    got = [text for text in slow_sink.payloads if text.startswith("trade")]
    reached = len(got) - 2
    assert slow_sink.payloads[-2:] == [f"lagged {reached + 1} 48 {48 - reached} BTCUSDT", "trade 0049"]
    fanout.publish(BTC, b"trade 0050", 50)
    turns.take()
    assert slow_sink.payloads[-1] == "trade 0050"
    assert fanout.statistics().lagging == 0
    assert len(quick_sink.payloads) == 51


def test_messages_for_a_reader_that_takes_nothing_end_its_connection(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout, limit_bytes=100)
    sink.is_paused = True
    for _ in range(50):
        fanout.post(box, b"0123456789")
        turns.take()
        assert box.backlog_bytes <= 200
    assert box.is_closed
    assert sink.closes == [CLOSE_TOO_SLOW]
    assert (box.pending, list(box.backlog)) == ([], [])
    sink.is_paused = False
    box.resume()
    assert sink.writes == []


def test_a_reader_is_stuck_when_it_takes_nothing_for_long(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout, limit_bytes=100)
    turns.clock.advance(100.0)
    fanout.post(box, b"taken")
    turns.take()
    assert not box.is_stuck(turns.clock.now, 30.0), "nothing waits"
    sink.is_paused = True
    fanout.post(box, b"waits")
    turns.take()
    turns.clock.advance(29.9)
    assert not box.is_stuck(turns.clock.now, 30.0)
    turns.clock.advance(0.2)
    assert box.is_stuck(turns.clock.now, 30.0)
    box.resume()
    assert not box.is_stuck(turns.clock.now, 30.0), "it took something, if not all"


def test_who_wants_the_latest_gets_one_in_an_interval_and_ends_on_the_newest(
    fanout: Fanout, turns: Turns
) -> None:
    box, sink = open_box(fanout)
    fanout.join(BTC, box, 0.25)
    for number in range(10):
        fanout.publish(BTC, b'{"id":%d}' % number, number)
    turns.take()
    assert sink.payloads == ['{"id":0}']
    turns.pass_time(0.2)
    assert sink.payloads == ['{"id":0}']
    turns.pass_time(0.1)
    assert sink.payloads == ['{"id":0}', '{"id":9,"skipped":8}']
    turns.pass_time(10.0)
    assert len(sink.payloads) == 2, "nothing new, nothing sent"
    fanout.publish(BTC, b'{"id":10}', 10)
    turns.take()
    assert sink.payloads[-1] == '{"id":10}', "after a pause nothing waits"


def test_who_wants_the_latest_and_takes_nothing_waits_without_growing(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout)
    fanout.join(BTC, box, 0.25)
    sink.is_paused = True
    for number in range(100):
        fanout.publish(BTC, b'{"id":%d}' % number, number)
        turns.take()
        turns.pass_time(0.1)
    assert box.backlog_bytes == 0
    sink.is_paused = False
    box.resume()
    turns.pass_time(1.0)
    assert sink.payloads == ['{"id":99,"skipped":99}']


def test_a_change_of_mode_takes_effect_at_once(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout)
    fanout.join(BTC, box, 0.25)
    fanout.publish(BTC, b'{"id":1}', 1)
    fanout.publish(BTC, b'{"id":2}', 2)
    fanout.join(BTC, box)
    fanout.publish(BTC, b'{"id":3}', 3)
    turns.pass_time(1.0)
    turns.take()
    assert sink.payloads == ['{"id":1}', '{"id":3}']
    assert fanout.readers(BTC) == 1


@given(st.lists(st.sampled_from(["trade", "trade", "trade", "hole", "anew", "pause", "resume", "turn"])))
def test_whatever_a_slow_reader_does_every_trade_is_received_or_declared(actions: list[str]) -> None:
    turns = Turns()
    fanout = turns.fanout()
    box, sink = open_box(fanout, limit_bytes=120)
    fanout.join(BTC, box)
    next_id, sent = 1000, 0
    for action in [*actions, "turn", "resume", "turn"]:
        if action == "trade":
            fanout.publish(BTC, f"trade {next_id}".encode(), next_id)
            next_id, sent = next_id + 1, sent + 1
        elif action == "hole":
            fanout.publish_gap(Gap(BTC, next_id, next_id + 4, "upstream"))
            next_id += 5
        elif action == "anew":
            fanout.publish_gap(Gap(BTC, next_id, 9, "venue"))
            next_id = 10
        elif action == "turn":
            turns.take()
        else:
            sink.is_paused = action == "pause"
            box.resume()
    if not box.is_closed:
        assert follow(sink.payloads, 1000) == (next_id, sent)


def test_who_lags_into_a_hole_gets_the_last_price_before_it(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout, limit_bytes=20)
    fanout.join(BTC, box)
    sink.is_paused = True
    trade_by_turns(fanout, turns, range(5))
    fanout.publish_gap(Gap(BTC, 5, 9, "upstream"))
    turns.take()
    take_again(box, sink, turns)
    assert sink.payloads[-3:] == ["lagged 3 3 1 BTCUSDT", "trade 4", "lagged 5 9 0 BTCUSDT"]
    assert follow(sink.payloads, 0) == (10, 5)


def test_a_turn_of_many_bytes_conflates_and_does_not_end_the_connection(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout, limit_bytes=100)
    fanout.join(BTC, box)
    sink.is_paused = True
    for number in range(50):
        fanout.publish(BTC, b"trade %d" % number, number)
    turns.take()
    assert (box.is_closed, fanout.statistics().lagging) == (False, 1)
    trade_by_turns(fanout, turns, range(50, 60))
    take_again(box, sink, turns)
    assert follow(sink.payloads, 0) == (60, 60)


def test_a_change_of_streams_is_no_sign_of_life(fanout: Fanout, turns: Turns) -> None:
    (box, _), (other, _) = open_box(fanout), open_box(fanout)
    for key in (BTC, ETH):
        fanout.join(key, box)
    fanout.join(BTC, other)
    for number in range(5):
        fanout.publish(BTC, b"trade", number)
        turns.take()
    began = turns.clock.now
    assert fanout.sent_at(box) == began
    turns.clock.advance(1)
    fanout.leave(BTC, box)
    fanout.publish(BTC, b"trade", 5)
    turns.take()
    assert fanout.sent_at(box) == began
    turns.clock.advance(1)
    fanout.publish(ETH, b"trade", 1)
    turns.take()
    assert fanout.sent_at(box) == began + 2


def test_closing_is_idempotent_and_drops_what_waits(fanout: Fanout, turns: Turns) -> None:
    box, sink = open_box(fanout)
    fanout.join(BTC, box)
    sink.is_paused = True
    fanout.publish(BTC, b"1", 1)
    turns.take()
    fanout.publish(BTC, b"2", 1)
    box.close()
    box.close()
    sink.is_paused = False
    turns.take()
    box.resume()
    assert (sink.writes, sink.closes, box.pending, box.backlog_bytes) == ([], [], [], 0)


@given(st.lists(st.sampled_from(["publish", "post", "turn", "pause", "resume"]), max_size=60))
def test_whatever_happens_messages_keep_their_order(actions: list[str]) -> None:
    turns = Turns()
    fanout = turns.fanout()
    box, sink = open_box(fanout)
    fanout.join(BTC, box)
    sent = 0
    for action in actions:
        if action == "publish":
            fanout.publish(BTC, str(sent).encode(), 1)
            sent += 1
        elif action == "post":
            fanout.post(box, str(sent).encode())
            sent += 1
        elif action == "turn":
            turns.take()
        else:
            sink.is_paused = action == "pause"
            if not sink.is_paused:
                box.resume()
    take_again(box, sink, turns)
    box.resume()
    assert sink.payloads == [str(number) for number in range(sent)]
