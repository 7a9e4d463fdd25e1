"""Mailboxes and the fan-out, with a sink that writes down what it is given."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import CLIENT, State
from websockets.protocol import Protocol as WebSocketProtocol

from livemarkets.delivery import CLOSE_TOO_SLOW, Fanout, Mailbox, text_frame
from tests.ticks import BTC, ETH


class RecordingSink:
    def __init__(self) -> None:
        self.is_paused = False
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


class Turns:
    """An event loop's `call_soon`, whose turns a test takes."""

    def __init__(self) -> None:
        self.scheduled: list[Callable[[], None]] = []

    def __call__(self, callback: Callable[[], None]) -> None:
        self.scheduled.append(callback)

    def take(self) -> None:
        scheduled, self.scheduled = self.scheduled, []
        for callback in scheduled:
            callback()


def read_frames(data: bytes) -> list[str]:
    """Parse with the websockets library, as a client that refuses whatever RFC 6455 forbids."""
    parser = WebSocketProtocol(CLIENT, state=State.OPEN, max_size=None)
    parser.receive_data(data)
    assert parser.parser_exc is None
    frames = [event for event in parser.events_received() if getattr(event, "opcode", None) is Opcode.TEXT]
    return [bytes(frame.data).decode() for frame in frames]  # type: ignore[union-attr]


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def fanout(turns: Turns) -> Fanout:
    return Fanout(turns)


def mailbox(limit_bytes: int = 10_000) -> tuple[Mailbox, RecordingSink]:
    sink = RecordingSink()
    return Mailbox(sink, limit_bytes=limit_bytes), sink


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_a_frame_is_one_that_a_client_reads(length: int) -> None:
    payload = "x" * length
    assert read_frames(text_frame(payload.encode())) == [payload]
    assert read_frames(text_frame(payload.encode()) * 2 + text_frame(b"end")) == [payload, payload, "end"]


def test_everything_of_one_turn_goes_out_in_one_write(fanout: Fanout, turns: Turns) -> None:
    box, sink = mailbox()
    fanout.join(BTC, box)
    fanout.join(ETH, box)
    fanout.publish(BTC, text_frame(b"1"))
    fanout.post(box, b"2")
    fanout.publish(ETH, text_frame(b"3"))
    assert sink.writes == []
    assert len(turns.scheduled) == 1
    turns.take()
    assert len(sink.writes) == 1
    assert sink.payloads == ["1", "2", "3"]
    assert box.written == 1
    turns.take()
    assert len(sink.writes) == 1


def test_everybody_gets_the_same_bytes(fanout: Fanout, turns: Turns) -> None:
    readers = [mailbox() for _ in range(3)]
    for box, _ in readers:
        fanout.join(BTC, box)
    frame = text_frame(b"trade")
    fanout.publish(BTC, frame)
    turns.take()
    assert all(sink.writes[0] is frame for _, sink in readers)
    assert fanout.delivered == 3


def test_only_readers_of_the_stream_get_it(fanout: Fanout, turns: Turns) -> None:
    (one, one_sink), (_, other_sink) = mailbox(), mailbox()
    assert not fanout.has_readers(BTC)
    fanout.join(BTC, one)
    fanout.join(BTC, one)
    assert (fanout.has_readers(BTC), fanout.readers(BTC), fanout.readers(ETH)) == (True, 1, 0)
    fanout.publish(BTC, text_frame(b"x"))
    fanout.publish(ETH, text_frame(b"y"))
    turns.take()
    assert one_sink.payloads == ["x"]
    assert other_sink.payloads == []


def test_who_joins_in_the_middle_of_a_turn_gets_what_follows(fanout: Fanout, turns: Turns) -> None:
    (early, early_sink), (late, late_sink) = mailbox(), mailbox()
    fanout.join(BTC, early)
    fanout.publish(BTC, text_frame(b"1"))
    fanout.post(late, b"snapshot up to 1")
    fanout.join(BTC, late)
    fanout.publish(BTC, text_frame(b"2"))
    turns.take()
    assert early_sink.payloads == ["1", "2"]
    assert late_sink.payloads == ["snapshot up to 1", "2"]


