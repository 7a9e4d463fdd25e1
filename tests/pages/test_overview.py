"""Labs › Overview without a browser: the state of a page, and NiceGUI's simulated user."""

from typing import Any

import pytest
from nicegui.testing import User

from livemarkets.config.settings import Settings
from livemarkets.market.channels import ALL_SYMBOLS, TICKERS
from livemarkets.market.models import ExchangeState, QualityState, StreamKey
from pages.elements.choice import Choice
from pages.elements.movers import Movers
from pages.elements.overview_table.overview_table import FIRST_WINDOW, MAX_WINDOW, OverviewTable
from pages.elements.search_box import SearchBox
from pages.elements.status_banner import StatusBanner
from pages.labs.overview.overview import Overview
from pages.labs.overview.url import OverviewUrl
from tests.pages.local import MANY, LocalServices
from tests.pages.visiting import SUBSCRIBER, only
from tests.pages.visiting import in_simulated_time as in_simulated_time
from tests.support.helpers import eventually

KEY = StreamKey("binance", TICKERS, ALL_SYMBOLS)
PRICES = {"BTCUSDT": "103", "ETHUSDT": "98", "SOLUSDT": "101.5", "ETHBTC": "100"}


@pytest.fixture
def overview(listed_services: LocalServices) -> Overview:
    """An open page, sorted by the change of the price."""
    listed_services.put_tickers(PRICES)
    shown = Overview(listed_services, OverviewUrl(exchange="binance", column="change"), SUBSCRIBER)
    shown.open()
    shown.sample()
    return shown


def test_an_open_page_wants_one_stream_and_a_closed_one_none(services: LocalServices) -> None:
    shown = Overview(services, OverviewUrl(exchange="binance"), SUBSCRIBER)
    assert services.manager.wanted("binance") == set()

    shown.open()
    shown.open()
    assert services.manager.wanted("binance") == {KEY}

    shown.choose("simulator")
    assert services.manager.wanted("binance") == set()
    assert services.manager.wanted("simulator") == {StreamKey("simulator", TICKERS, ALL_SYMBOLS)}

    shown.close()
    shown.choose("binance")
    assert services.manager.counts() == (0, 0, 0)


def test_rows_move_when_their_figures_change(overview: Overview, services: LocalServices) -> None:
    assert overview.order == ["BTCUSDT", "SOLUSDT", "ETHBTC", "ETHUSDT"]

    services.clock_ms += 1000
    services.put_tickers({"ETHUSDT": "120"})
    overview.sample()

    assert overview.order == ["ETHUSDT", "BTCUSDT", "SOLUSDT", "ETHBTC"]


def test_rows_stay_while_the_person_points_at_them(overview: Overview, services: LocalServices) -> None:
    overview.hold(True)
    services.clock_ms += 1000
    services.put_tickers({"ETHUSDT": "120", "XRPUSDT": "150"})
    overview.sample()
    assert overview.order == ["BTCUSDT", "SOLUSDT", "ETHBTC", "ETHUSDT", "XRPUSDT"]

    overview.sort("change")  # what the person asks for is done
    assert overview.order == ["ETHBTC", "SOLUSDT", "BTCUSDT", "ETHUSDT", "XRPUSDT"]

    overview.sort("change")
    overview.hold(False)
    overview.sample()
    assert overview.order == ["XRPUSDT", "ETHUSDT", "BTCUSDT", "SOLUSDT", "ETHBTC"]


def test_a_sample_without_news_costs_no_sorting(overview: Overview, services: LocalServices) -> None:
    assert not overview.sample()

    services.clock_ms += 1000
    services.put_tickers({"ETHUSDT": "98.1"})

    assert overview.sample()
    assert not overview.sample()


def test_sorting_by_the_same_column_again_turns_the_order_round(overview: Overview) -> None:
    overview.sort("symbol")
    assert overview.order == ["BTCUSDT", "ETHBTC", "ETHUSDT", "SOLUSDT"]
    overview.sort("symbol")
    assert overview.order == ["SOLUSDT", "ETHUSDT", "ETHBTC", "BTCUSDT"]
    overview.sort("last")
    assert overview.order[0] == "BTCUSDT"
    overview.sort("no such column")
    assert overview.view.column == "last"


