"""The selected market, seen by NiceGUI's simulated user."""

from __future__ import annotations

import gc
import weakref
from decimal import Decimal

import pytest
from msgspec.structs import replace
from nicegui import Client, ui
from nicegui.testing import User

from livemarkets.market.models import ExchangeState, StreamKey
from pages.elements.candle_chart.candle_chart import CandleChart
from pages.elements.market_grid.market_grid import MarketGrid
from pages.elements.market_head.market_head import MarketHead
from pages.elements.market_keys import MarketKeys
from pages.elements.order_book.order_book import OrderBook
from pages.elements.price_alert import PriceAlertBox
from pages.elements.trade_tape import TradeTape
from pages.labs.market.chart import HISTORY_CANDLES
from pages.labs.market.selected import SelectedMarket
from tests.pages.local import LocalServices, ticker_row
from tests.pages.visiting import in_simulated_time as in_simulated_time
from tests.pages.visiting import only, opened
from tests.support.candles import make_candle
from tests.support.helpers import eventually

CANDLES = StreamKey("binance", "candles", "BTCUSDT", "1m")


def subscribed(services: LocalServices) -> set[str]:
    """What is wanted beside the trades, and the 24 h figures of each row."""
    keys = services.manager.wanted("binance")
    return {str(key) for key in keys if key.channel not in ("trades", "tickers")}


def streams_of(symbol: str, interval: str, *more: str) -> set[str]:
    return {f"binance {name} {symbol}" for name in ("book", *more)} | {f"binance candles {symbol} {interval}"}


async def test_what_only_the_selected_market_needs_is_wanted_for_it_alone(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services, "/labs?symbols=BTCUSDT,ETHUSDT")
    assert subscribed(services) == streams_of("BTCUSDT", "1m")

    visitor.find(kind=MarketGrid).trigger("select", "ETHUSDT")
    assert subscribed(services) == streams_of("ETHUSDT", "1m")

    visitor.find(kind=CandleChart).trigger("interval", "5m")
    assert subscribed(services) == streams_of("ETHUSDT", "5m")
    visitor.find(kind=CandleChart).trigger("interval", "7m")
    assert only(visitor, CandleChart).props["interval"] == "5m", "no such length is on offer"


