from decimal import Decimal

import pytest

from livemarkets.market.models import SymbolInfo
from livemarkets.market.symbols import SymbolDirectory
from livemarkets.market.updates import TickerRow
from pages.labs.overview.ranking import MOVERS_AMONG, Worth, matching, movers, ordered
from tests.pages.local import listed, ticker_row

DIRECTORY = SymbolDirectory()
DIRECTORY.replace(listed())


def rows(*found: TickerRow) -> dict[str, TickerRow]:
    return {row.symbol: row for row in found}


@pytest.mark.parametrize(
    ("quote", "query", "found"),
    [
        ("", "", ["BTCUSDT", "ETHUSDT", "ETHBTC", "NEWUSDT"]),
        ("USDT", "", ["BTCUSDT", "ETHUSDT"]),
        ("BTC", "eth", ["ETHBTC"]),
        ("", "eth", ["ETHUSDT", "ETHBTC"]),
        ("", "eth usdt", ["ETHUSDT"]),
        ("", "usdt eth", ["ETHUSDT"]),
        ("", "eth/btc", ["ETHBTC"]),
        ("", "$eth-usdt", ["ETHUSDT"]),
        ("", "/", ["BTCUSDT", "ETHUSDT", "ETHBTC", "NEWUSDT"]),
        ("", "doge", []),
        ("XYZ", "", []),
    ],
)
def test_symbols_are_filtered_and_searched(quote: str, query: str, found: list[str]) -> None:
    symbols = ["BTCUSDT", "ETHUSDT", "ETHBTC", "NEWUSDT"]  # the last one is not listed yet

    assert matching(symbols, DIRECTORY.get, quote=quote, query=query) == found


def test_rows_are_sorted_by_value_and_those_without_come_last_either_way() -> None:
    silent = ticker_row("SHIBUSDT", "1")
    shown = rows(ticker_row("BTCUSDT", "9"), ticker_row("ETHUSDT", "10"), ticker_row("SOLUSDT", "100"))
    shown["SHIBUSDT"] = TickerRow(
        "SHIBUSDT", None, None, None, None, *(getattr(silent, name) for name in silent.__struct_fields__[5:])
    )
    symbols = ["SHIBUSDT", "BTCUSDT", "SOLUSDT", "ETHUSDT"]

    assert ordered(symbols, shown, None, column="last", is_descending=True) == [
        "SOLUSDT",
        "ETHUSDT",
        "BTCUSDT",
        "SHIBUSDT",
    ]
    assert ordered(symbols, shown, None, column="last", is_descending=False) == [
        "BTCUSDT",
        "ETHUSDT",
        "SOLUSDT",
        "SHIBUSDT",
    ]


@pytest.mark.parametrize("is_descending", [True, False])
def test_rows_with_the_same_value_keep_their_order(is_descending: bool) -> None:
    shown = rows(*(ticker_row(symbol, "5") for symbol in ("SOLUSDT", "BTCUSDT", "ETHUSDT")))
    order = ["ETHUSDT", "SOLUSDT", "BTCUSDT"]

    assert ordered(order, shown, None, column="change", is_descending=is_descending) == order


def test_volumes_in_different_assets_are_compared_by_their_worth() -> None:
    directory = SymbolDirectory()
    pairs = [("BTC", "USDT"), ("ETH", "BTC"), ("USDT", "TRY"), ("ETH", "TRY"), ("ETH", "XYZ")]
    directory.replace(
        SymbolInfo(
            symbol=base + quote,
            base_asset=base,
            quote_asset=quote,
            tick_size=Decimal("0.01"),
            step_size=Decimal(1),
        )
        for base, quote in pairs
    )
    shown = rows(
        ticker_row("BTCUSDT", "60000", quote_volume="1000000"),
        ticker_row("ETHBTC", "0.05", quote_volume="20"),  # 1,200,000 USDT
        ticker_row("USDTTRY", "40", quote_volume="20000000"),  # 500,000 USDT
        ticker_row("ETHTRY", "100000", quote_volume="4000000"),  # 100,000 USDT
        ticker_row("ETHXYZ", "1", quote_volume="9000000000"),  # nobody knows
    )
    worth = Worth(shown, directory.get)

    assert ordered(shown, shown, worth, column="volume", is_descending=True) == [
        "ETHBTC",
        "BTCUSDT",
        "USDTTRY",
        "ETHTRY",
        "ETHXYZ",
    ]


def test_movers_are_those_that_moved_most_among_the_busiest() -> None:
    busy = [ticker_row(f"A{number:03}", "100", quote_volume="1000") for number in range(MOVERS_AMONG - 3)]
    shown = rows(
        *busy,
        ticker_row("UP", "112", quote_volume="5000"),
        ticker_row("LITTLE", "101", quote_volume="5000"),
        ticker_row("DOWN", "88", quote_volume="5000"),
        ticker_row("THIN", "900", quote_volume="1"),
    )

    gainers, losers = movers(shown, shown, None, count=3)

    assert [row.symbol for row in gainers] == ["UP", "LITTLE"]
    assert [row.symbol for row in losers] == ["DOWN"]
