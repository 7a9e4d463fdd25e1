"""What the exchange remembers: trades by id, aggregates that cover them exactly, bars."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.simulator.market.history import History, Trade
from livemarkets.simulator.market.statistics import INTERVALS_MS, bars_of, summary_of

T0_MS = 1_723_161_255_342


def trade(trade_id: int, price: int = 100, time_ms: int = T0_MS, maker: bool = True) -> Trade:
    return Trade(trade_id, price, 10**8, time_ms, maker)


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=6), max_size=20)
)
def test_aggregates_cover_every_trade_once(orders: list[list[tuple[int, int]]]) -> None:
    """Each order is a list of (step of the id, price); a step above 1 is a hole at the exchange."""
    history, made, next_id = History(10_000), [], 0
    for number, fills in enumerate(orders):
        order = []
        for step, price in fills:
            next_id += step
            order.append(trade(next_id, price, T0_MS + number))
        made += history.extend(order)
    assert made == history.aggregates
    covered = [trade_id for item in made for trade_id in range(item.first_id, item.last_id + 1)]
    assert covered == [item.id for item in history.trades]
    assert [item.id for item in made] == [made[0].id + index for index in range(len(made))] if made else True
    by_id = {item.id: item for item in history.trades}
    for item in made:
        parts = [by_id[trade_id] for trade_id in range(item.first_id, item.last_id + 1)]
        assert {part.price for part in parts} == {item.price}
        assert sum(part.size for part in parts) == item.size


@given(st.sets(st.integers(1, 200)), st.integers(0, 210), st.integers(1, 50))
def test_since_finds_the_first_ids_from_there(ids: set[int], from_id: int, limit: int) -> None:
    history = History(10_000)
    for trade_id in sorted(ids):
        history.extend([trade(trade_id)])
    expected = [trade_id for trade_id in sorted(ids) if trade_id >= from_id][:limit]
    assert [item.id for item in history.since(from_id, limit)] == expected
    assert [item.id for item in history.recent(limit)] == sorted(ids)[-limit:]


@pytest.mark.parametrize(
    ("start", "end", "limit", "expected"),
    [
        (None, None, 3, [7, 8, 9]),
        (2, None, 3, [2, 3, 4]),
        (None, 5, 3, [3, 4, 5]),
        (2, 3, 9, [2, 3]),
        (4, 4, 9, [4]),
        (5, 4, 9, []),
        (50, None, 9, []),
    ],
)
def test_spans_of_time_follow_the_documents(
    start: int | None, end: int | None, limit: int, expected: list[int]
) -> None:
    history = History(100)
    for offset in range(10):
        history.extend([trade(offset, time_ms=T0_MS + offset)])
    found = history.aggregates_between(
        None if start is None else T0_MS + start, None if end is None else T0_MS + end, limit
    )
    assert [item.first_id for item in found] == expected


def test_the_oldest_are_forgotten() -> None:
    history = History(100)
    for trade_id in range(1000):
        history.extend([trade(trade_id)])
    assert 100 <= len(history.trades) <= 125
    assert history.recent(1)[0].id == 999
    assert history.since(0, 1)[0].id == history.trades[0].id > 800


@pytest.mark.parametrize("interval", INTERVALS_MS)
def test_bars_hold_their_trades(interval: str) -> None:
    trades = [trade(number, 100 + number % 7, T0_MS + number * 777_777) for number in range(300)]
    bars = bars_of(trades, interval)
    assert sum(bar.count for bar in bars) == 300
    assert bars[0].first_id == 0
    assert bars[-1].last_id == 299
    for bar in bars:
        inside = [item for item in trades if bar.open_ms <= item.time_ms <= bar.close_ms]
        assert (bar.open, bar.close) == (inside[0].price, inside[-1].price)
        assert (bar.low, bar.high) == (min(i.price for i in inside), max(i.price for i in inside))
        assert bar.count == len(inside)


def test_weeks_open_on_monday_and_months_on_the_first() -> None:
    week, month = bars_of([trade(1)], "1w")[0], bars_of([trade(1)], "1M")[0]
    assert datetime.fromtimestamp(week.open_ms / 1000, UTC).strftime("%a %H:%M") == "Mon 00:00"
    assert datetime.fromtimestamp(month.open_ms / 1000, UTC).strftime("%d %b %H:%M") == "01 Aug 00:00"
    assert datetime.fromtimestamp((month.close_ms + 1) / 1000, UTC).strftime("%d %b") == "01 Sep"


def test_a_summary_counts_the_takers_who_bought() -> None:
    summary = summary_of([trade(1, 10**8), trade(2, 2 * 10**8, maker=False), trade(3, 3 * 10**8)])
    assert summary is not None
    assert (summary.open, summary.high, summary.low, summary.close) == (10**8, 3 * 10**8, 10**8, 3 * 10**8)
    assert (summary.volume, summary.quote_volume) == (3 * 10**8, 6 * 10**8)
    assert (summary.bought, summary.quote_bought) == (10**8, 2 * 10**8)
    assert (summary.average, summary.change_percent) == (2 * 10**8, "200.000")
    assert summary_of([]) is None
