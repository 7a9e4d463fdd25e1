"""The ledger: first what it promises in examples, then that it keeps its promises whatever happens."""

import math
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livemarkets.feed.ledger import Ledger, LedgerLimits, Outcome, Released
from livemarkets.market.models import Gap, TradeTick
from tests.support.ticks import BTC, make_tick

PROOF = LedgerLimits().proof_seconds
PATIENCE = LedgerLimits().patience_seconds
FAR = LedgerLimits().far_ids


def make_ledger(held_ticks: int = 50_000) -> Ledger:
    return Ledger(BTC, LedgerLimits(held_ticks=held_ticks))


def feed(ledger: Ledger, *ids: int, now: float = 0.0) -> list[Released]:
    released: list[Released] = []
    for trade_id in ids:
        released += ledger.accept(make_tick(trade_id), now).released
    return released


def answer(ledger: Ledger, *ids: int, now: float, invalid: Sequence[int] = ()) -> list[Released]:
    """An answer of REST: all trades that it has within a range of ids."""
    return list(ledger.fill(ticks(*ids), invalid, now).released)


def give_up(ledger: Ledger, now: float = PATIENCE) -> list[Released]:
    return list(ledger.give_up(now).released)


def shown(released: Iterable[Released]) -> list[int | tuple[int, int, str]]:
    """Ids as numbers, holes as (from, to, cause)."""
    return [(item.from_id, item.to_id, item.cause) if isinstance(item, Gap) else item.id for item in released]


def ticks(*ids: int) -> list[TradeTick]:
    return [make_tick(trade_id, backfilled=True) for trade_id in ids]


# in examples


def test_order_passes() -> None:
    ledger = make_ledger()
    assert shown(feed(ledger, 5, 6, 7)) == [5, 6, 7]
    assert (ledger.next_id, ledger.held, ledger.missing()) == (8, 0, None)


def test_repeats_are_dropped_and_counted() -> None:
    ledger = make_ledger()
    assert shown(feed(ledger, 5, 6, 7, 5, 6, 7, 7, 9, 9, 8)) == [5, 6, 7, 8, 9]
    assert ledger.duplicates == 5


def test_late_arrivals_close_a_hole() -> None:
    ledger = make_ledger()
    assert shown(feed(ledger, 5, 8, 7)) == [5]
    assert (ledger.missing(), ledger.held) == ((6, 6), 2)
    assert shown(feed(ledger, 6)) == [6, 7, 8]
    assert ledger.missing() is None
    assert not ledger.holes.due(1e9)


def test_a_hole_is_due_and_overdue_in_its_time() -> None:
    ledger = make_ledger()
    feed(ledger, 5, now=0)
    feed(ledger, 8, now=10)
    feed(ledger, 9, now=10.2)
    hold = ledger.limits.hold_seconds
    assert not ledger.holes.due(10 + hold - 0.01)
    assert ledger.holes.due(10 + hold)
    assert not ledger.holes.is_overdue(10 + PATIENCE - 0.01)
    assert ledger.holes.is_overdue(10 + PATIENCE)


def test_a_trade_waits_no_longer_because_something_else_went_missing_before_it() -> None:
    ledger = make_ledger()
    feed(ledger, 5, now=0)
    feed(ledger, 7, now=1)
    feed(ledger, 9, now=10)
    assert shown(give_up(ledger, 1 + PATIENCE)) == [(6, 6, "upstream"), 7]
    assert ledger.missing() == (8, 8)
    assert ledger.holes.due(1 + PATIENCE), "it was opened long ago"
    assert not ledger.holes.is_overdue(10 + PATIENCE - 0.01)
    assert shown(give_up(ledger, 10 + PATIENCE)) == [(8, 8, "upstream"), 9]


def test_what_was_fetched_fills_the_hole() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 9)
    released = answer(ledger, 8, 6, 7, 5, now=1)
    assert shown(released) == [6, 7, 8, 9]
    assert [isinstance(item, TradeTick) and item.backfilled for item in released] == [True, True, True, False]
    assert ledger.next_id == 10


