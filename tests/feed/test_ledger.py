"""The ledger: first what it promises in examples, then that it keeps its promises whatever happens."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livemarkets.feed.ledger import Ledger, LedgerLimits, Released
from livemarkets.market.models import Gap, GapCause, TradeTick
from tests.support.ticks import BTC, make_tick


def make_ledger(held_ticks: int = 50_000) -> Ledger:
    return Ledger(BTC, LedgerLimits(held_ticks=held_ticks))


def feed(ledger: Ledger, *ids: int, now: float = 0.0) -> list[Released]:
    released: list[Released] = []
    for trade_id in ids:
        released += ledger.accept(make_tick(trade_id), now)
    return released


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
    assert not ledger.is_due(1e9)


def test_a_hole_is_due_and_overdue_in_its_time() -> None:
    ledger = make_ledger()
    feed(ledger, 5, now=0)
    feed(ledger, 8, now=10)
    feed(ledger, 9, now=10.2)
    hold, patience = ledger.limits.hold_seconds, ledger.limits.patience_seconds
    assert not ledger.is_due(10 + hold - 0.01)
    assert ledger.is_due(10 + hold)
    assert not ledger.is_overdue(10 + patience - 0.01)
    assert ledger.is_overdue(10 + patience)


def test_the_next_hole_gets_its_own_time() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 7, 9, now=0)
    assert shown(feed(ledger, 6, now=100)) == [6, 7]
    assert ledger.missing() == (8, 8)
    assert not ledger.is_due(100)
    assert ledger.is_due(101)


def test_what_was_fetched_fills_the_hole() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 9)
    released = ledger.fill(ticks(8, 6, 7, 5), covered_to=8, now=1)
    assert shown(released) == [6, 7, 8, 9]
    assert [isinstance(item, TradeTick) and item.backfilled for item in released] == [True, True, True, False]
    assert ledger.next_id == 10


def test_ids_that_the_exchange_does_not_have_are_its_own_hole() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 12)
    assert shown(ledger.fill(ticks(7, 8), covered_to=12, now=1)) == [
        (6, 6, "venue"),
        7,
        8,
        (9, 11, "venue"),
        12,
    ]


def test_an_answer_that_proves_nothing_declares_nothing() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 12)
    assert shown(ledger.fill(ticks(6), covered_to=5, now=1)) == [6]
    assert ledger.missing() == (7, 11)
    assert shown(ledger.fill([], covered_to=6, now=1)) == []


def test_proof_beyond_what_was_seen_yet_holds() -> None:
    """REST may be ahead of the stream; what the stream then brings is a repeat."""
    ledger = make_ledger()
    feed(ledger, 5, 7)
    assert shown(ledger.fill(ticks(6, 7, 8, 10), covered_to=10, now=1)) == [6, 7, 8, (9, 9, "venue"), 10]
    assert shown(feed(ledger, 8, 10, 11)) == [11]


def test_giving_up_declares_the_first_hole_and_goes_on() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 8, 11)
    assert shown(ledger.give_up(1)) == [(6, 7, "upstream"), 8]
    assert shown(ledger.give_up(1)) == [(9, 10, "upstream"), 11]
    assert ledger.give_up(1) == []


def test_declaring_part_of_a_hole_leaves_the_rest() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 8, 20)
    assert shown(ledger.declare(15, "upstream", 1)) == [(6, 7, "upstream"), 8, (9, 15, "upstream")]
    assert ledger.missing() == (16, 19)
    assert ledger.declare(10, "upstream", 1) == []


def test_a_part_that_is_left_keeps_its_time() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 20)
    ledger.declare(10, "upstream", 0.1)
    assert ledger.is_due(10)


def test_too_much_behind_a_hole_is_not_kept() -> None:
    ledger = make_ledger(held_ticks=100)
    released = feed(ledger, 1, *range(5, 5 + 101))
    assert shown(released)[:3] == [1, (2, 4, "upstream"), 5]
    assert (ledger.held, ledger.next_id) == (0, 106)


def test_a_jump_beyond_all_reason_costs_nothing_and_ends() -> None:
    ledger = make_ledger()
    assert shown(feed(ledger, 5, 2**40, 6, 7)) == [5, 6, 7]
    assert ledger.missing() == (8, 2**40 - 1)
    assert ledger.drop_impostor(1) is None, "nobody but the tick itself was asked"
    impostor = ledger.drop_impostor(1, denied_from=8)
    assert impostor is not None
    assert impostor.id == 2**40
    assert ledger.missing() is None
    assert not ledger.is_due(1e9)
    assert shown(feed(ledger, 8)) == [8]


def test_a_stream_that_goes_on_is_believed_more_than_an_exchange_that_denies_it() -> None:
    """REST's database lags behind the stream, and may be that of another exchange altogether."""
    ledger = make_ledger()
    feed(ledger, 5)
    for trade_id in range(7, 12):
        assert feed(ledger, trade_id) == []
        assert ledger.drop_impostor(1e9, denied_from=6) is None
    assert shown(ledger.give_up(0)) == [(6, 6, "upstream"), 7, 8, 9, 10, 11]


