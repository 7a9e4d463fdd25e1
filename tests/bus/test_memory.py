"""What an ingest answers from memory proves as much as an answer of the exchange, or is none."""

from __future__ import annotations

import pytest

from livemarkets.bus.memory import newest_page, page_from
from livemarkets.exchanges.base import PAGE_TRADES
from livemarkets.feed.ledger import Ledger, LedgerLimits
from livemarkets.market.models import Gap, GapCause, StreamKey
from livemarkets.market.stores import RecentTrades
from tests.support.ticks import make_tick

BTC = StreamKey.trades("binance", "BTCUSDT")


def kept(*ids: int) -> tuple[RecentTrades, Ledger]:
    """A stream whose trades with these ids are in memory, the last one being the newest."""
    trades, ledger = RecentTrades(5000), Ledger(BTC, LedgerLimits())
    for trade_id in ids:
        trades.append(BTC, make_tick(trade_id))
    ledger.begin(ids[-1])
    assert ledger.take_if_next(make_tick(ids[-1]))
    return trades, ledger


def test_a_page_that_reaches_the_newest_trade_is_answered() -> None:
    trades, ledger = kept(*range(100, 201))
    page = page_from(trades, ledger, 150)
    assert page is not None
    assert [tick.id for tick in page.ticks] == list(range(150, 201))
    assert (page.covered_to, page.newest_id, page.reaches_newest) == (200, 200, True)


def test_a_whole_page_need_not_reach_the_newest_trade() -> None:
    trades, ledger = kept(*range(1, 3001))
    page = page_from(trades, ledger, 500)
    assert page is not None
    assert (len(page.ticks), page.covered_to, page.reaches_newest) == (PAGE_TRADES, 1499, False)
    newest = newest_page(trades, ledger, BTC)
    assert newest is not None
    assert (newest.ticks[0].id, newest.covered_to) == (2001, 3000)


def test_what_memory_lacks_is_asked_of_the_exchange() -> None:
    trades, ledger = kept(*range(100, 201))
    assert page_from(trades, ledger, 99) is None
    assert page_from(trades, ledger, 201) is None
    assert newest_page(trades, ledger, BTC) is None
    assert page_from(trades, Ledger(BTC, LedgerLimits()), 150) is None


@pytest.mark.parametrize(("cause", "is_answered"), [("venue", True), ("invalid", True), ("upstream", False)])
def test_only_what_is_known_to_be_absent_is_passed_over(cause: GapCause, is_answered: bool) -> None:
    trades, ledger = kept(100, 101, 105, 106)
    trades.note_gap(Gap(BTC, 102, 104, cause))
    page = page_from(trades, ledger, 100)
    assert (page is not None) is is_answered
    if page is not None:
        assert [tick.id for tick in page.ticks] == [100, 101, 105, 106]
        assert page.invalid_ids == (frozenset({102, 103, 104}) if cause == "invalid" else frozenset())


def test_while_trades_are_missing_the_newest_are_not_reached() -> None:
    trades, ledger = kept(*range(100, 201))
    ledger.accept(make_tick(205), 0.0)
    assert page_from(trades, ledger, 150) is None
