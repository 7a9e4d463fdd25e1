"""The selected market, seen by NiceGUI's simulated user."""

from __future__ import annotations

import pytest
from nicegui.testing import User

from livemarkets.market.models import ExchangeState, StreamKey
from pages.elements.candle_chart.candle_chart import CandleChart
from pages.elements.market_grid.market_grid import MarketGrid
from pages.elements.market_head.market_head import MarketHead
from pages.labs.market.selected import HISTORY_CANDLES
from tests.pages.local import LocalServices, ticker_row
from tests.pages.visiting import only, opened
from tests.support.helpers import eventually

pytestmark = pytest.mark.long

CANDLES = StreamKey("binance", "candles", "BTCUSDT", "1m")


def subscribed(services: LocalServices) -> set[str]:
    """What is wanted beside the trades."""
    return {str(key) for key in services.manager.wanted("binance") if key.channel != "trades"}


def streams_of(symbol: str, interval: str) -> set[str]:
    return {f"binance {name} {symbol}" for name in ("tickers", "book", "depth")} | {
        f"binance candles {symbol} {interval}"
    }


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


async def test_an_exchange_is_asked_only_for_what_it_has(visitor: User, services: LocalServices) -> None:
    services.offered = frozenset({"trades", "tickers"})
    await opened(visitor, services)
    assert subscribed(services) == {"binance tickers BTCUSDT"}
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
