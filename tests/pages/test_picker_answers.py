import pytest

from pages.labs.picker_answers import PickerAnswers
from tests.pages.local import NOT_TRADING, PRICES, LocalServices, ticker_row
from tests.pages.visiting import fall_back, watch_of


def answers_of(services: LocalServices, *symbols: str) -> PickerAnswers:
    return PickerAnswers(services, watch_of(services, *symbols))


def test_a_search_marks_what_is_shown_and_what_does_not_trade(listed_services: LocalServices) -> None:
    answers = answers_of(listed_services, "BTCUSDT")

    hits, message = answers.search("usdt")

    by_symbol = {hit.symbol: hit for hit in hits}
    assert by_symbol["BTCUSDT"].shown
    assert not by_symbol[NOT_TRADING].trading
    assert message == ""
    assert answers.search("zzz") == ([], "No symbol matches “zzz”.")


def test_popular_symbols_are_offered_that_the_page_does_not_show(listed_services: LocalServices) -> None:
    answers = answers_of(listed_services, "BTCUSDT")

    assert answers.popular()[:2] == ["ETHUSDT", "BNBUSDT"]
    assert [hit.symbol for hit in answers.search("")[0]] == answers.popular()


def test_a_search_beyond_all_reason_is_not_made(listed_services: LocalServices) -> None:
    hits, message = answers_of(listed_services).search("u " * 90)

    assert hits == []
    assert message == "A search has at most 64 characters and 5 words. Press Enter to add a list of symbols."


def test_a_search_without_a_list_says_what_to_do(services: LocalServices) -> None:
    answers = answers_of(services)

    hits, message = answers.search("btc")

    assert hits == []
    assert "Type a whole symbol" in message
    assert answers.hint() == "Search symbols: btc, eth usdt, …"


def test_during_a_fallback_the_symbols_of_the_simulator_are_searched(services: LocalServices) -> None:
    """The list of an exchange that was away since the start is not known."""
    services.load("simulator")
    watch = watch_of(services, "BTCUSDT")
    fall_back(services, watch)
    answers = PickerAnswers(services, watch)

    assert [hit.symbol for hit in answers.search("sol")[0]] == ["SOLUSDT"]
    assert answers.hint() == f"Search {len(PRICES) + 1} symbols: btc, eth usdt, …"


def test_equal_matches_are_ranked_by_the_volume_that_the_exchange_tells(
    listed_services: LocalServices,
) -> None:
    answers = answers_of(listed_services)
    assert [hit.symbol for hit in answers.search("eth")[0]] == ["ETHUSDT", "ETHBTC"]

    busy = [("ETHUSDT", "2683.80", "1000"), ("ETHBTC", "0.0434", "20"), ("BTCUSDT", "60000", "5000")]
    rows = [ticker_row(symbol, last, opened=last, quote_volume=volume) for symbol, last, volume in busy]
    listed_services.put_rows(rows, "binance")

    assert [hit.symbol for hit in answers.search("eth")[0]] == ["ETHBTC", "ETHUSDT"], "20 BTC are more"
    assert answers.search("ethusdt")[0][0].symbol == "ETHUSDT", "the exact name comes first"
    assert answers.search("usdt")[0][0].symbol == "BTCUSDT"


@pytest.mark.parametrize(
    "query", ["btc usdt", "usdt btc", "BTC/USDT", "BINANCE:BTCUSDT", "$btc", "btc-usdt", "btc"]
)
def test_every_usual_way_to_write_a_symbol_finds_it(listed_services: LocalServices, query: str) -> None:
    assert answers_of(listed_services).search(query)[0][0].symbol == "BTCUSDT"


def test_of_a_list_enter_says_beforehand_what_it_adds(listed_services: LocalServices) -> None:
    answers = answers_of(listed_services)
    text = "btc/usdt, BINANCE:ETHUSDT,$sol, xrp usdt,"

    assert answers.search(text) == ([], "Enter adds all 4 symbols: BTCUSDT, ETHUSDT, SOLUSDT, XRPUSDT.")
    assert answers.meant(text) == "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT"
    assert answers.search("btcusdt,")[1] == "Enter adds 1 symbol: BTCUSDT."
    assert answers.meant("BTCUSD,<b>") == "BTCUSD,<b>", "what is not listed is not guessed"
    assert answers.meant("BINANCE:SOLUSDT") == "SOLUSDT"
    many = ",".join(PRICES)
    assert answers.search(many)[1].endswith(f" and {len(PRICES) - 6} more.")
