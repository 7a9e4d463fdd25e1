"""The Live page, seen by NiceGUI's simulated user: everything but what the scripts draw."""

import asyncio
import gc
import weakref
from functools import partial
from typing import Any

import pytest
from nicegui import Client
from nicegui.testing import User

from livemarkets.market.models import TRADES, ExchangeState
from pages.elements.connection_badge import ConnectionBadge
from pages.elements.copy_button import CopyButton
from pages.elements.market_grid.market_grid import MarketGrid
from pages.elements.page_address import PageAddress
from pages.elements.status_banner import StatusBanner
from pages.elements.symbol_picker import SymbolPicker
from pages.elements.trade_tape import TradeTape
from pages.labs.fallback import FALLBACK_AFTER_MS
from pages.labs.undo import UNDO_MS
from tests.pages.local import PRICES, LocalServices, ticker_row
from tests.pages.visiting import in_simulated_time as in_simulated_time
from tests.pages.visiting import only, opened, wanted
from tests.support.helpers import eventually


async def test_the_default_symbols_are_subscribed_on_mount(visitor: User, services: LocalServices) -> None:
    grid = await opened(visitor, services)

    assert [line.symbol for line in grid.lines] == ["BTCUSDT", "ETHUSDT"]
    assert wanted(services) == ["BTCUSDT", "ETHUSDT"]
    assert grid.selected == "BTCUSDT"
    assert only(visitor, StatusBanner).strip is not None
    await visitor.should_see("LAB")


async def test_a_request_without_a_browser_subscribes_nothing(visitor: User, services: LocalServices) -> None:
    response = await visitor.http_client.get("/labs")

    assert response.status_code == 200
    assert services.manager.counts() == (0, 0, 0)


async def test_a_price_shows_the_exchanges_own_digits(visitor: User, services: LocalServices) -> None:
    grid = await opened(visitor, services)

    services.put("BTCUSDT", "61837.63000000", "0.02000000", side="sell")
    await eventually(lambda: "BTCUSDT" in grid.rows)

    row = grid.rows["BTCUSDT"]
    assert (row.price, row.size, row.side, row.direction) == ("61837.63", "0.02000", "sell", 0)


async def test_the_direction_is_that_of_the_last_price_that_differed(
    visitor: User, services: LocalServices
) -> None:
    grid = await opened(visitor, services)
    directions: list[int] = []

    def is_shown(trade_ts: int) -> bool:
        return "BTCUSDT" in grid.rows and grid.rows["BTCUSDT"].ts == trade_ts

    for price in ("10.00", "11.00", "11.00", "9.00", "9.00"):
        services.clock_ms += 1
        await eventually(partial(is_shown, services.put("BTCUSDT", price).ts))
        directions.append(grid.rows["BTCUSDT"].direction)

    assert directions == [0, 1, 1, -1, -1]


async def test_a_thousand_trades_cost_one_message_a_flush(
    visitor: User, services: LocalServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = await opened(visitor, services)
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr(grid, "call", lambda name, payload: calls.append((name, len(payload["rows"]))))
    for number in range(1000):
        services.put("BTCUSDT", f"{100 + number}.00")
    services.put("ETHUSDT", "5.00")
    await eventually(lambda: calls)
    assert calls == [("apply", 2)]

    await asyncio.sleep(0.6)  # two flushes without a trade

    assert calls == [("apply", 2)]


async def test_a_symbol_is_added_and_removed(visitor: User, services: LocalServices) -> None:
    grid = await opened(visitor, services)
    picker = only(visitor, SymbolPicker)

    visitor.find(kind=SymbolPicker).trigger("search", "sol")
    assert [hit.symbol for hit in picker.hits] == ["SOLUSDT"]
    visitor.find(kind=SymbolPicker).trigger("pick", "SOLUSDT")
    assert [line.symbol for line in grid.lines] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert wanted(services) == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]

    visitor.find(kind=MarketGrid).trigger("remove", "BTCUSDT")
    assert [line.symbol for line in grid.lines] == ["ETHUSDT", "SOLUSDT"]
    assert wanted(services) == ["ETHUSDT", "SOLUSDT"]


async def test_an_unknown_symbol_is_explained_and_its_suggestion_can_be_taken(
    visitor: User, services: LocalServices
) -> None:
    grid = await opened(visitor, services, "/labs?symbols=ETHUSDT")

    visitor.find(kind=SymbolPicker).trigger("pick", "BTCUSD")
    await visitor.should_see("does not list “BTCUSD”")
    visitor.find(marker="add-BTCUSDT").click()

    assert [line.symbol for line in grid.lines] == ["ETHUSDT", "BTCUSDT"]
    await visitor.should_not_see("does not list")


