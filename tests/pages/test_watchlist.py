from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.config.settings import Settings
from livemarkets.market.channels import TICKERS
from livemarkets.market.models import TRADES, ExchangeState, QualityState, StreamKey
from livemarkets.market.subscriptions import SubscriptionManager
from pages.labs.fallback import FALLBACK_AFTER_MS
from pages.labs.list_loads import LOAD_AGAIN_AFTER_MS
from pages.labs.undo import UNDO_MS
from pages.labs.url import WatchlistUrl
from pages.labs.watchlist import Watchlist
from tests.pages.local import NOT_TRADING, PRICES, LocalServices, listed, ticker_row
from tests.pages.visiting import SUBSCRIBER, fall_back, watch_of

pytestmark = pytest.mark.usefixtures("listed_services")


def wanted(services: LocalServices) -> set[str]:
    keys = [key for exchange in services.exchanges() for key in services.manager.wanted(exchange)]
    found = {
        channel: {f"{key.exchange}:{key.symbol}" for key in keys if key.channel == channel}
        for channel in (TRADES, TICKERS)
    }
    assert found[TRADES] == found[TICKERS], "each row has both"
    assert len(keys) == 2 * len(found[TRADES]), "and nothing else"
    return found[TRADES]


def test_nothing_is_wanted_before_a_browser_connects(services: LocalServices) -> None:
    Watchlist(services, WatchlistUrl(exchange="binance", symbols=("BTCUSDT",)), SUBSCRIBER)

    assert wanted(services) == set()