async def test_price_levels_are_wanted_and_sent_only_while_they_are_displayed(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    book = only(visitor, OrderBook)
    services.put_depth("BTCUSDT", Decimal("61837.63"), Decimal("0.01"))

    visitor.find(kind=OrderBook).trigger("displayed", True)
    assert subscribed(services) == streams_of("BTCUSDT", "1m", "depth")
    assert [level.price for level in book.bids[:2]] == ["61837.63", "61837.62"]
    assert [level.price for level in book.asks[:2]] == ["61837.64", "61837.65"]
    assert len(book.bids) == len(book.asks) == 20

    visitor.find(kind=OrderBook).trigger("displayed", False)
    assert subscribed(services) == streams_of("BTCUSDT", "1m")


async def test_keys_choose_the_interval_pause_the_tape_and_show_the_book(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    keys, tape, chart = visitor.find(kind=MarketKeys), only(visitor, TradeTape), only(visitor, CandleChart)
    keys.trigger("press", "5")
    assert chart.props["interval"] == "1d"
    states = []
    for _ in range(2):
        keys.trigger("press", "p")
        states.append(tape.is_paused)
    assert states == [True, False]
    parts = only(visitor, OrderBook).parent_slot
    assert parts is not None
    keys.trigger("press", "b")
    assert parts.parent.props["data-book"] == "shown"
    visitor.find(kind=OrderBook).trigger("displayed", True)
    keys.trigger("press", "b")
    assert parts.parent.props["data-book"] == "hidden"
    keys.trigger("press", "x")


async def test_an_exchange_is_asked_only_for_what_it_has(visitor: User, services: LocalServices) -> None:
    services.offered = frozenset({"trades", "tickers"})
    await opened(visitor, services)
    assert subscribed(services) == set()
    assert only(visitor, CandleChart).props["hint"] == "binance has no candles."


async def test_the_past_is_asked_for_once_and_for_the_address_of_the_person(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services, "/labs?symbols=BTCUSDT")
    past = services.past["binance"]
    await eventually(lambda: past.asked == [(CANDLES, HISTORY_CANDLES, "127.0.0.1")])

    services.clock_ms += 29_000
    visitor.find(kind=CandleChart).trigger("interval", "5m")
    visitor.find(kind=CandleChart).trigger("interval", "1m")
    await eventually(lambda: len(past.asked) == 3, because="each chart has its own past")


async def test_the_head_shows_the_ticker_until_a_trade_comes(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    head = only(visitor, MarketHead)
    services.put_ticker(ticker_row("BTCUSDT", "105", quote_volume="1130123456.7"))
    await eventually(lambda: head.values.last == "105.00")
    assert head.values.is_from_ticker
    assert (head.values.high, head.values.low, head.values.volume) == ("105.00", "100.00", "1130123456.7")

    services.put("BTCUSDT", "107.5")
    await eventually(lambda: head.values.last == "107.50")
    assert not head.values.is_from_ticker


async def test_last_never_lies_outside_of_high_and_low(visitor: User, services: LocalServices) -> None:
    """The ticker comes once a second, trades come at any time (SCREENS 1.8)."""
    await opened(visitor, services)
    head = only(visitor, MarketHead)
    services.put_ticker(ticker_row("BTCUSDT", "105", trades=0))
    services.put("BTCUSDT", "120")
    services.put("BTCUSDT", "90")
    services.put("BTCUSDT", "99")
    await eventually(lambda: head.values.last == "99.00")
    assert (head.values.high, head.values.low) == ("120.00", "90.00")


async def test_the_head_says_how_good_the_data_is(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    head = only(visitor, MarketHead)
    await eventually(lambda: head.words == "live · 0 lost")
    services.set_status("binance", ExchangeState.DOWN, "name lookup failed")
    await eventually(lambda: head.words == "down · 0 lost")


async def test_another_symbol_begins_anew(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services, "/labs?symbols=BTCUSDT,ETHUSDT")
    head = only(visitor, MarketHead)
    services.put("BTCUSDT", "61837.63")
    await eventually(lambda: head.values.last == "61837.63")

    visitor.find(kind=MarketGrid).trigger("select", "ETHUSDT")

    assert head.values.last == ""
    assert head.props["title"] == "ETH/USDT"


# The price alert


def set_alert(visitor: User, level: str, direction: str = "above") -> None:
    visitor.find(kind=PriceAlertBox).trigger("set", {"direction": direction, "level": level})


async def test_an_alert_goes_off_on_a_trade_that_no_flush_has_painted(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    box = only(visitor, PriceAlertBox)
    services.put("BTCUSDT", "61000")
    set_alert(visitor, "62,000")
    assert box.props["words"] == "≥ 62,000"

    for price in ("61999.99", "62000.10", "61000"):
        services.put("BTCUSDT", price)

    await eventually(lambda: box.notice)
    assert box.notice == "BTCUSDT ≥ 62,000. Traded at 62,000.1"
    assert box.props["words"] == "", "it goes off once"


async def test_a_hidden_page_is_told_of_its_alert_and_of_nothing_else(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    head, box = only(visitor, MarketHead), only(visitor, PriceAlertBox)
    services.put("BTCUSDT", "61000")
    await eventually(lambda: head.values.last == "61000.00")
    set_alert(visitor, "60000", "below")
    visitor.find(kind=MarketGrid).trigger("visibility", False)

    services.put("BTCUSDT", "59000")

    await eventually(lambda: "BTCUSDT ≤ 60,000" in box.notice)
    assert head.values.last == "61000.00"
    visitor.find(kind=MarketGrid).trigger("visibility", True)
    assert head.values.last == "59000.00"


async def test_an_alert_stays_on_its_symbol(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services, "/labs?symbols=BTCUSDT,ETHUSDT")
    box = only(visitor, PriceAlertBox)
    set_alert(visitor, "62000")
    visitor.find(kind=MarketGrid).trigger("select", "ETHUSDT")
    assert box.props["words"] == "BTCUSDT ≥ 62,000"
    visitor.find(kind=MarketGrid).trigger("remove", "BTCUSDT")
    assert "BTCUSDT" in {key.symbol for key in services.manager.wanted("binance")}, "its trades still come"

    services.put("BTCUSDT", "70000")
    await eventually(lambda: box.notice)
    assert "BTCUSDT" not in {key.symbol for key in services.manager.wanted("binance")}


@pytest.mark.parametrize(
    ("level", "fault"), [("much", "not a price"), ("", "not a price"), ("60000", "already: 61,000")]
)
async def test_a_level_that_makes_no_sense_is_refused_with_words(
    visitor: User, services: LocalServices, level: str, fault: str
) -> None:
    await opened(visitor, services)
    box = only(visitor, PriceAlertBox)
    services.put("BTCUSDT", "61000")
    set_alert(visitor, level)
    assert fault in box.fault
    assert not box.props.get("words")
    visitor.find(kind=PriceAlertBox).trigger("set", ["nonsense"])


async def test_trades_that_were_not_judged_are_told(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    box = only(visitor, PriceAlertBox)
    services.put("BTCUSDT", "61000")
    set_alert(visitor, "62000")
    services.put_many("BTCUSDT", ["1"] * 1_500)  # more than memory keeps
    await eventually(lambda: "500 trades left memory" in str(box.props["details"]))


async def test_a_candle_sets_an_alert_off_when_the_trade_was_lost(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    box = only(visitor, PriceAlertBox)
    set_alert(visitor, "70000")
    late = make_candle(5, 3)
    services.past["binance"].put(replace(late, high=Decimal(71_000)))
    await eventually(lambda: "A candle shows 71,000" in box.notice)


# What stands in the address


async def test_what_a_person_sets_is_told_and_can_be_given_back(
    user: User, listed_services: LocalServices
) -> None:
    """As after a reload: the same view, with the pause and the alert."""
    told: list[dict[str, str]] = []
    markets: list[SelectedMarket] = []
    key = StreamKey.trades("binance", "BTCUSDT")
    info = listed_services.symbols("binance").get("BTCUSDT")

    @ui.page("/market")
    def market_page(client: Client) -> None:
        given = told[-1] if told else {}
        market = SelectedMarket(
            listed_services,
            client.id,
            on_view=lambda **view: told.append(view),
            interval=given.get("interval", "7m"),
            minimum=given.get("minimum", "much"),
            alert=given.get("alert", "nonsense"),
            is_paused=given.get("paused") == "1",
        )
        market.show(key, title="BTC/USDT", info=info, tone="live")
        client.on_connect(market.send_all)
        client.on_delete(market.close)
        markets.append(market)

    await user.open("/market")
    assert (markets[0].interval, markets[0].minimum, markets[0].alert_text) == ("1m", "", "")
    user.find(kind=MarketKeys).trigger("press", "4")
    user.find(kind=TradeTape).trigger("minimum", "1000")
    set_alert(user, "62000")
    user.find(kind=TradeTape).trigger("pause", True)
    expected = {"interval": "1h", "minimum": "1000", "paused": "1", "alert": "BTCUSDT>62000"}
    assert told[-1] == expected

    await user.open("/market")
    again = markets[1]
    assert (again.interval, again.minimum, again.alert_text) == ("1h", "1000", "BTCUSDT>62000")
    assert again.is_paused
    assert only(user, PriceAlertBox).props["words"] == "≥ 62,000"

    # A closed page leaves nothing behind, without a collection of garbage.
    tapes = [weakref.ref(market.tape) for market in markets]
    gc.disable()
    try:
        markets.clear()
        del again
        for client in list(Client.instances.values()):
            client.delete()
        del client
        user.client = None
        assert listed_services.manager.counts() == (0, 0, 0)
        await eventually(lambda: [tape() for tape in tapes] == [None, None])
    finally:
        gc.enable()
