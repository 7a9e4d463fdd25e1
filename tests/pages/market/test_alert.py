"""The price alert: read from an address, and judged on every trade."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from livemarkets.market.models import TradeTick
from pages.labs.market.alert import AlertWatch, PriceAlert, Touch, read_alert
from tests.support.candles import START_MS, make_candle

ABOVE = PriceAlert("BTCUSDT", "above", Decimal(62000))
BELOW = PriceAlert("BTCUSDT", "below", Decimal(62000))


def tick(trade_id: int, price: str) -> TradeTick:
    return TradeTick(
        "binance", "BTCUSDT", Decimal(price), Decimal(1), "buy", START_MS + trade_id, trade_id, 0
    )


def watch_of(alert: PriceAlert = ABOVE, last_id: int = 10) -> AlertWatch:
    return AlertWatch(alert, since_ts=START_MS, last_id=last_id)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BTCUSDT>62000", ABOVE),
        (" btcusdt < 62000 ", BELOW),
        ("币安人生USDT>0.5", PriceAlert("币安人生USDT", "above", Decimal("0.5"))),
        ("", None),
        ("BTCUSDT", None),
        ("BTCUSDT>", None),
        ("BTCUSDT>0", None),
        ("BTCUSDT>-1", None),
        ("BTCUSDT>much", None),
        ("BTCUSDT,ETHUSDT>1", None),
        ("<b>>1", None),
        ("BTCUSDT>1e999999", None),
    ],
)
def test_an_alert_is_read_from_the_address(text: str, expected: PriceAlert | None) -> None:
    assert read_alert(text) == expected


def test_an_address_gives_back_what_was_written_into_it() -> None:
    for alert in (ABOVE, BELOW, PriceAlert("SHIBUSDT", "below", Decimal("0.00001402"))):
        assert read_alert(alert.text) == alert
    assert ABOVE.text == "BTCUSDT>62000"


def test_one_trade_among_many_sets_it_off() -> None:
    """Between two paintings the price may touch the level and come back."""
    watch = watch_of()
    assert watch.judge([tick(11, "61999.99"), tick(12, "61999.98")]) is None
    touch = watch.judge([tick(13, "61999"), tick(14, "62000.00"), tick(15, "61000")])
    assert touch == Touch(Decimal("62000.00"), START_MS + 14)


def test_below_is_the_level_and_everything_under_it() -> None:
    watch = watch_of(BELOW)
    assert watch.judge([tick(11, "62000.01")]) is None
    assert watch.judge([tick(12, "62000")]) is not None


def test_trades_that_left_memory_are_counted_and_lost_ones_are_not() -> None:
    watch = watch_of()
    watch.judge([tick(15, "1")])
    assert watch.unjudged == 4
    watch.judge([tick(20, "1")], lost=3)
    assert watch.unjudged == 5
    assert watch_of(last_id=0).unjudged == 0


def test_a_candle_that_began_later_counts_and_one_of_before_does_not() -> None:
    """A candle is made of every trade, also of those that were lost on their way."""
    high = replace(make_candle(0, 5), high=Decimal(70000))
    assert watch_of().judge_candle(high) == Touch(Decimal(70000), high.open_ts, is_candle=True)
    later = AlertWatch(ABOVE, since_ts=high.open_ts + 1, last_id=0)
    assert later.judge_candle(high) is None, "the high may be of before"
    assert watch_of().judge_candle(None) is None
    assert watch_of().judge_candle(make_candle(0, 5)) is None
