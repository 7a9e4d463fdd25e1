"""The newest update of each stream: repeats and late ones change nothing."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.latest_updates import LatestUpdates
from livemarkets.market.updates import TickersDelta
from tests.support.updates import (
    ALL_TICKERS,
    BTC_BOOK,
    BTC_DEPTH,
    BTC_TICKER,
    START_MS,
    make_book,
    make_delta,
    make_depth,
    make_row,
    make_ticker,
)


def test_the_newest_update_is_kept_and_returned() -> None:
    store = LatestUpdates()
    assert store.get(BTC_BOOK) is None
    for key, first, second in (
        (BTC_BOOK, make_book(1), make_book(2)),
        (BTC_DEPTH, make_depth(1), make_depth(2)),
        (BTC_TICKER, make_ticker(1), make_ticker(2)),
    ):
        assert store.put(key, first) is first
        assert store.put(key, second) is second
        assert store.put(key, second) is None, "a repeat"
        assert store.put(key, first) is None, "late"
        assert store.get(key) is second
    assert len(store) == 3
    for key in (BTC_BOOK, BTC_DEPTH, BTC_TICKER):
        store.discard(key)
        store.discard(key)
    assert len(store) == 0


def test_an_exchange_may_begin_its_numbers_anew() -> None:
    store = LatestUpdates()
    store.put(BTC_BOOK, make_book(10**12))
    assert store.put(BTC_BOOK, make_book(1, recv_ts=START_MS + 4999)) is None
    renumbered = make_book(1, recv_ts=START_MS + 5000)
    assert store.put(BTC_BOOK, renumbered) is renumbered
    assert store.get(BTC_BOOK) is renumbered


def test_the_same_update_is_a_repeat_however_late_it_is() -> None:
    """An order book that does not change is sent ten times a second."""
    store = LatestUpdates()
    store.put(BTC_DEPTH, make_depth(7))
    assert store.put(BTC_DEPTH, make_depth(7, recv_ts=START_MS + 60_000)) is None
    other = make_depth(7, levels=5, recv_ts=START_MS + 60_000)
    assert store.put(BTC_DEPTH, other) is other, "the exchange has begun its numbers anew"


def test_of_all_tickers_the_newest_row_of_each_symbol_is_kept() -> None:
    store = LatestUpdates()
    first = make_delta(make_row(5, "BTCUSDT"), make_row(5, "ETHUSDT"))
    assert store.put(ALL_TICKERS, first) is first
    assert store.put(ALL_TICKERS, first) is None, "a repeat"
    news = store.put(ALL_TICKERS, make_delta(make_row(4, "BTCUSDT"), make_row(6, "ETHUSDT")))
    assert news == make_delta(make_row(6, "ETHUSDT"))
    assert {symbol: row.trades for symbol, row in store.rows(ALL_TICKERS).items()} == {
        "BTCUSDT": 5,
        "ETHUSDT": 6,
    }
    old_clock = msgspec.structs.replace(make_row(1, "BTCUSDT"), ts=START_MS - 3_600_000)
    assert store.put(ALL_TICKERS, make_delta(old_clock)) == make_delta(old_clock), "its clock was set back"
    store.discard(ALL_TICKERS)
    assert store.rows(ALL_TICKERS) == {}
    assert len(store) == 0


@given(st.lists(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 50)), max_size=6), max_size=20))
def test_in_any_order_the_highest_row_of_each_symbol_stays(frames: list[list[tuple[str, int]]]) -> None:
    store = LatestUpdates()
    told: dict[str, int] = {}
    for frame in frames:
        news = store.put(ALL_TICKERS, make_delta(*(make_row(number, symbol) for symbol, number in frame)))
        if news is not None:
            assert isinstance(news, TickersDelta)
            assert news.rows
            told |= {row.symbol: row.trades for row in news.rows}
    highest = {symbol: max(n for frame in frames for s, n in frame if s == symbol) for symbol in told}
    assert {symbol: row.trades for symbol, row in store.rows(ALL_TICKERS).items()} == highest == told