def test_ids_that_two_answers_lack_are_the_exchanges_own_hole() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 12)
    assert answer(ledger, 5, 7, 8, 12, now=1) == []
    assert answer(ledger, 5, 7, 8, 12, now=1 + PROOF - 0.01) == []
    assert shown(answer(ledger, 5, 7, 8, 12, now=1 + PROOF)) == [
        (6, 6, "venue"),
        7,
        8,
        (9, 11, "venue"),
        12,
    ]


def test_an_answer_that_holds_no_ids_on_both_sides_proves_nothing() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 12)
    for now in (0, 100):
        for ids in ([], [5], [5, 4], [12, 13], [20]):
            assert answer(ledger, *ids, now=now) == []
    assert ledger.missing() == (6, 11)


def test_a_trade_that_comes_after_all_refutes_the_answer_without_it() -> None:
    """A database may lack trades for a moment that it has later."""
    ledger = make_ledger()
    feed(ledger, 5, 9)
    answer(ledger, 5, 9, now=0)
    feed(ledger, 7, now=1)
    assert answer(ledger, 5, 9, now=PROOF) == []
    assert shown(answer(ledger, 5, 6, 7, 9, now=2 * PROOF)) == [6, 7, (8, 8, "venue"), 9]


def test_a_trade_that_comes_before_its_gap_is_declared_is_delivered() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 7, 9)
    ledger.reject(8, 0)
    answer(ledger, 7, 9, now=0)
    assert ledger.holes.open() == [(6, 6)]
    feed(ledger, 8)
    assert shown(answer(ledger, 6, now=1)) == [6, 7, 8, 9]


def test_an_invalid_trade_is_a_gap_in_its_turn() -> None:
    ledger = make_ledger()
    feed(ledger, 5)
    assert shown(ledger.reject(6, 0).released) == [(6, 6, "invalid")]
    assert shown(feed(ledger, 7)) == [7]
    assert list(ledger.reject(9, 0).opened) == [(8, 8)]
    assert shown(feed(ledger, 10)) == []
    assert shown(feed(ledger, 8)) == [8, (9, 9, "invalid"), 10]
    for known in (9, 10):
        assert not any(ledger.reject(known, 0))
    assert not any(ledger.reject(10 + 2 * FAR, 0)), "it would lie behind a hole of a million"


def test_an_invalid_trade_begins_nothing() -> None:
    ledger = make_ledger()
    assert ledger.reject(5, 0) == Outcome()
    assert ledger.next_id is None


def test_invalid_trades_of_an_answer_are_gaps_and_prove_as_others_do() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 12)
    assert shown(answer(ledger, 7, 8, now=0, invalid=[5, 6, 12])) == [(6, 6, "invalid"), 7, 8]
    assert shown(answer(ledger, 8, now=PROOF, invalid=[12])) == [(9, 11, "venue"), 12]


def test_what_rest_has_beyond_the_stream_is_released_and_its_holes_wait_for_proof() -> None:
    """REST may be ahead of the stream; what the stream then brings is a repeat."""
    ledger = make_ledger()
    feed(ledger, 5, 7)
    assert shown(answer(ledger, 5, 6, 7, 8, 10, now=1)) == [6, 7, 8]
    assert shown(answer(ledger, 8, 10, now=1 + PROOF)) == [(9, 9, "venue"), 10]
    assert shown(feed(ledger, 8, 10, 11)) == [11]


def test_giving_up_declares_what_is_overdue_and_only_what_is_missing() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 8, 11)
    assert give_up(ledger, PATIENCE - 0.01) == []
    assert shown(give_up(ledger)) == [(6, 7, "upstream"), 8, (9, 10, "upstream"), 11]
    assert give_up(ledger) == []