async def test_the_page_works_whatever_its_address_says(visitor: User, services: LocalServices) -> None:
    grid = await opened(
        visitor, services, "/labs?exchange=nyse&symbols=ETHUSDT,<img src=x onerror=alert(1)>,😀,NOSUCH"
    )

    await visitor.should_see("There is no exchange “nyse”")
    await visitor.should_see("Left out “<img”")
    await visitor.should_see("Binance does not list “NOSUCH”")
    assert [line.symbol for line in grid.lines] == ["ETHUSDT"]
    assert wanted(services) == ["ETHUSDT"]


@pytest.mark.parametrize(
    "argument",
    [
        None,
        7,
        {"a": 1},
        {"symbol": "BTCUSDT", "place": 10**9},
        {"symbol": 7, "place": 1},
        {"text": "x" * 100_000},
        {"text": "eth", "position": "1"},
        "x" * 100_000,
        "<b>",
        "",
    ],
)
async def test_events_that_no_page_of_ours_sends_do_no_harm(
    visitor: User, services: LocalServices, argument: object
) -> None:
    grid = await opened(visitor, services)
    for kind, event in (
        (MarketGrid, "select"),
        (MarketGrid, "remove"),
        (MarketGrid, "sort"),
        (MarketGrid, "move"),
        (MarketGrid, "hold"),
        (PageAddress, "open"),
        (StatusBanner, "action"),
        (SymbolPicker, "search"),
        (SymbolPicker, "pick"),
        (SymbolPicker, "enter"),
        (TradeTape, "pause"),
        (TradeTape, "minimum"),
    ):
        visitor.find(kind=kind).trigger(event, argument)

    assert [line.symbol for line in grid.lines] == ["BTCUSDT", "ETHUSDT"]


async def test_a_hidden_page_is_sent_nothing_and_catches_up(visitor: User, services: LocalServices) -> None:
    grid = await opened(visitor, services)
    visitor.find(kind=MarketGrid).trigger("visibility", False)
    services.put("BTCUSDT", "1.00")
    await asyncio.sleep(0.6)  # two flushes
    assert grid.rows == {}

    visitor.find(kind=MarketGrid).trigger("visibility", True)

    assert grid.rows["BTCUSDT"].price == "1.00"


async def test_the_values_of_many_rows_are_sent_in_pieces(visitor: User, services: LocalServices) -> None:
    """With 200 rows they take 15 ms, on each return to the page."""
    symbols = list(PRICES)
    grid = await opened(visitor, services, f"/labs?symbols={','.join(symbols)}")
    for symbol in symbols:
        services.put(symbol, "1.00")
    await eventually(lambda: len(grid.rows) == len(symbols))
    visitor.find(kind=MarketGrid).trigger("visibility", True)
    assert len(grid.rows) == 25 < len(symbols)
    await eventually(lambda: list(grid.rows) == symbols)


async def test_a_fallback_is_shown_loudly_and_ends_by_itself(visitor: User, services: LocalServices) -> None:
    """The page never had a real price."""
    grid = await opened(visitor, services)
    strip, badge, tape = only(visitor, StatusBanner), only(visitor, ConnectionBadge), only(visitor, TradeTape)
    services.set_status("binance", ExchangeState.DOWN, "name lookup failed", retry_ms=8_000)
    await eventually(lambda: strip.props["tone"] == "down")
    assert grid.props["tone"] == "down"

    services.clock_ms += FALLBACK_AFTER_MS
    await eventually(lambda: strip.props["tone"] == "simulated")
    services.put("BTCUSDT", "5.00", exchange="simulator")
    await eventually(lambda: grid.rows.get("BTCUSDT") is not None and grid.rows["BTCUSDT"].price == "5.00")

    assert "name lookup failed" in strip.props["text"]
    assert {line.tag for line in grid.lines} == {"simulated"}
    assert (badge.props["asked"], badge.props["tag"]) == ("binance", "simulated")
    assert {tick.exchange for tick in tape.shown} == {"simulator"}

    services.set_status("binance", ExchangeState.LIVE)
    services.put("BTCUSDT", "61837.63")
    await eventually(lambda: strip.props["tone"] == "live")
    await eventually(lambda: grid.rows["BTCUSDT"].price == "61837.63")
    assert grid.rows["BTCUSDT"].direction == 0, "a real price has no direction against a simulated one"
    assert {tick.exchange for tick in tape.shown} == {"binance"}
    assert services.manager.wanted("simulator") == set()


