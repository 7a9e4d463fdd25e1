"""What waits for a slow program: each buffer is bounded, and what it skips it says."""

from __future__ import annotations

import itertools
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livemarkets_client.buffers import CandlesSkipped, OlderReplaced, OldestSkipped
from livemarkets_client.models import Book, Candle, Gap, Lagged, Pending, Trade
from tests.clients.test_continuity import candle, trade


def restart(from_id: int, to_id: int) -> Gap:
    return Gap(exchange="binance", symbol="BTCUSDT", from_id=from_id, to_id=to_id, cause="venue")


def emptied(buffer: OldestSkipped) -> list[Trade | Gap | Lagged]:
    found = []
    while (item := buffer.pop()) is not None:
        assert not isinstance(item, Pending)
        found.append(item)
    return found


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_of_the_oldest_that_are_skipped_each_is_said(reads: list[bool], capacity: int) -> None:
    buffer, got, ids = OldestSkipped(capacity), list[Trade | Gap | Lagged](), itertools.count(1)
    for is_read in reads:
        if is_read:
            got += [item for item in [buffer.pop()] if isinstance(item, Trade | Gap | Lagged)]
        else:
            buffer.put(trade(next(ids)))
            assert len(buffer) <= capacity + 1
    got += emptied(buffer)
    expected = 1
    for item in got:
        first, last = (item.id, item.id) if isinstance(item, Trade) else (item.from_id, item.to_id)
        assert first == expected
        assert not isinstance(item, Lagged) or (item.skipped, item.by) == (last - first + 1, "client")
        expected = last + 1
    assert expected == next(ids)


def test_a_restart_of_the_ids_is_never_lost_among_what_is_skipped() -> None:
    buffer = OldestSkipped(1)
    for item in (trade(900), restart(901, 4), trade(5), trade(6)):
        buffer.put(item)
    kinds = [
        (type(item).__name__, item.id if isinstance(item, Trade) else item.to_id) for item in emptied(buffer)
    ]
    assert kinds == [("Lagged", 900), ("Gap", 4), ("Lagged", 5), ("Trade", 6)]


def book(symbol: str, update_id: int) -> Book:
    one = Decimal(1)
    return Book(
        exchange="binance",
        symbol=symbol,
        bid=one,
        bid_size=one,
        ask=one,
        ask_size=one,
        update_id=update_id,
        recv_ts=1,
    )


def test_a_newer_update_replaces_the_one_before_and_says_so() -> None:
    buffer = OlderReplaced[Book]()
    for symbol, update_id in (("A", 1), ("B", 2), ("A", 3), ("A", 4)):
        buffer.put(book(symbol, update_id))
    found = [buffer.pop() for _ in range(3)]
    assert [each and (each.symbol, each.update_id, each.skipped) for each in found] == [
        ("A", 4, 2),
        ("B", 2, 0),
        None,
    ]


def test_closed_candles_wait_and_running_ones_replace_each_other() -> None:
    buffer = CandlesSkipped(capacity=2)
    for each in (candle(60, closed=False), candle(60, closed=False), candle(60, closed=True)):
        buffer.put(each)
    assert not buffer.is_full
    for each in (candle(120, closed=False), candle(120, closed=False)):
        buffer.put(each)
    assert len(buffer) == 2
    found = [buffer.pop(), buffer.pop()]
    assert [isinstance(each, Candle) and (each.open_ts, each.closed, each.skipped) for each in found] == [
        (60, True, 2),
        (120, False, 1),
    ]
    buffer.put(candle(180, closed=False))
    assert len(buffer) == 1