def test_each_call_tells_what_arrived_and_what_became_missing() -> None:
    """Readers in order of arrival need this."""
    ledger = make_ledger()

    def changed(outcome: Outcome) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        released = [item.id for item in outcome.released if isinstance(item, TradeTick)]
        return released, [tick.id for tick in outcome.arrived], list(outcome.opened)

    assert changed(ledger.accept(make_tick(5), 0)) == ([5], [5], [])
    assert changed(ledger.accept(make_tick(9), 0)) == ([], [9], [(6, 8)])
    assert changed(ledger.accept(make_tick(9), 0)) == ([], [], [])
    assert changed(ledger.accept(make_tick(7), 0)) == ([], [7], [])
    assert changed(ledger.accept(make_tick(10), 0)) == ([], [10], [])
    assert changed(ledger.expect(12, 0)) == ([], [], [(11, 12)])
    assert changed(ledger.expect(12, 0)) == ([], [], [])
    assert changed(ledger.accept(make_tick(15), 0)) == ([], [15], [(13, 14)])
    assert ledger.holes.open() == [(6, 6), (8, 8), (11, 12), (13, 14)]
    assert [tick.id for tick in ledger.waiting()] == [7, 9, 10, 15]
    assert ledger.complete_to == 5
    assert changed(ledger.fill(ticks(18, 5, 6, 7), (), 0)) == ([6, 7], [6, 18], [(16, 17)])
    assert (ledger.complete_to, ledger.newest_seen(), ledger.newest_known()) == (7, 18, 18)
    assert changed(ledger.accept(make_tick(8), 0)) == ([8, 9, 10], [8], [])


def test_too_much_behind_a_hole_is_not_kept() -> None:
    ledger = make_ledger(held_ticks=100)
    released = feed(ledger, 1, *range(5, 5 + 101))
    assert shown(released)[:3] == [1, (2, 4, "upstream"), 5]
    assert (ledger.held, ledger.next_id) == (0, 106)


def test_an_id_beyond_all_reason_changes_nothing_until_another_confirms_it() -> None:
    ledger = make_ledger()
    assert shown(feed(ledger, 5, 2**40, 6, 7, 2**50, 8, 2**40, 9)) == [5, 6, 7, 8, 9]
    assert ledger.missing() is None
    outcome = ledger.accept(make_tick(2**40 + 2), 0)
    assert [tick.id for tick in outcome.arrived] == [2**40, 2**40 + 2]
    assert outcome.opened == [(10, 2**40 - 1), (2**40 + 1, 2**40 + 1)]
    assert shown(feed(ledger, 10)) == [10]
    assert shown(give_up(ledger)) == [
        (11, 2**40 - 1, "upstream"),
        2**40,
        (2**40 + 1, 2**40 + 1, "upstream"),
        2**40 + 2,
    ]


def test_nobody_is_believed_alone_who_says_that_the_exchange_is_far_ahead() -> None:
    ledger = make_ledger()
    feed(ledger, 5)
    assert ledger.expect(6 + FAR + 1, 0) == Outcome()
    assert ledger.fill(ticks(5, 6 + FAR + 1), [2**60], 0) == Outcome([], [], [])
    assert ledger.missing() is None


def test_a_near_id_out_of_nowhere_is_dropped_when_the_stream_goes_on_below_it() -> None:
    ledger = make_ledger()
    assert shown(feed(ledger, 5, 5000, 6, 7)) == [5, 6, 7]
    assert ledger.drop_impostor(10) is None, "two lower ids may be of a slower connection"
    assert shown(feed(ledger, 8)) == [8]
    assert ledger.drop_impostor(1.9) is None, "so may three, for a moment"
    impostor = ledger.drop_impostor(2)
    assert impostor is not None
    assert impostor.id == 5000
    assert ledger.missing() is None
    assert not ledger.holes.due(1e9)
    assert shown(feed(ledger, 9, 10)) == [9, 10]


def test_a_lone_trade_behind_a_hole_is_kept_while_nothing_contradicts_it() -> None:
    """REST's database lags behind the stream, and may be that of another exchange altogether."""
    ledger = make_ledger()
    feed(ledger, 5, 60)
    assert ledger.drop_impostor(1e9) is None
    feed(ledger, 90)
    assert ledger.drop_impostor(1e9) is None
    assert shown(give_up(ledger)) == [(6, 59, "upstream"), 60, (61, 89, "upstream"), 90]