async def test_real_prices_stay_and_the_simulator_is_offered(visitor: User, services: LocalServices) -> None:
    grid = await opened(visitor, services)
    services.put("BTCUSDT", "61837.63")
    await eventually(lambda: "BTCUSDT" in grid.rows)
    strip = only(visitor, StatusBanner)
    services.set_status("binance", ExchangeState.DOWN, "name lookup failed", retry_ms=8_000)
    await eventually(lambda: strip.props["tone"] == "down")
    services.clock_ms += FALLBACK_AFTER_MS * 20
    await eventually(lambda: strip.props["action"] == "Show simulated prices")
    assert (grid.rows["BTCUSDT"].price, grid.props["tone"]) == ("61837.63", "down")
    assert services.manager.wanted("simulator") == set()

    services.put("BTCUSDT", "5.00", exchange="simulator")
    visitor.find(kind=StatusBanner).trigger("action")
    assert (strip.props["tone"], grid.rows["BTCUSDT"].price) == ("simulated", "5.00")
    visitor.find(kind=StatusBanner).trigger("action")
    assert (strip.props["tone"], grid.rows["BTCUSDT"].price) == ("down", "61837.63")
    assert services.manager.wanted("simulator") == set()


async def test_the_exchange_can_be_chosen(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)

    visitor.find(marker="exchange").trigger("change", "simulator")

    assert wanted(services) == []
    assert sorted(key.symbol for key in services.manager.wanted("simulator") if key.channel == TRADES) == [
        "BTCUSDT",
        "ETHUSDT",
    ]
    assert only(visitor, StatusBanner).props["tone"] == "simulated"


async def test_a_deleted_page_releases_everything_and_is_forgotten(
    visitor: User, services: LocalServices
) -> None:
    await opened(visitor, services)
    assert visitor.client is not None
    client_id = visitor.client.id
    visitor.find(kind=TradeTape)

    visitor.client.delete()

    assert services.manager.counts() == (0, 0, 0)
    assert client_id not in Client.instances


async def test_an_empty_page_offers_popular_symbols(visitor: User, services: LocalServices) -> None:
    await visitor.open("/labs?symbols=")
    await visitor.should_see("No symbol chosen")
    await eventually(lambda: services.symbols("binance").is_loaded)

    visitor.find(marker="add-ETHUSDT").click()

    await visitor.should_not_see("No symbol chosen")
    assert wanted(services) == ["ETHUSDT"]


async def test_nothing_keeps_a_deleted_page_alive(visitor: User, services: LocalServices) -> None:
    grid = weakref.ref(await opened(visitor, services))
    services.put("BTCUSDT", "1.00")
    client = visitor.client
    assert client is not None

    client.delete()
    visitor.client = client = None

    def is_gone() -> bool:
        gc.collect()
        return grid() is None

    await eventually(is_gone)


