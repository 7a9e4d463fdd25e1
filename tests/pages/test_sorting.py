from decimal import Decimal

import pytest

from livemarkets.market.models import TradeTick
from livemarkets.market.updates import TickerUpdate, ticker_of
from pages.labs.sorting import OWN_ORDER, SORT_COLUMNS, Sort, SortColumn, ordered, sorted_next
from tests.pages.local import ticker_row

OWN = ["ETHUSDT", "QUIETEUR", "BTCUSDT", "NEWUSDT"]


def trade(symbol: str, price: str, *, side: str, ts: int) -> TradeTick:
    return TradeTick(
        exchange="binance",
        symbol=symbol,
        price=Decimal(price),
        size=Decimal(price) / 100,
        side="buy" if side == "buy" else "sell",
        ts=ts,
        id=1,
        recv_ts=ts + 5,
    )


def ticker(symbol: str, last: str) -> TickerUpdate:
    price = Decimal(last)
    return ticker_of("binance", ticker_row(symbol, last), (price, None, price + 1, None), 7)


TRADES = {
    "ETHUSDT": trade("ETHUSDT", "50", side="sell", ts=30),
    "BTCUSDT": trade("BTCUSDT", "900", side="buy", ts=20),
}
TICKERS = {"ETHUSDT": ticker("ETHUSDT", "60"), "QUIETEUR": ticker("QUIETEUR", "70")}


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", OWN),
        ("symbol", ["BTCUSDT", "ETHUSDT", "NEWUSDT", "QUIETEUR"]),
        ("-symbol", ["QUIETEUR", "NEWUSDT", "ETHUSDT", "BTCUSDT"]),
        ("-last", ["BTCUSDT", "QUIETEUR", "ETHUSDT", "NEWUSDT"]),
        ("last", ["ETHUSDT", "QUIETEUR", "BTCUSDT", "NEWUSDT"]),
        ("-change", ["QUIETEUR", "ETHUSDT", "BTCUSDT", "NEWUSDT"]),
        ("-bid", ["QUIETEUR", "ETHUSDT", "BTCUSDT", "NEWUSDT"]),
        ("ask", ["ETHUSDT", "QUIETEUR", "BTCUSDT", "NEWUSDT"]),
        ("-size", ["BTCUSDT", "ETHUSDT", "QUIETEUR", "NEWUSDT"]),
        ("side", ["BTCUSDT", "ETHUSDT", "QUIETEUR", "NEWUSDT"]),
        ("-time", ["ETHUSDT", "BTCUSDT", "QUIETEUR", "NEWUSDT"]),
        ("-age", ["BTCUSDT", "ETHUSDT", "QUIETEUR", "NEWUSDT"]),
    ],
)
def test_rows_are_sorted_by_any_column_and_those_without_a_value_come_last(
    text: str, order: list[str]
) -> None:
    [column] = [name for name in ("", *SORT_COLUMNS) if name == text.removeprefix("-")]
    assert ordered(OWN, Sort(column, text.startswith("-")), TRADES, TICKERS) == order


def test_rows_with_the_same_value_keep_their_order() -> None:
    same = {symbol: trade(symbol, "5", side="buy", ts=1) for symbol in ("SOLUSDT", "BTCUSDT", "ETHUSDT")}
    order = ["ETHUSDT", "SOLUSDT", "BTCUSDT"]
    for is_descending in (True, False):
        assert ordered(order, Sort("last", is_descending), same, {}) == order


@pytest.mark.parametrize("column", SORT_COLUMNS)
def test_three_presses_on_a_head_lead_back_to_the_own_order(column: SortColumn) -> None:
    sorts = [OWN_ORDER]
    for _ in range(3):
        sorts.append(sorted_next(sorts[-1], column))

    first_is_largest = column not in ("symbol", "side")
    assert sorts[1:] == [Sort(column, first_is_largest), Sort(column, not first_is_largest), OWN_ORDER]
    assert sorted_next(Sort("last", True), column) == (
        Sort("last", False) if column == "last" else Sort(column, first_is_largest)
    )
    assert sorted_next(sorts[1], "nothing") == sorts[1]
