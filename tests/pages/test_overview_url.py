import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.labs.overview.ranking import COLUMNS
from pages.labs.overview.url import OverviewUrl, read_overview

EXCHANGES = ("binance", "simulator")


def read(**parameters: str) -> tuple[OverviewUrl, list[str]]:
    """What an address with these parameters shows, and the texts of the notices."""
    view, notices = read_overview(
        parameters.get("exchange", ""),
        parameters.get("quote", ""),
        parameters.get("q", ""),
        parameters.get("sort", ""),
        parameters.get("symbols", ""),
        exchanges=EXCHANGES,
    )
    return view, [notice.text for notice in notices]


def test_a_bare_address_shows_the_largest_volumes_of_binance() -> None:
    view, notices = read()

    assert (view.exchange, view.column, view.is_descending) == ("binance", "volume", True)
    assert notices == []
    assert view.url == "/labs/overview?exchange=binance"


def test_everything_a_person_set_is_in_the_address() -> None:
    view, _ = read(exchange="simulator", quote="usdt", q="do ge", sort="high", symbols="BTCUSDT,ETHUSDT")

    assert view.url == (
        "/labs/overview?exchange=simulator&quote=USDT&q=do+ge&sort=high&symbols=BTCUSDT,ETHUSDT"
    )


@given(
    st.sampled_from(EXCHANGES),
    st.sampled_from(["", "USDT", "币安"]),
    st.text(max_size=64),
    st.sampled_from(COLUMNS),
    st.booleans(),
)
def test_an_address_reads_back_as_the_same_view(
    exchange: str, quote: str, query: str, column: str, is_descending: bool
) -> None:
    sort = f"{'-' if is_descending else ''}{column}"
    view, notices = read(exchange=exchange, quote=quote, q=query, sort=sort)

    assert (view.exchange, view.quote, view.query) == (exchange, quote, query)
    assert (view.column, view.is_descending) == (column, is_descending)
    assert notices == []


@pytest.mark.parametrize(
    ("parameters", "notice"),
    [
        (
            {"exchange": "nyse"},
            "There is no exchange “nyse”. Available: binance and simulator. Showing binance.",
        ),
        (
            {"sort": "-beauty"},
            "There is no column “-beauty”. Available: symbol, last, change, high, low, volume, trades.",
        ),
    ],
)
def test_a_fault_in_the_address_is_explained(parameters: dict[str, str], notice: str) -> None:
    view, notices = read(**parameters)

    assert notices == [notice]
    assert view.url == "/labs/overview?exchange=binance"


def test_a_chosen_row_is_added_to_the_symbols_that_came_along() -> None:
    view, _ = read(symbols="BTCUSDT,ETHUSDT")

    assert view.opening("SOLUSDT") == (
        "/labs?exchange=binance&symbols=BTCUSDT,ETHUSDT,SOLUSDT&selected=SOLUSDT"
    )
    assert view.opening("ETHUSDT") == "/labs?exchange=binance&symbols=BTCUSDT,ETHUSDT&selected=ETHUSDT"
    assert (
        read()[0]
        .opening("币安人生USDT")
        .endswith(
            "symbols=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&selected=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"
        )
    )