async def test_a_row_is_sent_in_the_order_of_names_and_without_figures_that_stayed(
    visitor: User, services: LocalServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = await opened(visitor, services)
    names = grid.props["fields"]
    payloads: list[dict[str, Any]] = []
    monkeypatch.setattr(grid, "call", lambda _, payload: payloads.append(payload))

    tick = services.put("BTCUSDT", "61837.63", "0.02", side="sell")
    await eventually(lambda: payloads)
    services.put_ticker(ticker_row("BTCUSDT", "61837.63", opened="60000.00"))
    await eventually(lambda: len(payloads) == 2)
    later = services.put("BTCUSDT", "61837.64", "0.03", side="buy")
    await eventually(lambda: len(payloads) == 3)

    assert [len(payload["rows"]) for payload in payloads] == [1, 1, 1]
    first, second, third = (dict(zip(names, payload["rows"][0], strict=False)) for payload in payloads)
    assert first == {
        "symbol": "BTCUSDT",
        "price": "61837.63",
        "is_ticker": False,
        "direction": 0,
        "size": "0.02000",
        "side": "sell",
        "ts": tick.ts,
        "recv_ts": tick.recv_ts,
        "change": "",
        "bid": "",
        "ask": "",
    }
    assert second == first | {"change": "+3.06", "bid": "61837.63", "ask": "61837.64"}
    assert third == {
        "symbol": "BTCUSDT",
        "price": "61837.64",
        "is_ticker": False,
        "direction": 1,
        "size": "0.03000",
        "side": "buy",
        "ts": later.ts,
        "recv_ts": later.recv_ts,
    }


async def test_a_symbol_that_does_not_trade_shows_its_24_h_price_until_a_trade_comes(
    visitor: User, services: LocalServices
) -> None:
    grid = await opened(visitor, services)
    services.put_ticker(ticker_row("BTCUSDT", "61837.63", opened="60000.00"))
    await eventually(lambda: "BTCUSDT" in grid.rows)
    row = grid.rows["BTCUSDT"]
    assert (row.price, row.is_ticker, row.side, row.ts, row.bid) == ("61837.63", True, "", 0, "61837.63")

    services.put("BTCUSDT", "61838.00", "0.02", side="sell")
    await eventually(lambda: grid.rows["BTCUSDT"].price == "61838.00")
    row = grid.rows["BTCUSDT"]
    assert (row.is_ticker, row.side, row.direction, row.change) == (False, "sell", 0, "+3.06")


async def test_all_that_a_person_set_is_in_the_address(visitor: User, services: LocalServices) -> None:
    path = "/labs?symbols=BTCUSDT,ETHUSDT&selected=ETHUSDT&sort=-last&interval=5m&min=1000&paused=1"
    grid = await opened(visitor, services, path)
    address, share = only(visitor, PageAddress), only(visitor, CopyButton)
    assert grid.selected == "ETHUSDT"
    assert (grid.props["sort"], grid.props["descending"]) == ("last", True)
    shared = path.removesuffix("&paused=1").replace("?", "?exchange=binance&")
    assert share.props["address"] == shared
    assert address.url == f"{shared}&paused=1"

    visitor.find(kind=MarketGrid).trigger("sort", "last")
    assert "paused=1" in address.url
    visitor.find(kind=MarketGrid).trigger("select", "BTCUSDT")  # its tape is not paused
    assert address.url == shared.replace("-last", "last").replace("=ETHUSDT", "=BTCUSDT")
    visitor.find(kind=PageAddress).trigger("open", "")
    assert "selected" not in address.url
    assert grid.selected == "BTCUSDT", "the first one"


async def test_rows_are_sorted_by_value_but_not_under_the_pointer(
    visitor: User, services: LocalServices
) -> None:
    grid = await opened(visitor, services, "/labs?symbols=BTCUSDT,ETHUSDT,SOLUSDT&sort=-last")
    for symbol, price in (("BTCUSDT", "10"), ("ETHUSDT", "30"), ("SOLUSDT", "20")):
        services.put(symbol, price)
    await eventually(lambda: grid.order == ["ETHUSDT", "SOLUSDT", "BTCUSDT"])

    visitor.find(kind=MarketGrid).trigger("hold", True)
    services.put("BTCUSDT", "40")
    await eventually(lambda: grid.rows["BTCUSDT"].price == "40.00")
    services.put("SOLUSDT", "41")
    await eventually(lambda: grid.rows["SOLUSDT"].price == "41.00")
    assert grid.order == ["ETHUSDT", "SOLUSDT", "BTCUSDT"]
    visitor.find(kind=MarketGrid).trigger("hold", False)
    await eventually(lambda: grid.order == ["SOLUSDT", "BTCUSDT", "ETHUSDT"])

    visitor.find(kind=MarketGrid).trigger("move", {"symbol": "ETHUSDT", "place": 0})
    assert grid.order == ["ETHUSDT", "SOLUSDT", "BTCUSDT"]
    assert grid.props["sort"] == ""
    assert "symbols=ETHUSDT,SOLUSDT,BTCUSDT" in only(visitor, PageAddress).url


async def test_a_removed_row_can_be_brought_back_for_a_moment(visitor: User, services: LocalServices) -> None:
    grid = await opened(visitor, services, "/labs?symbols=BTCUSDT,ETHUSDT,SOLUSDT&selected=ETHUSDT")
    visitor.find(kind=MarketGrid).trigger("remove", "ETHUSDT")
    assert (grid.selected, wanted(services)) == ("SOLUSDT", ["BTCUSDT", "SOLUSDT"])
    visitor.find(marker="undo").click()
    assert [line.symbol for line in grid.lines] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert (grid.selected, wanted(services)) == ("ETHUSDT", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
    await visitor.should_not_see("Removed", retries=40)

    visitor.find(kind=MarketGrid).trigger("remove", "BTCUSDT")
    await visitor.should_see("Removed BTC/USDT.")
    services.clock_ms += UNDO_MS
    await visitor.should_not_see("Removed", retries=40)