def test_a_near_id_out_of_nowhere_is_dropped_when_the_stream_goes_on_below_it() -> None:
    ledger = make_ledger()
    assert shown(feed(ledger, 5, 5000, 6, 7)) == [5, 6, 7]
    assert ledger.drop_impostor(10, denied_from=8) is None, "two lower ids may be of a slower connection"
    assert shown(feed(ledger, 8)) == [8]
    assert ledger.drop_impostor(1.9, denied_from=9) is None, "so may three, for a moment"
    assert ledger.drop_impostor(2, denied_from=5001) is None, "REST has that id"
    impostor = ledger.drop_impostor(2)
    assert impostor is not None
    assert impostor.id == 5000
    assert shown(feed(ledger, 9, 10)) == [9, 10]


def test_a_lone_trade_behind_a_hole_is_kept_while_nothing_contradicts_it() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 60)
    assert ledger.drop_impostor(1e9, denied_from=6) is None
    feed(ledger, 90)
    assert ledger.drop_impostor(1e9, denied_from=6) is None
    assert shown(ledger.give_up(0)) == [(6, 59, "upstream"), 60]


def test_two_ids_out_of_nowhere_go_one_after_the_other() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 2**40, 2**50)
    assert [ledger.drop_impostor(0, denied_from=6) is not None for _ in range(3)] == [True, True, False]
    assert shown(feed(ledger, 6)) == [6]


def test_ids_that_the_exchange_takes_back_are_not_waited_for() -> None:
    ledger = make_ledger()
    feed(ledger, 5)
    assert ledger.expect(9, now=0)
    ledger.retract(6)
    assert ledger.missing() is None
    assert not ledger.is_due(1e9)


def test_a_jump_that_is_believed_is_one_hole() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 2**40)
    assert shown(ledger.give_up(1)) == [(6, 2**40 - 1, "upstream"), 2**40]


def relisted(first_id: int, count: int, ts: int) -> list[TradeTick]:
    return [make_tick(first_id + n, ts=ts + n) for n in range(count)]


def accept_all(ledger: Ledger, arrived: Iterable[TradeTick]) -> list[Released]:
    return [item for tick in arrived for item in ledger.accept(tick, 0)]


def test_a_symbol_listed_anew_is_one_gap_and_then_goes_on() -> None:
    ledger = make_ledger()
    feed(ledger, 1000, 1001)
    later = make_tick(1001).ts + 60_000
    released = accept_all(ledger, relisted(1, 10, later))
    assert shown(released) == [(1002, 0, "venue"), *range(1, 11)]
    assert (ledger.duplicates, ledger.next_id) == (0, 11)


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
    assert not ledger.expect(10, 0)
    feed(ledger, 5)
    assert not ledger.expect(5, 0)
    assert ledger.expect(8, 0)
    assert (ledger.missing(), ledger.held, ledger.is_due(1)) == ((6, 8), 0, True)
    assert shown(feed(ledger, 6, now=1)) == [6]
    assert shown(ledger.fill(ticks(7, 8), covered_to=8, now=1)) == [7, 8]
    assert (ledger.missing(), ledger.is_due(100)) == (None, False)


def test_known_ids_that_cannot_be_had_are_declared() -> None:
    ledger = make_ledger()
    feed(ledger, 5)
    ledger.expect(8, 0)
    assert shown(ledger.give_up(1)) == [(6, 8, "upstream")]
    assert shown(feed(ledger, 9)) == [9]


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
    assert ledger.fill(ticks(1, 2), covered_to=2, now=0) == []
    assert ledger.declare(10, "upstream", 0) == []
    assert ledger.give_up(0) == []
    assert shown(feed(ledger, 7)) == [7]


def test_an_answer_to_a_hole_that_is_closed_opens_no_hole_without_a_clock() -> None:
    ledger = make_ledger()
    feed(ledger, 5, 7, 6)
    assert ledger.fill(ticks(12), covered_to=5, now=50) == []
    assert ledger.missing() == (8, 11)
    assert not ledger.is_due(50)
    assert ledger.is_due(51)


