"""The order of candles: told as closed once and with true figures, whatever the stream and the history do."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from livemarkets.feed.candle_limits import CandleLimits
from livemarkets.feed.candle_line import CandleLine
from livemarkets.market.candles import Candle, CandleGap, ReleasedCandle, same_figures
from tests.support.candles import BTC_1M, MINUTE_MS, START_MS, TrueMarket, make_candle

LIMITS = CandleLimits()


def new_line() -> CandleLine:
    return CandleLine(BTC_1M, LIMITS)


def at_ms(number: int, seconds: float = 0.0) -> int:
    return START_MS + number * MINUTE_MS + int(seconds * 1000)


def told(released: Sequence[ReleasedCandle]) -> list[tuple[int, bool, int]]:
    """Number, whether closed, and trades."""
    assert all(isinstance(each, Candle) for each in released)
    return [
        ((each.open_ts - START_MS) // MINUTE_MS, each.closed, each.trades)
        for each in released
        if isinstance(each, Candle)
    ]


def test_a_candle_runs_and_is_closed_once() -> None:
    line = new_line()
    assert told(line.accept(make_candle(0, 1), 0.0)) == [(0, False, 1)]
    assert told(line.accept(make_candle(0, 2), 2.0)) == [(0, False, 2)]
    assert told(line.accept(make_candle(0, 1), 2.1)) == []  # late
    closed = make_candle(0, 3, closed=True, ids=(1, 3))
    assert told(line.accept(closed, 4.0)) == [(0, True, 3)]
    assert told(line.accept(closed, 4.1)) == []  # by another connection
    assert told(line.accept(make_candle(0, 2), 4.2)) == []
    assert told(line.accept(make_candle(1, 1), 5.0)) == [(1, False, 1)]
    assert line.closed == [closed]
    assert line.waiting_since is None


def test_a_candle_without_trades_is_told_once_by_two_connections() -> None:
    line = new_line()
    empty = make_candle(0, 0)
    assert told(line.accept(empty, 0.0)) == [(0, False, 0)]
    assert told(line.accept(replace(empty, recv_ts=empty.recv_ts + 3), 0.1)) == []
    assert told(line.accept(replace(empty, ts=empty.ts + 2000), 2.0)) == [(0, False, 0)]


def test_a_later_candle_waits_until_two_answers_agree_on_the_one_before() -> None:
    line = new_line()
    line.accept(make_candle(0, 1), 0.0)
    assert told(line.accept(make_candle(1, 1), 61.0)) == []
    assert told(line.accept(make_candle(1, 2), 63.0)) == []
    assert line.waiting_since == 61.0
    assert line.ask_from == START_MS
    answer = [make_candle(0, 4), make_candle(1, 1)]
    assert told(line.answer(answer, 63.0, at_ms(1, 3))) == [(0, False, 4)]
    assert told(line.answer(answer, 63.5, at_ms(1, 3.5))) == []
    assert told(line.answer(answer, 64.1, at_ms(1, 4.1))) == [(0, True, 4), (1, False, 2)]
    assert line.waiting_since is None


def test_the_history_is_believed_at_once_if_the_candle_ended_long_ago() -> None:
    line = new_line()
    line.accept(make_candle(0, 1), 0.0)
    line.accept(make_candle(3, 1), 200.0)
    answer = [make_candle(0, 4), make_candle(1, 2), make_candle(2, 0), make_candle(3, 1)]
    expected = [(0, True, 4), (1, True, 2), (2, True, 0), (3, False, 1)]
    assert told(line.answer(answer, 200.0, at_ms(3, 20))) == expected


def test_a_history_that_has_nothing_yet_changes_nothing() -> None:
    """It comes from a database that lags, or the symbol was listed a moment ago."""
    line = new_line()
    assert told(line.begin([], 0.0, at_ms(0))) == []
    line.accept(make_candle(0, 1), 0.0)
    line.accept(make_candle(1, 1), 61.0)
    assert told(line.answer([], 63.0, at_ms(1, 3))) == []
    answer = [make_candle(0, 4), make_candle(1, 1)]
    assert told(line.answer(answer, 64.0, at_ms(1, 15))) == [(0, True, 4), (1, False, 1)]


def test_what_the_history_has_forgotten_is_declared_at_once() -> None:
    """The exchange has listed the symbol anew, and deleted its candles."""
    line = new_line()
    line.accept(make_candle(0, 1, closed=True), 60.0)
    line.accept(make_candle(2, 1), 150.0)
    line.accept(make_candle(3, 1), 200.0)
    answer = [make_candle(3, 1)]
    for seconds in (1.0, 3.0):
        assert told(line.answer(answer, 200.0 + seconds, at_ms(3, 20 + seconds))) == []
    assert line.answer([make_candle(0, 1), *answer], 204.0, at_ms(3, 24)) == [], "another copy still has it"
    assert line.answer(answer, 205.0, at_ms(3, 25)) == []
    gap, running, other, *later = line.answer(answer, 211.0, at_ms(3, 31))
    assert gap == CandleGap(BTC_1M, at_ms(1), at_ms(2) - 1, "upstream")
    assert told([running]) == [(2, False, 1)]
    assert other == CandleGap(BTC_1M, at_ms(2), at_ms(3) - 1, "upstream")
    assert told(later) == [(3, False, 1)]


def test_the_last_candle_of_an_answer_is_not_closed_however_late_it_is() -> None:
    line = new_line()
    line.accept(make_candle(0, 1), 0.0)
    line.accept(make_candle(1, 1), 61.0)
    for second in (65, 75, 85):  # the history lags
        assert told(line.answer([make_candle(0, 1)], second, at_ms(0, second))) == []


def test_what_the_stream_showed_is_not_thrown_away_for_a_history_that_lags() -> None:
    line = new_line()
    line.accept(make_candle(0, 9), 0.0)
    line.accept(make_candle(1, 1), 61.0)
    behind = [make_candle(0, 4), make_candle(1, 0)]
    assert told(line.answer(behind, 62.0, at_ms(1, 2))) == []
    assert told(line.answer(behind, 64.0, at_ms(1, 4))) == []
    whole = [make_candle(0, 10), make_candle(1, 0)]
    assert told(line.answer(whole, 66.0, at_ms(1, 6))) == [(0, False, 10)]
    assert told(line.answer(whole, 68.0, at_ms(1, 8))) == [(0, True, 10), (1, False, 1)]


def test_a_correction_is_told_as_revised_once() -> None:
    line = new_line()
    line.accept(make_candle(0, 3, closed=True), 60.0)
    (revised,) = line.accept(make_candle(0, 4, closed=True), 61.0)
    assert isinstance(revised, Candle)
    assert (revised.revised, revised.trades) == (True, 4)
    assert line.accept(make_candle(0, 4, closed=True), 62.0) == ()
    assert line.closed == [revised]


def test_the_history_corrects_only_what_it_insists_on() -> None:
    line = new_line()
    line.accept(make_candle(0, 3, closed=True), 60.0)
    line.accept(make_candle(1, 1), 62.0)
    other = [make_candle(0, 2), make_candle(1, 1)]
    assert line.answer(other, 63.0, at_ms(1, 3)) == []
    assert line.answer(other, 66.0, at_ms(1, 6)) == []  # twice, but a moment after its end
    assert told(line.answer(other, 71.0, at_ms(1, 11))) == [(0, True, 2)]


def test_a_candle_that_was_believed_early_is_compared_again() -> None:
    line = new_line()
    line.accept(make_candle(0, 1), 0.0)
    line.accept(make_candle(1, 1), 61.0)
    early = [make_candle(0, 4), make_candle(1, 1)]
    line.answer(early, 61.0, at_ms(1, 1))
    line.answer(early, 62.0, at_ms(1, 2))
    assert [each.trades for each in line.closed] == [4]
    assert not line.is_unproved(at_ms(1, 9))
    assert line.is_unproved(at_ms(1, 11))
    late = [make_candle(0, 5), make_candle(1, 1)]
    assert line.answer(late, 71.0, at_ms(1, 11)) == []
    (revised,) = line.answer(late, 73.0, at_ms(1, 13))
    assert isinstance(revised, Candle)
    assert (revised.revised, revised.trades) == (True, 5)
    assert not line.is_unproved(at_ms(1, 14))


def test_a_candle_that_was_fetched_late_is_compared_again_however_long_that_takes() -> None:
    """The history lagged by more than ten seconds, and then could not be asked for three minutes."""
    line = new_line()
    line.accept(make_candle(0, 1), 0.0)
    line.accept(make_candle(1, 1), 75.0)
    line.answer([make_candle(0, 4), make_candle(1, 1)], 75.0, at_ms(1, 15))
    assert [each.trades for each in line.closed] == [4]
    for number in range(1, 4):
        line.accept(make_candle(number, 2, closed=True), 60.0 * (number + 1))
        assert line.is_unproved(at_ms(number + 1))
    truth = [make_candle(0, 5), *(make_candle(number, 2) for number in range(1, 4)), make_candle(4, 1)]
    assert line.ask_from == at_ms(0)
    assert told(line.answer(truth, 250.0, at_ms(4, 10))) == [(4, False, 1)]
    (revised,) = line.answer(truth, 252.0, at_ms(4, 12))
    assert isinstance(revised, Candle)
    assert (revised.open_ts, revised.trades) == (at_ms(0), 5)
    assert not line.is_unproved(at_ms(4, 13))


def test_odd_open_times_are_taken_as_they_are() -> None:
    line = new_line()
    line.accept(make_candle(0, 1, closed=True), 60.0)
    odd = replace(make_candle(28, 1), open_ts=at_ms(28, 15))
    assert told(line.accept(odd, 1700.0)) == []
    answer = [make_candle(0, 1), odd]
    assert line.answer(answer, 1700.0, at_ms(28, 20)) == []
    assert line.answer(answer, 1703.0, at_ms(28, 23)) == []
    assert line.answer(answer, 1706.0, at_ms(28, 26)) == [odd]


def test_an_answer_that_lacks_the_middle_for_a_moment_proves_nothing() -> None:
    line = new_line()
    line.accept(make_candle(0, 1, closed=True), 60.0)
    line.accept(make_candle(2, 1), 121.0)
    line.answer([make_candle(0, 1), make_candle(2, 1)], 121.0, at_ms(2, 1))
    whole = [make_candle(number, 1) for number in range(3)]
    line.answer(whole, 123.0, at_ms(2, 3))
    assert told(line.answer(whole, 126.0, at_ms(2, 6))) == [(1, True, 1), (2, False, 1)]


def test_what_cannot_be_had_is_declared_after_the_time_limit() -> None:
    line = new_line()
    line.accept(make_candle(0, 1, closed=True), 60.0)
    line.accept(make_candle(2, 1), 121.0)
    assert line.give_up(180.0) == ()
    gap, running = line.give_up(181.0)
    assert gap == CandleGap(BTC_1M, at_ms(1), at_ms(2) - 1, "upstream")
    assert told([running]) == [(2, False, 1)]
    assert line.closed == []  # what is before the gap can be fetched again
    assert told(line.accept(make_candle(1, 1, closed=True), 182.0)) == []


def test_a_candle_whose_end_cannot_be_had_is_declared_too() -> None:
    line = new_line()
    line.accept(make_candle(0, 1), 0.0)
    line.accept(make_candle(1, 1, closed=True), 120.0)
    gap, closed = line.give_up(180.0)
    assert gap == CandleGap(BTC_1M, at_ms(0), at_ms(1) - 1, "upstream")
    assert told([closed]) == [(1, True, 1)]


def test_a_running_candle_that_none_follows_is_closed_in_the_end() -> None:
    line = new_line()
    line.accept(make_candle(0, 1), 0.0)
    assert not line.is_overdue(at_ms(1, 2))
    assert line.is_overdue(at_ms(1, 3))
    alone = [make_candle(0, 1)]
    assert told(line.answer(alone, 63.0, at_ms(1, 3))) == []
    assert told(line.answer(alone, 90.0, at_ms(1, 30))) == []
    assert told(line.answer(alone, 125.0, at_ms(2, 5))) == [(0, True, 1)]


def test_the_line_begins_anew_if_the_time_of_the_exchange_is_set_back() -> None:
    line = new_line()
    line.accept(make_candle(9, 1, closed=True), 0.0)
    assert line.accept(make_candle(2, 1), 1.0) == ()
    assert line.accept(make_candle(2, 2), 3.0) == ()
    gap, running = line.accept(make_candle(2, 3), 6.0)
    assert gap == CandleGap(BTC_1M, at_ms(9) + 1, at_ms(2) - 1, "venue")
    assert told([running]) == [(2, False, 3)]


def test_repeats_of_what_was_told_set_no_time_back() -> None:
    """Nothing is traded, and another connection brings the last candle late, with its end."""
    line = new_line()
    line.accept(make_candle(1, 2, closed=True), 0.0)
    for second in (1.0, 9.0, 17.0):
        assert line.accept(make_candle(1, 1), second) == ()
        assert line.accept(make_candle(1, 2, closed=True), second + 2.0) == ()


def test_candles_of_the_past_among_newer_ones_change_nothing() -> None:
    line = new_line()
    line.accept(make_candle(9, 1, closed=True), 0.0)
    for second in range(20):  # a connection that lags, beside one that does not
        assert line.accept(make_candle(8, second), float(second)) == ()
        assert told(line.accept(make_candle(10, second), float(second))) == [(10, False, second)]


def test_history_is_put_before_what_is_known() -> None:
    line = new_line()
    line.accept(make_candle(5, 1), 301.0)
    rows = [make_candle(number, number) for number in range(6)]
    assert not line.prepend(rows[:5], 301.0, at_ms(5, 1))  # it lags: the oldest known one is not in it
    assert not line.prepend(rows, 301.0, at_ms(5, 1))  # the last one may change
    assert not line.prepend(rows, 301.5, at_ms(5, 1.5))
    assert line.prepend(rows, 302.0, at_ms(5, 2))
    assert told(line.closed) == [(number, True, number) for number in range(5)]
    assert told(line.accept(make_candle(5, 2, closed=True), 360.0)) == [(5, True, 2)]
    assert line.memory.after(at_ms(3)) == line.closed[4:]


def test_a_line_can_begin_with_the_history() -> None:
    line = new_line()
    rows = [make_candle(number, 3) for number in range(4)]
    assert told(line.begin(rows, 0.0, at_ms(3, 1))) == [(2, False, 3)]
    assert told(line.closed) == [(0, True, 3), (1, True, 3)]
    assert line.begin(rows, 1.0, at_ms(3, 2)) == ()
    assert told(line.answer(rows, 1.0, at_ms(3, 2))) == [(2, True, 3), (3, False, 3)]


def test_an_exchange_without_any_candle_yet_is_no_error() -> None:
    """A symbol that was listed a moment ago has no history."""
    line = CandleLine(BTC_1M, CandleLimits())
    assert list(line.begin([], 0.0, START_MS)) == []
    assert list(line.answer([], 0.0, START_MS)) == []
    assert told(line.accept(make_candle(0, 1), 1.0)) == [(0, False, 1)]


def test_the_memory_is_bounded() -> None:
    line = new_line()
    for number in range(3 * LIMITS.kept):
        line.accept(make_candle(number, 1, closed=True), float(number))
    assert LIMITS.kept <= len(line.closed) <= LIMITS.kept * 1.1


SECONDS = st.integers(0, 59)
INTERRUPTIONS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 150)), max_size=4)


def inside(second: float, spans: list[tuple[int, int]]) -> bool:
    return any(start <= second < start + length for start, length in spans)


@settings(max_examples=2 * settings().max_examples)
@given(
    trades=st.lists(st.lists(SECONDS, max_size=6), min_size=12, max_size=12),
    skipped=st.frozensets(st.integers(1, 6), max_size=2),
    losses=st.lists(st.integers(0, 220), max_size=60),
    cuts=INTERRUPTIONS,
    lags=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([1, 5, 20, 45])), max_size=6),
    failures=INTERRUPTIONS,
    repeats=st.frozensets(st.integers(0, 220), max_size=40),
    torn=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 8)), max_size=6),
)
def test_every_candle_is_closed_once_and_truly_whatever_fails(
    trades: list[list[int]],
    skipped: frozenset[int],
    losses: list[int],
    cuts: list[tuple[int, int]],
    lags: list[tuple[int, int]],
    failures: list[tuple[int, int]],
    repeats: frozenset[int],
    torn: list[tuple[int, int]],
) -> None:
    """A model of both sources: the stream loses and repeats, the history lags, fails and catches up."""
    market, line = TrueMarket(trades, skipped), CandleLine(BTC_1M, LIMITS)
    released: list[ReleasedCandle] = []
    earlier: list[Candle] = []
    previous: Candle | None = None
    for second in range(600):
        now, now_ms = float(second), START_MS + second * 1000
        if second % 2 == 0 or second % 60 == 0:
            newest = market.newest(second)
            assert newest is not None
            frames = [newest]
            if previous is not None and previous.open_ts != newest.open_ts:
                frames.insert(0, market.at((previous.open_ts - START_MS) // MINUTE_MS, second))
            previous = newest
            if second // 2 in repeats:
                frames += earlier
            for frame in frames:
                if second > 500 or not (second // 2 in losses or inside(second, cuts)):
                    released += line.accept(frame, now)
                    earlier = [*earlier[-2:], frame]
        released += line.give_up(now)
        if line.waiting_since is not None or line.is_overdue(now_ms) or line.is_unproved(now_ms):
            lag = max((each for start, each in lags if start <= second < start + 2 * each), default=0)
            if line.ask_from is not None and not inside(second, failures):
                behind = 9 if inside(second, torn) else 0
                rows = market.history(line.ask_from, second - lag, behind=behind)
                released += line.answer(rows, now, now_ms)
    check(released, market, line)


def check(released: Sequence[ReleasedCandle], market: TrueMarket, line: CandleLine) -> None:
    told_to = -1
    figures: dict[int, Candle] = {}
    gaps: list[CandleGap] = []
    for each in released:
        if isinstance(each, CandleGap):
            assert told_to < each.from_open_ts <= each.to_open_ts
            told_to = each.to_open_ts
            gaps.append(each)
        elif each.revised:
            assert each.open_ts in figures
            figures[each.open_ts] = each
        else:
            assert each.open_ts > told_to  # never back, and nothing after it was closed
            if each.closed:
                figures[each.open_ts] = each
                told_to = each.open_ts
            else:
                told_to = each.open_ts - 1
    truth = [
        each
        for each in market.closed(599.0)
        if not any(gap.from_open_ts <= each.open_ts <= gap.to_open_ts for gap in gaps)
    ]
    first_ts = min(figures)
    truth = [each for each in truth if each.open_ts >= first_ts]
    assert sorted(figures) == [each.open_ts for each in truth]
    assert all(same_figures(figures[each.open_ts], each) for each in truth)
    kept = [each for each in truth if line.closed and each.open_ts >= line.closed[0].open_ts]
    assert [each.open_ts for each in line.closed] == [each.open_ts for each in kept]
