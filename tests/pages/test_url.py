from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.models import TRADES, StreamKey
from livemarkets.market.symbols import is_well_formed
from pages.labs.url import Notice, WatchlistUrl, clip, read_typed, read_view

EXCHANGES = ("binance", "simulator")
DEFAULTS = ("BTCUSDT", "ETHUSDT")


def read(
    exchange: str = "", symbols: str | None = None, *, limit: int = 200
) -> tuple[WatchlistUrl, list[Notice]]:
    return read_view(exchange, symbols, exchanges=EXCHANGES, defaults=DEFAULTS, limit=limit)


def test_an_address_without_parameters_shows_the_default_symbols_of_binance() -> None:
    assert read() == (WatchlistUrl(exchange="binance", symbols=DEFAULTS), [])


def test_an_address_with_empty_symbols_shows_none() -> None:
    assert read(symbols="") == (WatchlistUrl(exchange="binance", symbols=()), [])


@pytest.mark.parametrize(
    "spelling", ["BTC/USDT", "btc-usdt", "btcusdt", " BTCUSDT ", "BTC_USDT", "BTCUSDT,btcusdt"]
)
def test_every_usual_spelling_of_a_symbol_is_read(spelling: str) -> None:
    assert read(symbols=spelling) == (WatchlistUrl(exchange="binance", symbols=("BTCUSDT",)), [])


def test_symbols_of_any_script_stand_in_an_address_and_stay_apart() -> None:
    names = ("币安人生USDT", "１２３４５６", "123456", "ΣUSDT", "ßUSDT")
    view, notices = read(symbols=",".join(names).replace("USDT", "usdt"))

    assert (view.symbols, notices) == (names, [])
    assert view.url.isascii()
    assert read(symbols=parse_qs(urlsplit(view.url).query)["symbols"][0]) == (view, [])


def test_the_order_is_the_persons() -> None:
    view, _ = read("simulator", "ETHBTC,ADAUSDT,BTCUSDT")

    assert view == WatchlistUrl(exchange="simulator", symbols=("ETHBTC", "ADAUSDT", "BTCUSDT"))
    assert view.stream_keys()[0] == StreamKey("simulator", TRADES, "ETHBTC")


def test_an_unknown_exchange_is_named_and_binance_shown() -> None:
    view, notices = read("nyse", "BTCUSDT")

    assert view.exchange == "binance"
    assert "“nyse”" in notices[0].text
    assert "binance and simulator" in notices[0].text


@pytest.mark.parametrize(
    "junk", ["😀", "<script>alert(1)</script>", "'; DROP TABLE--", "B", "币@trade", "A" * 65, "\x00\x01"]
)
def test_what_cannot_be_a_symbol_is_named_and_the_rest_is_shown(junk: str) -> None:
    view, notices = read(symbols=f"{junk},ETHUSDT")

    assert view.symbols[-1] == "ETHUSDT"
    assert "2 to 64 letters and digits" in notices[0].text


def test_of_much_junk_some_is_named_and_the_rest_counted() -> None:
    _, notices = read(symbols=",".join(f"!{number}" for number in range(9)))

    assert notices == [
        Notice(
            "Left out “!0”, “!1”, “!2” and 6 more: a symbol is 2 to 64 letters and digits, such as BTCUSDT."
        )
    ]


def test_too_many_symbols_are_cut_to_the_limit() -> None:
    view, notices = read(symbols="AAA,BBB,CCC", limit=2)

    assert view.symbols == ("AAA", "BBB")
    assert notices == [Notice("A page shows up to 2 symbols. Left out the last 1.")]


@given(exchange=st.text(max_size=40), symbols=st.none() | st.text(max_size=400))
def test_any_address_gives_a_view_that_can_be_written_and_read_again(
    exchange: str, symbols: str | None
) -> None:
    view, notices = read(exchange, symbols, limit=5)

    assert len(view.symbols) <= 5
    assert all(is_well_formed(symbol) for symbol in view.symbols)
    assert all(len(notice.text) < 300 for notice in notices)
    query = parse_qs(urlsplit(view.url).query, keep_blank_values=True)
    assert read(query["exchange"][0], query["symbols"][0], limit=5) == (view, [])


def test_a_huge_parameter_is_read_in_part() -> None:
    symbols, malformed = read_typed("A1," * 1_000_000 + "ZZZ")

    assert symbols == ["A1"]
    assert len(malformed) <= 1


@given(st.text())
def test_a_quotation_is_short_printable_and_on_one_line(text: str) -> None:
    quoted = clip(text)

    assert len(quoted) <= 26
    assert quoted.isprintable()