def test_opening_again_changes_nothing_and_closing_releases_everything(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", "ETHUSDT")
    watch.open()
    assert wanted(services) == {"binance:BTCUSDT", "binance:ETHUSDT"}

    watch.close()
    watch.close()

    assert services.manager.counts() == (0, 0, 0)


def test_a_closed_page_wants_nothing_whatever_comes_late(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT")
    watch.close()

    watch.add("ETHUSDT")
    watch.choose("simulator")
    watch.follow()

    assert services.manager.counts() == (0, 0, 0)


def test_adding_and_removing_changes_the_subscriptions(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT")

    assert watch.add("eth/usdt") == []
    watch.remove("BTCUSDT")

    assert wanted(services) == {"binance:ETHUSDT"}
    assert watch.selected == "ETHUSDT"
    assert watch.view.url == "/labs?exchange=binance&symbols=ETHUSDT"


def test_removing_the_last_symbol_leaves_an_empty_page(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT")

    watch.remove("BTCUSDT")

    assert (watch.lines(), watch.selected, watch.selected_key()) == ([], "", None)


def test_adding_a_symbol_that_is_shown_selects_it(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", "ETHUSDT")

    assert watch.add("ETHUSDT") == []
    assert watch.selected == "ETHUSDT"
    assert len(watch.lines()) == 2


def test_an_unknown_symbol_gets_suggestions(services: LocalServices) -> None:
    watch = watch_of(services)

    [notice] = watch.add("BTCUSD")

    assert "does not list “BTCUSD”" in notice.text
    assert "BTCUSDT" in notice.suggestions
    assert watch.lines() == []


@pytest.mark.parametrize("text", ["😀", "<b>", "'; --"])
def test_what_cannot_be_a_symbol_is_said_to_be_none(services: LocalServices, text: str) -> None:
    watch = watch_of(services)

    assert "cannot be a symbol" in watch.add(text)[0].text
    assert watch.lines() == []


def test_the_limit_is_named_and_kept() -> None:
    services = LocalServices(Settings(stream_enabled="true", max_symbols_per_client=2))
    services.load("binance")
    watch = watch_of(services, "BTCUSDT", "ETHUSDT")

    [notice] = watch.add("BNBUSDT")

    assert "up to 2 symbols" in notice.text
    assert wanted(services) == {"binance:BTCUSDT", "binance:ETHUSDT"}


def test_a_row_says_why_it_has_no_price(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", NOT_TRADING)

    assert [line.note for line in watch.lines()] == ["no trade yet", "not trading"]
    assert watch.title("BTCUSDT") == "BTC/USDT"


def test_symbols_are_checked_as_soon_as_the_list_is_known() -> None:
    services = LocalServices()
    watch = watch_of(services, "BTCUSDT", "NOSUCH", *(f"NONE{number}" for number in range(4)))
    assert watch.follow() is None
    assert len(wanted(services)) == 6, "without a list, the exchange decides"

    services.load("binance")
    notices = watch.follow()

    assert notices is not None
    assert len(notices) == 4
    assert notices[-1].text == "2 more symbols are not listed either."
    assert wanted(services) == {"binance:BTCUSDT"}
    assert watch.follow() is None


def test_a_list_that_cannot_be_had_is_asked_for_again_after_a_while() -> None:
    services = LocalServices()
    watch = watch_of(services, "BTCUSDT")

    assert watch.take_due_directories() == ["binance"]
    assert watch.take_due_directories() == []
    services.clock_ms += LOAD_AGAIN_AFTER_MS
    assert watch.take_due_directories() == ["binance"]
    services.load("binance")
    services.clock_ms += LOAD_AGAIN_AFTER_MS
    assert watch.take_due_directories() == []


def test_a_clock_that_is_set_back_delays_neither_the_fallback_nor_the_list() -> None:
    services = LocalServices()
    watch = watch_of(services, "BTCUSDT")
    assert watch.take_due_directories() == ["binance"]
    services.set_status("binance", ExchangeState.DOWN, "refused")
    services.clock_set_by_ms = -3_600_000
    services.clock_ms += max(FALLBACK_AFTER_MS, LOAD_AGAIN_AFTER_MS)
    watch.follow()
    assert watch.shown == "simulator"
    assert "binance" in watch.take_due_directories()


def test_a_fallback_wants_both_and_shows_the_simulator(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", "ETHUSDT")

    fall_back(services, watch)

    assert wanted(services) == {
        "binance:BTCUSDT",
        "binance:ETHUSDT",
        "simulator:BTCUSDT",
        "simulator:ETHUSDT",
    }
    assert watch.shown_keys() == [StreamKey("simulator", TRADES, symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
    assert {line.tag for line in watch.lines()} == {"simulated"}
    assert watch.strip.head == "SIMULATED PRICES."
    assert watch.view.exchange == "binance", "the address stays what the person asked for"


def test_a_fallback_ends_when_the_exchange_is_live(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT")
    fall_back(services, watch)

    services.set_status("binance", ExchangeState.LIVE)
    assert watch.follow() == []

    assert watch.shown == "binance"
    assert wanted(services) == {"binance:BTCUSDT"}
    assert {line.tag for line in watch.lines()} == {""}


def test_a_fallback_waits_for_the_simulators_list_and_skips_what_it_has_not() -> None:
    services = LocalServices()
    watch = watch_of(services, "BTCUSDT", "NOSUCH")
    fall_back(services, watch)
    assert wanted(services) == {"binance:BTCUSDT", "binance:NOSUCH"}
    assert watch.take_due_directories() == ["binance", "simulator"]

    services.load("simulator")
    watch.follow()

    assert wanted(services) == {"binance:BTCUSDT", "binance:NOSUCH", "simulator:BTCUSDT"}
    assert [line.note for line in watch.lines()] == ["no trade yet", "not on the simulator"]


def test_an_empty_page_does_not_fall_back(services: LocalServices) -> None:
    services.set_status("binance", ExchangeState.IDLE)
    watch = watch_of(services)

    services.clock_ms += FALLBACK_AFTER_MS * 2
    watch.follow()

    assert watch.shown == "binance"


def test_without_a_simulator_the_page_says_what_is() -> None:
    services = LocalServices(Settings(stream_enabled="true", simulator_enabled=False))
    watch = watch_of(services, "BTCUSDT")
    services.set_status("binance", ExchangeState.DOWN, "refused")

    services.clock_ms += FALLBACK_AFTER_MS * 2
    watch.follow()

    assert (watch.shown, watch.strip.tone) == ("binance", "down")


def test_choosing_the_simulator_moves_the_subscriptions(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT")

    watch.choose("simulator")
    watch.choose("nyse")

    assert watch.view.exchange == "simulator"
    assert watch.is_simulated
    assert wanted(services) == {"simulator:BTCUSDT"}


def test_of_many_unlisted_symbols_the_first_three_get_suggestions(services: LocalServices) -> None:
    services.load("binance")
    watch = watch_of(services, "BTCUSDT")

    notices = watch.add("ETHUSD,SOLUSD,XRPUSD,DOGEUSD,BNBUSD")

    assert [notice.suggestions for notice in notices] == [("ETHUSDT",), ("SOLUSDT",), ("XRPUSDT",), ()]
    assert notices[-1].text == "2 more symbols are not listed either."
    assert watch.view.symbols == ("BTCUSDT",)


class CountingManager(SubscriptionManager):
    """A manager that counts how often it is asked for a stream."""

    asked = 0

    def subscribe(self, subscriber: Hashable, key: StreamKey) -> bool:
        self.asked += 1
        return super().subscribe(subscriber, key)


def test_an_address_full_of_unlisted_symbols_is_brought_into_line_once(services: LocalServices) -> None:
    services.manager = manager = CountingManager(linger_seconds=0, clock=lambda: 0.0)
    watch = watch_of(services, *(f"NO{number:03}USDT" for number in range(199)), "BTCUSDT")
    manager.asked = 0

    services.load("binance")
    notices = watch.follow()

    assert notices is not None
    assert len(notices) == 4
    assert wanted(services) == {"binance:BTCUSDT"}
    assert manager.asked == 2, "not once for every symbol that is left out"


actions = st.one_of(
    st.tuples(st.just("add"), st.sampled_from([*PRICES, "NOSUCH", "😀"])),
    st.tuples(st.just("remove"), st.sampled_from(list(PRICES))),
    st.tuples(st.just("select"), st.sampled_from([*PRICES, "NOSUCH", ""])),
    st.tuples(st.just("sort"), st.sampled_from(["last", "symbol", "time", "nothing"])),
    st.tuples(st.just("undo"), st.none()),
    st.tuples(st.just("price"), st.sampled_from(list(PRICES))),
    st.tuples(st.just("choose_simulator"), st.none()),
    st.tuples(st.just("choose"), st.sampled_from(["binance", "simulator", "nyse"])),
    st.tuples(st.just("state"), st.sampled_from([state.value for state in ExchangeState])),
    st.tuples(st.just("wait"), st.sampled_from(["100", "5000"])),
    st.tuples(st.just("load"), st.sampled_from(["binance", "simulator"])),
)


@given(st.lists(actions, max_size=30))
def test_a_page_subscribes_to_what_it_shows_and_nothing_else(sequence: list[tuple[str, Any]]) -> None:
    services = LocalServices()
    watch = watch_of(services, "BTCUSDT")
    for action, argument in sequence:
        if action == "state":
            services.set_status("binance", ExchangeState(argument))
        elif action == "wait":
            services.clock_ms += int(argument)
        elif action == "load":
            services.load(argument)
        elif action == "price":
            services.put(argument, "5")
        else:
            getattr(watch, action)(*([] if argument is None else [argument]))
        before = watch.shown
        had_prices = before != "simulator" and watch.values.has_any()
        watch.follow()
        assert not (had_prices and watch.shown == "simulator"), "real prices are not replaced"
        asked = {f"{watch.view.exchange}:{symbol}" for symbol in watch.view.symbols}
        assert asked <= wanted(services)
        assert {key.exchange for key in watch.shown_keys()} <= {watch.shown}
        assert (watch.strip.tone == "simulated") == watch.is_simulated
        assert bool(watch.selected) == bool(watch.view.symbols)
        assert sorted(watch.order) == sorted(watch.view.symbols)

    watch.close()
    assert services.manager.counts() == (0, 0, 0)


def with_harbour(settings: Settings | None = None) -> LocalServices:
    """An application that offers an exchange of which the pages know nothing but the name."""
    services = LocalServices(settings, more_exchanges=("harbour",))
    for exchange in services.exchanges():
        services.load(exchange)
    return services


def test_any_exchange_on_offer_can_be_chosen_and_no_other() -> None:
    services = with_harbour()
    watch = watch_of(services, "BTCUSDT")

    watch.choose("harbour")
    watch.choose("nyse")

    assert wanted(services) == {"harbour:BTCUSDT"}
    assert (watch.view.exchange, watch.shown, watch.is_simulated) == ("harbour", "harbour", False)
    assert watch.strip.head == "harbour is live."


def test_any_exchange_gives_way_to_the_simulator_where_that_is_offered() -> None:
    services = with_harbour()
    watch = watch_of(services, "BTCUSDT", exchange="harbour")
    services.set_status("harbour", ExchangeState.DOWN, "name lookup failed")
    services.clock_ms += FALLBACK_AFTER_MS
    watch.follow()

    assert (watch.shown, watch.strip.head) == ("simulator", "SIMULATED PRICES.")
    assert watch.strip.text == "harbour cannot be reached (name lookup failed)."
    assert wanted(services) == {"harbour:BTCUSDT", "simulator:BTCUSDT"}


def test_an_exchange_that_cannot_be_reached_is_down_where_no_simulator_is_offered() -> None:
    services = with_harbour(Settings(stream_enabled="true", simulator_enabled=False))
    watch = watch_of(services, "BTCUSDT", exchange="harbour")
    services.set_status("harbour", ExchangeState.DOWN, "name lookup failed")
    services.clock_ms += FALLBACK_AFTER_MS
    watch.follow()

    assert (watch.shown, watch.strip.tone) == ("harbour", "down")


def test_a_row_has_a_word_for_the_state_of_its_stream(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", "ETHUSDT")
    watch.follow()
    assert [line.state for line in watch.lines()] == ["", ""]
    assert watch.follow() is None

    services.set_quality("ETHUSDT", QualityState.HALTED, "binance lists it with the status BREAK")

    assert watch.follow() == []
    assert [(line.state, line.reason) for line in watch.lines()] == [
        ("", ""),
        ("halted", "binance lists it with the status BREAK"),
    ]
    assert watch.follow() is None
    services.set_quality("SOLUSDT", QualityState.HALTED)
    assert watch.follow() is None, "it is not on this page"
    services.set_quality("ETHUSDT", QualityState.LIVE)
    assert watch.follow() == []
    assert [line.state for line in watch.lines()] == ["", ""]


def test_a_delisted_symbol_keeps_its_row_its_last_price_and_its_stream(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", "ETHUSDT")
    watch.follow()
    services.put("ETHUSDT", "2683.80")
    services.directories["binance"].replace([info for info in listed() if info.symbol != "ETHUSDT"])
    services.set_quality("ETHUSDT", QualityState.DELISTED, "binance no longer lists ETHUSDT")

    assert watch.follow() == []
    assert [line.state for line in watch.lines()] == ["", "delisted"]
    assert [key.symbol for key in watch.shown_keys()] == ["BTCUSDT", "ETHUSDT"]
    assert wanted(services) == {"binance:BTCUSDT", "binance:ETHUSDT"}


def test_a_symbol_that_is_not_listed_makes_the_list_load_again(services: LocalServices) -> None:
    watch = watch_of(services)
    watch.add("NEWUSDT BTCUSDT")
    assert services.sought == ["NEWUSDT"]


def test_a_removed_row_comes_back_to_its_place_for_a_moment(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", "ETHUSDT", "SOLUSDT")
    watch.select("ETHUSDT")
    watch.remove("ETHUSDT")
    assert (watch.selected, watch.removed) == ("SOLUSDT", "ETHUSDT")

    watch.undo()
    assert (watch.view.symbols, watch.selected) == (("BTCUSDT", "ETHUSDT", "SOLUSDT"), "ETHUSDT")
    assert wanted(services) == {f"binance:{symbol}" for symbol in watch.view.symbols}
    watch.undo()
    assert watch.removed == "", "once"

    watch.remove("SOLUSDT")
    watch.add("SOLUSDT")
    assert watch.removed == "", "the person has brought it back"
    watch.remove("SOLUSDT")
    services.clock_ms += UNDO_MS
    watch.undo()
    assert watch.view.symbols == ("BTCUSDT", "ETHUSDT")


def test_the_pause_belongs_to_the_selected_symbol(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", "ETHUSDT")
    watch.set_market_view(paused="1", alert="BTCUSDT>1")
    watch.select("BTCUSDT")
    assert watch.view.private == {"paused": "1", "alert": "BTCUSDT>1"}
    watch.select("ETHUSDT")
    assert watch.view.private == {"alert": "BTCUSDT>1"}


def test_an_exchange_without_24_h_figures_is_asked_for_trades_alone(services: LocalServices) -> None:
    services.offered = frozenset({TRADES})
    watch_of(services, "BTCUSDT")
    assert services.manager.wanted("binance") == {StreamKey.trades("binance", "BTCUSDT")}


def test_real_prices_are_kept_while_their_exchange_is_away(services: LocalServices) -> None:
    """Also those that the page has not sent yet, such as a page that is hidden."""
    watch = watch_of(services, "BTCUSDT")
    services.put_ticker(ticker_row("BTCUSDT", "61837.63"))
    services.set_status("binance", ExchangeState.DOWN, "refused")
    watch.follow()
    services.clock_ms += FALLBACK_AFTER_MS
    assert watch.follow() == []
    assert (watch.shown, watch.strip.tone, watch.strip.action) == ("binance", "down", "Show simulated prices")
    assert wanted(services) == {"binance:BTCUSDT"}

    watch.choose_simulator()
    assert (watch.shown, watch.strip.tone) == ("simulator", "simulated")
    assert wanted(services) == {"binance:BTCUSDT", "simulator:BTCUSDT"}
    watch.choose_simulator()
    assert (watch.shown, wanted(services)) == ("binance", {"binance:BTCUSDT"})
    watch.choose_simulator()
    services.set_status("binance", ExchangeState.LIVE)
    watch.follow()
    assert (watch.shown, watch.strip.action) == ("binance", "")


def test_only_the_prices_whose_own_trades_are_missing_are_old(services: LocalServices) -> None:
    watch = watch_of(services, "BTCUSDT", "ETHUSDT")
    services.set_status("binance", ExchangeState.STALE, "no trades arrive for SOLUSDT")
    assert (watch.tone, watch.strip.tone) == ("live", "live")

    services.set_quality("BTCUSDT", QualityState.STALE)
    assert (watch.tone, watch.strip.tone) == ("live", "stale"), "the row says it"

    services.set_quality("ETHUSDT", QualityState.STALE)
    assert (watch.tone, watch.strip.tone) == ("stale", "stale")
