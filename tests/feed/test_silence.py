"""How long a stream is usually quiet: what is suspected, when, and how often somebody is asked."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.feed.silence import SilenceDetector, SilenceLimits
from tests.support.recordings import BITCOIN_AND_ETHER, recording

LIMITS = SilenceLimits()
SLOT = LIMITS.slot_seconds


class Course:
    """A stream on which time passes slot by slot."""

    def __init__(self, limits: SilenceLimits = LIMITS) -> None:
        self.now = 1000.0
        self.silence = SilenceDetector(limits, self.now)
        self.questions: list[float] = []
        """When the silence was asked about; the answer is always that it is real."""

    def pass_slot(self, trades: int = 0) -> None:
        self.now += self.silence.limits.slot_seconds
        if trades:
            self.silence.arrivals += trades
            self.silence.last_at = self.now
        self.silence.observe(self.now)
        if self.silence.is_suspicious(self.now):
            self.questions.append(self.now)
            self.silence.reassure(self.now)

    def pass_seconds(self, seconds: float, every: int = 0) -> None:
        """Let time pass, with a trade in every so many slots; 0 means none."""
        for number in range(round(seconds / self.silence.limits.slot_seconds)):
            self.pass_slot(int(every > 0 and number % every == 0))


@pytest.mark.parametrize(
    ("every", "seconds"),
    [(1, LIMITS.floor_seconds), (2, 2.5), (4, 5.0), (20, 25.0), (400, LIMITS.unknown_seconds)],
)
def test_a_silence_is_suspicious_when_it_is_long_for_its_stream(every: int, seconds: float) -> None:
    course = Course()
    course.pass_seconds(600, every)
    assert course.silence.usual_silence() == pytest.approx(seconds, rel=0.15)


def test_a_stream_without_a_rhythm_has_time() -> None:
    course = Course()
    assert course.silence.usual_silence() == LIMITS.unknown_seconds
    course.pass_seconds(LIMITS.unknown_seconds - SLOT)
    assert course.questions == []
    course.pass_slot()
    assert len(course.questions) == 1


def test_how_much_trades_at_once_is_not_the_rhythm() -> None:
    """A burst fills one slot, however many trades it has."""
    calm, wild = Course(), Course()
    for number in range(400):
        calm.pass_slot(int(number % 4 == 0))
        wild.pass_slot(900 if number % 4 == 0 else 0)
    assert calm.silence.usual_silence() == wild.silence.usual_silence()


def test_the_rhythm_is_learnt_within_seconds() -> None:
    course = Course()
    course.pass_seconds(3, every=1)
    assert course.silence.usual_silence() == LIMITS.floor_seconds


def test_the_rhythm_follows_the_market() -> None:
    course = Course()
    course.pass_seconds(300, every=1)
    course.pass_seconds(LIMITS.memory_seconds * 3, every=8)
    assert course.silence.usual_silence() > 7.0  # on the way to 10


def test_each_question_about_a_silence_comes_at_twice_the_silence() -> None:
    course = Course()
    course.pass_seconds(60, every=1)
    course.pass_seconds(100)
    silences = [at - course.silence.last_at for at in course.questions]
    assert silences == pytest.approx([1.5, 3, 6, 12, 24, 48, 96])


def test_a_silence_that_goes_on_for_hours_is_asked_about_now_and_then() -> None:
    course = Course()
    course.pass_seconds(6 * 3600)
    assert len(course.questions) <= 6 * 3600 / LIMITS.ceiling_seconds + 5
    distances = [
        later - earlier for earlier, later in zip(course.questions, course.questions[1:], strict=False)
    ]
    assert max(distances) <= LIMITS.ceiling_seconds + SLOT
    assert distances == sorted(distances)


def test_a_trade_ends_the_reassurance() -> None:
    course = Course()
    course.pass_seconds(60, every=1)
    course.pass_seconds(30)
    asked = len(course.questions)
    course.pass_slot(trades=1)
    course.pass_seconds(course.silence.usual_silence() + SLOT)
    assert len(course.questions) == asked + 1


def test_an_interruption_is_not_the_streams_silence() -> None:
    course = Course()
    course.pass_seconds(60, every=1)
    course.now += 20
    course.silence.restart(course.now)
    assert not course.silence.is_silent(course.now)
    assert not course.silence.is_suspicious(course.now + LIMITS.floor_seconds - 0.01)
    assert course.silence.is_suspicious(course.now + LIMITS.floor_seconds)


def test_silence_that_was_asked_about_is_still_silence() -> None:
    course = Course()
    course.pass_seconds(60, every=1)
    course.pass_seconds(2)
    assert len(course.questions) == 1
    assert course.silence.is_silent(course.now)
    assert not course.silence.is_suspicious(course.now)


@given(st.lists(st.tuples(st.floats(0.01, 30), st.integers(0, 5)), max_size=60))
def test_whatever_happens_the_bounds_are_kept(slots: list[tuple[float, int]]) -> None:
    """Slots of any length: the event loop may be held up."""
    now = 0.0
    silence = SilenceDetector(LIMITS, now)
    for seconds, trades in slots:
        now += seconds
        if trades:
            silence.arrivals += trades
            silence.last_at = now
        silence.observe(now)
        assert LIMITS.floor_seconds <= silence.usual_silence() <= LIMITS.unknown_seconds
        if silence.is_suspicious(now):
            silence.reassure(now)
            assert not silence.is_suspicious(now)
            assert silence.is_suspicious(now + LIMITS.ceiling_seconds)
        assert silence.is_suspicious(
            max(now, silence.last_at) + LIMITS.ceiling_seconds + LIMITS.unknown_seconds
        )


GRACE_SECONDS = 0.3 + 0.1
"""The watcher waits so long for what may be on its way; and the second opinion takes a moment."""


@pytest.mark.parametrize(("symbol", "most"), [("BTCUSDT", 5), ("ETHUSDT", 10)])
def test_the_genuine_rhythm_is_no_cause_for_alarm(symbol: str, most: int) -> None:
    """In six minutes of the recording only the longest pauses are worth a question."""
    course = Course()
    waits = [wait for wait, _ in _play(course, symbol)]
    assert len(course.questions) <= most
    assert max(waits) < 4.0


def test_a_mute_btcusdt_is_noticed_within_3_seconds_at_any_moment() -> None:
    course = Course()
    for wait, seconds in _play(course, "BTCUSDT"):
        if seconds > 10:
            assert wait + SLOT + GRACE_SECONDS < 3.0, f"{seconds} s after the beginning"


def _play(course: Course, symbol: str) -> list[tuple[float, float]]:
    """Let the recording pass; return the silence that would be suspected, and when, for every slot."""
    times: list[float] = []
    with gzip.open(recording(BITCOIN_AND_ETHER), "rt", encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            if message["frame"]["data"]["s"] == symbol:
                times.append(message["recv_ms"] / 1000)
    found: list[tuple[float, float]] = []
    at = 0
    for number in range(int((times[-1] - times[0]) / SLOT)):
        seconds = (number + 1) * SLOT
        before = at
        while at < len(times) and times[at] - times[0] <= seconds:
            at += 1
        course.pass_slot(at - before)
        found.append((course.silence.usual_silence(), seconds))
    return found
