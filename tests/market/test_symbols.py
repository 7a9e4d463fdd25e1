import gzip
import itertools
import time
from collections.abc import Callable
from decimal import Decimal
from string import ascii_uppercase

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livemarkets.market.models import SymbolInfo
from livemarkets.market.symbols import SymbolDirectory, is_well_formed, normalise, query_fault
from tests.support.helpers import PROJECT_ROOT


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


@pytest.mark.parametrize(("text", "expected"), [("btcusdt", "BTCUSDT"), ("  ethBTC\n", "ETHBTC"), ("", "")])
def test_any_case_is_accepted(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("币安人生usdt", "币安人生USDT"),
        ("１２３４５６", "１２３４５６"),
        ("ｂｔｃusdt", "ｂｔｃUSDT"),
        ("σusdt", "σUSDT"),
        ("ßusdt", "ßUSDT"),
        ("ıusdt", "ıUSDT"),
        ("ſol", "ſOL"),
        ("e\u0301usdt", "E\u0301USDT"),
    ],
)
def test_case_is_mapped_for_a_to_z_alone_and_nothing_is_normalised(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text())
def test_two_names_that_differ_otherwise_stay_two(text: str) -> None:
    name = normalise(text)
    assert normalise(name) == name
    assert len(name) == len(text.strip())


@pytest.mark.parametrize(
    "symbol", ["BTCUSDT", "1000SATSUSDT", "AA", "A" * 64, "币安人生USDT", "１２３４５６", "ΣUSDT", "ไทยUSDT"]
)
def test_well_formed(symbol: str) -> None:
    assert is_well_formed(symbol)


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "A",
        "A" * 65,
        "btcusdt",
        "BTC/USDT",
        "BTCUSDT\n",
        "₿TC",
        "A B",
        "币usdt",
        "币@",
        "币\u202eUSDT",
        "币\x00",
    ],
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
        ("btc", "BTCUSDT"),
        ("eth", "ETHUSDT"),
        ("BTC_USDT", "BTCUSDT"),
        ("BINANCE:BTCUSDT", "BTCUSDT"),
        ("binance:eth/btc", "ETHBTC"),
        ("$eth", "ETHUSDT"),
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
    if query_fault(text) is not None:
        assert directory.search(text) == []
    suggestions = directory.suggest(text)
    assert len(suggestions) <= 3
    assert set(suggestions) <= listed
    assert not is_well_formed(normalise(text)) or directory.accepts(normalise(text)) == (
        normalise(text) in listed
    )


def test_among_equals_the_quote_asset_counts() -> None:
    directory = SymbolDirectory()
    quotes = ["TRY", "EUR", "AUD", "ETH", "BTC", "FDUSD", "USDC", "USDT"]
    directory.replace(info("SOL", quote, is_trading=quote != "USDC") for quote in quotes)

    found = [found.quote_asset for found in directory.search("sol")]
    assert found == ["USDT", "FDUSD", "BTC", "ETH", "EUR", "AUD", "TRY", "USDC"], "what trades comes first"


REAL_LIST = PROJECT_ROOT.parent / "shared" / "data" / "exchangeinfo_20211012_trimmed.json.gz"


class _Listed(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str


@pytest.mark.skipif(not REAL_LIST.exists(), reason="the recorded list of 2021 is not beside this project")
@pytest.mark.parametrize("asset", ["btc", "eth", "sol", "bnb", "xrp", "doge", "ada", "avax", "link", "ltc"])
def test_in_the_real_list_an_asset_is_found_by_its_usual_market(asset: str) -> None:
    recorded = msgspec.json.decode(gzip.decompress(REAL_LIST.read_bytes()), type=dict[str, msgspec.Raw])
    listed = msgspec.json.decode(recorded["symbols"], type=list[_Listed])
    directory = SymbolDirectory()
    directory.replace(
        info(one.baseAsset, one.quoteAsset, is_trading=one.status == "TRADING")
        for one in listed
        if one.symbol == one.baseAsset + one.quoteAsset
    )

    assert len(directory) > 1000
    for query in (asset, f"${asset}", f"{asset}/usdt", f"usdt {asset}", f"BINANCE:{asset}usdt"):
        assert directory.search(query)[0].symbol == f"{asset.upper()}USDT"


def test_names_that_look_alike_are_not_mixed_up() -> None:
    directory = SymbolDirectory()
    directory.replace([info("123456"), info("１２３４５６"), info("币安人生"), info("Σ"), info("σ")])

    assert directory.accepts("123456USDT")
    assert [found.symbol for found in directory.search("１２３４５６")] == ["１２３４５６USDT"]
    assert [found.symbol for found in directory.search("币安")] == ["币安人生USDT"]
    assert [found.symbol for found in directory.search("σusdt")] == ["σUSDT"]
    assert directory.suggest("币安生人usdt") == ["币安人生USDT"]


# what it costs


def long_list(count: int = 3500) -> list[SymbolInfo]:
    """As many symbols as Binance lists, and some in other scripts."""
    quotes = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "EUR", "TRY")
    names = map("".join, itertools.product(ascii_uppercase, repeat=3))
    bases = [f"{name}{chr(0x4E00 + place) if place % 20 == 0 else ''}" for place, name in enumerate(names)]
    return [info(base, quote) for base, quote in itertools.islice(itertools.product(bases, quotes), count)]


