from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.models import TradeTick
from pages.elements.symbol_panel.downsample import course
from pages.elements.symbol_panel.statistics import BUCKET_MS, SPAN_MS, Window


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


@given(trades, st.integers(1, 1000))
def test_a_course_is_bounded(ticks: list[TradeTick], bucket_ms: int) -> None:
    assert len(course(ticks, bucket_ms)) <= 3 * len({one.ts // bucket_ms for one in ticks})


def test_a_summary_counts_what_was_traded() -> None:
    window = Window()
    window.add(
        [
            tick(1, 10, ts=0, size="3"),
            tick(2, 30, ts=1000, size="1", side="sell"),
            tick(3, 20, ts=2000, size="0"),
        ]
    )
    summary = window.summary()

    assert summary is not None
    assert (summary.trades, summary.span_ms, summary.per_second) == (3, 2000, 1.0)
    assert [summary.last, summary.high, summary.low, summary.largest] == [Decimal(n) for n in (20, 30, 10, 3)]
    assert summary.bought_percent == 75


def test_a_short_stretch_has_no_rate_and_no_trades_no_summary() -> None:
    window = Window()
    assert window.summary() is None
    window.add([tick(1, 10)])
    one = window.summary()

    assert one is not None
    assert one.per_second == 0
    window.clear()
    assert (window.summary(), window.trades) == (None, 0)


@given(
    st.lists(st.tuples(st.integers(0, 3 * SPAN_MS), st.integers(1, 50)), min_size=1, max_size=80),
    st.integers(1, 20),
)
def test_a_window_tells_of_exactly_the_trades_that_its_course_shows(
    pairs: list[tuple[int, int]], at_once: int
) -> None:
    """However the trades come in, figures and course are of the same ones, and reach back as promised."""
    ticks = [
        tick(number, price, ts=ts, size=str(price), side="buy" if price % 3 else "sell")
        for number, (ts, price) in enumerate(sorted(pairs))
    ]
    window = Window()
    points: list[TradeTick] = []
    for start in range(0, len(ticks), at_once):
        window.add(ticks[start : start + at_once])
        points += course(ticks[start : start + at_once], BUCKET_MS)
    summary = window.summary()

    assert summary is not None
    covered = ticks[-window.trades :]
    assert summary.from_ts == covered[0].ts
    if len(covered) < len(ticks):
        assert ticks[-1].ts - ticks[-len(covered) - 1].ts > SPAN_MS - BUCKET_MS
    assert summary.span_ms < SPAN_MS
    drawn = [point for point in points if point.ts >= summary.from_ts]
    assert (summary.high, summary.low) == (max(t.price for t in drawn), min(t.price for t in drawn))
    assert (summary.high, summary.low) == (max(t.price for t in covered), min(t.price for t in covered))
    bought = sum(t.size for t in covered if t.side == "buy")
    assert summary.bought_percent == round(100 * bought / sum(t.size for t in covered))
    assert summary.low <= summary.last == drawn[-1].price <= summary.high
