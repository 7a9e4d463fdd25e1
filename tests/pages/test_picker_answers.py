from pages.labs.picker_answers import PickerAnswers
from tests.pages.local import NOT_TRADING, PRICES, LocalServices
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