def test_expected_ids_that_never_come_are_forgotten() -> None:
    ledger = make_ledger()
    feed(ledger, 5)
    assert ledger.expect(9, now=0).opened
    ledger.forget_expected()
    assert ledger.missing() is None
    assert not ledger.holes.due(1e9)
    assert shown(feed(ledger, 6, 7)) == [6, 7]


def relisted(first_id: int, count: int, ts: int) -> list[TradeTick]:
    return [make_tick(first_id + n, ts=ts + n) for n in range(count)]


def accept_all(ledger: Ledger, arrived: Iterable[TradeTick]) -> list[Released]:
    return [item for tick in arrived for item in ledger.accept(tick, 0).released]


def test_a_symbol_listed_anew_is_one_gap_and_then_goes_on() -> None:
    ledger = make_ledger()
    feed(ledger, 1000, 1001)
    later = make_tick(1001).ts + 60_000
    released = accept_all(ledger, relisted(1, 10, later))
    assert shown(released) == [(1002, 0, "venue"), *range(1, 11)]
    assert (ledger.duplicates, ledger.next_id) == (0, 11)


@pytest.mark.parametrize("first_id", [1, 4_900, 5_087_305_000])
def test_repeats_of_the_old_numbering_are_dropped_after_a_new_one(first_id: int) -> None:
    """They have higher ids than the next one, so they looked like trades far ahead."""
    ledger = make_ledger()
    last = 5_000 if first_id < 5_000 else 5_087_305_222
    old = [make_tick(trade_id) for trade_id in range(last - 30, last + 1)]
    accept_all(ledger, old)
    new = relisted(first_id, 10, old[-1].ts + 1_000)
    accept_all(ledger, new)
    assert ledger.next_id == first_id + 10
    assert accept_all(ledger, [tick for tick in old if tick.id > first_id + 10]) == []
    assert ledger.missing() is None
    assert shown(accept_all(ledger, relisted(first_id + 10, 5, old[-1].ts + 2_000))) == list(
        range(first_id + 10, first_id + 15)
    )


def test_a_symbol_listed_anew_while_a_hole_is_open_loses_nothing_that_arrived() -> None:
    ledger = make_ledger()
    feed(ledger, 1000, 1003, 1004)
    later = make_tick(1004).ts + 60_000
    released = accept_all(ledger, relisted(1, 4, later))
    assert shown(released) == [(1001, 1002, "upstream"), 1003, 1004, (1005, 0, "venue"), 1, 2, 3, 4]
    assert (ledger.held, ledger.missing()) == (0, None)


def test_old_trades_never_look_like_a_new_listing() -> None:
    """A second connection that runs behind repeats many ids in order, but their times are old."""
    ledger = make_ledger()
    feed(ledger, *range(100, 200))
    assert feed(ledger, *range(100, 200)) == []
    assert ledger.duplicates == 100


def test_a_few_odd_trades_are_no_new_listing() -> None:
    ledger = make_ledger()
    feed(ledger, 1000)
    later = make_tick(1000).ts + 60_000
    assert (
        accept_all(ledger, [make_tick(3, ts=later), make_tick(700, ts=later + 1), make_tick(9, ts=later + 2)])
        == []
    )
    assert shown(feed(ledger, 1001)) == [1001]
    assert ledger.duplicates == 3


def test_ids_that_the_exchange_is_known_to_have_are_missing() -> None:
    """The second opinion on a silence: the trades that a mute stream did not bring."""
    ledger = make_ledger()
    assert ledger.expect(10, 0) == Outcome()
    feed(ledger, 5)
    assert ledger.expect(5, 0) == Outcome()
    ledger.expect(8, 0)
    assert (ledger.missing(), ledger.held) == ((6, 8), 0)
    assert ledger.holes.due(1)
    assert shown(feed(ledger, 6, now=1)) == [6]
    assert shown(answer(ledger, 7, 8, now=1)) == [7, 8]
    assert ledger.missing() is None
    assert not ledger.holes.due(100)


