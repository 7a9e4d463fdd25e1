import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.models import Gap
from livemarkets.market.stores import LatestPriceStore, RecentTrades
from tests.market.test_symbols import least_ms
from tests.support.ticks import BTC, ETH, make_tick


def test_the_latest_tick_wins() -> None:
    store = LatestPriceStore()
    assert store.get(BTC) is None
    store.put(BTC, make_tick(1))
    store.put(BTC, make_tick(2))
    assert store.get(BTC) == make_tick(2)
    assert store.get(ETH) is None
    assert len(store) == 1


def test_a_trade_fetched_afterwards_does_not_turn_the_price_back() -> None:
    store = LatestPriceStore()
    store.put(BTC, make_tick(9))
    version = store.version
    store.put(BTC, make_tick(5, backfilled=True))
    assert store.get(BTC) == make_tick(9)
    assert store.version == version


def test_a_symbol_that_is_numbered_anew_goes_on() -> None:
    store = LatestPriceStore()
    store.put(BTC, make_tick(900, ts=1000))
    store.put(BTC, make_tick(1, ts=2000))
    assert store.get(BTC) == make_tick(1, ts=2000)


def test_a_reader_learns_what_changed_since_it_last_looked() -> None:
    store = LatestPriceStore()
    store.put(BTC, make_tick(1))
    assert store.changed_since(0, [ETH, BTC]) == [make_tick(1)]
    seen = store.version
    assert store.changed_since(seen, [ETH, BTC]) == []
    store.put(ETH, make_tick(7, symbol="ETHUSDT"))
    assert store.changed_since(seen, [ETH, BTC]) == [make_tick(7, symbol="ETHUSDT")]
    store.put(BTC, make_tick(2))
    assert store.changed_since(seen, [ETH, BTC]) == [make_tick(7, symbol="ETHUSDT"), make_tick(2)]


def test_a_stream_that_was_let_go_and_comes_back_counts_as_changed() -> None:
    store = LatestPriceStore()
    store.put(BTC, make_tick(1))
    seen = store.version
    store.discard(BTC)
    store.discard(BTC)
    assert (store.get(BTC), store.changed_since(0, [BTC]), len(store)) == (None, [], 0)
    store.put(BTC, make_tick(1))
    assert store.changed_since(seen, [BTC]) == [make_tick(1)]


def filled(length: int, *ids: int) -> RecentTrades:
    store = RecentTrades(length)
    for trade_id in ids:
        store.append(BTC, make_tick(trade_id))
    return store


@pytest.mark.parametrize("length", [0, -1])
def test_a_feed_without_room_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RecentTrades(length)


@given(st.integers(1, 20), st.integers(0, 60), st.integers(-2, 30), st.integers(-3, 70))
def test_a_feed_is_the_end_of_a_list(length: int, count: int, wanted: int, after: int) -> None:
    store = filled(length, *range(count))
    kept = list(range(count))[-length:]
    assert len(store) == len(kept)
    assert store.oldest_id(BTC) == (kept[0] if kept else None)
    assert [tick.id for tick in store.recent(BTC, wanted)] == (kept[-wanted:] if wanted > 0 else [])
    assert [tick.id for tick in store.after(BTC, after)] == [kept_id for kept_id in kept if kept_id > after]


def test_feeds_are_apart() -> None:
    store = filled(2, 1, 2, 3)
    store.append(ETH, make_tick(50, symbol="ETHUSDT"))
    assert [tick.id for tick in store.recent(BTC, 9)] == [2, 3]
    assert [tick.id for tick in store.recent(ETH, 9)] == [50]
    assert len(store) == 3
    store.discard(BTC)
    store.discard(BTC)
    assert (store.recent(BTC, 9), store.after(BTC, 0), store.oldest_id(BTC), len(store)) == ([], [], None, 1)


def test_declared_holes_are_remembered_and_bounded() -> None:
    store = filled(10, 1)
    assert store.gaps(BTC) == []
    for number in range(1000):
        store.note_gap(Gap(BTC, number * 10, number * 10 + 3, "upstream"))
    gaps = store.gaps(BTC)
    assert gaps[-1] == Gap(BTC, 9990, 9993, "upstream")
    assert 10 <= len(gaps) <= 500
    assert gaps == sorted(gaps, key=lambda gap: gap.from_id)
    assert store.gaps(ETH) == []
    store.discard(BTC)
    assert store.gaps(BTC) == []


def test_what_is_looked_for_in_a_long_list_is_found_without_walking_it() -> None:
    trades = RecentTrades(100_000)
    for trade_id in range(200_000):
        trades.append(BTC, make_tick(trade_id))
    found = trades.after(BTC, 120_000, 3)
    assert [tick.id for tick in found] == [120_001, 120_002, 120_003]
    assert trades.after(BTC, 0, 2) == trades.recent(BTC, 100_000)[:2]
    assert [tick.id for tick in trades.after(BTC, 199_998, 2)] == [199_999]
    assert trades.after(BTC, 199_999, 2) == trades.after(ETH, 0, 2) == []
    assert (trades.start_of(BTC, 1), trades.start_of(BTC, 10**6)) == (199_999, 100_000)
    assert trades.start_of(BTC, 0) is trades.start_of(ETH, 1) is None
    assert trades.contains(BTC, make_tick(150_000))
    assert not trades.contains(BTC, make_tick(150_000, price="1"))
    assert not trades.contains(BTC, make_tick(99_999))
    assert least_ms(lambda: trades.after(BTC, 150_000, 1)) < 2.0
    assert least_ms(lambda: [trades.contains(BTC, make_tick(99_999)) for _ in range(100)]) < 10.0


def test_the_newest_trades_of_a_long_list_cost_no_more_than_those_of_a_short_one() -> None:
    """Its middle must not be walked: a deque finds only its ends at once."""
    trades = RecentTrades(100_000)
    for trade_id in range(100_000):
        trades.append(BTC, make_tick(trade_id))
    assert [found.id for found in trades.recent(BTC, 2)] == [99_998, 99_999]
    assert least_ms(lambda: [trades.recent(BTC, 1) for _ in range(200)]) < 2.0