def least_ms(action: Callable[[], object]) -> float:
    """CPU time of the best of several runs: what else runs on the machine does not count."""
    spent = []
    for _ in range(7):
        before = time.thread_time()
        action()
        spent.append(time.thread_time() - before)
    return min(spent) * 1000


@pytest.fixture(scope="module")
def long_directory() -> SymbolDirectory:
    directory = SymbolDirectory()
    directory.replace(long_list())
    return directory


QUERIES = ["", "u", "usdt", "a b c d e", "u s d t a", "q" * 64, "币", "$ab", "x:u", "u/s/d/t/u"]


@pytest.mark.parametrize("query", QUERIES)
def test_no_search_holds_up_the_event_loop(long_directory: SymbolDirectory, query: str) -> None:
    assert query_fault(query) is None
    assert least_ms(lambda: long_directory.search(query)) < 2


@pytest.mark.parametrize(
    "name", ["QQQQQQ", "BTCUSDX", "A" * 12, "A" * 64, "QWERTYUSDT", "币" * 9, "USDTUSDTUS", "/" * 64]
)
def test_no_suggestion_holds_up_the_event_loop(long_directory: SymbolDirectory, name: str) -> None:
    assert least_ms(lambda: long_directory.suggest(name)) < 5


def test_a_new_list_is_taken_over_in_one_breath() -> None:
    infos, directory = long_list(), SymbolDirectory()
    assert least_ms(lambda: directory.replace(infos)) < 20


@pytest.mark.parametrize("query", ["q" * 65, "a b c d e f", "u " * 15_500])
def test_a_query_beyond_all_reason_is_not_searched(long_directory: SymbolDirectory, query: str) -> None:
    fault = query_fault(query)
    assert fault is not None
    assert "64 characters and 5 words" in fault
    assert long_directory.search(query) == []


def test_a_symbol_is_added_to_the_list_and_the_next_list_replaces_it() -> None:
    directory = SymbolDirectory()
    directory.replace([info("BTC"), info("ETH")])
    directory.add(info("ODD"))
    assert directory.names() == {"BTCUSDT", "ETHUSDT", "ODDUSDT"}
    assert directory.suggest("ODDUSD") == ["ODDUSDT"]
    directory.add(info("ODD", is_trading=False))
    odd = directory.get("ODDUSDT")
    assert odd is not None
    assert not odd.is_trading
    directory.replace([info("BTC"), info("ETH")])
    assert directory.names() == {"BTCUSDT", "ETHUSDT"}


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("t", ["TUSDT", "TRYUSDT"]),
        ("1inch", ["1INCHUSDT"]),
        ("1000sats", ["1000SATSUSDT"]),
        ("1", ["1INCHUSDT", "1000SATSUSDT", "1MBABYDOGEUSDT"]),
        ("usdt", ["USDTTRY", "AUSDT"]),
        ("usdt try", ["USDTTRY"]),
        ("usdc", ["USDCUSDT"]),
        ("w", ["WUSDT"]),
        ("btc fdusd", ["BTCFDUSD"]),
    ],
)
def test_short_names_digits_first_and_bases_that_are_quotes_are_ranked_sanely(
    query: str, best: list[str]
) -> None:
    pairs = [
        *(("T", "USDT"), ("W", "USDT"), ("S", "USDT"), ("A", "USDT"), ("TRY", "USDT"), ("BTC", "USDT")),
        *(("1INCH", "USDT"), ("1000SATS", "USDT"), ("1MBABYDOGE", "USDT"), ("USDT", "TRY")),
        *(("USDC", "USDT"), ("BTC", "FDUSD")),
    ]
    directory = SymbolDirectory()
    directory.replace(info(base, quote) for base, quote in pairs)
    assert [found.symbol for found in directory.search(query)][: len(best)] == best