def test_expected_ids_are_declared_only_when_a_trade_waits_behind_them() -> None:
    ledger = make_ledger()
    feed(ledger, 5)
    ledger.expect(8, 0)
    assert give_up(ledger, 1e6) == []
    assert shown(feed(ledger, 9, now=1e6)) == []
    assert give_up(ledger, 1e6 + PATIENCE - 1) == []
    assert shown(give_up(ledger, 1e6 + PATIENCE)) == [(6, 8, "upstream"), 9]


def test_a_stream_that_has_a_beginning_misses_what_it_did_not_bring() -> None:
    ledger = make_ledger()
    ledger.begin(5)
    ledger.begin(3)
    assert shown(feed(ledger, 7)) == []
    assert ledger.missing() == (5, 6)


def test_a_symbol_listed_anew_with_times_that_overlap_is_told_by_what_was_released() -> None:
    """A slow second connection brings old trades with later times than the first brought out of order."""
    out: list[Released] = []
    ledger = Ledger(BTC, LedgerLimits(), lambda tick: tick in out)
    late = [make_tick(n, ts=2_000_000 + n) for n in range(100, 103)]
    out += accept_all(ledger, [*late, make_tick(103, ts=1_000_000)])
    assert accept_all(ledger, late) == []
    assert ledger.duplicates == 3


def test_what_comes_before_the_first_trade_changes_nothing() -> None:
    ledger = make_ledger()
    assert ledger.missing() is None
    assert ledger.complete_to is None
    assert answer(ledger, 1, 2, now=0) == []
    assert give_up(ledger) == []
    assert shown(feed(ledger, 7)) == [7]


def test_an_answer_to_a_hole_that_is_closed_opens_no_hole_without_a_clock() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 7, 6)
    assert answer(ledger, 12, now=50) == []
    assert ledger.missing() == (8, 11)
    assert not ledger.holes.due(50)
    assert ledger.holes.due(51)


def test_an_exchange_is_asked_less_and_less_often_for_what_it_does_not_give() -> None:
    ledger = make_ledger()
    feed(ledger, 5)
    ledger.expect(6, 0)
    asked = []
    for tenths in range(3000):
        now = tenths / 10
        if tenths == 1000:
            feed(ledger, 9, now=now)
        if ledger.holes.due(now):
            asked.append(now)
            ledger.holes.postpone(None, now)
    idle = [now for now in asked if now < 100]
    assert 6 <= len(idle) <= 10
    waiting = [now for now in asked if now >= 130]
    assert max(later - now for now, later in pairwise(waiting)) <= 2.1
    assert len(waiting) < 180, "two holes, each every other second"
    ledger.holes.postpone(None, 300, 60)
    assert not ledger.holes.due(302)


def test_many_holes_cost_no_more_than_they_are() -> None:
    """50,000 held trades with a hole before each: in one go and in pages. It was quadratic: 16 s."""
    for page in (100_000, 1000):
        ledger = make_ledger(60_000)
        feed(ledger, *range(0, 100_000, 2))
        began = time.process_time()
        for now in (0, PROOF):
            for first in range(0, 100_000, page):
                answer(ledger, *range(first, first + page + 2, 2), now=now)
        assert ledger.held == 0
        assert time.process_time() - began < 4


# whatever happens

HELD_TICKS = 30


