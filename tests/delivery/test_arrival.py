"""The ids of one stream in order of arrival, against sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from livemarkets.delivery.arrival import ArrivalOrder, Ids, subtract

numbers = st.integers(0, 40)
ranges = st.tuples(numbers, st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
steps = st.one_of(
    st.tuples(st.just("trade"), ranges),
    st.tuples(st.just("trade"), ranges),
    st.tuples(st.just("gap"), ranges),
    st.tuples(st.just("expect"), ranges),
    st.tuples(st.just("restart"), ranges),
)


def spread(found: list[Ids] | tuple[Ids, ...]) -> set[int]:
    """The ids of ranges, which are in order and do not touch."""
    assert all(first <= last for first, last in found)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(found)), found
    return {trade_id for first, last in found for trade_id in range(first, last + 1)}


@given(st.lists(steps, max_size=40))
def test_every_id_is_new_once_and_what_was_passed_over_is_pending(actions: list[tuple[str, Ids]]) -> None:
    order = ArrivalOrder()
    begin, known, settled = 0, False, set[int]()
    for action, (first, last) in actions:
        if action == "restart":
            order.restart(first)
            begin, known, settled = first, True, set()
        elif action == "expect":
            next_id = order.next_id
            opened = None if next_id is None or last < next_id else (next_id, last)
            assert order.expect(last) == opened
        else:
            if not known:
                begin, known = first, True
            wanted = set(range(first, (first if action == "trade" else last) + 1))
            fresh = {trade_id for trade_id in wanted if trade_id >= begin and trade_id not in settled}
            assert order.is_new(first) == (first in fresh)
            if action == "trade":
                assert order.take(first) == bool(fresh)
            else:
                assert spread(order.settle(first, last)) == fresh
            settled |= fresh
        if not known:
            assert (order.next_id, order.pending, order.complete_to) == (None, (), -1)
            continue
        assert order.next_id is not None
        assert order.next_id > max(settled, default=begin - 1)
        missing = set(range(begin, order.next_id)) - settled
        assert spread(order.pending) == missing
        assert order.complete_to == min(missing, default=order.next_id) - 1


def test_the_first_id_that_comes_is_remembered() -> None:
    order = ArrivalOrder()
    assert order.expect(10) is None, "nothing is known yet, so nothing is missing"
    assert order.take(7)
    assert (order.first_id, order.next_id) == (7, 8)
    assert ArrivalOrder(7).first_id is None


def test_it_can_begin_in_the_middle_of_holes() -> None:
    order = ArrivalOrder(20, [(5, 7), (10, 10)])
    assert order.complete_to == 4
    assert order.take(6)
    assert list(order.pending) == [(5, 5), (7, 7), (10, 10)]
    assert not order.take(8), "it came before"
    assert order.settle(7, 22) == [(7, 7), (10, 10), (20, 22)]
    assert list(order.pending) == [(5, 5)]
    assert (order.complete_to, order.next_id) == (4, 23)


@given(st.sets(numbers), st.sets(numbers))
def test_ranges_are_subtracted(some: set[int], others: set[int]) -> None:
    left = subtract(joined(some), joined(others))
    assert {trade_id for first, last in left for trade_id in range(first, last + 1)} == some - others
    assert left == sorted(left)


def joined(found: set[int]) -> list[Ids]:
    order = ArrivalOrder(100, [])
    order.restart(0)
    for trade_id in found:
        order.settle(trade_id, trade_id)
    return subtract([(0, 40)], [*order.pending, (order.next_id or 0, 100)])