def test_a_filter_and_a_search_are_said_in_words(overview: Overview) -> None:
    assert overview.counted() == "4 symbols."
    overview.filter("USDT")
    assert overview.counted() == "3 of 4 symbols."
    overview.search("nothing like it")
    assert overview.counted() == "No symbol fits. Binance has 4."
    overview.filter("no such asset")
    assert overview.view.quote == ""


def test_another_exchange_begins_without_the_filter_and_says_what_it_waits_for(overview: Overview) -> None:
    overview.filter("USDT")
    overview.choose("simulator")

    assert overview.view.quote == ""
    assert (overview.order, overview.news_ms) == ([], None)
    assert overview.counted() == "Waiting for the figures of Simulator …"
    assert overview.banner.head == "SIMULATED PRICES."


def test_the_state_of_the_figures_is_said_in_words(overview: Overview, services: LocalServices) -> None:
    assert (overview.tone, overview.quality_text()) == ("live", "Live.")

    services.set_status("binance", ExchangeState.STALE, "no trades arrive for BTCUSDT")
    assert (overview.tone, overview.quality_text()) == ("live", "Live."), "the figures are of another stream"

    services.qualities[KEY] = (QualityState.STALE, "no update for 10 s")
    assert (overview.tone, overview.quality_text()) == ("stale", "Stale. No update for 10 s.")
    assert overview.banner.head == "The figures are stale."

    services.set_status("binance", ExchangeState.DOWN, "name lookup failed")
    assert overview.tone == "down"
    assert "name lookup failed" in overview.banner.head
    assert overview.order, "the last figures stay, and none are invented in their place"


# The page


async def opened(visitor: User, services: LocalServices, path: str = "/labs/overview") -> OverviewTable:
    """Open the page while the exchange tells figures, and wait for rows with names."""
    services.put_tickers(PRICES)
    await visitor.open(path)
    table = only(visitor, OverviewTable)
    await eventually(lambda: table.rows and all(row.base for row in table.rows.values()))
    return table


async def test_a_person_sorts_searches_and_filters(visitor: User, services: LocalServices) -> None:
    table = await opened(visitor, services, "/labs/overview?sort=-change")
    assert list(table.rows) == ["BTCUSDT", "SOLUSDT", "ETHBTC", "ETHUSDT"]
    row = table.rows["BTCUSDT"]
    assert (row.last, row.change, row.high, row.low) == ("103.00", "+3.00", "103.00", "100.00")
    assert table.rows["ETHUSDT"].change == "−2.00"
    assert table.rows["ETHBTC"].change == "0.00"

    visitor.find(kind=OverviewTable).trigger("sort", "symbol")
    assert list(table.rows) == ["BTCUSDT", "ETHBTC", "ETHUSDT", "SOLUSDT"]
    assert (table.props["sort"], table.props["descending"]) == ("symbol", False)

    visitor.find(kind=SearchBox).trigger("search", "eth")
    assert list(table.rows) == ["ETHBTC", "ETHUSDT"]
    await visitor.should_see("2 of 4 symbols.")

    [quotes, _] = sorted(visitor.find(kind=Choice).elements, key=lambda choice: choice.id)
    assert list(quotes.options) == ["", "USDT", "BTC"]


async def test_movers_lead_to_their_symbol(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services)
    movers = only(visitor, Movers)
    await eventually(lambda: movers.groups)

    gainers = movers.groups["Gainers"]
    assert [(mover.title, mover.change) for mover in gainers] == [
        ("BTC/USDT", "+3.00"),
        ("SOL/USDT", "+1.50"),
    ]
    assert gainers[0].href == "/labs?exchange=binance&symbols=BTCUSDT&selected=BTCUSDT"
    assert [mover.title for mover in movers.groups["Losers"]] == ["ETH/USDT"]


