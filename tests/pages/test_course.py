from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.models import TradeTick
from pages.course import bucket_ms_for, course
from pages.summary import summarise


def tick(number: int, price: int, *, ts: int = 0, size: str = "1", side: str = "buy") -> TradeTick:
    return TradeTick(
        exchange="binance",
        symbol="BTCUSDT",
        price=Decimal(price),
        size=Decimal(size),
        side="buy" if side == "buy" else "sell",
        ts=ts,
        id=number,
        recv_ts=ts,
    )


trades = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 50)), max_size=60).map(
    lambda pairs: [tick(number, price, ts=ts) for number, (ts, price) in enumerate(sorted(pairs))]
)


@given(trades, st.integers(1, 1000))
def test_a_course_keeps_the_extremes_the_end_and_the_order(ticks: list[TradeTick], bucket_ms: int) -> None:
    kept = course(ticks, bucket_ms)

    assert [one.id for one in kept] == sorted({one.id for one in kept})
    if ticks:
        assert kept[-1] == ticks[-1]
        assert max(one.price for one in kept) == max(one.price for one in ticks)
        assert min(one.price for one in kept) == min(one.price for one in ticks)


@given(trades)
def test_a_course_is_bounded(ticks: list[TradeTick]) -> None:
    bucket_ms = bucket_ms_for(ticks, most_points=12, least_ms=1)

    assert len(course(ticks, bucket_ms)) <= 12 + 2 * 3  # a bucket more at either end


def test_a_summary_counts_what_was_traded() -> None:
    summary = summarise(
        [
            tick(1, 10, ts=0, size="3"),
            tick(2, 30, ts=1000, size="1", side="sell"),
            tick(3, 20, ts=2000, size="0"),
        ]
    )

    assert summary is not None
    assert (summary.trades, summary.span_ms, summary.per_second) == (3, 2000, 1.0)
    assert [summary.last, summary.high, summary.low, summary.largest] == [Decimal(n) for n in (20, 30, 10, 3)]
    assert summary.bought_percent == 75


def test_a_short_stretch_has_no_rate_and_no_trades_no_summary() -> None:
    one = summarise([tick(1, 10)])

    assert one is not None
    assert one.per_second == 0
    assert summarise([]) is None
    assert bucket_ms_for([], most_points=10, least_ms=250) == 250