class Run:
    """A ledger, what arrived, and what went downstream in both orders; checks itself after every step."""

    def __init__(self) -> None:
        self.ledger = make_ledger(HELD_TICKS)
        self.now = 0.0
        self.arrived: set[int] = set()
        self.told: list[int] = []
        self.pending: set[int] = set()
        self.released: set[int] = set()
        self.expected: int | None = None

    def take(self, outcome: Outcome) -> None:
        self.told += [tick.id for tick in outcome.arrived]
        for first, last in outcome.opened:
            assert self.expected is None or first >= self.expected
            new = set(range(first, last + 1))
            assert not new & self.pending, "became missing twice"
            self.pending |= new
        self.pending -= {tick.id for tick in outcome.arrived}
        for item in outcome.released:
            first, last = (item.from_id, item.to_id) if isinstance(item, Gap) else (item.id, item.id)
            assert self.expected is None or first == self.expected, f"{first} instead of {self.expected}"
            assert last >= first
            self.expected = last + 1
            if isinstance(item, Gap):
                assert not self.arrived & set(range(first, last + 1)), "declared, but it came"
                self.pending -= set(range(first, last + 1))
            else:
                assert item.id in self.arrived, "nobody sent that"
                assert item.id in self.told, "released, but never arrived"
                self.released.add(item.id)
        assert len(self.told) == len(set(self.told))
        assert self.expected == self.ledger.next_id
        assert self.ledger.held <= HELD_TICKS
        self.check_holes()

    def check_holes(self) -> None:
        """From the next id to the highest known one, each id is held or in one hole."""
        ledger = self.ledger
        if ledger.next_id is None:
            return
        held = {tick.id for tick in ledger.waiting()}
        in_holes = [n for hole in ledger.holes for n in range(hole.first, hole.last + 1)]
        known = ledger.newest_known()
        assert known is not None
        assert sorted([*held, *in_holes]) == list(range(ledger.next_id, known + 1))
        assert not ledger.holes or ledger.holes[0].first == ledger.next_id
        since = [math.inf if h.waiting_since is None else h.waiting_since for h in ledger.holes]
        assert since == sorted(since)
        still_open = {n for first, last in ledger.holes.open() for n in range(first, last + 1)}
        assert still_open <= self.pending <= set(in_holes)
        assert ledger.newest_seen() == max([*held, ledger.next_id - 1])

    def accept(self, trade_id: int) -> None:
        if self.expected is None or trade_id >= self.expected:
            self.arrived.add(trade_id)
        self.take(self.ledger.accept(make_tick(trade_id), self.now))

    def fill(self, ids: Iterable[int]) -> None:
        wanted = list(ids)
        if self.expected is not None:
            self.arrived |= {trade_id for trade_id in wanted if trade_id >= self.expected}
        self.take(self.ledger.fill(ticks(*wanted), (), self.now))


trade_ids = st.integers(0, 60)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), trade_ids),
        st.tuples(st.just("next"), st.integers(0, 4)),  # the next id, or one a little ahead
        st.tuples(st.just("fill"), st.integers(0, 12)),
        st.tuples(st.just("fill part"), st.integers(0, 12)),
        st.tuples(st.just("fill above"), st.integers(0, 12)),
        st.tuples(st.just("expect"), st.integers(0, 8)),
        st.tuples(st.just("reject"), st.integers(0, 8)),
        st.tuples(st.just("give up"), st.just(0)),
        st.tuples(st.just("time"), st.integers(0, 20)),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(steps)
@example([("accept", 5), ("accept", 60), ("fill", 12), ("give up", 0)])
def test_ids_rise_by_one_or_the_hole_is_declared(actions: list[tuple[str, int]]) -> None:
    run = Run()
    for action, number in actions:
        next_id = run.ledger.next_id or 0
        hole = run.ledger.missing()
        if action == "accept":
            run.accept(number)
        elif action == "next":
            run.accept(next_id + number)
        elif action == "time":
            run.now += number
        elif action == "expect":
            run.take(run.ledger.expect(next_id + number - 2, run.now))
        elif action == "reject":
            run.take(run.ledger.reject(next_id + number - 2, run.now))
        elif action == "give up":
            run.take(run.ledger.give_up(run.now))
        elif hole is not None:
            first, last = hole
            if action == "fill":  # the whole hole
                run.fill(range(first, last + 1))
            elif action == "fill part":  # every other id; the exchange has no others
                run.fill(range(first - 1, first + number, 2))
            else:  # an answer without proof
                run.fill(range(first + 1, min(first + number, last)))
    run.now += PATIENCE
    if run.ledger.held:
        assert run.ledger.holes.is_overdue(run.now), "a trade that nobody will ever release"
    run.take(run.ledger.give_up(run.now))
    assert run.ledger.held == 0
    assert run.released == run.arrived, "something that arrived was lost"


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[list[int], set[int]]:
    """A true sequence of ids, as two connections might bring it: with losses, repeats and late ones."""
    length = draw(st.integers(1, 60))
    lost = draw(st.sets(st.integers(1, length), max_size=20))
    delays = draw(st.lists(st.integers(0, 8), min_size=length, max_size=length))
    copies = draw(st.lists(st.integers(1, 3), min_size=length, max_size=length))
    sent = [
        (position + delay * copy, trade_id)
        for position, (trade_id, delay, count) in enumerate(zip(range(length), delays, copies, strict=True))
        for copy in range(1, count + 1)
        if trade_id not in lost
    ]
    return [0, *(trade_id for _, trade_id in sorted(sent))], lost


