from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.models import TRADES, StreamKey
from livemarkets.market.symbols import is_well_formed
from pages.labs.url import Notice, WatchlistUrl, clip, read_typed, read_view, with_market

EXCHANGES = ("binance", "simulator")
DEFAULTS = ("BTCUSDT", "ETHUSDT")


def read(
    exchange: str = "", symbols: str | None = None, *, limit: int = 200, **more: str
) -> tuple[WatchlistUrl, list[Notice]]:
    query = {"exchange": exchange, **more} | ({} if symbols is None else {"symbols": symbols})
    return read_view(query, exchanges=EXCHANGES, defaults=DEFAULTS, limit=limit)


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


NAMES = ("exchange", "symbols", "selected", "sort", "interval", "min", "paused", "alert")
SENSIBLE = (
    "BTCUSDT",
    "BTCUSDT,ETHUSDT",
    "ETHUSDT",
    "-last",
    "symbol",
    "5m",
    "1000",
    "0.5",
    "1",
    "BTCUSDT>62000",
)


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=60) | st.sampled_from(SENSIBLE)))
def test_any_address_gives_a_view_that_can_be_written_and_read_again(query: dict[str, str]) -> None:
    view, notices = read_view(query, exchanges=EXCHANGES, defaults=DEFAULTS, limit=5)

    assert len(view.symbols) <= 5
    assert all(is_well_formed(symbol) for symbol in view.symbols)
    assert all(len(notice.text) < 300 for notice in notices)
    written = dict(parse_qsl(urlsplit(view.url).query, keep_blank_values=True))
    assert read_view(written, exchanges=EXCHANGES, defaults=DEFAULTS, limit=5) == (view, [])
    shared = dict(parse_qsl(urlsplit(view.shared_url).query, keep_blank_values=True))
    assert shared == {name: text for name, text in written.items() if name not in ("paused", "alert")}


def test_what_a_person_set_stands_in_the_address_and_nothing_else() -> None:
    view, notices = read(
        symbols="BTCUSDT,ETHUSDT",
        selected="eth/usdt",
        sort="-change",
        interval="5m",
        min="1,000.50",
        paused="1",
        alert="BTCUSDT>62000",
        other="left out",
    )

    assert notices == []
    shared = (
        "/labs?exchange=binance&symbols=BTCUSDT,ETHUSDT&selected=ETHUSDT&sort=-change&interval=5m&min=1000.5"
    )
    assert view.shared_url == shared
    assert view.url == f"{shared}&paused=1&alert=BTCUSDT%3E62000"
    assert read(symbols="BTCUSDT", interval="1m", sort="", min="0")[0].url == (
        "/labs?exchange=binance&symbols=BTCUSDT"
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("selected", "SOLUSDT", "“SOLUSDT” is not among the symbols"),
        ("sort", "-luck", "no column “-luck” to sort by. Available: symbol, last, change"),
        ("interval", "7m", "no interval “7m”. Available: 1s, 1m, 5m, 1h, 1d."),
        ("min", "much", "“much” is no value. The tape shows all trades."),
        ("min", "-1", "“-1” is no value"),
        ("min", "NaN", "“NaN” is no value"),
        ("min", "1e999999", "“1e999999” is no value"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_and_the_rest_is_shown(name: str, value: str, said: str) -> None:
    query = {"symbols": "BTCUSDT", name: value}
    view, [notice] = read_view(query, exchanges=EXCHANGES, defaults=DEFAULTS, limit=200)

    assert said in notice.text
    assert view == WatchlistUrl(exchange="binance", symbols=("BTCUSDT",))


def test_only_what_makes_sense_of_a_market_is_taken_over() -> None:
    view = WatchlistUrl(exchange="binance", symbols=("BTCUSDT",), interval="5m", minimum="10")

    assert with_market(view) == view
    assert with_market(view, interval="7m", minimum="much", alert="x" * 1000) == view
    changed = with_market(view, interval="1h", minimum="", paused="1", alert="BTCUSDT<1")
    assert (changed.interval, changed.minimum) == ("1h", "")
    assert with_market(view, minimum="0,5").minimum == "0.5", "as the tape reads what a person types"
    assert changed.private == {"paused": "1", "alert": "BTCUSDT<1"}
    assert with_market(changed, paused="").private == {"alert": "BTCUSDT<1"}


def test_a_huge_parameter_is_read_in_part() -> None:
    symbols, malformed = read_typed("A1," * 1_000_000 + "ZZZ")

    assert symbols == ["A1"]
    assert len(malformed) <= 1


@given(st.text())
def test_a_quotation_is_short_printable_and_on_one_line(text: str) -> None:
    quoted = clip(text)

    assert len(quoted) <= 26
    assert quoted.isprintable()
