"""The tape and the figures of the selected symbol, seen by NiceGUI's simulated user."""

import time

from nicegui.testing import User

from livemarkets.market.models import ExchangeState
from livemarkets.market.stores import RecentTrades
from pages.elements.market_grid.market_grid import MarketGrid
from pages.elements.trade_tape import MAX_LINES, MAX_PER_FLUSH, TradeTape
from tests.pages.local import LocalServices
from tests.pages.visiting import in_simulated_time as in_simulated_time
from tests.pages.visiting import only, opened
from tests.support.helpers import eventually

HOLD_MS = 20.0


def caption(tape: TradeTape) -> str:
    """What stands over the lines."""
    return " ".join(filter(None, (str(tape.props["hint"]), tape.filter_words)))


async def test_selecting_a_row_shows_its_tape(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    services.put("ETHUSDT", "2683.80", "0.5")
    tape = only(visitor, TradeTape)

    visitor.find(kind=MarketGrid).trigger("select", "ETHUSDT")

    assert [str(tick.price) for tick in tape.shown] == ["2683.80"]


async def test_the_tape_is_bounded_and_says_what_it_left_out(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    services.put_many("BTCUSDT", ["1"])
    await eventually(lambda: len(tape.shown) == 1)

    services.put_many("BTCUSDT", ["1"] * 1500)  # more than the feed keeps
    await eventually(lambda: len(tape.shown) > 1)

    assert len(tape.shown) == MAX_PER_FLUSH + 1
    assert tape.left_out == 1500 - MAX_PER_FLUSH
    assert tape.shown[-1].id == 1501
    assert tape.shown.maxlen == MAX_LINES


async def test_a_paused_tape_counts_and_goes_on_with_the_newest(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    services.put_many("BTCUSDT", ["1"] * 3)
    await eventually(lambda: len(tape.shown) == 3)

    visitor.find(kind=TradeTape).trigger("pause", True)
    services.put_many("BTCUSDT", ["2"] * 128)
    await eventually(lambda: tape.waiting == 128)
    assert len(tape.shown) == 3

    visitor.find(kind=TradeTape).trigger("pause", False)
    assert (len(tape.shown), tape.waiting) == (131, 0)


async def test_the_smallest_value_is_compared_exactly(visitor: User, services: LocalServices) -> None:
    """The price is 100, so that a size of 0.1 is worth 10."""
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    services.put_many("BTCUSDT", ["0.09999999", "0.10000000", "0.3"])
    await eventually(lambda: len(tape.shown) == 3)

    visitor.find(kind=TradeTape).trigger("minimum", "10")
    assert [str(tick.size) for tick in tape.shown] == ["0.10000000", "0.3"]
    visitor.find(kind=TradeTape).trigger("minimum", "much")
    assert tape.props["invalid"] is True
    assert len(tape.shown) == 2
    visitor.find(kind=TradeTape).trigger("minimum", "")
    assert len(tape.shown) == 3


async def test_the_smallest_value_stays_when_the_symbol_changes(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services, "/labs?symbols=BTCUSDT,ETHUSDT")
    tape = only(visitor, TradeTape)
    visitor.find(kind=TradeTape).trigger("minimum", "1000")
    services.put("ETHUSDT", "2500", "0.3")
    services.put("ETHUSDT", "2500", "0.4")

    visitor.find(kind=MarketGrid).trigger("select", "ETHUSDT")

    assert [str(tick.size) for tick in tape.shown] == ["0.4"]
    assert caption(tape) == "Value from 1,000 USDT (0.4 ETH): hides 1 of the last 2 trades."


async def test_the_tape_says_what_its_filter_hides(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    assert caption(tape) == "No trade yet."
    services.put_many("BTCUSDT", ["0.1"] * 1500)
    await eventually(lambda: caption(tape) == "Every trade, newest on top.")

    visitor.find(kind=TradeTape).trigger("minimum", "50")
    await eventually(lambda: len(tape.shown) == 0)
    assert caption(tape) == "The filter hides all of the last 1,000 trades: value from 50 USDT (0.5 BTC)."

    services.put_many("BTCUSDT", ["0.1", "0.5", "0.7"])
    await eventually(
        lambda: caption(tape) == "Value from 50 USDT (0.5 BTC): hides 1,001 of the last 1,003 trades."
    )
    services.put_many("BTCUSDT", ["0.1"])  # no line comes of it, but it is counted
    await eventually(
        lambda: caption(tape) == "Value from 50 USDT (0.5 BTC): hides 1,002 of the last 1,004 trades."
    )

    visitor.find(kind=TradeTape).trigger("minimum", "much")
    assert caption(tape).startswith("Value from 50 USDT (0.5 BTC)"), "the filter of before still holds"
    visitor.find(kind=TradeTape).trigger("minimum", "")
    await eventually(lambda: caption(tape) == "Every trade, newest on top.")


async def test_a_filter_under_which_nothing_came_yet_hides_nothing(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    visitor.find(kind=TradeTape).trigger("minimum", "50.0")

    assert caption(tape) == "Value from 50 USDT: no trade yet."
    services.put_many("BTCUSDT", ["1"])
    await eventually(lambda: caption(tape) == "Value from 50 USDT (0.5 BTC): hides none of 1 trade.")


async def test_a_filter_is_told_of_also_where_trades_are_old(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    services.put_many("BTCUSDT", ["0.1", "0.5"])
    visitor.find(kind=TradeTape).trigger("minimum", "50")

    services.set_status("binance", ExchangeState.DOWN, "name lookup failed")

    await eventually(lambda: tape.props["hint"] == "These are the last trades received.")
    assert tape.filter_words == "Value from 50 USDT (0.5 BTC): hides 1 of the last 2 trades."


async def test_a_paused_tape_counts_what_the_filter_lets_through(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    services.put_many("BTCUSDT", ["0.1", "0.5"])
    visitor.find(kind=TradeTape).trigger("minimum", "50")
    visitor.find(kind=TradeTape).trigger("pause", True)

    services.put_many("BTCUSDT", ["0.1"] * 9 + ["0.6"])

    await eventually(lambda: tape.waiting == 1)
    assert tape.filter_words == "Value from 50 USDT (0.5 BTC): hides 10 of the last 12 trades."


async def test_a_hole_in_the_trades_is_said_where_it_is(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    services.put_many("BTCUSDT", ["1"] * 3)
    await eventually(lambda: len(tape.shown) == 3)

    services.lose("BTCUSDT", 32)
    services.put_many("BTCUSDT", ["1"] * 2)
    await eventually(lambda: len(tape.shown) == 5)

    assert (tape.missing, tape.left_out) == (32, 0)
    visitor.find(kind=MarketGrid).trigger("select", "BTCUSDT")
    assert (tape.missing, len(tape.shown)) == (32, 5), "also when the tape is filled again"


async def test_an_exchange_that_restarts_its_ids_is_followed(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    tape = only(visitor, TradeTape)
    services.put_many("BTCUSDT", ["1"] * 50)
    await eventually(lambda: len(tape.shown) == 50)

    services.restart_ids("BTCUSDT")
    services.put_many("BTCUSDT", ["2"] * 3)

    await eventually(lambda: [tick.id for tick in tape.shown] == [1, 2, 3])


async def test_a_page_that_becomes_visible_looks_at_few_trades(
    visitor: User, services: LocalServices
) -> None:
    services.trades = RecentTrades(100_000)
    await opened(visitor, services)
    services.put_many("BTCUSDT", ["1"] * 50_000)
    visitor.find(kind=MarketGrid).trigger("visibility", False)
    took: list[float] = []
    for _ in range(3):
        before = time.thread_time()
        visitor.find(kind=MarketGrid).trigger("visibility", True)
        took.append((time.thread_time() - before) * 1000)
    assert min(took) < HOLD_MS