# whatever happens

HELD_TICKS = 30


class Run:
    """A ledger, what arrived, and what went downstream; checks itself after every step."""

    def __init__(self) -> None:
        self.ledger = make_ledger(HELD_TICKS)
        self.now = 0.0
        self.arrived: set[int] = set()
        self.released: set[int] = set()
        self.expected: int | None = None
        self.declared: list[Gap] = []

    def take(self, released: Sequence[Released]) -> None:
        for item in released:
            first, last = (item.from_id, item.to_id) if isinstance(item, Gap) else (item.id, item.id)
            assert self.expected is None or first == self.expected, f"{first} instead of {self.expected}"
            assert last >= first
            self.expected = last + 1
            if isinstance(item, Gap):
                self.declared.append(item)
                assert not self.arrived & set(range(first, min(last, first + 10_000) + 1)), (
                    "declared, but it came"
                )
            else:
                assert item.id in self.arrived, "nobody sent that"
                self.released.add(item.id)
        assert self.expected == self.ledger.next_id
        assert self.ledger.held <= HELD_TICKS

    def accept(self, trade_id: int) -> None:
        if self.expected is None or trade_id >= self.expected:
            self.arrived.add(trade_id)
        self.take(self.ledger.accept(make_tick(trade_id), self.now))

    def fill(self, ids: Iterable[int], covered_to: int) -> None:
        wanted = list(ids)
        self.arrived |= {trade_id for trade_id in wanted if trade_id >= (self.expected or 0)}
        self.take(self.ledger.fill(ticks(*wanted), covered_to, self.now))

    def declare(self, to_id: int, cause: GapCause) -> None:
        self.take(self.ledger.declare(to_id, cause, self.now))


trade_ids = st.integers(0, 60)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), trade_ids),
        st.tuples(st.just("next"), st.integers(0, 4)),  # the next id, or one a little ahead
        st.tuples(st.just("fill"), st.integers(0, 12)),
        st.tuples(st.just("fill part"), st.integers(0, 12)),
        st.tuples(st.just("fill none"), st.integers(0, 12)),
        st.tuples(st.just("declare"), st.integers(0, 12)),
        st.tuples(st.just("expect"), st.integers(0, 8)),
        st.tuples(st.just("give up"), st.just(0)),
        st.tuples(st.just("time"), st.integers(0, 5)),
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
            run.ledger.expect(next_id + number - 2, run.now)
        elif action == "give up":
            run.take(run.ledger.give_up(run.now))
        elif action == "declare":
            run.declare(next_id + number - 2, "upstream")
        elif hole is not None:
            first, last = hole
            if action == "fill":  # the whole hole and what lies behind it, with proof
                run.fill(range(first, last + 1), last)
            elif action == "fill part":  # every other id; the exchange has no others
                run.fill(range(first, first + number, 2), min(first + number, last))
            else:  # an answer without proof
                run.fill(range(first + 1, min(first + number, last)), first - 1)
    for _ in range(200):
        if run.ledger.missing() is None:
            break
        assert run.ledger.is_due(run.now + 1), "a hole that nobody will ever ask for"
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
        out += ledger.accept(make_tick(trade_id), 0)
        if ledger.is_due(1) and (hole := ledger.missing()):
            out += ledger.fill(ticks(*range(hole[0], hole[1] + 1)), hole[1], 1)
    assert shown(out) == list(range(max(arriving) + 1))


@given(disturbed())
def test_a_disturbed_stream_without_backfill_declares_exactly_what_was_lost(
    case: tuple[list[int], set[int]],
) -> None:
    arriving, lost = case
    ledger = make_ledger()
    out = feed(ledger, *arriving)
    while ledger.missing() is not None:
        out += ledger.give_up(1)
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
        out += ledger.accept(make_tick(trade_id), now)
        assert ledger.drop_impostor(now, denied_from=max(0, position - lag)) is None
    while ledger.missing() is not None:
        out += ledger.give_up(8)
    assert [item.id for item in out if isinstance(item, TradeTick)] == brought


@given(st.lists(st.integers(0, 2**40), max_size=300), st.booleans())
def test_nothing_that_a_socket_may_bring_costs_more_than_the_bound(ids: list[int], rising: bool) -> None:
    ledger = make_ledger(HELD_TICKS)
    expected: int | None = None
    for count, trade_id in enumerate(ids):
        tick = make_tick(trade_id, ts=count if rising else 7)
        for item in ledger.accept(tick, float(count)):
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
