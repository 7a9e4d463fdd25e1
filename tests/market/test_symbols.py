from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.models import SymbolInfo
from livemarkets.market.symbols import SymbolDirectory, is_well_formed, normalise


def info(base: str, quote: str = "USDT", *, is_trading: bool = True) -> SymbolInfo:
    return SymbolInfo(
        symbol=base + quote,
        base_asset=base,
        quote_asset=quote,
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.00001"),
        is_trading=is_trading,
    )


LISTED = [
    info("BTC"),
    info("BTC", "EUR"),
    info("ETH"),
    info("ETH", "BTC"),
    info("WBTC", "BTC"),
    info("1000SATS"),
    info("BTCST", is_trading=False),
    info("BCC", is_trading=False),
]


@pytest.fixture
def directory() -> SymbolDirectory:
    directory = SymbolDirectory()
    directory.replace(LISTED)
    return directory


@pytest.mark.parametrize(
    ("text", "expected"), [("btcusdt", "BTCUSDT"), ("  ethBTC\n", "ETHBTC"), ("", ""), ("ß", "SS")]
)
def test_any_case_is_accepted(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize("symbol", ["BTCUSDT", "1000SATSUSDT", "AA", "A" * 30])
def test_well_formed(symbol: str) -> None:
    assert is_well_formed(symbol)


@pytest.mark.parametrize(
    "symbol", ["", "A", "A" * 31, "btcusdt", "BTC/USDT", "BTCUSDT\n", "ＢＴＣ", "₿TC", "A B"]
)
def test_not_well_formed(symbol: str) -> None:
    assert not is_well_formed(symbol)


def test_an_unknown_list_accepts_what_could_be_a_symbol() -> None:
    directory = SymbolDirectory()
    assert not directory.is_loaded
    assert directory.accepts("NOSUCHTHING")
    assert not directory.accepts("no/such")
    assert directory.get("BTCUSDT") is None
    assert directory.search("btc") == []
    assert directory.suggest("BTCUSD") == []


def test_a_known_list_accepts_what_is_on_it(directory: SymbolDirectory) -> None:
    assert directory.is_loaded
    assert len(directory) == len(LISTED)
    assert directory.accepts("BTCUSDT")
    assert not directory.accepts("NOSUCHTHING")
    assert directory.get("ETHBTC") == info("ETH", "BTC")


def test_a_newer_list_replaces_the_older(directory: SymbolDirectory) -> None:
    directory.replace([info("XRP")])
    assert directory.accepts("XRPUSDT")
    assert not directory.accepts("BTCUSDT")


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("btcusdt", "BTCUSDT"),
        ("BTC/USDT", "BTCUSDT"),
        ("btc-usdt", "BTCUSDT"),
        ("eth usdt", "ETHUSDT"),
        ("usdt btc", "BTCUSDT"),
        ("btc", "BTCEUR"),  # base asset, and the shortest of these
        ("sats", "1000SATSUSDT"),
        ("wb", "WBTCBTC"),
    ],
)
def test_search_finds_what_a_person_means(directory: SymbolDirectory, query: str, first: str) -> None:
    assert directory.search(query)[0].symbol == first


def test_search_puts_what_does_not_trade_behind(directory: SymbolDirectory) -> None:
    found = [found.symbol for found in directory.search("b")]
    assert found.index("BTCSTUSDT") > found.index("BTCUSDT")


def test_search_is_limited(directory: SymbolDirectory) -> None:
    assert len(directory.search("t", limit=2)) == 2


@pytest.mark.parametrize(
    ("symbol", "meant"),
    [("BTC/USDT", "BTCUSDT"), ("BTCUSTD", "BTCUSDT"), ("ETHUSD", "ETHUSDT"), ("WBTC", "WBTCBTC")],
)
def test_did_you_mean(directory: SymbolDirectory, symbol: str, meant: str) -> None:
    assert meant in directory.suggest(symbol)


@given(st.text(max_size=200))
def test_no_text_breaks_search_or_suggestions(text: str) -> None:
    directory = SymbolDirectory()
    directory.replace(LISTED)
    listed = {entry.symbol for entry in LISTED}
    assert {found.symbol for found in directory.search(text)} <= listed
    suggestions = directory.suggest(text)
    assert len(suggestions) <= 3
    assert set(suggestions) <= listed
    assert not is_well_formed(normalise(text)) or directory.accepts(normalise(text)) == (
        normalise(text) in listed
    )