async def test_only_what_changed_in_the_window_is_sent(
    visitor: User, services: LocalServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.put_tickers(dict.fromkeys(MANY, "100"))
    table = await opened(visitor, services, "/labs/overview?sort=symbol")
    visitor.find(kind=OverviewTable).trigger("window", {"first": 0, "last": 4})
    assert list(table.rows) == ["BTCUSDT", "ETHBTC", "ETHUSDT", "SOLUSDT"]
    payloads: list[dict[str, Any]] = []
    monkeypatch.setattr(table, "call", lambda name, payload: payloads.append(payload))

    services.clock_ms += 1000
    services.put_tickers({"ETHUSDT": "99", MANY[7]: "150"})
    await eventually(lambda: payloads)

    [payload] = payloads
    [values] = payload.pop("rows")
    row = dict(zip(table.props["fields"], values, strict=True))
    assert (row["symbol"], row["last"], row["direction"], row["change"]) == ("ETHUSDT", "99.00", 1, "−1.00")
    assert payload == {"now": services.now_ms(), "news": services.now_ms()}


async def test_a_hidden_page_is_sent_nothing_and_catches_up(
    visitor: User, services: LocalServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = await opened(visitor, services)
    visitor.find(kind=OverviewTable).trigger("visibility", False)
    payloads: list[dict[str, Any]] = []
    monkeypatch.setattr(table, "call", lambda name, payload: payloads.append(payload))
    services.clock_ms += 1000
    services.put_tickers({"ETHUSDT": "150"})
    looked_at = services.loads.copy()
    services.directories["binance"].replace([])
    services.clock_ms += 60_000
    await eventually(lambda: services.loads != looked_at, because="the page goes on")
    assert payloads == []

    visitor.find(kind=OverviewTable).trigger("visibility", True)

    assert payloads[-1]["full"]
    assert table.rows["ETHUSDT"].last.startswith("150")


@pytest.mark.parametrize(
    "argument",
    [None, 7, {"first": -1, "last": 3}, {"first": 3, "last": 3}, {"first": "0", "last": 9}, "x" * 100_000],
)
async def test_events_that_no_page_of_ours_sends_do_no_harm(
    visitor: User, services: LocalServices, argument: object
) -> None:
    table = await opened(visitor, services)
    for kind, event in (
        (OverviewTable, "sort"),
        (OverviewTable, "hold"),
        (OverviewTable, "window"),
        (Choice, "change"),
    ):
        visitor.find(kind=kind).trigger(event, argument)

    assert len(table.rows) == len(PRICES)


async def test_a_window_is_bounded_and_may_lie_anywhere(visitor: User, services: LocalServices) -> None:
    table = await opened(visitor, services)
    assert FIRST_WINDOW <= MAX_WINDOW

    visitor.find(kind=OverviewTable).trigger("window", {"first": 10**9, "last": 10**9 + 5})
    assert len(table.rows) == 1, "the last row"
    visitor.find(kind=OverviewTable).trigger("window", {"first": 0, "last": 10**9})
    assert len(table.rows) == len(PRICES)


async def test_a_simulated_exchange_is_labelled_loudly(visitor: User, services: LocalServices) -> None:
    services.put_tickers(PRICES, exchange="simulator")
    table = await opened(visitor, services, "/labs/overview?exchange=simulator")

    assert only(visitor, StatusBanner).props["tone"] == "simulated"
    assert table.props["simulated"] is True
    await visitor.should_see("simulated")


async def test_a_fault_in_the_address_is_told(visitor: User, services: LocalServices) -> None:
    await opened(visitor, services, "/labs/overview?exchange=nyse&sort=beauty")

    await visitor.should_see("There is no exchange “nyse”")
    await visitor.should_see("There is no column “beauty”")


async def test_home_and_navigation_lead_to_the_page(visitor: User, services: LocalServices) -> None:
    await visitor.open("/")
    await visitor.should_see("See all symbols")
    await visitor.should_see("Overview")


class TestSwitchedOff:
    """While the feature flag is off."""

    @pytest.fixture
    def services(self) -> LocalServices:
        return LocalServices(Settings(stream_enabled=False))

    async def test_there_is_no_overview(self, visitor: User) -> None:
        assert (await visitor.http_client.get("/labs/overview")).status_code == 404
        await visitor.open("/")
        await visitor.should_not_see("Overview")
