"""The session against an ideal exchange: whatever it answers and whenever, the streams come right."""

import itertools
import json
from collections.abc import Iterable
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livemarkets.exchanges.binance.messages import Reply, parse_frame
from livemarkets.exchanges.binance.session import Session, SessionTimings
from tests.support.sessions import is_settled

Answer = Literal["ok", "flat", "nested", "without id", "lost", "late"]
TIMINGS = SessionTimings()
A, B, C, D = "a@trade", "b@trade", "c@trade", "d@trade"
BAD = frozenset({"bad1@trade", "bad2@trade"})
STREAMS = [A, B, C, D, *sorted(BAD)]


class Exchange:
    """Keeps one connection's streams as the documents say, and answers as it is told to.

    It refuses a SUBSCRIBE in which any stream is bad, as a whole.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.now = 1000.0
        self.streams: set[str] = set()
        self.sent: list[tuple[float, str, tuple[str, ...]]] = []
        self.mood: Answer = "ok"
        self._late: list[tuple[float, bytes]] = []

    def step(self) -> None:
        """Let the session do what is due now."""
        for at, frame in [late for late in self._late if late[0] <= self.now]:
            self._late.remove((at, frame))
            self._reply(frame)
        request = self.session.next_request(self.now)
        if request is not None:
            self._handle(json.loads(request))

    def run(self, seconds: float) -> None:
        """Let time pass; act exactly when the session says that something is due."""
        end = self.now + seconds
        for _ in range(10_000):
            self.step()
            due = self.session.next_due(self.now)
            times = [at for at, _ in self._late] + ([] if due is None else [due])
            upcoming = min(times, default=end)
            if upcoming >= end:
                break
            self.now = max(upcoming, self.now + 1e-3)
        else:
            raise AssertionError("the session is always due")
        self.now = end
        self.step()

    def _handle(self, request: dict[str, object]) -> None:
        method, number = str(request["method"]), request["id"]
        streams = tuple(str(stream) for stream in request["params"])  # type: ignore[attr-defined]
        assert streams, "an empty request is an error at the exchange"
        assert len(set(streams)) == len(streams)
        self.sent.append((self.now, method, streams))
        refused = method == "SUBSCRIBE" and not BAD.isdisjoint(streams)
        error: dict[str, object] = {"code": 2, "msg": "Invalid request: invalid stream"}
        reply: dict[str, object] = {"result": None, "id": number}
        if refused or self.mood in ("flat", "nested", "without id"):
            if self.mood == "without id":
                reply = error
            else:
                reply = {"error": error, "id": number} if self.mood == "nested" else {**error, "id": number}
        elif method == "SUBSCRIBE":
            self.streams |= set(streams)
        else:
            self.streams -= set(streams)
        frame = json.dumps(reply).encode()
        if self.mood == "late":
            self._late.append((self.now + 7.0, frame))
        elif self.mood != "lost":
            self._reply(frame)

    def _reply(self, frame: bytes) -> None:
        reply = parse_frame(frame, "binance", 0)
        assert isinstance(reply, Reply)
        self.session.handle_reply(reply, self.now)

    def check_pace(self) -> None:
        """Never two messages within the spacing, never more than 4 in a second."""
        times = [at for at, _, _ in self.sent]
        for earlier, later in itertools.pairwise(times):
            assert later - earlier >= TIMINGS.spacing_seconds - 1e-9
        for first, fifth in zip(times, times[4:], strict=False):
            assert fifth - first > 1.0


def exchange(*wanted: str, timings: SessionTimings = TIMINGS) -> Exchange:
    session = Session(timings)
    session.set_wanted(wanted)
    return Exchange(session)


def messages(made: Iterable[tuple[float, str, tuple[str, ...]]]) -> list[tuple[str, ...]]:
    return [(method, *streams) for _, method, streams in made]


def test_nothing_wanted_costs_nothing() -> None:
    venue = exchange()
    venue.run(60)
    assert venue.sent == []
    assert is_settled(venue.session, venue.now)
    assert venue.session.next_due(venue.now) is None


def test_many_streams_go_into_one_message() -> None:
    venue = exchange(B, A, C)
    venue.step()
    assert messages(venue.sent) == [("SUBSCRIBE", A, B, C)]
    assert venue.session.acknowledged == {A, B, C}
    assert is_settled(venue.session, venue.now)


def test_messages_are_bounded_and_spaced() -> None:
    wanted = [f"s{number:04}@trade" for number in range(1000)]
    venue = exchange(*wanted)
    venue.run(10)
    assert [len(streams) for _, _, streams in venue.sent] == [TIMINGS.streams_per_message] * 5
    assert venue.streams == set(wanted)
    assert venue.sent[-1][0] - venue.sent[0][0] < 1.3
    venue.check_pace()


def test_only_the_difference_is_asked_for_and_leaving_comes_first() -> None:
    venue = exchange(A, B)
    venue.run(1)
    venue.session.set_wanted([B, C])
    venue.run(1)
    assert messages(venue.sent[1:]) == [("UNSUBSCRIBE", A), ("SUBSCRIBE", C)]
    assert venue.streams == venue.session.acknowledged == {B, C}


def test_a_wish_taken_back_before_its_turn_costs_nothing() -> None:
    venue = exchange(A)
    venue.step()
    venue.session.set_wanted([A, B])
    venue.step()
    venue.session.set_wanted([A])
    venue.run(10)
    assert messages(venue.sent) == [("SUBSCRIBE", A)]


def test_a_stream_given_up_and_wanted_again_before_its_turn_costs_nothing() -> None:
    venue = exchange(A)
    venue.step()
    venue.session.set_wanted([])
    venue.session.set_wanted([A])
    venue.run(10)
    assert messages(venue.sent) == [("SUBSCRIBE", A)]


def test_a_change_of_mind_waits_for_the_answer_under_way() -> None:
    venue = exchange(A)
    venue.mood = "late"
    venue.step()
    venue.session.set_wanted([])
    venue.mood = "ok"
    venue.run(20)
    assert venue.streams == set()
    assert is_settled(venue.session, venue.now)


@pytest.mark.parametrize("mood", ["flat", "nested", "without id"])
def test_a_bad_stream_in_a_batch_is_isolated(mood: Answer) -> None:
    good = [f"s{number}@trade" for number in range(50)]
    venue = exchange(*good, *BAD)
    shape, venue.mood = mood, "ok"

    def refuse_in_shape(request: dict[str, object], handle: object = venue._handle) -> None:
        params = request["params"]
        venue.mood = shape if not BAD.isdisjoint(params) else "ok"  # type: ignore[arg-type]
        Exchange._handle(venue, request)

    venue._handle = refuse_in_shape  # type: ignore[method-assign]
    venue.run(10)
    assert venue.streams == venue.session.acknowledged == set(good)
    assert venue.session.rejected == dict.fromkeys(BAD, "Invalid request: invalid stream (code 2)")
    assert is_settled(venue.session, venue.now)
    assert len(venue.sent) <= 25, "two bad ones among 52 are found by halving"
    venue.check_pace()


def test_what_was_refused_is_asked_for_again_after_a_while_alone() -> None:
    venue = exchange(A, *BAD)
    venue.run(10)
    before = len(venue.sent)
    venue.run(TIMINGS.rejection_seconds - 20)
    assert len(venue.sent) == before
    venue.run(30)
    assert len(venue.sent) > before
    assert venue.session.rejected.keys() == BAD


def test_what_was_refused_and_is_no_longer_wanted_is_forgotten() -> None:
    venue = exchange(A, *BAD)
    venue.run(10)
    venue.session.set_wanted([A])
    assert venue.session.rejected == {}
    venue.run(100)
    assert is_settled(venue.session, venue.now)


def test_an_answer_that_does_not_come_is_asked_for_again_and_counted() -> None:
    venue = exchange(A)
    venue.mood = "lost"
    venue.run(3 * TIMINGS.ack_timeout_seconds + 1)
    assert messages(venue.sent) == [("SUBSCRIBE", A)] * 4
    assert venue.session.lost_answers == 3
    venue.mood = "ok"
    venue.run(2 * TIMINGS.ack_timeout_seconds)
    assert venue.session.lost_answers == 0
    assert is_settled(venue.session, venue.now)


def test_a_stream_whose_answer_was_lost_is_left_when_nobody_wants_it() -> None:
    """The exchange may well send it: it has to be told."""
    venue = exchange(A)
    venue.mood = "lost"
    venue.step()
    assert venue.streams == {A}
    venue.session.set_wanted([])
    venue.mood = "ok"
    venue.run(30)
    assert venue.streams == set()
    assert is_settled(venue.session, venue.now)


def test_an_answer_to_nothing_is_harmless() -> None:
    session = Session(TIMINGS)
    session.set_wanted([A])
    assert session.handle_reply(Reply(99, None), 0) is None
    assert "unknown request" in (session.handle_reply(Reply(99, "no"), 0) or "")
    assert session.handle_reply(Reply(None, "no"), 0)
    assert session.acknowledged == set()


def test_a_mute_stream_is_asked_for_again() -> None:
    venue = exchange(A, B)
    venue.run(1)
    venue.session.forget([A])
    assert not is_settled(venue.session, venue.now)
    venue.run(1)
    assert messages(venue.sent[1:]) == [("SUBSCRIBE", A)]


def test_a_mute_stream_that_nobody_wants_any_more_is_left() -> None:
    venue = exchange(A, B)
    venue.run(1)
    venue.session.forget([A])
    venue.session.set_wanted([B])
    venue.run(1)
    assert venue.streams == {B}


def test_pings_take_their_turn() -> None:
    venue = exchange(A)
    venue.step()
    assert not venue.session.reserve(venue.now + 0.29)
    assert venue.session.reserve(venue.now + 0.31)
    venue.session.set_wanted([A, B])
    assert venue.session.next_request(venue.now + 0.5) is None
    assert venue.session.next_request(venue.now + 0.62) is not None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.sets(st.sampled_from(STREAMS))),
        st.tuples(st.just("mood"), st.sampled_from(["ok", "flat", "nested", "without id", "lost", "late"])),
        st.tuples(st.just("run"), st.sampled_from([0.0, 0.1, 0.29, 0.5, 2.0, 6.0, 20.0])),
        st.tuples(st.just("forget"), st.sets(st.sampled_from(STREAMS), max_size=2)),
        st.tuples(st.just("ping"), st.just(0.0)),
    ),
    max_size=25,
)


@settings(max_examples=300)
@given(steps, st.sets(st.sampled_from(STREAMS)))
def test_whatever_the_exchange_answers_the_streams_come_right(
    actions: list[tuple[str, object]], wanted: set[str]
) -> None:
    venue = exchange()
    for action, value in actions:
        if action == "want":
            venue.session.set_wanted(value)  # type: ignore[arg-type]
        elif action == "mood":
            venue.mood = value  # type: ignore[assignment]
        elif action == "forget":
            venue.session.forget(value)  # type: ignore[arg-type]
        elif action == "ping":
            if venue.session.reserve(venue.now):
                venue.sent.append((venue.now, "PING", ()))
        else:
            venue.run(float(value))  # type: ignore[arg-type]
    venue.mood = "ok"
    venue.session.set_wanted(wanted)
    venue.run(4 * TIMINGS.rejection_seconds)
    assert venue.session.acknowledged == wanted - BAD
    assert venue.session.rejected.keys() <= wanted & BAD
    assert venue.streams == wanted - BAD, "the exchange sends what nobody wants, or not what is wanted"
    venue.check_pace()


def test_two_thousand_changes_of_mind_in_ten_seconds() -> None:
    random = Random(1)
    names = [f"s{number:03}@trade" for number in range(300)]
    wanted: set[str] = set()
    venue = exchange()
    for _ in range(2000):
        wanted ^= {random.choice(names)}
        venue.session.set_wanted(wanted)
        venue.run(0.005)
    assert len(venue.sent) <= 34
    venue.run(3)
    assert venue.streams == venue.session.acknowledged == wanted
    venue.check_pace()


def asked(session: Session, now: float) -> int:
    """Let the session send a request; its id."""
    request = session.next_request(now)
    assert request is not None
    return int(json.loads(request)["id"])


def said(number: object, error: str | None = None) -> Reply:
    """A reply as the exchange may write it."""
    message: dict[str, object] = {"result": None} if error is None else {"code": 2, "msg": error}
    reply = parse_frame(
        json.dumps(message | ({} if number is None else {"id": number})).encode(), "binance", 0
    )
    assert isinstance(reply, Reply)
    return reply


def subscribed(*batches: Iterable[str]) -> tuple[Session, list[int]]:
    """A session that has sent one SUBSCRIBE for each batch, a second apart from 0 on; their ids."""
    session, ids, wanted = Session(TIMINGS), [], set[str]()
    for second, batch in enumerate(batches):
        wanted |= set(batch)
        session.set_wanted(wanted)
        ids.append(asked(session, float(second)))
    return session, ids


def test_answers_that_come_twelve_seconds_late_are_answers() -> None:
    session, (first,) = subscribed([A, B])
    repeated = asked(session, 6.0)
    assert session.lost_answers == 1
    session.handle_reply(said(first), 12.0)
    assert (session.is_acknowledged(), session.lost_answers) == (True, 0)
    session.handle_reply(said(repeated), 18.0)
    assert session.is_acknowledged()
    assert session.next_request(30.0) is None


def test_answers_may_come_in_any_order_twice_and_with_a_text_as_id() -> None:
    session, (first, second) = subscribed([A], [B])
    assert session.handle_reply(said(str(second)), 2.0) is None
    assert session.acknowledged == {B}
    for number in (second, first, str(first)):
        assert session.handle_reply(said(number), 2.0) is None
    assert session.acknowledged == {A, B}
    assert session.next_request(60.0) is None


def test_a_subscription_begins_with_its_first_answer_and_again_after_the_stream_was_given_up() -> None:
    session, (number,) = subscribed([A])
    session.note_data([A], 0.5)
    session.handle_reply(said(number), 2.0)
    assert session.acknowledged_at == {A: 0.5}
    session.forget([A])
    assert session.acknowledged_at == {}
    assert session.next_request(3.0) is not None
    session.handle_reply(said(number + 1), 4.0)
    assert session.acknowledged_at == {A: 4.0}


def test_trades_acknowledge_their_stream_and_no_other() -> None:
    session, _ = subscribed([A, B])
    assert session.note_data([A, D], 0.5)
    assert session.acknowledged == {A}
    assert not session.note_data([A], 0.6)
    assert session.next_request(6.0) is not None, "the other one is asked for again"
    assert session.lost_answers == 1
    assert not session.note_data([A], 6.1)
    assert session.lost_answers == 0, "an exchange that sends trades is not left"
    assert session.acknowledged == {A}


def test_a_request_whose_streams_all_trade_needs_no_answer() -> None:
    session, _ = subscribed([A, B])
    session.note_data([A, B], 0.5)
    assert session.next_request(100.0) is None
    assert (session.lost_answers, session.is_acknowledged()) == (0, True)


def test_trades_from_before_an_unsubscribe_acknowledge_no_new_subscribe() -> None:
    session, (first,) = subscribed([A])
    session.handle_reply(said(first), 0.1)
    session.set_wanted([])
    left = asked(session, 1.0)
    assert not session.note_data([A], 1.1)
    session.handle_reply(said(left), 1.2)
    session.set_wanted([A])
    again = asked(session, 2.0)
    assert not session.note_data([A], 2.1), "it may have been under way"
    assert session.acknowledged == set()
    session.handle_reply(said(again), 2.2)
    assert session.acknowledged == {A}


def test_trades_long_after_a_new_subscribe_acknowledge_it() -> None:
    session, (first,) = subscribed([A])
    session.handle_reply(said(first), 0.1)
    session.set_wanted([])
    session.handle_reply(said(asked(session, 1.0)), 1.2)
    session.set_wanted([A])
    asked(session, 2.0)
    asked(session, 7.1)
    assert session.note_data([A], 7.2)
    assert session.acknowledged == {A}


def test_a_late_answer_says_nothing_after_the_opposite_request() -> None:
    session, (first,) = subscribed([A])
    session.set_wanted([])
    left = asked(session, 6.0)  # the SUBSCRIBE is given up, and may have had its effect
    session.set_wanted([A])
    session.handle_reply(said(left), 6.5)
    asked(session, 7.0)
    session.handle_reply(said(first), 7.1)
    assert session.acknowledged == set()


def test_an_error_without_an_id_belongs_to_the_request_that_no_answer_comes_for() -> None:
    session, (_, second) = subscribed([A], [B])
    assert session.handle_reply(said(None, "invalid stream"), 2.0) is None, "it may be either"
    complaint = session.handle_reply(said(second), 2.1)
    assert complaint is not None
    assert "SUBSCRIBE of a@trade was refused" in complaint
    assert session.rejected.keys() == {A}
    assert session.acknowledged == {B}


def test_two_errors_without_an_id_refuse_both_requests() -> None:
    session, _ = subscribed([A], [B])
    session.handle_reply(said(None, "no"), 2.0)
    session.handle_reply(said(None, "no"), 2.1)
    assert session.rejected.keys() == {A, B}


def test_an_error_without_an_id_does_not_concern_what_was_requested_later() -> None:
    session, (first,) = subscribed([A])
    session.set_wanted([A, B])
    session.handle_reply(said(first), 0.5)
    complaint = session.handle_reply(said(None, "odd"), 0.6)
    assert complaint == "error reply to an unknown request: odd (code 2)"
    second = asked(session, 1.0)
    session.handle_reply(said(second), 1.1)
    assert session.rejected == {}


def test_an_exchange_that_answers_no_more_is_noticed_beside_its_trades() -> None:
    session, (first,) = subscribed([A])
    session.handle_reply(said(first), 0.1)
    session.set_wanted([A, B])
    for turn in range(1, 8):
        asked(session, 6.0 * turn)
        session.note_data([A], 6.0 * turn + 1)
    assert (session.has_answers, session.lost_answers, session.ignored_requests) == (True, 0, 6)