@given(disturbed())
def test_a_disturbed_stream_with_an_honest_backfill_is_complete(case: tuple[list[int], set[int]]) -> None:
    arriving, _ = case
    ledger = make_ledger()
    out: list[Released] = []
    for trade_id in arriving:
        out += ledger.accept(make_tick(trade_id), 0).released
        if ledger.holes.due(1) and (hole := ledger.missing()):
            out += answer(ledger, *range(hole[0], hole[1] + 1), now=1)
    assert shown(out) == list(range(max(arriving) + 1))


@given(disturbed())
def test_a_disturbed_stream_without_backfill_declares_exactly_what_was_lost(
    case: tuple[list[int], set[int]],
) -> None:
    arriving, lost = case
    ledger = make_ledger()
    out = feed(ledger, *arriving)
    out += give_up(ledger)
    assert ledger.missing() is None
    declared = {
        trade_id for gap in out if isinstance(gap, Gap) for trade_id in range(gap.from_id, gap.to_id + 1)
    }
    assert declared == {trade_id for trade_id in lost if trade_id < max(arriving)}
    assert [item.id for item in out if isinstance(item, TradeTick)] == sorted(set(arriving))


@given(st.sets(st.integers(1, 400), max_size=350), st.integers(0, 400), st.integers(0, 90))
def test_a_lagging_exchange_takes_nothing_that_a_stream_brought(lost: set[int], lag: int, skew: int) -> None:
    """Trades in order over a fast and a slow connection, some lost on both, while REST denies the newest."""
    ledger = make_ledger()
    out: list[Released] = []
    brought = [trade_id for trade_id in range(400) if trade_id not in lost]
    arriving = sorted((trade_id + late, trade_id) for trade_id in brought for late in (0, skew))
    for position, trade_id in arriving:
        now = position / 50  # 50 trades a second: the connections are out of step by less than 2 s
        out += ledger.accept(make_tick(trade_id), now).released
        out += answer(ledger, *range((ledger.next_id or 1) - 1, max(0, position - lag)), now=now)
        assert ledger.drop_impostor(now) is None
    out += give_up(ledger, 8 + PATIENCE)
    delivered = [item.id for item in out if isinstance(item, TradeTick)]
    assert delivered == sorted(set(delivered))
    assert set(delivered) >= set(brought)
    assert {item.cause for item in out if isinstance(item, Gap)} <= {"upstream"}


@given(st.lists(st.integers(0, 2**40), max_size=300), st.booleans())
def test_nothing_that_a_socket_may_bring_costs_more_than_the_bound(ids: list[int], rising: bool) -> None:
    ledger = make_ledger(HELD_TICKS)
    expected: int | None = None
    for count, trade_id in enumerate(ids):
        tick = make_tick(trade_id, ts=count if rising else 7)
        for item in ledger.accept(tick, float(count)).released:
            first, last = (item.from_id, item.to_id) if isinstance(item, Gap) else (item.id, item.id)
            assert expected is None or first == expected
            assert last >= first or isinstance(item, Gap)
            expected = last + 1
        assert ledger.held <= HELD_TICKS


@pytest.mark.parametrize("overlap", [0, 1, 50])
def test_two_connections_that_overlap_deliver_once(overlap: int) -> None:
    ledger = make_ledger()
    old, new = list(range(100)), list(range(100 - overlap, 200))
    mixed = [*old[: 100 - overlap]]
    for pair in zip(old[100 - overlap :], new[:overlap], strict=True):
        mixed += pair
    mixed += new[overlap:]
    assert shown(feed(ledger, *mixed)) == list(range(200))
    assert ledger.duplicates == overlap
