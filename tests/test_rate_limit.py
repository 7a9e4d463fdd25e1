import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.rate_limit import LogLimiter, TokenBucket, TokenBuckets, UsageCounter
from tests.support.ticks import ManualClock


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), max_size=30),
    st.sampled_from([1.0, 20.0]),
    st.sampled_from([1.0, 40.0]),
)
def test_never_more_than_the_burst_and_the_rate(
    turns: list[tuple[float, int]], rate: float, burst: float
) -> None:
    clock = ManualClock(0.0)
    bucket = TokenBucket(rate_per_second=rate, burst=burst, clock=clock)
    taken: list[float] = []
    for seconds, tries in turns:
        clock.advance(seconds)
        taken += [clock.now for _ in range(tries) if bucket.take()]
    for first, since in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - since) * rate + 1e-6


def test_tokens_come_back_with_time_and_no_more_than_the_burst() -> None:
    clock = ManualClock()
    bucket = TokenBucket(rate_per_second=2, burst=3, clock=clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.advance(0.4)
    assert not bucket.take()
    clock.advance(0.2)
    assert bucket.take()
    clock.advance(3600)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_each_key_has_tokens_of_its_own_and_the_one_unused_longest_is_forgotten() -> None:
    clock = ManualClock()
    buckets = TokenBuckets(rate_per_second=1, burst=2, clock=clock, keys=2)
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    assert buckets.take("b")
    assert not buckets.take("a"), "used last"
    assert buckets.take("c"), "in place of b"
    assert not buckets.take("a")
    assert [buckets.take("b") for _ in range(3)] == [True, True, False], "a new one, in place of c"
    clock.advance(1)
    assert [buckets.take("a") for _ in range(2)] == [True, False]


def test_what_is_in_use_is_counted_per_key_until_it_ends_in_whatever_way() -> None:
    counter = UsageCounter()
    with counter.use("a"), counter.use("a"), counter.use("b"):
        assert [counter.in_use(key) for key in "abc"] == [2, 1, 0]
    with pytest.raises(ValueError, match="on purpose"), counter.use("a"):
        raise ValueError("on purpose")
    assert [counter.in_use(key) for key in "abc"] == [0, 0, 0]


def test_one_line_per_kind_and_interval() -> None:
    clock = ManualClock(0.0)
    limiter = LogLimiter(interval_seconds=60, clock=clock)
    assert limiter.suppressed_since_last("not JSON") == 0
    assert limiter.suppressed_since_last("refused") == 0
    assert [limiter.suppressed_since_last("not JSON") for _ in range(5)] == [None] * 5
    clock.advance(59.9)
    assert limiter.suppressed_since_last("not JSON") is None
    clock.advance(0.2)
    assert limiter.suppressed_since_last("not JSON") == 6
    assert limiter.suppressed_since_last("not JSON") is None
    clock.advance(61)
    assert limiter.suppressed_since_last("not JSON") == 1


def test_kinds_beyond_the_bound_share_one() -> None:
    clock = ManualClock()
    limiter = LogLimiter(interval_seconds=60, clock=clock, kinds=2)
    assert [limiter.suppressed_since_last(kind) for kind in "abcdea"] == [0, 0, 0, None, None, None]
    clock.advance(60)
    assert limiter.suppressed_since_last("f") == 2