def test_leaving_is_idempotent_and_takes_nothing_back(fanout: Fanout, turns: Turns) -> None:
    box, sink = mailbox()
    fanout.leave(BTC, box)
    fanout.join(BTC, box)
    fanout.publish(BTC, text_frame(b"before"))
    fanout.leave(BTC, box)
    fanout.leave(BTC, box)
    fanout.publish(BTC, text_frame(b"after"))
    turns.take()
    assert sink.payloads == ["before"]
    assert not fanout.has_readers(BTC)


def test_what_a_paused_connection_cannot_take_waits_in_order(fanout: Fanout, turns: Turns) -> None:
    box, sink = mailbox()
    fanout.join(BTC, box)
    sink.is_paused = True
    for number in range(5):
        fanout.publish(BTC, text_frame(b"%d" % number))
        turns.take()
    assert sink.writes == []
    assert box.backlog_bytes == 5 * len(text_frame(b"0"))
    box.resume()
    assert sink.writes == [], "still paused"
    fanout.publish(BTC, text_frame(b"5"))
    sink.is_paused = False
    fanout.publish(BTC, text_frame(b"6"))
    box.resume()
    fanout.publish(BTC, text_frame(b"7"))
    turns.take()
    assert sink.payloads == [str(number) for number in range(8)]
    assert (box.backlog, box.backlog_bytes) == ([], 0)


def test_nothing_overtakes_a_backlog(fanout: Fanout, turns: Turns) -> None:
    """The connection takes more again, but whoever says so has not come round to it."""
    box, sink = mailbox()
    fanout.join(BTC, box)
    sink.is_paused = True
    fanout.publish(BTC, text_frame(b"1"))
    turns.take()
    sink.is_paused = False
    fanout.publish(BTC, text_frame(b"2"))
    turns.take()
    box.resume()
    assert sink.payloads == ["1", "2"]


def test_a_reader_that_stays_behind_is_closed_once_and_costs_nothing_more(
    fanout: Fanout, turns: Turns
) -> None:
    (slow, slow_sink), (quick, quick_sink) = mailbox(limit_bytes=100), mailbox(limit_bytes=100)
    fanout.join(BTC, slow)
    fanout.join(BTC, quick)
    slow_sink.is_paused = True
    for _ in range(50):
        fanout.publish(BTC, text_frame(b"0123456789"))
        turns.take()
        assert slow.backlog_bytes <= 100
    assert slow.is_closed
    assert slow_sink.closes == [CLOSE_TOO_SLOW]
    assert slow_sink.writes == []
    assert (slow.pending, slow.backlog) == ([], [])
    slow_sink.is_paused = False
    slow.resume()
    assert slow_sink.writes == []
    assert len(quick_sink.payloads) == 50


def test_a_backlog_may_be_exactly_as_long_as_allowed(fanout: Fanout, turns: Turns) -> None:
    frame = text_frame(b"0123456789")
    box, sink = mailbox(limit_bytes=2 * len(frame))
    fanout.join(BTC, box)
    sink.is_paused = True
    for _ in range(2):
        fanout.publish(BTC, frame)
        turns.take()
    assert sink.closes == []
    fanout.publish(BTC, frame)
    turns.take()
    assert sink.closes == [CLOSE_TOO_SLOW]


def test_closing_is_idempotent_and_drops_what_waits(fanout: Fanout, turns: Turns) -> None:
    box, sink = mailbox()
    fanout.join(BTC, box)
    sink.is_paused = True
    fanout.publish(BTC, text_frame(b"1"))
    turns.take()
    fanout.publish(BTC, text_frame(b"2"))
    box.close()
    box.close()
    sink.is_paused = False
    turns.take()
    box.resume()
    assert (sink.writes, sink.closes, box.pending, box.backlog_bytes) == ([], [], [], 0)


@given(st.lists(st.sampled_from(["publish", "post", "turn", "pause", "resume"]), max_size=60))
def test_whatever_happens_messages_keep_their_order(actions: list[str]) -> None:
    turns = Turns()
    fanout = Fanout(turns)
    box, sink = mailbox()
    fanout.join(BTC, box)
    sent = 0
    for action in actions:
        if action == "publish":
            fanout.publish(BTC, text_frame(str(sent).encode()))
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
    sink.is_paused = False
    box.resume()
    turns.take()
    box.resume()
    assert sink.payloads == [str(number) for number in range(sent)]
